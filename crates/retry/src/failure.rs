//! The one failure type of user code, with advice for whoever runs it.

use std::{fmt, time::Duration};

use crate::with_causes;

/// Any error that can cross threads.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why user code failed, and whether trying again can help.
///
/// It is deliberately not a `std::error::Error` (as `anyhow::Error` is not): otherwise `?` could not convert every error
/// into it.
pub struct Failure {
    source: BoxError,
    advice: Advice,
}

/// What whoever runs the code should do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Try again as the schedule says.
    BySchedule,
    /// Try again after this time, whatever the schedule says.
    After(Duration),
    /// Do not try again: it did not happen and never will.
    Never,
}

impl Failure {
    /// What to do next.
    pub fn advice(&self) -> Advice {
        self.advice
    }

    /// What went wrong.
    pub fn source(&self) -> &BoxError {
        &self.source
    }

    /// What went wrong, to keep.
    pub fn into_source(self) -> BoxError {
        self.source
    }
}

impl fmt::Display for Failure {
    /// The error [with its causes](with_causes).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&with_causes(self.source.as_ref()))
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} ({:?})", self.advice)
    }
}

impl<E: Into<BoxError>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { source: error.into(), advice: Advice::BySchedule }
    }
}

/// Adds advice to a failed result.
pub trait Advise<T, E>: Sized {
    /// Trying again cannot help, because it surely did not happen.
    ///
    /// # Errors
    /// The same error, marked.
    fn permanent(self) -> Result<T, Failure> {
        self.permanent_if(|_| true)
    }

    /// Trying again cannot help when `never` says so of the error.
    ///
    /// # Errors
    /// The same error, marked if `never` held.
    fn permanent_if(self, never: impl FnOnce(&E) -> bool) -> Result<T, Failure>;

    /// Try again after this time and not earlier.
    ///
    /// # Errors
    /// The same error, marked.
    fn retry_after(self, after: Duration) -> Result<T, Failure>;
}

impl<T, E: Into<Failure>> Advise<T, E> for Result<T, E> {
    fn permanent_if(self, never: impl FnOnce(&E) -> bool) -> Result<T, Failure> {
        self.map_err(|error| {
            let permanent = never(&error);
            let failure = error.into();
            if permanent { Failure { advice: Advice::Never, ..failure } } else { failure }
        })
    }

    fn retry_after(self, after: Duration) -> Result<T, Failure> {
        self.map_err(|error| Failure { advice: Advice::After(after), ..error.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] std::num::ParseIntError);

    fn failing() -> Result<u8, Outer> {
        "x".parse().map_err(Outer)
    }

    #[test]
    fn a_plain_error_is_tried_again_by_schedule() {
        fn with_question_mark() -> Result<u8, Failure> {
            Ok(failing()?)
        }
        assert_eq!(with_question_mark().unwrap_err().advice(), Advice::BySchedule);
    }

    #[test]
    fn advice_is_kept_and_the_causes_are_shown() {
        let failure = failing().permanent().unwrap_err();
        assert_eq!(failure.advice(), Advice::Never);
        assert_eq!(failure.to_string(), "outer: invalid digit found in string");
        let later = failing().retry_after(Duration::from_secs(3)).unwrap_err();
        assert_eq!(later.advice(), Advice::After(Duration::from_secs(3)));
        assert_eq!(failing().permanent_if(|_| false).unwrap_err().advice(), Advice::BySchedule);
    }
}
