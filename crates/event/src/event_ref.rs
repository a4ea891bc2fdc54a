//! The borrowed form of an event: what a batch yields without allocating.

use std::fmt;

use bytes::Bytes;
use jiff::Timestamp;

use crate::{
    EventId, EventTypeName, MetadataRef, NameError, NewEvent, Position, Source, StoredEvent, StreamName, Tag, Version,
    name,
};

/// A run of events in one shared buffer. Stores implement it; whatever could fail has failed before.
pub trait EventBuffer: Send + Sync {
    /// How many events there are.
    fn len(&self) -> usize;

    /// The event at `index`, which is less than `len`.
    fn get(&self, index: usize) -> EventRef<'_>;

    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// One event, borrowed from the batch it was read in.
#[derive(Clone, Copy, Debug)]
pub struct EventRef<'a> {
    /// Identity.
    pub id: EventId,
    /// The stream it belongs to.
    pub stream: &'a str,
    /// What happened.
    pub event_type: &'a str,
    /// Which shape of this type the payload has.
    pub schema_version: u32,
    /// When it happened, as the author says.
    pub time: Timestamp,
    /// Who produced it.
    pub source: &'a str,
    /// Media type of the payload.
    pub content_type: &'a str,
    /// Its tags.
    pub tags: Tags<'a>,
    /// What travels with it.
    pub metadata: MetadataRef<'a>,
    /// The fact itself.
    pub payload: &'a [u8],
    /// Its number in its stream.
    pub version: Version,
    /// Its place in the store.
    pub position: Position,
    /// When the store took it.
    pub recorded: Timestamp,
}

impl<'a> EventRef<'a> {
    /// The aggregate type: the part of the stream's name before its first `-`.
    pub fn category(&self) -> &'a str {
        name::category_of(self.stream)
    }

    /// The aggregate id: the part of the stream's name after its first `-`.
    pub fn key(&self) -> &'a str {
        name::key_of(self.stream)
    }

    /// Whether its stream is internal (its name begins with `$`).
    pub fn is_internal(&self) -> bool {
        name::is_internal(self.stream)
    }

    /// An owned copy.
    ///
    /// # Errors
    /// [`NameError`] when the store returned a name that could not have been appended.
    pub fn to_stored(&self) -> Result<StoredEvent, NameError> {
        let event = NewEvent {
            id: self.id,
            stream: StreamName::new(self.stream)?,
            event_type: EventTypeName::new(self.event_type)?,
            schema_version: self.schema_version,
            time: self.time,
            source: Source::new(self.source)?,
            content_type: self.content_type.to_owned().into(),
            tags: self.tags.iter().map(Tag::parse).collect::<Result<_, _>>()?,
            metadata: self.metadata.to_owned(),
            payload: Bytes::copy_from_slice(self.payload),
        };
        Ok(StoredEvent { event, version: self.version, position: self.position, recorded: self.recorded })
    }
}

/// Resolves the dictionary codes under which a store keeps tags.
pub trait TagTable: Send + Sync {
    /// The tag written as `code`, which the store took from the same place as the event.
    fn tag(&self, code: u32) -> &str;
}

/// The tags of a borrowed event.
#[derive(Clone, Copy)]
pub struct Tags<'a>(Held<'a>);

#[derive(Clone, Copy)]
enum Held<'a> {
    Owned(&'a [Tag]),
    /// Little-endian codes of four bytes each.
    Coded(&'a dyn TagTable, &'a [u8]),
}

impl<'a> Tags<'a> {
    /// Tags held as they are.
    pub fn owned(tags: &'a [Tag]) -> Self {
        Self(Held::Owned(tags))
    }

    /// Tags held as little-endian codes of four bytes each.
    pub fn coded(table: &'a dyn TagTable, codes: &'a [u8]) -> Self {
        Self(Held::Coded(table, codes))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        match self.0 {
            Held::Owned(tags) => tags.len(),
            Held::Coded(_, codes) => codes.len() / 4,
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Each tag as `key:value`, in the order they were written.
    pub fn iter(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let source = self.0;
        (0..self.len()).map(move |index| match source {
            Held::Owned(tags) => tags[index].as_str(),
            Held::Coded(table, codes) => {
                let code = [codes[4 * index], codes[4 * index + 1], codes[4 * index + 2], codes[4 * index + 3]];
                table.tag(u32::from_le_bytes(code))
            }
        })
    }
}

impl fmt::Debug for Tags<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
