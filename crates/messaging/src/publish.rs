//! Publishing: typed events become messages, and being stored is what the result says.

use std::{
    fmt::Display,
    future::{Future, IntoFuture},
    pin::Pin,
    sync::Arc,
    task::{self, Poll},
    time::Duration,
};

use bytes::Bytes;
use mainspring_broker::{Broker, Confirmations, Message, Receipt, SendError};
use mainspring_event::{EncodeError, Event, NameError, NewEvent, StreamName};

use crate::{
    BoxFuture, Cause, ClaimCheck, Context, FromDelivery, Rejection,
    metrics::{Published, Sample},
};

/// Publishes events on a broker. Cheap to clone.
///
/// A handler takes it as an argument; what it publishes then is caused by the delivery that it handles, and belongs to
/// the same conversation and the same trace.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use mainspring_broker::{Broker, Ensure, MemoryBroker, Topic, Topology};
/// use mainspring_event::Event;
/// use mainspring_messaging::Publisher;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, Event)]
/// # #[event(crate = mainspring_event)]
/// struct OrderConfirmed { order: u64 }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let broker = MemoryBroker::new();
/// broker.ensure(&Topology::new().topic(Topic::log("orders".parse()?, 1)), Ensure::Create).await?;
/// let publisher = Publisher::new(Arc::new(broker));
/// let receipt = publisher.publish("orders", &OrderConfirmed { order: 17 }).key(17).await?;
/// assert_eq!(receipt.place.unwrap().offset, 0);
///
/// // Many at once: each is admitted in order, and confirmed later.
/// let mut confirmations = Vec::new();
/// for order in 18..21 {
///     confirmations.push(publisher.publish("orders", &OrderConfirmed { order }).admitted().await?);
/// }
/// for confirmation in confirmations {
///     confirmation.await?;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Publisher {
    broker: Arc<dyn Broker>,
    published: Published,
    cause: Option<Cause>,
    claims: Option<ClaimCheck>,
}

/// An event on its way, from [`Publisher::publish`]. Awaited, it is stored when the result is there.
///
/// # Cancel safety
/// Dropping the future leaves the message sent or not.
#[must_use = "nothing is published until it is awaited"]
pub struct Publish {
    publisher: Publisher,
    event_type: &'static str,
    message: Result<Message, PublishError>,
}

/// Resolves when the broker has stored the message, or has failed to.
///
/// # Cancel safety
/// Dropping it does not take the message back.
#[must_use = "the message may still fail after it was admitted"]
pub struct Confirmation {
    confirmations: Confirmations,
    published: Published,
    event_type: &'static str,
}

/// Why an event was not published. All but [`SendError::Unknown`] mean: surely not stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The destination, or a tag of the event, is not a name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The event cannot be written.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The broker has not taken it.
    #[error(transparent)]
    Send(#[from] SendError),
    /// It was to be a part of a commit whose handler has returned already.
    #[error("the handler has returned and its commit is closed: publish before that")]
    Closed,
}

impl Publisher {
    /// Publishes on `broker`.
    pub fn new(broker: Arc<dyn Broker>) -> Self {
        Self { broker, published: Published::default(), cause: None, claims: None }
    }

    /// The same, and everything that it publishes is caused by this.
    pub fn caused_by(mut self, cause: impl Into<Cause>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// The same, and bodies that are too large for the broker go through an object store.
    pub fn claims(mut self, claims: ClaimCheck) -> Self {
        self.claims = Some(claims);
        self
    }

    /// Publishes `event` to a topic. Options come before it is awaited.
    pub fn publish<E: Event>(&self, topic: &str, event: &E) -> Publish {
        let message = message_of(topic, event, self.cause.as_ref());
        Publish { publisher: self.clone(), event_type: event.event_type().name, message }
    }

    /// Sends any message; awaited, it is stored.
    ///
    /// # Errors
    /// [`SendError`]; `Unknown` when it may have been stored.
    pub async fn send(&self, message: Message) -> Result<Receipt, SendError> {
        let message = self.checked_in(message).await?;
        only(self.broker.send(vec![message]).await?.await)
    }

    /// How many events were published by this publisher and its clones, by event type: `events_published_total`.
    pub fn samples(&self) -> Vec<Sample> {
        self.published.samples()
    }

    /// The message without its body, if that is too large.
    pub(crate) async fn checked_in(&self, mut message: Message) -> Result<Message, SendError> {
        if let Some(claims) = &self.claims {
            claims.check_in(&mut message).await?;
        }
        Ok(message)
    }

    pub(crate) fn claim_check(&self) -> Option<&ClaimCheck> {
        self.claims.as_ref()
    }

    pub(crate) fn counted(&self) -> &Published {
        &self.published
    }

    /// The broker.
    pub fn broker(&self) -> &Arc<dyn Broker> {
        &self.broker
    }
}

impl Publish {
    /// What keeps it in order: messages with the same key are delivered one after the other.
    pub fn key(self, key: impl Display) -> Self {
        self.with(|message| message.key = Some(Bytes::from(key.to_string())))
    }

