//! From what a decision says to what a store takes: typed events become new events with ids, tags and metadata.

use mainspring_event::{
    Event, EventRef, EventTypeName, MetadataRef, NewEvent, Position, StoredEvent, StreamName, Tag, Version,
};
use mainspring_store::BoxError;

use crate::{idempotency::Key, origin::Origin};

/// An event of a decision without tags has no stream to go to.
#[derive(Debug, thiserror::Error)]
#[error("event `{event_type}` has no tag, so no stream of category `{category}`: mark one of its fields with `#[tag]`")]
struct NoTag {
    event_type: &'static str,
    category: &'static str,
}

/// Where events go.
pub(crate) enum Destination<'a> {
    /// All to this stream.
    Stream(&'a StreamName),
    /// Each to the stream of this category that its first tag names.
    Category(&'static str),
}

impl Destination<'_> {
    fn of(&self, event_type: &'static str, tags: &[Tag]) -> Result<StreamName, BoxError> {
        match self {
            Self::Stream(stream) => Ok((*stream).clone()),
            Self::Category(category) => match tags.first() {
                Some(tag) => Ok(StreamName::of(category, tag.value())?),
                None => Err(NoTag { event_type, category }.into()),
            },
        }
    }
}

/// Makes `events` ready to be appended, with ids derived from `key` where there is one. An error means that no attempt
/// will ever succeed.
pub(crate) fn stage<E: Event>(
    events: &[E],
    destination: &Destination<'_>,
    key: Option<&Key>,
    origin: &Origin,
) -> Result<Vec<NewEvent>, BoxError> {
    let time = origin.time();
    let mut metadata = None;
    let mut staged = Vec::with_capacity(events.len());
    for (ordinal, event) in events.iter().enumerate() {
        let mut new = new_event(event, destination)?;
        if let Some(key) = key {
            new.id = key.id(ordinal);
        }
        new.metadata = metadata.get_or_insert_with(|| origin.metadata(new.id)).clone();
        new.time = time;
        if let Some(source) = &origin.source {
            new.source = source.clone();
        }
        staged.push(new);
    }
    Ok(staged)
}

/// One event with a new id and without metadata.
pub(crate) fn new_event<E: Event>(event: &E, destination: &Destination<'_>) -> Result<NewEvent, BoxError> {
    let (event_type, payload, tags) = (event.event_type(), event.encode()?, event.tags()?);
    let stream = destination.of(event_type.name, &tags)?;
    let mut new = NewEvent::json(stream, EventTypeName::new(event_type.name)?, payload.bytes);
    new.schema_version = event_type.version;
    new.tags = tags;
    new.content_type = payload.content_type.into();
    Ok(new)
}

/// Shows an event that is not stored yet as if it were, for decoding it and for asking a query about it.
pub(crate) fn preview<T>(event: &NewEvent, look: impl FnOnce(&EventRef<'_>) -> T) -> T {
    let (version, position) = (Version::NONE, Position::START);
    let stored = StoredEvent { event: event.clone(), version, position, recorded: event.time };
    let mut metadata = Vec::new();
    event.metadata.encode(&mut metadata);
    look(&stored.borrowed(MetadataRef::new(&metadata)))
}
