//! Changes to streams other than new events: retention, truncation, tombstones.

use std::time::Duration;

use mainspring_event::{Category, StreamName, Version};
use serde::{Deserialize, Serialize};

/// What is kept of a stream. Everything, where no limit is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// The newest so many events.
    pub max_count: Option<u64>,
    /// Events recorded no longer ago than this.
    pub max_age: Option<Duration>,
}

/// What a retention rule applies to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Retained {
    /// One stream; goes before the rule of its category.
    Stream(StreamName),
    /// Every stream of a category that has no rule of its own.
    Category(Category),
}

/// A change of a stream, committed together with the events of its append.
///
/// A stream keeps its head for ever: emptied by retention, its next event gets the next version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StreamChange {
    /// Sets what is kept; replaces an earlier rule of the same target.
    Retain {
        /// Of what.
        target: Retained,
        /// How much.
        retention: Retention,
    },
    /// Removes every event below `version` that is there now; what is written later is kept. A lower version than before
    /// changes nothing.
    TruncateBefore {
        /// Of which stream.
        stream: StreamName,
        /// The first version that is kept.
        version: Version,
    },
    /// Removes every event and closes the stream for ever. Repeating it changes nothing.
    Tombstone {
        /// Which stream.
        stream: StreamName,
    },
}
