//! The payload: inline JSON where nothing is lost by it, base64 everywhere else.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde_json::value::RawValue;

use super::{CloudEventError, document::Data};
use crate::{MetadataValue, typed::json};

/// The attribute under which another program's form is kept.
pub(super) const FORM: &str = "data";

/// How a payload stands in a CloudEvent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Not at all.
    Absent,
    /// As JSON in `data`.
    Json,
    /// As a JSON text in `data`, although it is not JSON.
    Text,
    /// In `data_base64`.
    Base64,
}

impl Form {
    /// The form in which this crate writes a payload.
    pub(super) fn usual(content_type: &str, payload: &[u8]) -> Self {
        if payload.is_empty() {
            Self::Absent
        } else if json::is_json(content_type) && one_line_json(payload).is_some() {
            Self::Json
        } else {
            Self::Base64
        }
    }

    /// The form that another program chose, if the payload can still have it.
    pub(super) fn restored(original: &MetadataValue, content_type: &str, payload: &[u8]) -> Option<Self> {
        let MetadataValue::Text(original) = original else { return None };
        match original.as_str() {
            "json" => one_line_json(payload).map(|_| Self::Json),
            "text" => (!json::is_json(content_type) && std::str::from_utf8(payload).is_ok()).then_some(Self::Text),
            "base64" => Some(Self::Base64),
            _ => None,
        }
    }

    /// What is kept so that [`Form::restored`] gives this form again.
    pub(super) fn original(self) -> MetadataValue {
        let name = match self {
            Self::Absent => "absent",
            Self::Json => "json",
            Self::Text => "text",
            Self::Base64 => "base64",
        };
        MetadataValue::Text(name.to_owned())
    }

    /// Appends the member, with a comma before it.
    pub(super) fn write(self, payload: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Absent => {}
            Self::Json => {
                out.extend_from_slice(b",\"data\":");
                out.extend_from_slice(payload);
            }
            Self::Text => {
                let text = std::str::from_utf8(payload).expect("the form is chosen only for text");
                out.extend_from_slice(b",\"data\":");
                serde_json::to_writer(out, text).expect("text can be written to memory as JSON");
            }
            Self::Base64 => {
                out.extend_from_slice(b",\"data_base64\":\"");
                out.extend_from_slice(STANDARD.encode(payload).as_bytes());
                out.push(b'"');
            }
        }
    }
}

/// The payload of an incoming event and the form it came in.
pub(super) fn read(content_type: &str, data: Data<'_>) -> Result<(Form, Bytes), CloudEventError> {
    match data {
        Data::Absent => Ok((Form::Absent, Bytes::new())),
        Data::Base64(text) => {
            let bytes = STANDARD.decode(&text);
            let bytes =
                bytes.map_err(|_| CloudEventError::form("data_base64", "standard base64 with padding", &text))?;
            Ok((Form::Base64, bytes.into()))
        }
        Data::Inline(data) if !json::is_json(content_type) && data.get().starts_with('"') => {
            let text: String = serde_json::from_str(data.get()).map_err(CloudEventError::json)?;
            Ok((Form::Text, text.into()))
        }
        Data::Inline(data) => Ok((Form::Json, on_one_line(data.get()).into())),
    }
}

/// The payload as JSON, if it would come back byte for byte from within a line of JSON.
fn one_line_json(payload: &[u8]) -> Option<&RawValue> {
    let broken = payload.iter().any(|byte| matches!(byte, b'\n' | b'\r'));
    let raw: Option<&RawValue> = if broken { None } else { serde_json::from_slice(payload).ok() };
    // White space around a value would be dropped.
    raw.filter(|raw| raw.get().len() == payload.len())
}

/// JSON without line breaks. They can stand only between tokens, where white space means nothing, so with the first of
/// them all white space between tokens goes; JSON on one line stays as it is.
fn on_one_line(json: &str) -> String {
    if !json.contains(['\n', '\r']) {
        return json.to_owned();
    }
    let (mut within_text, mut escaped) = (false, false);
    let keep = |&c: &char| {
        if within_text {
            within_text = escaped || c != '"';
            escaped = !escaped && c == '\\';
            return true;
        }
        within_text = c == '"';
        !c.is_ascii_whitespace()
    };
    json.chars().filter(keep).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_breaks_go_and_texts_stay() {
        let check = |json: &str, expected: &str| assert_eq!(on_one_line(json), expected);
        check("{ \"a\" : 1.0e5 }", "{ \"a\" : 1.0e5 }");
        check("{\r\n  \"a b\": [1, 2],\n  \"c \\\" \\\\\": \" \" }", r#"{"a b":[1,2],"c \" \\":" "}"#);
    }

    #[test]
    fn only_what_comes_back_byte_for_byte_is_inline() {
        let usual = |payload: &[u8]| Form::usual("application/json", payload);
        for inline in ["{}", "{ \"a\" : 1.0e5 }", "null", "\"\\ud800\"", "1e999", "{\"a\":1,\"a\":2}"] {
            assert_eq!(usual(inline.as_bytes()), Form::Json, "{inline}");
        }
        for other in ["{", " {}", "{} ", "{\n}", "[\r]", "1 2"] {
            assert_eq!(usual(other.as_bytes()), Form::Base64, "{other}");
        }
        assert_eq!(usual(b"\"\xff\""), Form::Base64);
        assert_eq!(Form::usual("text/plain", b"1"), Form::Base64);
        assert_eq!(usual(b""), Form::Absent);
    }
}
