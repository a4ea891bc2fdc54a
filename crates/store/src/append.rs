//! One append: events, the checks that must hold, the changes to streams; and what can come of it.

use mainspring_event::{EventId, NewEvent, Position, StreamName, Version};
use serde::{Deserialize, Serialize};

use crate::{BoxError, Query, Retained, StreamChange};

/// What is to become durable and visible in one commit, or not at all.
///
/// ```
/// use mainspring_event::{NewEvent, StreamName};
/// use mainspring_store::{Append, Expected};
/// let stream = StreamName::of("order", 17)?;
/// let placed = NewEvent::json(stream.clone(), "OrderPlaced".parse()?, "{}");
/// let append = Append::new([placed]).expect(stream, Expected::NoStream);
/// assert_eq!((append.events.len(), append.checks.len()), (1, 1));
/// # Ok::<(), mainspring_event::NameError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Append {
    /// The events in the order of their positions; each names its stream.
    pub events: Vec<NewEvent>,
    /// All of them must hold at the moment of the commit, before any of the events counts.
    pub checks: Vec<Check>,
    /// Applied after the events.
    pub changes: Vec<StreamChange>,
}

impl Append {
    /// Appends `events` without conditions.
    pub fn new(events: impl IntoIterator<Item = NewEvent>) -> Self {
        Self { events: events.into_iter().collect(), ..Self::default() }
    }

    /// Adds the condition that `stream` is where it is `expected` to be.
    pub fn expect(self, stream: StreamName, expected: Expected) -> Self {
        self.check(Check::Stream { stream, expected })
    }

    /// Adds a condition.
    pub fn check(mut self, check: Check) -> Self {
        self.checks.push(check);
        self
    }

    /// Adds a change of a stream.
    pub fn change(mut self, change: StreamChange) -> Self {
        self.changes.push(change);
        self
    }

    /// The streams, each perhaps several times, that must not be tombstoned for this append to be taken: those it writes,
    /// checks or changes. Closing a stream again is allowed.
    pub fn open_streams(&self) -> impl Iterator<Item = &StreamName> {
        let events = self.events.iter().map(|event| &event.stream);
        let checks = self.checks.iter().filter_map(|check| match check {
            Check::Stream { stream, .. } => Some(stream),
            Check::NoMatch { .. } => None,
        });
        let changes = self.changes.iter().filter_map(|change| match change {
            StreamChange::Retain { target: Retained::Stream(stream), .. }
            | StreamChange::TruncateBefore { stream, .. } => Some(stream),
            StreamChange::Retain { .. } | StreamChange::Tombstone { .. } => None,
        });
        events.chain(checks).chain(changes)
    }
}

/// A condition of an append.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Check {
    /// The stream is where it is expected to be. It need not be written: that is how a lease or an epoch fences.
    Stream {
        /// The stream to look at.
        stream: StreamName,
        /// Where it must be.
        expected: Expected,
    },
    /// No event that matches `query` lies after `after` (dynamic consistency boundary).
    NoMatch {
        /// What must not be there.
        query: Query,
        /// The `through` of the read that the decision rests on, not its last match; `None` means no retained event.
        after: Option<Position>,
    },
}

/// Where a stream is expected to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Expected {
    /// Anywhere.
    Any,
    /// Never written.
    NoStream,
    /// Written at least once.
    Exists,
    /// At exactly this version; version 0 is the same as `NoStream`.
    Exactly(Version),
}

impl Expected {
    /// Whether a stream at version `actual` is as expected.
    pub fn holds(self, actual: Version) -> bool {
        match self {
            Self::Any => true,
            Self::NoStream => actual == Version::NONE,
            Self::Exists => actual > Version::NONE,
            Self::Exactly(version) => actual == version,
        }
    }
}

impl std::fmt::Display for Expected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Any => f.write_str("any version"),
            Self::NoStream => f.write_str("no stream"),
            Self::Exists => f.write_str("an existing stream"),
            Self::Exactly(version) => write!(f, "version {version}"),
        }
    }
}

/// What an append came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Position of the last event of the append; the head of the store for an append without events. Waiting for it
    /// makes everything of this append visible.
    pub position: Position,
    /// Where each event went, in the order of the append.
    pub written: Vec<Written>,
}

/// Where one event went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// Its place in the store.
    pub position: Position,
    /// Its number in its stream.
    pub version: Version,
}

/// A check that did not hold, with its numbers.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Conflict {
    /// A stream is elsewhere.
    #[error("stream `{stream}` is at version {actual}, expected {expected}")]
    Stream {
        /// Which stream.
        stream: StreamName,
        /// Where it was expected to be.
        expected: Expected,
        /// Where it is.
        actual: Version,
    },
    /// An event matches that must not.
    #[error("the event at position {position} matches an append condition{}", after_text(*after))]
    Match {
        /// What must not be there.
        query: Query,
        /// After which position it was looked for.
        after: Option<Position>,
        /// A matching event's position.
        position: Position,
    },
}

fn after_text(after: Option<Position>) -> String {
    after.map_or_else(String::new, |after| format!(" (looked for after position {after})"))
}

/// Why an append did not answer `Ok`. Each variant is a decision the caller can take.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// A check did not hold; nothing was written. Read again and decide anew.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// An event above `after` was removed that might have matched; nothing was written. Read again up to at least
    /// `floor` and decide anew.
    #[error(
        "events up to position {floor} were removed since the deciding read, so its condition cannot be checked; \
         read and decide again"
    )]
    Stale {
        /// The highest position of a removed event with tags.
        floor: Position,
    },
    /// The id is taken by other content, or only a part of the append is known; nothing was written.
    #[error("event id {id} is already stored at position {position} with other content or in another append")]
    IdReused {
        /// The id in question.
        id: EventId,
        /// Where it is stored.
        position: Position,
    },
    /// The stream was closed for ever; nothing was written.
    #[error("stream `{stream}` is tombstoned: it takes no more events")]
    Tombstoned {
        /// Which stream.
        stream: StreamName,
    },
    /// Something exceeds a limit of this store; nothing was written.
    #[error("{what} is {actual}, the limit is {limit}")]
    TooLarge {
        /// What exceeds, with its unit.
        what: &'static str,
        /// How much there is.
        actual: usize,
        /// How much there may be.
        limit: usize,
    },
    /// The append contradicts itself or the contract; nothing was written.
    #[error("the append is not valid: {reason}")]
    Invalid {
        /// What is wrong with it.
        reason: String,
    },
    /// Surely not written. Trying again may help.
    #[error("not written")]
    Failed(#[source] BoxError),
    /// May have been written. Only repeating the identical append, with the same event ids, settles it.
    #[error("may have been written; repeat the identical append to find out")]
    Unknown(#[source] BoxError),
}
