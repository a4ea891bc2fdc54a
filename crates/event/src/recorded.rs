//! A decoded event together with its envelope.

use std::{fmt, sync::Arc};

use jiff::Timestamp;

use crate::{DecodeError, Event, EventBuffer, EventId, EventRef, Position, Version};

/// An event of type `E` as the store holds it: the decoded fact, and the envelope through methods.
///
/// The envelope stays in the batch it was read in, so a value costs one reference count and no copy.
pub struct Recorded<E> {
    batch: Arc<dyn EventBuffer>,
    index: usize,
    /// The fact.
    pub event: E,
}

impl<E> Recorded<E> {
    /// Joins a decoded event with the batch that holds its envelope at `index`.
    pub fn new(batch: Arc<dyn EventBuffer>, index: usize, event: E) -> Self {
        assert!(index < batch.len(), "the envelope of an event lies within its batch");
        Self { batch, index, event }
    }

    /// The whole envelope, borrowed.
    pub fn envelope(&self) -> EventRef<'_> {
        self.batch.get(self.index)
    }

    /// Identity.
    pub fn id(&self) -> EventId {
        self.envelope().id
    }

    /// The name of its stream.
    pub fn stream(&self) -> &str {
        self.envelope().stream
    }

    /// The aggregate id: the part of the stream's name after its first `-`.
    pub fn key(&self) -> &str {
        self.envelope().key()
    }

    /// Its number in its stream.
    pub fn version(&self) -> Version {
        self.envelope().version
    }

    /// Its place in the store.
    pub fn position(&self) -> Position {
        self.envelope().position
    }

    /// When it happened, as its author says.
    pub fn time(&self) -> Timestamp {
        self.envelope().time
    }

    /// When the store took it.
    pub fn recorded(&self) -> Timestamp {
        self.envelope().recorded
    }
}

impl<E: Event> Recorded<E> {
    /// Decodes the event at `index` of `batch`, bringing older versions up to date: the one way from stored bytes to a
    /// typed event, for every reader.
    ///
    /// # Errors
    /// [`DecodeError`] as for [`Event::decode`].
    pub fn decode(batch: &Arc<dyn EventBuffer>, index: usize) -> Result<Self, DecodeError> {
        let stored = batch.get(index);
        let event = E::decode(stored.event_type, stored.schema_version, stored.content_type, stored.payload)?;
        Ok(Self::new(batch.clone(), index, event))
    }
}

impl<E: Clone> Clone for Recorded<E> {
    fn clone(&self) -> Self {
        Self { batch: self.batch.clone(), index: self.index, event: self.event.clone() }
    }
}

impl<E: fmt::Debug> fmt::Debug for Recorded<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorded").field("envelope", &self.envelope()).field("event", &self.event).finish()
    }
}
