//! A message as it lies in the stream of its slice.
//!
//! Byte 0 is the version of this format. The moment at which the message was taken and the bytes of its slice up to its end
//! stand at fixed places behind it, because they are only known when its turn has come, after all the rest was written.

use bytes::Bytes;
use jiff::Timestamp;
use mainspring_broker::{Destination, Envelope, Headers, Message};
use mainspring_event::{EventId, EventTypeName, MetadataRef, Source, StreamName, Tag};

use super::{Damaged, Reader, Write};

const VERSION: u8 = 1;

/// The media type of what the broker stores.
pub(crate) const CONTENT_TYPE: &str = "application/vnd.mainspring.broker";

/// Where the moment stands (nanoseconds since 1970, little-endian), and the bytes of the slice behind it.
const STORED: std::ops::Range<usize> = 1..9;
const END: std::ops::Range<usize> = 9..17;

const HAS_KEY: u8 = 1;
const HAS_ENVELOPE: u8 = 2;
const HAS_DELAY: u8 = 4;
const HAS_EXPIRY: u8 = 8;

/// A message that is written but for its place.
#[derive(Debug)]
pub(crate) struct Written(Vec<u8>);

/// A message as it was read.
pub(crate) struct Decoded {
    pub(crate) message: Message,
    pub(crate) stored: Timestamp,
    /// Bytes of all messages of the slice up to the end of this one.
    pub(crate) end: u64,
    pub(crate) expires: Option<Timestamp>,
}

impl Written {
    /// Writes `message`, which expires at `expires`.
    pub(crate) fn new(message: &Message, expires: Option<Timestamp>) -> Self {
        let mut out = Vec::with_capacity(room(message));
        out.push(VERSION);
        out.resize(END.end, 0);
        let flag = |there: bool, flag: u8| if there { flag } else { 0 };
        out.push(
            flag(message.key.is_some(), HAS_KEY)
                | flag(message.envelope.is_some(), HAS_ENVELOPE)
                | flag(message.delay.is_some(), HAS_DELAY)
                | flag(message.expires_after.is_some(), HAS_EXPIRY),
        );
        out.push(message.priority);
        out.blob(message.routing_key.as_bytes());
        if let Some(key) = &message.key {
            out.blob(key);
        }
        out.number(message.headers.len() as u64);
        for (name, value) in message.headers.iter() {
            out.blob(name.as_bytes());
            out.blob(value);
        }
        if let Some(delay) = message.delay {
            out.span(delay);
        }
        if let Some(after) = message.expires_after {
            out.span(after);
            out.moment(expires.unwrap_or(Timestamp::MAX));
        }
        if let Some(envelope) = &message.envelope {
            write_envelope(&mut out, envelope);
        }
        out.extend_from_slice(&message.body);
        Self(out)
    }

    /// Gives it its place.
    pub(crate) fn placed(mut self, stored: Timestamp, end: u64) -> Bytes {
        let nanoseconds = i64::try_from(stored.as_nanosecond()).unwrap_or(i64::MAX);
        self.0[STORED].copy_from_slice(&nanoseconds.to_le_bytes());
        self.0[END].copy_from_slice(&end.to_le_bytes());
        self.0.into()
    }

    /// The same without a place: how a message that is not due yet waits.
    pub(crate) fn waiting(self) -> Bytes {
        self.0.into()
    }

