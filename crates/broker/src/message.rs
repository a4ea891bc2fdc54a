//! A message as it is sent, and the envelope of the event that it may carry.

use std::{borrow::Cow, time::Duration};

use bytes::Bytes;
use jiff::Timestamp;
use mainspring_event::{EventId, EventTypeName, Metadata, NewEvent, Source, StreamName, Tag};

use crate::{Destination, Group, Headers};

/// The header that names the only group which gets a message. Where it occurs several times, the last one counts.
pub const ONLY: &str = "mainspring-only";

/// What is sent: bytes, and what a broker has to know to carry them.
///
/// ```
/// use mainspring_broker::Message;
/// let message = Message::new("orders".parse()?, "two of them").key("order-17").routed_by("order.placed.eu");
/// assert_eq!((message.size(), message.priority), (19, 0));
/// # Ok::<(), mainspring_event::NameError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Where it goes.
    pub destination: Destination,
    /// The words, parted by dots, that bindings are matched with. Empty unless the topology routes by words.
    pub routing_key: String,
    /// What keeps messages in order: those with the same key lie in the same partition. It is also the session.
    pub key: Option<Bytes>,
    /// What travels beside the body.
    pub headers: Headers,
    /// The envelope of the event in the body, where there is one.
    pub envelope: Option<Envelope>,
    /// The body; no broker looks into it.
    pub body: Bytes,
    /// A higher one goes first among the messages that may be delivered, but never before an earlier one of its key.
    pub priority: u8,
    /// Not before this much time has passed since whoever holds it took it.
    pub delay: Option<Duration>,
    /// Not after this much time has passed since whoever holds it took it, its delay included.
    pub expires_after: Option<Duration>,
}

impl Message {
    /// A message without key, headers and envelope.
    pub fn new(destination: Destination, body: impl Into<Bytes>) -> Self {
        Self {
            destination,
            routing_key: String::new(),
            key: None,
            headers: Headers::new(),
            envelope: None,
            body: body.into(),
            priority: 0,
            delay: None,
            expires_after: None,
        }
    }

    /// The message that carries `event`: its payload is the body, the name of its stream is the key.
    pub fn event(destination: Destination, event: NewEvent) -> Self {
        let key = Bytes::copy_from_slice(event.stream.as_str().as_bytes());
        let (envelope, body) = Envelope::of(event);
        Self { envelope: Some(envelope), key: Some(key), ..Self::new(destination, body) }
    }

    /// Sets the key.
    pub fn key(mut self, key: impl Into<Bytes>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Sets the words that bindings are matched with.
    pub fn routed_by(mut self, routing_key: impl Into<String>) -> Self {
        self.routing_key = routing_key.into();
        self
    }

    /// Adds a header.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Bytes>) -> Self {
        self.headers.add(name, value);
        self
    }

    /// Sets the priority.
    pub fn priority(mut self, priority: u8) -> Self {
        self.priority = priority;
        self
    }

    /// Keeps it back for so long.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = Some(delay);
        self
    }

    /// Lets it expire.
    pub fn expires_after(mut self, time: Duration) -> Self {
        self.expires_after = Some(time);
        self
    }

    /// Lets only this group have it, if one of its bindings selects it; other groups pass it by. Says so in the header
    /// [`ONLY`], in place of what that said before.
    pub fn only(mut self, group: &Group) -> Self {
        self.headers.retain(|name| name != ONLY);
        self.header(ONLY, group.to_string())
    }

    /// The name of the only group that gets it, if it is for one group only.
    pub fn only_for(&self) -> Option<&[u8]> {
        self.headers.get(ONLY).map(|group| &group[..])
    }

    /// Bytes of body, key and headers: what counts towards limits and prefetch.
    pub fn size(&self) -> usize {
        self.body.len() + self.key.as_ref().map_or(0, Bytes::len) + self.headers.size()
    }
}

/// What an event says about itself, without its payload.
#[derive(Clone, Debug, PartialEq)]
pub struct Envelope {
    /// Identity; a topic that drops duplicates knows them by it.
    pub id: EventId,
    /// The stream it belongs to.
    pub stream: StreamName,
    /// What happened.
    pub event_type: EventTypeName,
    /// Which shape of this type the body has.
    pub schema_version: u32,
    /// When it happened, as the author says.
    pub time: Timestamp,
    /// Who produced it.
    pub source: Source,
    /// Media type of the body.
    pub content_type: Cow<'static, str>,
    /// Keys by which decisions and readers find it.
    pub tags: Vec<Tag>,
    /// Correlation, causation, trace, user, tenant, and whatever else travels with it.
    pub metadata: Metadata,
}

impl Envelope {
    /// Parts an event into its envelope and its payload.
    pub fn of(event: NewEvent) -> (Self, Bytes) {
        let NewEvent { id, stream, event_type, schema_version, time, source, content_type, tags, metadata, payload } =
            event;
        (Self { id, stream, event_type, schema_version, time, source, content_type, tags, metadata }, payload)
    }

    /// The event again.
    pub fn with_payload(self, payload: Bytes) -> NewEvent {
        let Self { id, stream, event_type, schema_version, time, source, content_type, tags, metadata } = self;
        NewEvent { id, stream, event_type, schema_version, time, source, content_type, tags, metadata, payload }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_goes_through_a_message_without_loss() {
        let event = NewEvent::json("order-17".parse().unwrap(), "OrderPlaced".parse().unwrap(), "{}");
        let message = Message::event("orders".parse().unwrap(), event.clone());
        assert_eq!(message.key.as_deref(), Some(&b"order-17"[..]));
        assert_eq!(message.envelope.unwrap().with_payload(message.body), event);
    }
}
