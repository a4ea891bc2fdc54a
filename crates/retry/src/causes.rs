//! An error in one text, for logs and reports: they are read where nobody can ask an error for what caused it.

use std::error::Error;

/// An error and everything that caused it, separated by colons.
///
/// Some errors have the text of their cause at the end of their own; it is not said again.
///
/// ```
/// let error = "seven".parse::<u64>().unwrap_err();
/// assert_eq!(mainspring_retry::with_causes(&error), "invalid digit found in string");
/// ```
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let further = error.to_string();
        if !text.ends_with(&further) {
            text.push_str(": ");
            text.push_str(&further);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Link {
        text: &'static str,
        source: Option<Box<Self>>,
    }

    /// A chain of errors with these texts, the outermost first.
    #[track_caller]
    fn check(texts: &[&'static str], expected: &str) {
        let link = |source: Option<Box<Link>>, text: &&'static str| Some(Box::new(Link { text, source }));
        let error = texts.iter().rev().fold(None, link).unwrap();
        assert_eq!(with_causes(&error), expected);
    }

    #[test]
    fn every_cause_is_named() {
        check(&["no view"], "no view");
        check(&["no view", "no database", "no disk"], "no view: no database: no disk");
    }

    #[test]
    fn a_cause_that_was_named_is_not_named_again() {
        check(
            &["SQLite refuses", "the database says: (code: 1) no table", "(code: 1) no table"],
            "SQLite refuses: the database says: (code: 1) no table",
        );
        check(&["no disk", "no disk", "it is gone"], "no disk: it is gone");
        // What was named earlier on may have caused something else as well.
        check(&["no disk", "no view", "no disk"], "no disk: no view: no disk");
    }
}
