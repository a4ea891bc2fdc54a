//! One read: which events, from where, in which direction, and whether to go on when the end is reached.

use jiff::Timestamp;
use mainspring_event::{Position, StreamName, Version};
use serde::{Deserialize, Serialize};

use crate::{BoxError, Query};

/// What to read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Read {
    /// Which events.
    pub query: Query,
    /// Where to begin.
    pub from: ReadFrom,
    /// Which way to go.
    pub direction: Direction,
    /// Stop after so many events.
    pub limit: Option<u64>,
    /// At the end, wait for what is appended next instead of ending. Only forwards.
    pub follow: bool,
}

/// Where a read begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReadFrom {
    /// At the oldest event.
    Start,
    /// Behind the newest event at the moment the read begins: only what comes later (forwards), or everything
    /// (backwards).
    End,
    /// Next to this position, which itself is not read: above it forwards, below it backwards.
    After(Position),
    /// At this version, which itself is read. Only for a query of exactly one stream. A follower from a version still to
    /// come leaves out those before it.
    Version(Version),
    /// At this recorded time, which itself is read: events recorded then or later forwards, then or earlier backwards. It
    /// may lie in the future of a follower.
    Time(Timestamp),
}

/// Which way a read goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Direction {
    /// From old to new.
    #[default]
    Forwards,
    /// From new to old.
    Backwards,
}

impl Read {
    /// Everything that `query` selects, from old to new.
    pub fn new(query: Query) -> Self {
        Self { query, from: ReadFrom::Start, direction: Direction::Forwards, limit: None, follow: false }
    }

    /// Begins elsewhere.
    pub fn from(mut self, from: ReadFrom) -> Self {
        self.from = from;
        self
    }

    /// From new to old, beginning at the end unless said otherwise.
    pub fn backwards(mut self) -> Self {
        self.direction = Direction::Backwards;
        if self.from == ReadFrom::Start {
            self.from = ReadFrom::End;
        }
        self
    }

    /// Stops after `limit` events.
    pub fn limit(mut self, limit: u64) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Goes on for ever, from history to live.
    pub fn follow(mut self) -> Self {
        self.follow = true;
        self
    }

    /// Refuses what no store can answer; stores call it first.
    ///
    /// # Errors
    /// [`ReadError::Invalid`] for following backwards, or a version with other than one stream.
    pub fn validate(&self) -> Result<(), ReadError> {
        let invalid = |reason: &str| Err(ReadError::Invalid { reason: reason.to_owned() });
        if self.follow && self.direction == Direction::Backwards {
            return invalid("only a forward read can follow");
        }
        if matches!(self.from, ReadFrom::Version(_)) && self.query.single_stream().is_none() {
            return invalid("a version is a place in one stream, and the query does not name exactly one");
        }
        Ok(())
    }
}

/// Why a read ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The read was to begin at a version that retention has removed.
    #[error("stream `{stream}` was truncated: its first version is now {first}")]
    Truncated {
        /// Which stream.
        stream: StreamName,
        /// The oldest version that can be read.
        first: Version,
    },
    /// The stream was closed for ever and its events are gone.
    #[error("stream `{stream}` is tombstoned: its events are gone")]
    Tombstoned {
        /// Which stream.
        stream: StreamName,
    },
    /// The position to begin after does not exist yet: it belongs to another store or another lineage.
    #[error("position {position} is beyond the head of this store ({head}): it was taken from another store")]
    BeyondHead {
        /// Where the read was to begin.
        position: Position,
        /// The last position there is.
        head: Position,
    },
    /// The read contradicts itself.
    #[error("the read is not valid: {reason}")]
    Invalid {
        /// What is wrong with it.
        reason: String,
    },
    /// What is stored is not what was written.
    #[error("damaged data")]
    Damaged(#[source] BoxError),
    /// Not readable now. Trying again may help.
    #[error("not readable now")]
    Failed(#[source] BoxError),
}
