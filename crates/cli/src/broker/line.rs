//! Messages for programs: one line of JSON each. What is no text is in base64, under a name that says so.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use mainspring_broker::{Envelope, Message, Place, Receipt};
use serde::Serialize;

use crate::printable;

/// A message.
#[derive(Serialize)]
pub(crate) struct MessageLine<'a> {
    topic: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    routing_key: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_base64: Option<String>,
    #[serde(skip_serializing_if = "is_zero")]
    priority: u8,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    headers: Vec<HeaderLine<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<EventLine<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
}

#[derive(Serialize)]
struct HeaderLine<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_base64: Option<String>,
}

#[derive(Serialize)]
struct EventLine<'a> {
    id: String,
    #[serde(rename = "type")]
    event_type: &'a str,
    source: &'a str,
    stream: &'a str,
    time: String,
}

/// Where a message lies.
#[derive(Serialize)]
pub(crate) struct PlaceLine<'a> {
    topic: &'a str,
    partition: u32,
    offset: u64,
}

/// What a caller gets for each message that it sent. A message that is not due yet has no place.
#[derive(Serialize)]
pub(crate) struct ReceiptLine<'a> {
    place: Option<String>,
    #[serde(flatten)]
    parts: Option<PlaceLine<'a>>,
    duplicate: bool,
}

impl<'a> MessageLine<'a> {
    pub(crate) fn of(message: &'a Message) -> Self {
        let (body, body_base64) = text_or_base64(&message.body);
        let (key, key_base64) = message.key.as_deref().map(text_or_base64).unwrap_or_default();
        let headers = message.headers.iter().map(|(name, value)| {
            let (value, value_base64) = text_or_base64(value);
            HeaderLine { name, value, value_base64 }
        });
        Self {
            topic: message.destination.as_str(),
            routing_key: &message.routing_key,
            key,
            key_base64,
            priority: message.priority,
            headers: headers.collect(),
            event: message.envelope.as_ref().map(EventLine::of),
            body,
            body_base64,
        }
    }
}

impl<'a> EventLine<'a> {
    fn of(envelope: &'a Envelope) -> Self {
        Self {
            id: envelope.id.to_string(),
            event_type: envelope.event_type.as_str(),
            source: envelope.source.as_str(),
            stream: envelope.stream.as_str(),
            time: envelope.time.to_string(),
        }
    }
}

impl<'a> ReceiptLine<'a> {
    pub(crate) fn of(receipt: &'a Receipt) -> Self {
        let parts = receipt.place.as_ref().map(|place| PlaceLine {
            topic: place.slice.topic.as_str(),
            partition: place.slice.partition,
            offset: place.offset,
        });
        Self { place: receipt.place.as_ref().map(ToString::to_string), parts, duplicate: receipt.duplicate }
    }
}

/// A place for people, or a dash.
pub(crate) fn shown_place(place: Option<&Place>) -> String {
    place.map_or_else(|| "-".to_owned(), ToString::to_string)
}

/// The key of a message for people, or a dash.
pub(crate) fn shown_key(message: &Message) -> String {
    message.key.as_ref().map_or_else(|| "-".to_owned(), |key| printable::payload("", key))
}

/// The body of a message for people.
pub(crate) fn shown_body(message: &Message) -> String {
    let content_type = message.envelope.as_ref().map_or("", |envelope| &envelope.content_type);
    printable::payload(content_type, &message.body)
}

fn text_or_base64(bytes: &[u8]) -> (Option<&str>, Option<String>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (Some(text), None),
        Err(_) => (None, Some(STANDARD.encode(bytes))),
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(priority: &u8) -> bool {
    *priority == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_is_in_base64() {
        let message = Message::new("orders".parse().unwrap(), &b"\xff"[..]).key(&b"\xfe"[..]);
        let message = message.header("a", "b").header("c", &b"\xfd"[..]).routed_by("x.y").priority(3);
        let line = serde_json::to_string(&MessageLine::of(&message)).unwrap();
        let expected = r#"{"topic":"orders","routing_key":"x.y","key_base64":"/g==","priority":3,"headers":[{"name":"a","value":"b"},{"name":"c","value_base64":"/Q=="}],"body_base64":"/w=="}"#;
        assert_eq!(line, expected);
    }
}
