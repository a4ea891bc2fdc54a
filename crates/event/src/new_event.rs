//! The owned forms of an event: what its author says, and the same as a store holds it.

use std::borrow::Cow;

use bytes::Bytes;
use jiff::Timestamp;

use crate::{
    EventId, EventRef, EventTypeName, Metadata, MetadataRef, Position, Source, StreamName, Tag, Tags, Version,
};

/// An event as its author says it, ready to be appended.
#[derive(Clone, Debug, PartialEq)]
pub struct NewEvent {
    /// Identity, and the key of idempotent append.
    pub id: EventId,
    /// The stream it belongs to; its category is the aggregate type, its key the aggregate id.
    pub stream: StreamName,
    /// What happened, in the past tense.
    pub event_type: EventTypeName,
    /// Which shape of this type the payload has; counted from 1.
    pub schema_version: u32,
    /// When it happened, as the author says; never interpreted by a store.
    pub time: Timestamp,
    /// Who produced it.
    pub source: Source,
    /// Media type of the payload.
    pub content_type: Cow<'static, str>,
    /// Keys by which decisions and readers find it.
    pub tags: Vec<Tag>,
    /// Correlation, causation, trace, user, tenant, and whatever else travels with it.
    pub metadata: Metadata,
    /// The fact itself.
    pub payload: Bytes,
}

/// The source of events whose author did not name one.
const DEFAULT_SOURCE: &str = "mainspring";

impl NewEvent {
    /// An event of schema version 1 with a new id, happening now, its payload JSON.
    ///
    /// ```
    /// use mainspring_event::{NewEvent, StreamName};
    /// let placed = NewEvent::json(StreamName::of("order", 17)?, "OrderPlaced".parse()?, br#"{"units":2}"#.to_vec());
    /// assert_eq!((placed.schema_version, placed.content_type.as_ref()), (1, "application/json"));
    /// # Ok::<(), mainspring_event::NameError>(())
    /// ```
    pub fn json(stream: StreamName, event_type: EventTypeName, payload: impl Into<Bytes>) -> Self {
        Self {
            id: EventId::new(),
            stream,
            event_type,
            schema_version: 1,
            time: Timestamp::now(),
            source: default_source(),
            content_type: Cow::Borrowed("application/json"),
            tags: Vec::new(),
            metadata: Metadata::default(),
            payload: payload.into(),
        }
    }

    /// Whether this says the same fact as a stored event of the same id: stream, type, schema version, content type,
    /// payload and tags, but not when or in which trace it was said.
    pub fn has_content_of(&self, stored: &EventRef<'_>) -> bool {
        self.stream.as_str() == stored.stream
            && self.event_type.as_str() == stored.event_type
            && self.schema_version == stored.schema_version
            && self.content_type == stored.content_type
            && self.payload == stored.payload
            && self.tags.iter().map(Tag::as_str).eq(stored.tags.iter())
    }
}

/// Checked once, then shared by every event without a source of its own.
fn default_source() -> Source {
    static SOURCE: std::sync::LazyLock<Source> =
        std::sync::LazyLock::new(|| Source::new(DEFAULT_SOURCE).expect("a short plain word is a source"));
    SOURCE.clone()
}

/// An event as a store holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredEvent {
    /// What the author said.
    pub event: NewEvent,
    /// Its number in its stream.
    pub version: Version,
    /// Its place in the store.
    pub position: Position,
    /// When the store took it; never decreases with position.
    pub recorded: Timestamp,
}

impl StoredEvent {
    /// The same, borrowed; `metadata` must be the encoding of this event's metadata.
    pub fn borrowed<'a>(&'a self, metadata: MetadataRef<'a>) -> EventRef<'a> {
        let event = &self.event;
        EventRef {
            id: event.id,
            stream: event.stream.as_str(),
            event_type: event.event_type.as_str(),
            schema_version: event.schema_version,
            time: event.time,
            source: event.source.as_str(),
            content_type: &event.content_type,
            tags: Tags::owned(&event.tags),
            metadata,
            payload: &event.payload,
            version: self.version,
            position: self.position,
            recorded: self.recorded,
        }
    }
}
