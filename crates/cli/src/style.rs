//! Colour, for terminals only; everything can be understood without it.

use std::{env, io::IsTerminal};

/// How text for people is set off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Style {
    colour: bool,
}

impl Style {
    /// The style for what is written to `target`.
    pub(crate) fn of(target: &impl IsTerminal) -> Self {
        let set = |name| env::var_os(name).filter(|value| !value.is_empty());
        let dumb = set("TERM").is_none_or(|term| term == "dumb");
        Self { colour: wanted(target.is_terminal(), set("NO_COLOR").is_some(), dumb) }
    }

    /// Without any colour.
    #[cfg(test)]
    pub(crate) fn plain() -> Self {
        Self { colour: false }
    }

    /// Heads of tables.
    pub(crate) fn head(self, text: &str) -> String {
        self.wrap("1", text)
    }

    /// What is as it should be.
    pub(crate) fn good(self, text: &str) -> String {
        self.wrap("32", text)
    }

    /// What is not.
    pub(crate) fn bad(self, text: &str) -> String {
        self.wrap("1;31", text)
    }

    /// What deserves a look.
    pub(crate) fn doubtful(self, text: &str) -> String {
        self.wrap("33", text)
    }

    fn wrap(self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

fn wanted(terminal: bool, no_color: bool, dumb: bool) -> bool {
    terminal && !no_color && !dumb
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_needs_a_terminal_that_is_asked_for_it() {
        assert!(wanted(true, false, false));
        for (terminal, no_color, dumb) in [(false, false, false), (true, true, false), (true, false, true)] {
            assert!(!wanted(terminal, no_color, dumb), "{terminal} {no_color} {dumb}");
        }
    }

    #[test]
    fn without_colour_text_stays_as_it_is() {
        assert_eq!(Style { colour: false }.bad("error"), "error");
        assert_eq!(Style { colour: true }.bad("error"), "\x1b[1;31merror\x1b[0m");
    }
}
