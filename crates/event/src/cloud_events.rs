//! Events as CloudEvents 1.0 in JSON, one by one or as a batch, so that other programs can read and write them.
//!
//! Nothing is lost in either direction. An event written and read again is the same event; a CloudEvent of another
//! program, read and written again, says the same as before. Each event is written on one line.
//!
//! | event | CloudEvent |
//! |---|---|
//! | id, source, type, time | `id`, `source`, `type`, `time` |
//! | content type | `datacontenttype`; absent when empty |
//! | payload | `data` when it is JSON on one line, else `data_base64`; neither when empty |
//! | stream | `stream`, unless it is the one assumed without it |
//! | schema version | `schemaversion`, unless it is 1 |
//! | tags | `tags`, a text that holds a JSON array, unless there are none |
//! | version, position, recorded time | `streamversion`, `position`, `recordedtime` |
//! | correlation, causation | `correlationid`, `causationid` |
//! | trace context | `traceparent`, `tracestate` |
//! | user, tenant | `userid`, `tenantid` |
//! | free metadata | extensions of their own names, and `subject` and `dataschema` |
//!
//! Version and position are decimal texts, because a CloudEvents integer ends at 2³¹.
//!
//! What another program says is taken as follows. Its own words are kept beside until the event is written again, and
//! are found by [`Metadata::original`](crate::Metadata::original):
//! - An `id` that is not a UUID in lower case becomes the UUID derived from `source` and `id`.
//! - Without `time`, the event happened at the Unix epoch; a time in another rendering is the same time.
//! - Without `stream`, the stream is `cloudevents-<source>`, followed by `#<subject>` if there is one, or by a UUID
//!   derived from both where that is no stream name. The caller may choose another, which is then written.
//! - A `correlationid` or `causationid` that is not a UUID counts as none, a `tracestate` without `traceparent` too.
//! - Line breaks within inline `data` are left out, with the white space around them; they mean nothing in JSON.
//!
//! An original is restored only while the event still has the value that was made of it. The other names above have
//! the meaning and the form that they have here, or reading fails.
//!
//! ```
//! use mainspring_event::{NewEvent, StreamName, cloud_events};
//! let placed = NewEvent::json(StreamName::of("order", 17)?, "OrderPlaced".parse()?, br#"{"units":2}"#.to_vec());
//! let json = cloud_events::to_json(&placed);
//! assert!(json.starts_with(r#"{"specversion":"1.0","id":""#) && json.ends_with(r#","data":{"units":2}}"#));
//! assert_eq!(cloud_events::from_json(json.as_bytes())?.event, placed);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod attributes;
mod data;
mod document;
mod error;
mod outgoing;
mod read;

use jiff::Timestamp;

use crate::{NewEvent, Position, StoredEvent, Version};

pub use error::CloudEventError;
pub use outgoing::Outgoing;

/// What a CloudEvent says: the event, and where it stood if it comes from a store.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed {
    /// The event.
    pub event: NewEvent,
    /// Its number in its stream, if it says so.
    pub version: Option<Version>,
    /// Its place in the store it comes from, if it says so.
    pub position: Option<Position>,
    /// When that store took it, if it says so.
    pub recorded: Option<Timestamp>,
    /// Whether it names no stream, so that the one in `event` may be replaced by a better one.
    pub stream_assumed: bool,
    /// Whether it has no time, so that the one in `event` may be replaced by a better one.
    pub time_assumed: bool,
}

impl Parsed {
    /// The event as the store had it that it comes from.
    ///
    /// # Errors
    /// [`CloudEventError::Missing`] when it does not say where it stood.
    pub fn into_stored(self) -> Result<StoredEvent, CloudEventError> {
        let missing = |attribute| CloudEventError::Missing { attribute };
        Ok(StoredEvent {
            event: self.event,
            version: self.version.ok_or(missing("streamversion"))?,
            position: self.position.ok_or(missing("position"))?,
            recorded: self.recorded.ok_or(missing("recordedtime"))?,
        })
    }
}

/// The event as one line of JSON.
pub fn to_json<'a>(event: impl Into<Outgoing<'a>>) -> String {
    let mut json = Vec::new();
    write_json(event, &mut json);
    text(json)
}

/// Appends the event to `out` as one line of JSON without a line break.
pub fn write_json<'a>(event: impl Into<Outgoing<'a>>, out: &mut Vec<u8>) {
    event.into().write(out);
}

/// The events as one line of JSON in the batch format.
pub fn batch_to_json<'a, E: Into<Outgoing<'a>>>(events: impl IntoIterator<Item = E>) -> String {
    let mut json = vec![b'['];
    for (index, event) in events.into_iter().enumerate() {
        if index > 0 {
            json.push(b',');
        }
        write_json(event, &mut json);
    }
    json.push(b']');
    text(json)
}

/// Reads one event.
///
/// # Errors
/// [`CloudEventError`] says which attribute is missing or wrong.
pub fn from_json(json: &[u8]) -> Result<Parsed, CloudEventError> {
    read::parsed(serde_json::from_slice(json).map_err(CloudEventError::json)?)
}

/// Reads a batch: a JSON array of events, which may be empty.
///
/// # Errors
/// [`CloudEventError::InBatch`] says which event is wrong, and how; nothing is returned of the others.
pub fn batch_from_json(json: &[u8]) -> Result<Vec<Parsed>, CloudEventError> {
    let documents: Vec<document::Document<'_>> = serde_json::from_slice(json).map_err(CloudEventError::json)?;
    let in_batch = |(index, document)| {
        read::parsed(document).map_err(|source| CloudEventError::InBatch { index, source: Box::new(source) })
    };
    documents.into_iter().enumerate().map(in_batch).collect()
}

fn text(json: Vec<u8>) -> String {
    String::from_utf8(json).expect("names, escaped texts and checked JSON are UTF-8")
}
