//! A decoded event together with its envelope, as a broker delivered it.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use jiff::Timestamp;
use mainspring_broker::{Delivery, Envelope, Headers, Message};
use mainspring_event::{DecodeError, Event, EventId, EventType, Metadata};
use mainspring_retry::Advise;

use super::{FromDelivery, Rejection, Takes};
use crate::Context;

/// Media type of messages that do not say theirs.
const JSON: &str = "application/json";

/// An event of type `E` as a broker delivered it: the decoded fact, and the envelope through methods.
///
/// A message without an envelope, such as one that another program sent as plain JSON, is read as `E` where `E` is
/// exactly one type: an enum of several could not be told apart.
pub struct Delivered<E> {
    delivery: Arc<Delivery>,
    /// The fact.
    pub event: E,
}

/// Why a message is not an event of the type that was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// It has no envelope, and there are several types that it could be.
    #[error("the message has no envelope, and could be any of {0} event types: take it as `Raw`")]
    NoEnvelope(usize),
    /// It is none of the types, or does not have the shape of its own.
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

impl<E: Event> Delivered<E> {
    /// Decodes what was delivered, bringing older versions up to date.
    ///
    /// # Errors
    /// [`ReadError`] when it is no `E`.
    pub fn decode(delivery: Arc<Delivery>) -> Result<Self, ReadError> {
        let Message { envelope, body, .. } = &delivery.message;
        let event = match (envelope, E::TYPES) {
            (Some(envelope), _) => {
                E::decode(envelope.event_type.as_str(), envelope.schema_version, &envelope.content_type, body)?
            }
            (None, [only]) => E::decode(only.name, only.version, JSON, body)?,
            (None, types) => return Err(ReadError::NoEnvelope(types.len())),
        };
        Ok(Self { delivery, event })
    }
}

impl<E> Delivered<E> {
    /// Identity, the same as often as it is delivered. Nothing where neither the message nor the broker gives it one:
    /// duplicates cannot be told then.
    pub fn id(&self) -> Option<EventId> {
        self.delivery.id()
    }

    /// Which attempt this is, counted from 1.
    pub fn attempt(&self) -> u32 {
        self.delivery.attempt
    }

    /// When it happened, as its author says.
    pub fn time(&self) -> Option<Timestamp> {
        self.envelope().map(|envelope| envelope.time)
    }

    /// Correlation, causation, trace, user, tenant, and whatever else travels with the event.
    pub fn metadata(&self) -> Option<&Metadata> {
        self.envelope().map(|envelope| &envelope.metadata)
    }

    /// The envelope, if the message has one.
    pub fn envelope(&self) -> Option<&Envelope> {
        self.delivery.message.envelope.as_ref()
    }

    /// What keeps it in order.
    pub fn key(&self) -> Option<&Bytes> {
        self.delivery.message.key.as_ref()
    }

    /// What travels beside the body.
    pub fn headers(&self) -> &Headers {
        &self.delivery.message.headers
    }

    /// The message as it was sent.
    pub fn message(&self) -> &Message {
        &self.delivery.message
    }

    /// The whole delivery.
    pub fn delivery(&self) -> &Arc<Delivery> {
        &self.delivery
    }
}

impl<S: Sync, E: Event> FromDelivery<S> for Delivered<E> {
    const ACCEPTS: Option<&'static [EventType]> = Some(E::TYPES);
    const TAKES: Takes = Takes::One;

    async fn from_delivery(context: &mut Context, _: &S) -> Result<Self, Rejection> {
        // No second look makes it decodable.
        Ok(Self::decode(context.delivery().clone()).permanent()?)
    }
}

impl<E: Clone> Clone for Delivered<E> {
    fn clone(&self) -> Self {
        Self { delivery: self.delivery.clone(), event: self.event.clone() }
    }
}

impl<E: fmt::Debug> fmt::Debug for Delivered<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivered").field("delivery", &self.delivery).field("event", &self.event).finish()
    }
}
