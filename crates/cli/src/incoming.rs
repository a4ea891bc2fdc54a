//! The event that a line of input describes: a CloudEvent, or the short form of one that a person can type.
//!
//! The short form is a CloudEvent from which everything but `type` may be missing. It has no `specversion`, and its `tags`
//! may be a plain array.

use std::fmt;

use jiff::Timestamp;
use mainspring::event::{
    EventId, NewEvent, StreamName, Tag,
    cloud_events::{self, CloudEventError},
};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// Why a line is not an event that can be appended to the stream.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LineError {
    #[error("this is not a JSON object: {}", position(.0))]
    Json(serde_json::Error),
    #[error("the event has no `type`: write {{\"type\":\"OrderPlaced\",\"data\":{{…}}}}, or a whole CloudEvent")]
    Type,
    #[error("`tags` is not an array of texts such as [\"customer:7\"]")]
    Tags,
    #[error(transparent)]
    Event(#[from] CloudEventError),
    #[error("the event says that it belongs to stream `{found}`, not to `{wanted}`")]
    OtherStream { found: StreamName, wanted: StreamName },
}

/// The event in `line`, which goes to `stream` and is found by `tags`, too.
pub(crate) fn event(line: &[u8], stream: &StreamName, tags: &[Tag]) -> Result<NewEvent, LineError> {
    let members: Members<'_> = serde_json::from_slice(line).map_err(LineError::Json)?;
    let mut event = cloud_events::from_json(&members.completed(stream)?)?.event;
    if event.stream != *stream {
        return Err(LineError::OtherStream { found: event.stream, wanted: stream.clone() });
    }
    for tag in tags {
        if !event.tags.contains(tag) {
            event.tags.push(tag.clone());
        }
    }
    Ok(event)
}

/// What is wrong with some JSON and where, without the number of the line: it is always the first.
pub(crate) fn position(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let suffix = format!(" at line {} column {}", error.line(), error.column());
    match (text.strip_suffix(&suffix), error.column()) {
        (Some(what), 0) => what.to_owned(),
        (Some(what), column) => format!("{what} (column {column})"),
        (None, _) => text,
    }
}

