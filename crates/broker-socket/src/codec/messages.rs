//! Messages, where they lie, and what becomes of them, on the wire.

use std::borrow::Cow;

use bytes::Bytes;
use mainspring_broker::{Delivery, DeliveryTag, Envelope, Headers, Message, Outcome, Place, Receipt};
use mainspring_event::{EventId, EventTypeName, Metadata, MetadataRef, Source, StreamName, Tag};

use super::{Garbled, MAX_LIST, Reader, Wire, wire_enum, wire_name, wire_struct, write_blob};

wire_name!(StreamName, EventTypeName, Source);

wire_struct!(Message { destination, routing_key, key, headers, envelope, body, priority, delay, expires_after });
wire_struct!(Envelope { id, stream, event_type, schema_version, time, source, content_type, tags, metadata });
wire_struct!(Place { slice, offset });
wire_struct!(Receipt { place, duplicate });
wire_struct!(Delivery { tag, message, place, stored, attempt });
wire_struct!(DeliveryTag { number, epoch });
wire_enum!(Outcome { 0 => Ack, 1 => Retry { after }, 2 => DeadLetter { reason }, 3 => Release } later => 255);

impl Wire for Headers {
    fn write(&self, out: &mut Vec<u8>) {
        self.len().write(out);
        for (name, value) in self.iter() {
            write_blob(out, name.as_bytes());
            value.write(out);
        }
    }

    fn read(from: &mut Reader) -> Result<Self, Garbled> {
        let length = usize::read(from)?;
        if length > MAX_LIST {
            return Err(Garbled("there are too many headers"));
        }
        let mut headers = Self::new();
        for _ in 0..length {
            headers.add(String::read(from)?, Bytes::read(from)?);
        }
        Ok(headers)
    }
}

impl Wire for EventId {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_bytes());
    }

    fn read(from: &mut Reader) -> Result<Self, Garbled> {
        let bytes = from.take(16)?;
        Ok(Self::from_bytes(bytes[..].try_into().expect("sixteen bytes were taken")))
    }
}

/// The content type of most events, which is then not allocated.
const JSON: &str = "application/json";

impl Wire for Cow<'static, str> {
    fn write(&self, out: &mut Vec<u8>) {
        write_blob(out, self.as_bytes());
    }

    fn read(from: &mut Reader) -> Result<Self, Garbled> {
        let text = String::read(from)?;
        Ok(if text == JSON { JSON.into() } else { text.into() })
    }
}

impl Wire for Tag {
    fn write(&self, out: &mut Vec<u8>) {
        write_blob(out, self.as_str().as_bytes());
    }

    fn read(from: &mut Reader) -> Result<Self, Garbled> {
        Self::parse(String::read(from)?).map_err(|_| Garbled("not a tag"))
    }
}

impl Wire for Metadata {
    fn write(&self, out: &mut Vec<u8>) {
        self.encoded_len().write(out);
        self.encode(out);
    }

    fn read(from: &mut Reader) -> Result<Self, Garbled> {
        Ok(MetadataRef::new(&Bytes::read(from)?).to_owned())
    }
}