    /// Not before this much time has passed.
    pub fn delay(self, delay: Duration) -> Self {
        self.with(|message| message.delay = Some(delay))
    }

    /// A higher one goes first.
    pub fn priority(self, priority: u8) -> Self {
        self.with(|message| message.priority = priority)
    }

    /// Not after this much time has passed.
    pub fn expires_after(self, time: Duration) -> Self {
        self.with(|message| message.expires_after = Some(time))
    }

    /// The words, parted by dots, that bindings are matched with.
    pub fn routed_by(self, routing_key: impl Into<String>) -> Self {
        self.with(|message| message.routing_key = routing_key.into())
    }

    /// Adds a header.
    pub fn header(self, name: impl Into<String>, value: impl Into<Bytes>) -> Self {
        self.with(|message| message.headers.add(name, value))
    }

    /// What caused it, such as `&delivered`; instead of what the publisher says.
    pub fn caused_by(self, cause: impl Into<Cause>) -> Self {
        let cause = cause.into();
        self.with(|message| {
            if let Some(envelope) = &mut message.envelope {
                (envelope.metadata.causation, envelope.metadata.correlation) = (None, None);
                cause.mark(&mut envelope.metadata);
            }
        })
    }

    /// Changes anything else about the message.
    pub fn with(mut self, change: impl FnOnce(&mut Message)) -> Self {
        if let Ok(message) = &mut self.message {
            change(message);
        }
        self
    }

    /// The message, without sending it.
    ///
    /// # Errors
    /// [`PublishError`] when the event cannot be a message.
    pub fn into_message(self) -> Result<Message, PublishError> {
        self.message
    }

    /// For throughput: returns when the broker has admitted the message, which it does in order; whether it was stored is
    /// what the confirmation says. Waits while too much is unconfirmed.
    ///
    /// # Errors
    /// [`PublishError`] when it was not admitted.
    pub async fn admitted(self) -> Result<Confirmation, PublishError> {
        let Self { publisher, event_type, message } = self;
        let message = publisher.checked_in(message?).await?;
        let confirmations = publisher.broker.send(vec![message]).await?;
        Ok(Confirmation { confirmations, published: publisher.published, event_type })
    }
}

impl IntoFuture for Publish {
    type Output = Result<Receipt, PublishError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { Ok(self.admitted().await?.await?) })
    }
}

impl Future for Confirmation {
    type Output = Result<Receipt, SendError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut task::Context<'_>) -> Poll<Self::Output> {
        let answers = std::task::ready!(Pin::new(&mut self.confirmations).poll(context));
        let answer = only(answers);
        if answer.is_ok() {
            self.published.add(self.event_type);
        }
        Poll::Ready(answer)
    }
}

impl<S: Sync> FromDelivery<S> for Publisher {
    async fn from_delivery(context: &mut Context, _: &S) -> Result<Self, Rejection> {
        let publisher = context.publisher().ok_or("there is no broker to publish on outside the runtime")?.clone();
        // What comes of a batch has no single cause.
        let single = !context.in_batches();
        Ok(if single { publisher.caused_by(&**context.delivery()) } else { publisher })
    }
}

/// The message that carries `event` to `topic`.
pub(crate) fn message_of<E: Event>(topic: &str, event: &E, cause: Option<&Cause>) -> Result<Message, PublishError> {
    let destination = topic.parse()?;
    let mut event = event_of(topic, event)?;
    if let Some(cause) = cause {
        cause.mark(&mut event.metadata);
    }
    let keyed = Message::event(destination, event);
    // Only the publisher knows what is to stay in order.
    Ok(Message { key: None, ..keyed })
}

/// The event with an envelope of its own. An integration event belongs to no aggregate, so what it is published to takes
/// the place of a stream.
pub(crate) fn event_of<E: Event>(stream: &str, event: &E) -> Result<NewEvent, PublishError> {
    let event_type = event.event_type();
    let payload = event.encode()?;
    let mut new = NewEvent::json(StreamName::new(stream)?, event_type.name.parse()?, payload.bytes);
    new.content_type = payload.content_type.into();
    new.schema_version = event_type.version;
    new.tags = event.tags()?;
    Ok(new)
}

/// The answer about a batch of one.
fn only(answers: Vec<Result<Receipt, SendError>>) -> Result<Receipt, SendError> {
    let lost = || Err(SendError::Unknown("the broker has not said what became of the message".into()));
    answers.into_iter().next().unwrap_or_else(lost)
}
