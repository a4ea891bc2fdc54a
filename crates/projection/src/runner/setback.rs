//! What can interrupt a follower, and when it tries again.

use std::any::Any;

use jiff::Timestamp;
use mainspring_event::Position;
use mainspring_retry::{Advice, BoxError, Failure, Retry};
use tokio::time::{Duration, Instant};

use crate::{EventPlace, FailureReport, Projection, ProjectionError};

/// Why an attempt to follow the store ended.
pub(super) enum Setback {
    /// The checkpoint is not where this follower left it: a commit whose outcome was unknown, or another writer.
    Moved,
    /// Several events failed together. Applying them one by one up to `through` keeps what can be kept and finds the
    /// one that fails.
    Narrow { through: Position, error: String },
    /// Something failed that may work when it is tried again. It is over when the follower has come to `beyond`.
    Failed { what: What, failure: Failure, beyond: Position },
    /// Trying again cannot help.
    Fatal(ProjectionError),
}

/// What failed.
#[derive(Clone)]
pub(super) enum What {
    Create,
    Event(EventPlace),
    View,
    Store,
}

impl What {
    fn event(&self) -> Option<&EventPlace> {
        match self {
            Self::Event(place) => Some(place),
            Self::Create | Self::View | Self::Store => None,
        }
    }

    /// The error that ends the projection when this has failed for good.
    pub(super) fn into_error<P: Projection>(self, attempts: u32, source: BoxError) -> ProjectionError {
        let name = P::NAME;
        match self {
            Self::Create => ProjectionError::Create { name, attempts, source },
            Self::Event(event) => ProjectionError::Apply { name, event, attempts, source },
            Self::View => ProjectionError::View { name, attempts, source },
            Self::Store => ProjectionError::Store { name, source },
        }
    }
}

/// A panic of user code.
#[derive(Debug, thiserror::Error)]
#[error("panicked: {message}")]
pub(super) struct Panicked {
    message: String,
}

impl Panicked {
    pub(super) fn new(panic: &(dyn Any + Send)) -> Self {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let message = text.or_else(|| panic.downcast_ref::<String>().cloned());
        Self { message: message.unwrap_or_else(|| "the panic carries no text".to_owned()) }
    }
}

/// How often something has failed in a row.
#[derive(Default)]
pub(super) struct Attempts {
    row: Option<Row>,
}

struct Row {
    failures: u32,
    since: Timestamp,
    /// The row ends when the follower has come this far.
    beyond: Position,
    store: bool,
    last: Instant,
}

/// A store that answered for so long has recovered, even if nothing new was there to read.
const STEADY: Duration = Duration::from_secs(60);

impl Attempts {
    /// Counts a failure. Says how it is to be reported and how long to wait; `None` is for ever.
    pub(super) fn failed(
        &mut self,
        what: &What,
        failure: &Failure,
        beyond: Position,
        retry: &Retry,
    ) -> (FailureReport, Option<Duration>) {
        let store = matches!(what, What::Store);
        self.row.take_if(|row| store && row.store && row.last.elapsed() > STEADY);
        let row = self.row.get_or_insert_with(|| Row {
            failures: 0,
            since: Timestamp::now(),
            beyond,
            store,
            last: Instant::now(),
        });
        row.failures = row.failures.saturating_add(1);
        (row.beyond, row.store, row.last) = (row.beyond.max(beyond), store, Instant::now());
        let wait = match failure.advice() {
            Advice::BySchedule => retry.delay(row.failures),
            Advice::After(delay) => Some(delay),
            Advice::Never => None,
        };
        let next = wait.and_then(|wait| Timestamp::now().checked_add(wait).ok());
        let report = FailureReport {
            event: what.event().cloned(),
            error: failure.to_string(),
            attempts: row.failures,
            since: row.since,
            next,
        };
        (report, wait)
    }

    /// The follower has read to `done`, and committed to `saved`. Whether a row of failures ended with that.
    pub(super) fn reached(&mut self, saved: Position, done: Position) -> bool {
        self.row.take_if(|row| row.beyond <= if row.store { done } else { saved }).is_some()
    }

    /// Whether the last failure was the store's, which has answered since.
    pub(super) fn store_answered(&self) -> bool {
        self.row.as_ref().is_some_and(|row| row.store)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(attempts: &mut Attempts, what: What, beyond: u64, number: u32, wait: Option<u64>) {
        let retry = Retry::schedule([Duration::ZERO, Duration::from_secs(9)]);
        let (report, waits) = attempts.failed(&what, &Failure::from("no"), Position(beyond), &retry);
        assert_eq!((report.attempts, waits.map(|waits| waits.as_secs())), (number, wait));
        assert_eq!(report.next.is_some(), wait.is_some());
    }

    #[test]
    fn a_row_of_failures_ends_when_the_commit_has_passed_it() {
        let mut attempts = Attempts::default();
        check(&mut attempts, What::View, 7, 1, Some(0));
        assert!(!attempts.reached(Position(6), Position(20)), "read on, but not committed");
        check(&mut attempts, What::View, 7, 2, Some(9));
        assert!(attempts.reached(Position(7), Position(20)));
        check(&mut attempts, What::View, 8, 1, Some(0));
    }

    #[test]
    fn a_store_has_recovered_when_something_new_was_read() {
        let mut attempts = Attempts::default();
        check(&mut attempts, What::Store, 8, 1, Some(0));
        assert!(!attempts.reached(Position(3), Position(7)));
        check(&mut attempts, What::Store, 8, 2, Some(9));
        assert!(attempts.reached(Position(3), Position(8)));
    }

    #[test]
    fn a_schedule_ends() {
        let mut attempts = Attempts::default();
        check(&mut attempts, What::Create, 1, 1, Some(0));
        check(&mut attempts, What::Create, 1, 2, Some(9));
        check(&mut attempts, What::Create, 1, 3, None);
    }
}
