//! What a command came to.

use mainspring_event::{EventId, Position, Version};
use mainspring_store::{Append, Appended};

/// What a command came to, for waiting and for referring to it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// Where the last of its events is. Without events: up to where the store had been read when it was decided. A read
    /// model that has come this far shows everything the command did, so waiting for it always ends.
    pub position: Position,
    /// The version of the last event in its stream. Without events: of the stream that was read; 0 for a decision over
    /// several entities, which reads no stream.
    pub version: Version,
    /// Its events, in order.
    pub events: Vec<EventId>,
}

impl Receipt {
    /// The receipt of a command that nothing happened because of.
    pub(crate) fn without_events(position: Position, version: Version) -> Self {
        Self { position, version, events: Vec::new() }
    }

    /// The receipt of `append`, which the store has taken.
    pub(crate) fn of(append: &Append, appended: &Appended) -> Self {
        let version = appended.written.last().map_or(Version::NONE, |written| written.version);
        let events = append.events.iter().map(|event| event.id).collect();
        Self { position: appended.position, version, events }
    }
}
