//! How far long work is, on one line of the terminal that is written again and again. Elsewhere nothing is shown.

use std::{
    io::{self, IsTerminal as _, Write as _},
    sync::{Mutex, PoisonError},
};

use mainspring_shop::demo::{Phase, Progress};

use crate::units;

/// So many characters wide.
const WIDTH: u64 = 24;

/// Back to the beginning of the line, and nothing on it.
const CLEAR: &str = "\r\x1b[K";

/// The progress of a demo or of a build.
pub(crate) struct Bar {
    visible: bool,
    /// The present part of a demo and its steps.
    now: Mutex<Option<(Phase, u64)>>,
}

impl Bar {
    /// A bar that is visible only on a terminal that can take a line back.
    pub(crate) fn on_terminal() -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        Self { visible: io::stderr().is_terminal() && !dumb, now: Mutex::new(None) }
    }

    /// So much of something is done.
    pub(crate) fn step(&self, what: &str, done: u64, total: u64) {
        self.show(&line(what, done, total));
    }

    /// Leaves the line as it was found.
    pub(crate) fn clear(&self) {
        self.show("");
    }

    fn show(&self, text: &str) {
        if self.visible {
            let mut stderr = io::stderr().lock();
            // Where standard error is closed there is nobody left to tell.
            let _ = write!(stderr, "{CLEAR}{text}").and_then(|()| stderr.flush());
        }
    }
}

impl Progress for Bar {
    fn phase(&self, phase: Phase, total: u64) {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = Some((phase, total));
        self.step(phase.as_str(), 0, total);
    }

    fn at(&self, done: u64) {
        let now = *self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((phase, total)) = now {
            self.step(phase.as_str(), done, total);
        }
    }
}

/// What is done, as a bar and in numbers where steps are counted.
fn line(what: &str, done: u64, total: u64) -> String {
    if total == 0 {
        return format!("{what} …");
    }
    let part = |of: u64| u64::try_from(u128::from(done.min(total)) * u128::from(of) / u128::from(total)).unwrap_or(of);
    let full = usize::try_from(part(WIDTH)).unwrap_or(0);
    let empty = usize::try_from(WIDTH).unwrap_or(0) - full;
    let (bar, rest) = ("#".repeat(full), "-".repeat(empty));
    format!("{what} [{bar}{rest}] {:>3} %, {} of {}", part(100), units::number(done), units::number(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_grows_from_nothing_to_full() {
        assert_eq!(line("compare", 0, 0), "compare …");
        assert_eq!(line("ship", 0, 2000), "ship [------------------------]   0 %, 0 of 2,000");
        assert_eq!(line("ship", 1000, 2000), "ship [############------------]  50 %, 1,000 of 2,000");
        assert_eq!(line("ship", u64::MAX, u64::MAX).matches('#').count(), 24);
        // A store with other events in it may be further than was counted.
        assert!(line("ship", 3, 2).contains("100 %, 3 of 2"));
    }
}