/// The members of an object as they were written, repeated ones too.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl Members<'_> {
    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }

    /// The CloudEvent that they are, with what they leave to this program.
    fn completed(&self, stream: &StreamName) -> Result<Vec<u8>, LineError> {
        let short = !self.has("specversion");
        if short && !self.has("type") {
            return Err(LineError::Type);
        }
        let mut json = vec![b'{'];
        for (name, value) in &self.0 {
            match (name.as_str(), value.get().starts_with('[')) {
                ("tags", true) if short => put(&mut json, name, &text(&tags(value)?)),
                _ => put(&mut json, name, value.get()),
            }
        }
        let mut unless_given = |names: &[&str], value: &str| {
            if !names.iter().any(|name| self.has(name)) {
                put(&mut json, names[0], value);
            }
        };
        unless_given(&["stream"], &text(stream.as_str()));
        unless_given(&["time"], &text(&Timestamp::now().to_string()));
        if short {
            unless_given(&["specversion"], r#""1.0""#);
            unless_given(&["id"], &text(&EventId::new().to_string()));
            unless_given(&["source"], r#""mainspring""#);
            unless_given(&["datacontenttype", "data_base64"], r#""application/json""#);
            // An object, to which a later version of the type can add fields.
            unless_given(&["data", "data_base64"], "{}");
        }
        json.push(b'}');
        Ok(json)
    }
}

/// Tags as the text that a CloudEvent has for them.
fn tags(array: &RawValue) -> Result<String, LineError> {
    let tags: Vec<String> = serde_json::from_str(array.get()).map_err(|_| LineError::Tags)?;
    serde_json::to_string(&tags).map_err(LineError::Json)
}

fn text(value: &str) -> String {
    serde_json::Value::from(value).to_string()
}

fn put(json: &mut Vec<u8>, name: &str, value: &str) {
    if json.len() > 1 {
        json.push(b',');
    }
    json.extend_from_slice(text(name).as_bytes());
    json.push(b':');
    json.extend_from_slice(value.as_bytes());
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    let value: &RawValue = map.next_value()?;
                    // A member that is `null` says nothing, as in CloudEvents; only as a payload it does.
                    if name == "data" || value.get() != "null" {
                        members.push((name, value));
                    }
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<NewEvent, LineError> {
        event(line.as_bytes(), &"order-1".parse().unwrap(), &["from:test".parse().unwrap()])
    }

    #[track_caller]
    fn refused(line: &str, expected: &str) {
        let error = anyhow::Error::new(read(line).unwrap_err());
        assert_eq!(format!("{error:#}"), expected);
    }

    #[test]
    fn the_short_form_needs_only_a_type() {
        let event = read(r#"{"type":"Paid"}"#).unwrap();
        assert_eq!((event.stream.as_str(), event.event_type.as_str()), ("order-1", "Paid"));
        assert_eq!((event.content_type.as_ref(), &event.payload[..]), ("application/json", &b"{}"[..]));
        assert_eq!(event.source.as_str(), "mainspring");
        assert!(Timestamp::now().duration_since(event.time).as_secs() < 3600);
        assert_ne!(event.id, read(r#"{"type":"Paid"}"#).unwrap().id);
        assert_eq!(event.metadata.encoded_len(), 0);
    }

    #[test]
    fn the_short_form_may_say_as_much_as_a_cloud_event() {
        let line = r#"{"type":"Paid","id":"p1","time":"2026-02-01T00:00:00Z","tags":["a:\"1"],"data":[1.0],"userid":"ada","shop":7}"#;
        let event = read(line).unwrap();
        assert_eq!(&event.payload[..], b"[1.0]");
        assert_eq!(event.tags, ["a:\"1", "from:test"].map(|tag| tag.parse::<Tag>().unwrap()));
        assert_eq!(event.metadata.user.as_deref(), Some("ada"));
        assert!(event.metadata.get("shop").is_some());
        assert_eq!(event.time, "2026-02-01T00:00:00Z".parse().unwrap());
        // The same words give the same id, so that a repeated line is a repeated event.
        assert_eq!(event.id, read(line).unwrap().id);
    }

    #[test]
    fn null_is_a_payload_and_otherwise_nothing() {
        let event = read(r#"{"type":"Paid","id":null,"time":null,"tags":null,"data":null}"#).unwrap();
        assert_eq!(&event.payload[..], b"null");
        assert_eq!(event.tags.len(), 1);
    }

    #[test]
    fn a_whole_cloud_event_is_taken_as_it_is() {
        let whole = r#"{"specversion":"1.0","id":"1","source":"s","type":"Paid","stream":"order-1","data":1}"#;
        let event = read(whole).unwrap();
        assert_eq!((event.content_type.as_ref(), event.source.as_str()), ("", "s"));
        let other = whole.replace("order-1", "order-2");
        refused(&other, "the event says that it belongs to stream `order-2`, not to `order-1`");
    }

    #[test]
    fn what_is_wrong_is_said() {
        refused("{", "this is not a JSON object: EOF while parsing an object (column 1)");
        refused("[1]", "this is not a JSON object: invalid type: sequence, expected an object");
        refused(r#"{"type":"A","type":"B"}"#, "the CloudEvent has two `type`");
        refused(r#"{"type":"A","tags":[1]}"#, "`tags` is not an array of texts such as [\"customer:7\"]");
        let missing = "the event has no `type`: write {\"type\":\"OrderPlaced\",\"data\":{…}}, or a whole CloudEvent";
        refused(r#"{"data":1}"#, missing);
        refused(r#"{"type":null}"#, missing);
    }
}
