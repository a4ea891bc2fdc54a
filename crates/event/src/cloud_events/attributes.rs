//! How single attributes are read: the same rules when a CloudEvent comes in and when its originals are restored.

use jiff::Timestamp;
use uuid::Uuid;

use super::CloudEventError;
use crate::{EventId, MetadataValue, StreamName, Tag};

/// The only version of the specification that is spoken here.
pub(super) const SPEC_VERSION: &str = "1.0";

/// The time of an event that does not say when it happened.
pub(super) const NO_TIME: Timestamp = Timestamp::UNIX_EPOCH;

/// Streams of events that name none.
const CATEGORY: &str = "cloudevents";

/// The id of an event: a UUID in its usual form is taken over, anything else is derived, because only `source` and `id`
/// together identify a CloudEvent.
pub(super) fn id(source: &str, id: &str) -> EventId {
    match Uuid::try_parse(id) {
        Ok(uuid) if uuid.to_string() == id => EventId::from_uuid(uuid),
        // The first part keeps these ids apart from those derived of idempotency keys.
        _ => EventId::derived(&[CATEGORY, source, id]),
    }
}

/// An id of another event; what is not a UUID cannot be one here.
pub(super) fn reference(value: &MetadataValue) -> Option<EventId> {
    match value {
        MetadataValue::Text(text) => Uuid::try_parse(text).ok().map(EventId::from_uuid),
        MetadataValue::Integer(_) | MetadataValue::Boolean(_) => None,
    }
}

/// The stream of an event that names none.
pub(super) fn assumed_stream(source: &str, subject: Option<&MetadataValue>) -> StreamName {
    let Some(MetadataValue::Text(subject)) = subject else {
        return StreamName::of(CATEGORY, source)
            .unwrap_or_else(|_| derived_stream(EventId::derived(&[CATEGORY, source])));
    };
    StreamName::of(CATEGORY, format_args!("{source}#{subject}"))
        .unwrap_or_else(|_| derived_stream(EventId::derived(&[CATEGORY, source, subject])))
}

fn derived_stream(id: EventId) -> StreamName {
    StreamName::of(CATEGORY, id).expect("a short word and a UUID are a stream name")
}

/// The text that stands for any attribute value, where only text will do.
pub(super) fn as_text(value: &MetadataValue) -> String {
    match value {
        MetadataValue::Text(text) => text.clone(),
        MetadataValue::Integer(number) => number.to_string(),
        MetadataValue::Boolean(flag) => flag.to_string(),
    }
}

pub(super) fn time(attribute: &'static str, text: &str) -> Result<Timestamp, CloudEventError> {
    text.parse().map_err(|_| CloudEventError::form(attribute, "a time such as 2026-02-01T09:30:00Z", text))
}

/// A number written as decimal text, in the one way that this crate writes it.
pub(super) fn number(attribute: &'static str, text: &str) -> Result<u64, CloudEventError> {
    let number = text.parse::<u64>().ok().filter(|number| number.to_string() == text);
    number.ok_or_else(|| CloudEventError::form(attribute, "a whole number as text", text))
}

pub(super) fn schema_version(value: &MetadataValue) -> Result<u32, CloudEventError> {
    let version = match value {
        MetadataValue::Integer(number) => u32::try_from(*number).ok().filter(|version| *version > 0),
        MetadataValue::Text(_) | MetadataValue::Boolean(_) => None,
    };
    version.ok_or_else(|| CloudEventError::form("schemaversion", "a whole number from 1", &as_text(value)))
}

/// Tags travel as the text of a JSON array, because their values may hold any separator.
pub(super) fn tags(text: &str) -> Result<Vec<Tag>, CloudEventError> {
    let expected = "the text of a JSON array of tags such as [\"customer:7\"]";
    serde_json::from_str(text).map_err(|_| CloudEventError::form("tags", expected, text))
}

pub(super) fn tags_text<'a>(tags: impl Iterator<Item = &'a str>) -> String {
    let tags: Vec<_> = tags.collect();
    serde_json::to_string(&tags).expect("a list of texts can be written as JSON")
}
