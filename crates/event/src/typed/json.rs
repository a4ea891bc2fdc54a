//! The codec behind the derives: an event is a JSON object of its fields, written and read in one pass.
//!
//! serde writes an enum's variant as `{"Variant": {..}}`. The envelope already says which variant it is, so the payload
//! is only the inner object; two thin adapters around serde_json take the name away and put it back without building a
//! value in between.

mod read;
mod write;

use serde::{Deserialize as _, Serialize, de::DeserializeOwned};
use serde_json::Deserializer;

use super::{DecodeError, EncodeError, EventType, Payload};

/// What every payload written here is.
pub(crate) const CONTENT_TYPE: &str = "application/json";

/// The payload of a struct.
pub fn encode_struct<T: Serialize>(event_type: &'static str, event: &T) -> Result<Payload, EncodeError> {
    let bytes = serde_json::to_vec(event).map_err(|source| EncodeError::new(event_type, source))?;
    Ok(payload(bytes))
}

/// The payload of a struct variant: its fields alone.
pub fn encode_variant<T: Serialize>(event_type: &'static str, event: &T) -> Result<Payload, EncodeError> {
    let mut bytes = Vec::with_capacity(128);
    let mut serializer = serde_json::Serializer::new(&mut bytes);
    event.serialize(write::VariantFields(&mut serializer)).map_err(|source| EncodeError::new(event_type, source))?;
    Ok(payload(bytes))
}

/// The payload of an event without fields. An object, so that a later version can add fields.
pub fn encode_unit() -> Payload {
    Payload { content_type: CONTENT_TYPE, bytes: bytes::Bytes::from_static(b"{}") }
}

/// Reads a struct.
pub fn decode_struct<T: DeserializeOwned>(
    known: &EventType,
    version: u32,
    content_type: &str,
    payload: &[u8],
) -> Result<T, DecodeError> {
    decode(known, version, content_type, payload, |json| T::deserialize(json))
}

/// Reads the struct variant that serde's derive numbers `variant`.
pub fn decode_variant<T: DeserializeOwned>(
    known: &EventType,
    variant: u32,
    version: u32,
    content_type: &str,
    payload: &[u8],
) -> Result<T, DecodeError> {
    decode(known, version, content_type, payload, |json| T::deserialize(read::Variant::new(variant, json)))
}

/// Checks that the payload is an object, whatever it holds: a newer shape may have added optional fields.
pub fn decode_unit(known: &EventType, version: u32, content_type: &str, payload: &[u8]) -> Result<(), DecodeError> {
    decode(known, version, content_type, payload, |json| read::AnyObject::deserialize(json).map(|_| ()))
}

/// Whether a payload of this media type is JSON. An event that does not say counts as JSON, as in CloudEvents.
pub(crate) fn is_json(content_type: &str) -> bool {
    // What this program wrote itself needs no closer look.
    if content_type == CONTENT_TYPE {
        return true;
    }
    let essence = content_type.split(';').next().unwrap_or_default().trim_ascii();
    let json = |end: &[u8]| end.eq_ignore_ascii_case(b"/json") || end.eq_ignore_ascii_case(b"+json");
    let end = essence.len().checked_sub("/json".len()).map(|at| essence.as_bytes().split_at(at));
    essence.is_empty() || essence.contains('/') && end.is_some_and(|(start, end)| !start.is_empty() && json(end))
}

fn payload(bytes: Vec<u8>) -> Payload {
    Payload { content_type: CONTENT_TYPE, bytes: bytes.into() }
}

type Json<'a> = Deserializer<serde_json::de::SliceRead<'a>>;

fn decode<T>(
    known: &EventType,
    version: u32,
    content_type: &str,
    payload: &[u8],
    read: impl FnOnce(&mut Json<'_>) -> serde_json::Result<T>,
) -> Result<T, DecodeError> {
    if version > known.version {
        return Err(DecodeError::FromTheFuture { name: known.name.to_owned(), version, known: known.version });
    }
    if !is_json(content_type) {
        let content_type = content_type.to_owned();
        return Err(DecodeError::ContentType { name: known.name.to_owned(), version, content_type });
    }
    let mut json = Deserializer::from_slice(payload);
    let event = read(&mut json).and_then(|event| json.end().map(|()| event));
    event.map_err(|source| DecodeError::malformed(known.name, version, known.version, source))
}

#[cfg(test)]
mod tests {
    use super::is_json;

    #[test]
    fn json_is_known_by_its_media_type() {
        for json in [
            "",
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/vnd.shop+json",
            "text/x+JSON ",
            "text/json",
        ] {
            assert!(is_json(json), "{json}");
        }
        for other in
            ["text/plain", "application/jsonl", "+json", "json", "/json", "x+json", "application/json+xml", "é"]
        {
            assert!(!is_json(other), "{other}");
        }
    }
}
