//! Short ways to say which events, streams and queries a law is about.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use mainspring_event::{Category, EventId, EventTypeName, NewEvent, StoredEvent, StreamName, Tag};
use mainspring_store::{Check, Expected, Query, QueryItem, Scope};

/// A named stream.
pub(crate) fn stream(name: &str) -> StreamName {
    StreamName::new(name).expect("laws use valid stream names")
}

/// A named category.
pub(crate) fn category(name: &str) -> Category {
    Category::new(name).expect("laws use valid categories")
}

/// A named event type.
pub(crate) fn event_type(name: &str) -> EventTypeName {
    EventTypeName::new(name).expect("laws use valid event types")
}

/// A tag written as `key:value`.
pub(crate) fn tag(text: &str) -> Tag {
    Tag::parse(text).expect("laws use valid tags")
}

/// An event like no other: its payload counts.
pub(crate) fn event(stream_name: &str) -> NewEvent {
    typed(stream_name, "Happened")
}

/// An event of this type.
pub(crate) fn typed(stream_name: &str, type_name: &str) -> NewEvent {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let payload = format!("{{\"count\":{}}}", COUNT.fetch_add(1, Ordering::Relaxed));
    NewEvent::json(stream(stream_name), event_type(type_name), payload)
}

/// An event with these tags.
pub(crate) fn tagged(stream_name: &str, tags: &[&str]) -> NewEvent {
    NewEvent { tags: tags.iter().map(|text| tag(text)).collect(), ..event(stream_name) }
}

/// An event with this payload.
pub(crate) fn with_payload(stream_name: &str, payload: impl Into<Bytes>) -> NewEvent {
    NewEvent { payload: payload.into(), ..event(stream_name) }
}

/// So many events of one stream.
pub(crate) fn events(stream_name: &str, count: usize) -> Vec<NewEvent> {
    (0..count).map(|_| event(stream_name)).collect()
}

/// The events of these streams.
pub(crate) fn in_streams(names: &[&str]) -> Query {
    scoped(Scope::Streams(names.iter().map(|name| stream(name)).collect())).into()
}

/// The events of one category.
pub(crate) fn in_category(name: &str) -> Query {
    Query::category(category(name))
}

/// The events of any of these types.
pub(crate) fn of_types(names: &[&str]) -> Query {
    Query::types(names.iter().map(|name| event_type(name)))
}

/// The events with all of these tags.
pub(crate) fn with_tags(tags: &[&str]) -> Query {
    Query::tags(tags.iter().map(|text| tag(text)))
}

/// Everything in a scope.
pub(crate) fn scoped(scope: Scope) -> QueryItem {
    QueryItem { scope, ..QueryItem::default() }
}

/// A check of a stream.
pub(crate) fn expecting(stream_name: &str, expected: Expected) -> Check {
    Check::Stream { stream: stream(stream_name), expected }
}

/// The ids of what was read.
pub(crate) fn ids<'a>(events: impl IntoIterator<Item = &'a StoredEvent>) -> Vec<EventId> {
    events.into_iter().map(|stored| stored.event.id).collect()
}

/// The ids of what is to be appended.
pub(crate) fn new_ids<'a>(events: impl IntoIterator<Item = &'a NewEvent>) -> Vec<EventId> {
    events.into_iter().map(|event| event.id).collect()
}