    /// What [`waiting`](Self::waiting) gave.
    pub(crate) fn due(waited: &Bytes) -> Self {
        Self(waited.to_vec())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// Reads a message of `topic`.
pub(crate) fn read(topic: &Destination, bytes: Bytes) -> Result<Decoded, Damaged> {
    let mut reader = Reader::new(bytes);
    if reader.byte()? != VERSION {
        return Err(Damaged("a message of an unknown version"));
    }
    let nanoseconds = i64::from_le_bytes(reader.fixed()?);
    let stored = Timestamp::from_nanosecond(nanoseconds.into()).map_err(|_| Damaged("a moment is out of range"))?;
    let end = u64::from_le_bytes(reader.fixed()?);
    let flags = reader.byte()?;
    let has = |flag: u8| flags & flag != 0;
    let priority = reader.byte()?;
    let routing_key = reader.text()?;
    let key = if has(HAS_KEY) { Some(reader.blob()?) } else { None };
    let mut headers = Headers::new();
    for _ in 0..reader.number()? {
        headers.add(reader.text()?, reader.blob()?);
    }
    let delay = if has(HAS_DELAY) { Some(reader.span()?) } else { None };
    let expiry = if has(HAS_EXPIRY) { Some((reader.span()?, reader.moment()?)) } else { None };
    let envelope = if has(HAS_ENVELOPE) { Some(read_envelope(&mut reader)?) } else { None };
    let message = Message {
        destination: topic.clone(),
        routing_key,
        key,
        headers,
        envelope,
        body: reader.rest(),
        priority,
        delay,
        expires_after: expiry.map(|(after, _)| after),
    };
    Ok(Decoded { message, stored, end, expires: expiry.map(|(_, at)| at) })
}

/// The bytes that a message takes, exactly where it has nothing but a short key: then nothing is moved or wasted.
fn room(message: &Message) -> usize {
    let extras = message.delay.is_some() || message.expires_after.is_some() || !message.headers.is_empty();
    let envelope = message.envelope.as_ref().map_or(0, |envelope| 160 + envelope.metadata.encoded_len());
    let key = message.key.as_ref().map_or(0, |_| 1);
    END.end + 4 + key + message.size() + message.routing_key.len() + envelope + if extras { 64 } else { 0 }
}

fn write_envelope(out: &mut Vec<u8>, envelope: &Envelope) {
    out.extend_from_slice(&envelope.id.to_bytes());
    out.blob(envelope.stream.as_str().as_bytes());
    out.blob(envelope.event_type.as_str().as_bytes());
    out.number(envelope.schema_version.into());
    out.moment(envelope.time);
    out.blob(envelope.source.as_str().as_bytes());
    out.blob(envelope.content_type.as_bytes());
    out.number(envelope.tags.len() as u64);
    for tag in &envelope.tags {
        out.blob(tag.as_str().as_bytes());
    }
    out.number(envelope.metadata.encoded_len() as u64);
    envelope.metadata.encode(out);
}

fn read_envelope(reader: &mut Reader) -> Result<Envelope, Damaged> {
    let id = reader.take(16)?;
    let id = EventId::from_bytes(id[..].try_into().expect("sixteen bytes were taken"));
    let named = |_| Damaged("a name of an envelope");
    let stream = StreamName::new(reader.text()?).map_err(named)?;
    let event_type = EventTypeName::new(reader.text()?).map_err(named)?;
    let schema_version = reader.count()?;
    let time = reader.moment()?;
    let source = Source::new(reader.text()?).map_err(named)?;
    let content_type = match reader.text()? {
        json if json == JSON => JSON.into(),
        other => other.into(),
    };
    let mut tags = Vec::new();
    for _ in 0..reader.number()? {
        tags.push(Tag::parse(&reader.text()?).map_err(named)?);
    }
    let metadata = MetadataRef::new(&reader.blob()?).to_owned();
    Ok(Envelope { id, stream, event_type, schema_version, time, source, content_type, tags, metadata })
}

/// The content type of most events, which is then not allocated.
const JSON: &str = "application/json";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mainspring_event::NewEvent;
    use proptest::prelude::*;

    use super::*;

    fn topic() -> Destination {
        "orders".parse().unwrap()
    }

    /// What was written once is read for ever.
    #[test]
    fn the_format_stays_as_it_is() {
        let message = Message::new(topic(), "two").key("k").routed_by("a.b").header("h", "v").priority(3);
        let message = message.delay(Duration::from_secs(2)).expires_after(Duration::from_millis(1_500));
        let expires = Timestamp::new(9, 5).unwrap();
        let bytes = Written::new(&message, Some(expires)).placed(Timestamp::new(1, 2).unwrap(), 77);
        let golden: &[u8] = b"\x01\x02\xca\x9a\x3b\0\0\0\0\x4d\0\0\0\0\0\0\0\x0d\x03\x03a.b\x01k\x01\x01h\x01v\
            \x02\0\x01\x80\xca\xb5\xee\x01\x12\x0atwo";
        assert_eq!(&bytes[..], golden);
        let read = read(&topic(), Bytes::from_static(golden)).unwrap();
        assert_eq!(read.message, message);
        assert_eq!((read.stored, read.end, read.expires), (Timestamp::new(1, 2).unwrap(), 77, Some(expires)));
    }

    proptest! {
        #[test]
        fn a_message_comes_back_as_it_was(
            body in any::<Vec<u8>>(),
            key in any::<Option<Vec<u8>>>(),
            routing_key in "[a-z.]{0,9}",
            headers in prop::collection::vec((".{0,5}", any::<Vec<u8>>()), 0..4),
            priority in any::<u8>(),
            delay in any::<Option<Duration>>(),
            event in any::<bool>(),
        ) {
            let mut message = Message::new(topic(), body.clone()).routed_by(routing_key).priority(priority);
            if event {
                let event = NewEvent::json("order-1".parse().unwrap(), "OrderPlaced".parse().unwrap(), body);
                message.envelope = Some(Envelope::of(event).0);
            }
            message.key = key.map(Bytes::from);
            message.headers = headers.into_iter().collect();
            message.delay = delay;
            let written = Written::new(&message, None).placed(Timestamp::UNIX_EPOCH, 1);
            prop_assert_eq!(read(&topic(), written.clone()).unwrap().message, message);
            for cut in 0..written.len() {
                let _ = read(&topic(), written.slice(..cut)); // Damage must not panic.
            }
        }
    }
}
