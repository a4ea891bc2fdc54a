//! Asking by message: a request goes to a topic, and its answer comes back to whoever asked, or does not come in time.

mod replies;

use std::{
    collections::HashMap,
    fmt::Display,
    future::IntoFuture,
    marker::PhantomData,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use mainspring_broker::{
    Binding, BrokerError, Delivery, Destination, Ensure, Feature, Filter, Group, Message, Subscription,
    SubscriptionSpec, Support, Topic, Topology,
};
use mainspring_event::{Event, EventId};
use tokio::{sync::oneshot, time::timeout};

use crate::{BoxFuture, Delivered, Publish, PublishError, Publisher, ReadError, StartError, reply};
pub use replies::Replies;

/// How long an answer is waited for, unless the request says otherwise.
const WITHIN: Duration = Duration::from_secs(10);

/// Asks, and finds each answer's asker again. Cheap to clone; any number of requests may wait at once.
///
/// Whoever answers is a handler that returns [`Reply`](crate::Reply). Answers come at most once: one that is lost with
/// its connection, or comes late, is not sent again.
///
/// # What is left behind
/// Answers to all instances of a service go to one topic, `<service>.replies`, and each instance has a group of its own
/// there. Brokers do not remove groups by themselves: give instances names that stay the same
/// ([`connect_as`](Self::connect_as)), such as the number of a replica, or remove the groups of those that are gone.
/// What such a group still gets expires where the broker can do that.
#[derive(Clone)]
pub struct Requester(Arc<Inner>);

pub(crate) struct Inner {
    publisher: Publisher,
    topic: Destination,
    instance: String,
    /// Whether answers may expire.
    expiry: bool,
    waiting: Mutex<Waiting>,
    late: AtomicU64,
}

/// Those who wait for an answer; nobody any more after the answers have ended.
type Waiting = Option<HashMap<EventId, oneshot::Sender<Arc<Delivery>>>>;

/// A request on its way, from [`Requester::request`]. Await it.
#[must_use = "nothing is asked until it is awaited"]
pub struct Request<A> {
    inner: Arc<Inner>,
    publish: Publish,
    within: Duration,
    answer: PhantomData<fn() -> A>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The request was not sent.
    #[error("the request was not sent")]
    Publish(#[from] PublishError),
    /// No answer came in time. The request may have been handled, or may be handled later.
    #[error("no answer within {within:?}; the request may have been handled, or may be handled later")]
    Unknown {
        /// How long it was waited for.
        within: Duration,
    },
    /// Answers do not come any more: their loop has ended. The request may have been handled.
    #[error("answers do not come any more; the request may have been handled")]
    Closed,
    /// The answer is none of the types that were asked for.
    #[error("the answer cannot be read")]
    Read(#[from] ReadError),
}

impl Requester {
    /// A requester of the service, under a name that nobody else has. Run the replies: without them no answer arrives.
    ///
    /// # Errors
    /// [`StartError`] when there can be no place for answers.
    pub async fn connect(publisher: &Publisher, service: &str) -> Result<(Self, Replies), StartError> {
        Self::connect_as(publisher, service, &EventId::new().to_string()).await
    }

    /// The same under a name that no other instance of the service has at the same time. Answers to one that had the
    /// name before are late.
    ///
    /// # Errors
    /// [`StartError`] when there can be no place for answers.
    pub async fn connect_as(
        publisher: &Publisher,
        service: &str,
        instance: &str,
    ) -> Result<(Self, Replies), StartError> {
        let topic: Destination = format!("{service}.replies").parse()?;
        let group: Group = format!("{service}.replies.{instance}").parse()?;
        let broker = publisher.broker();
        let failed = |source| StartError::Broker { groups: vec![group.to_string()], source };
        let filter = Filter::Direct(instance.to_owned());
        let mine = Subscription::new(group.clone(), [Binding { from: topic.clone(), filter }]);
        let mut topology = Topology::new().subscription(mine);
        match broker.capabilities(&topic).await {
            Ok(_) => {}
            Err(BrokerError::NoTopic(_)) => topology = topology.topic(Topic::new(topic.clone())),
            Err(source) => return Err(failed(source)),
        }
        let drifts = broker.ensure(&topology, Ensure::Create).await.map_err(failed)?;
        if !drifts.is_empty() {
            return Err(StartError::Drift(drifts));
        }
        let capabilities = broker.capabilities(&topic).await.map_err(failed)?;
        let expiry = capabilities.support(Feature::Expiry) != Support::Refused;
        let (deliveries, settler) = broker.subscribe(SubscriptionSpec::new(group.clone())).await.map_err(failed)?;
        let inner = Arc::new(Inner {
            publisher: publisher.clone(),
            topic,
            instance: instance.to_owned(),
            expiry,
            waiting: Mutex::new(Some(HashMap::new())),
            late: AtomicU64::new(0),
        });
        Ok((Self(inner.clone()), Replies::new(inner, group, deliveries, settler)))
    }

    /// Sends `question` to a topic and waits for the answer of one of those who handle it. Options come before it is
    /// awaited.
    pub fn request<A: Event>(&self, topic: &str, question: &impl Event) -> Request<A> {
        let publish = self.0.publisher.publish(topic, question);
        Request { inner: self.0.clone(), publish, within: WITHIN, answer: PhantomData }
    }

    /// Sends a message as it is and waits for its answer, whatever that is.
    ///
    /// # Errors
    /// [`RequestError`], but never that the answer cannot be read.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the request sent or not; its answer is late then.
    pub async fn ask(&self, mut message: Message, within: Duration) -> Result<Arc<Delivery>, RequestError> {
        let (inner, request) = (&self.0, EventId::new());
        inner.mark(&mut message, request, within);
        let sending = async { inner.publisher.send(message).await.map(drop).map_err(PublishError::from) };
        inner.answer(request, within, sending).await
    }

    /// How many requests wait for an answer.
    pub fn waiting(&self) -> usize {
        self.0.waiting().as_ref().map_or(0, HashMap::len)
    }

    /// How many answers nobody waited for any more.
    pub fn late(&self) -> u64 {
        self.0.late.load(Ordering::Relaxed)
    }
}

impl<A: Event> Request<A> {
    /// How long the answer is waited for; without this, 10 s.
    pub fn within(mut self, time: Duration) -> Self {
        self.within = time;
        self
    }

    /// What keeps it in order.
    pub fn key(mut self, key: impl Display) -> Self {
        self.publish = self.publish.key(key);
        self
    }

    /// Changes anything else about the message.
    pub fn with(mut self, change: impl FnOnce(&mut Message)) -> Self {
        self.publish = self.publish.with(change);
        self
    }

    async fn run(self) -> Result<Delivered<A>, RequestError> {
        let Self { inner, publish, within, .. } = self;
        let request = EventId::new();
        let publish = publish.with(|message| inner.mark(message, request, within));
        let answered = inner.answer(request, within, async { publish.await.map(drop) }).await?;
        Ok(Delivered::decode(answered)?)
    }
}

impl<A: Event> IntoFuture for Request<A> {
    type Output = Result<Delivered<A>, RequestError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

/// Keeps a request among those that wait.
struct Registered<'a> {
    inner: &'a Inner,
    request: EventId,
}

impl Drop for Registered<'_> {
    fn drop(&mut self) {
        if let Some(waiting) = self.inner.waiting().as_mut() {
            waiting.remove(&self.request);
        }
    }
}

impl Inner {
    /// Says in a request where its answer goes.
    fn mark(&self, message: &mut Message, request: EventId, within: Duration) {
        message.headers.add(reply::REPLY_TO, self.topic.as_str().to_owned());
        message.headers.add(reply::REPLY_KEY, self.instance.clone());
        message.headers.add(reply::REQUEST, request.to_string());
        if self.expiry {
            message.headers.add(reply::USEFUL, within.as_millis().to_string());
        }
    }

    /// Sends a request and waits for its answer.
    async fn answer(
        &self,
        request: EventId,
        within: Duration,
        sending: impl Future<Output = Result<(), PublishError>>,
    ) -> Result<Arc<Delivery>, RequestError> {
        // The answer may be faster than the confirmation.
        let (answer, _waiting) = self.wait_for(request)?;
        let answered = async {
            sending.await?;
            answer.await.map_err(|_| RequestError::Closed)
        };
        timeout(within, answered).await.unwrap_or(Err(RequestError::Unknown { within }))
    }

    fn wait_for(&self, request: EventId) -> Result<(oneshot::Receiver<Arc<Delivery>>, Registered<'_>), RequestError> {
        let (answered, answer) = oneshot::channel();
        self.waiting().as_mut().ok_or(RequestError::Closed)?.insert(request, answered);
        Ok((answer, Registered { inner: self, request }))
    }

    /// Hands an answer to whoever waits for it.
    fn answered(&self, delivery: Delivery) {
        let request = delivery.message.headers.get(reply::REQUEST);
        let request = request.and_then(|id| std::str::from_utf8(id).ok()?.parse::<EventId>().ok());
        let asker = request.and_then(|request| self.waiting().as_mut()?.remove(&request));
        let taken = asker.is_some_and(|asker| asker.send(Arc::new(delivery)).is_ok());
        if !taken {
            self.late.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Nothing comes any more: whoever waits is told.
    fn close(&self) {
        *self.waiting() = None;
    }

    /// Entries are added and removed whole, so a panic elsewhere leaves nothing half-done.
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
