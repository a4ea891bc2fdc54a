//! What a subscription is and how it is handled: which messages, in which order, how many at once, and what happens when
//! a handler fails.

use std::time::Duration;

use mainspring_broker::{AfterDeadLetter, Filter, Order, Sharing, Start};
use mainspring_retry::Retry;

/// A group that gets messages of topics, and how its handler is called. Every group gets every message; the processes
/// that run a group share them.
///
/// ```
/// use std::time::Duration;
/// use mainspring_messaging::Subscription;
/// use mainspring_retry::Retry;
///
/// let billing = Subscription::new("orders", "billing")
///     .concurrency(64)
///     .retry(Retry::exponential(Duration::from_millis(100), Duration::from_secs(60), 12))
///     .pause_after(20, Duration::from_secs(30));
/// assert_eq!(billing.group(), "billing");
/// ```
#[derive(Clone, Debug)]
pub struct Subscription {
    pub(crate) group: String,
    pub(crate) bindings: Vec<(String, Filter)>,
    pub(crate) start: Start,
    pub(crate) sharing: Sharing,
    pub(crate) order: Order,
    pub(crate) dead_letter: Option<String>,
    pub(crate) after_dead_letter: AfterDeadLetter,
    pub(crate) concurrency: usize,
    pub(crate) prefetch: Option<usize>,
    pub(crate) prefetch_bytes: usize,
    pub(crate) lease: Duration,
    pub(crate) retry: Retry,
    pub(crate) unknown: Unknown,
    pub(crate) breaker: Option<Breaker>,
    pub(crate) rate: Option<Rate>,
    pub(crate) batch: Option<BatchSize>,
}

/// What happens to an event that the handler's types do not know: of another type, or of a newer version of one of them.
/// Both are there for a while when programs are replaced one by one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unknown {
    /// It becomes a dead letter at once, to be sent again when there is a handler that knows it.
    #[default]
    DeadLetter,
    /// It is tried again by schedule, perhaps by a newer program, and then becomes a dead letter.
    Retry,
    /// An event of another type is acknowledged and skipped. A newer version of a known type becomes a dead letter all
    /// the same: it was meant for this handler.
    Ignore,
}

/// When to stop asking for messages because of failures.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Breaker {
    pub(crate) failures: u32,
    pub(crate) pause: Duration,
}

/// So many messages within so much time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    pub(crate) messages: u32,
    pub(crate) per: Duration,
}

/// How large a batch becomes, and how long it waits for that.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchSize {
    pub(crate) messages: usize,
    pub(crate) within: Duration,
}

impl Subscription {
    /// Everything that is sent to `topic` from now on, for `group`: handled by 16 handlers at once, one message of a key
    /// at a time, tried again by the default schedule of [`Retry`], and after that a dead letter in `<group>.dead`.
    pub fn new(topic: impl Into<String>, group: impl Into<String>) -> Self {
        Self {
            group: group.into(),
            bindings: vec![(topic.into(), Filter::All)],
            start: Start::Latest,
            sharing: Sharing::Competing,
            order: Order::KeyBlocks,
            dead_letter: None,
            after_dead_letter: AfterDeadLetter::Continue,
            concurrency: 16,
            prefetch: None,
            prefetch_bytes: 16 << 20,
            lease: Duration::from_secs(30),
            retry: Retry::default(),
            unknown: Unknown::default(),
            breaker: None,
            rate: None,
            batch: None,
        }
    }

    /// The group.
    pub fn group(&self) -> &str {
        &self.group
    }

    /// Only what `filter` selects of the topic it was made with.
    pub fn filter(mut self, filter: Filter) -> Self {
        if let Some((_, of_first)) = self.bindings.first_mut() {
            *of_first = filter;
        }
        self
    }

    /// What `filter` selects of another topic, too.
    pub fn and(mut self, topic: impl Into<String>, filter: Filter) -> Self {
        self.bindings.push((topic.into(), filter));
        self
    }

    /// Where the group begins when it is created.
    pub fn start(mut self, start: Start) -> Self {
        self.start = start;
        self
    }

    /// How the members of the group share its messages.
    pub fn sharing(mut self, sharing: Sharing) -> Self {
        self.sharing = sharing;
        self
    }

    /// What stays in order; without this, one message of a key at a time ([`Order::KeyBlocks`]). Brokers that cannot do
    /// that refuse it by name when the subscription starts.
    pub fn order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// Where messages go that cannot be handled, instead of `<group>.dead`. A group of that name keeps them there.
    pub fn dead_letter(mut self, topic: impl Into<String>) -> Self {
        self.dead_letter = Some(topic.into());
        self
    }

    /// Lets a dead letter hold its key until somebody resumes it.
    pub fn hold_after_dead_letter(mut self) -> Self {
        self.after_dead_letter = AfterDeadLetter::Hold;
        self
    }

    /// So many handlers at once; at least one. It can be changed while the subscription runs.
    pub fn concurrency(mut self, handlers: usize) -> Self {
        self.concurrency = handlers.max(1);
        self
    }

    /// The most messages that are taken from the broker and not settled; without this, twice as many as handlers, and
    /// where slices are assigned, as many as handlers. It bounds what [`concurrency`](Self::concurrency) can be changed to.
    pub fn prefetch(mut self, messages: usize) -> Self {
        self.prefetch = Some(messages.max(1));
        self
    }

    /// The most bytes that are taken from the broker and not settled; without this, 16 MiB.
    pub fn prefetch_bytes(mut self, bytes: usize) -> Self {
        self.prefetch_bytes = bytes.max(1);
        self
    }

    /// For how long a delivery is its holder's own after the holder was lost; without this, 30 s. Handlers may take
    /// longer: while they run, their leases are extended.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// When a failed message is tried again, and how often.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// What happens to an event of a type that the handler does not know.
    pub fn unknown(mut self, unknown: Unknown) -> Self {
        self.unknown = unknown;
        self
    }

    /// After so many failed attempts in a row, asks for no message for so long, and then for one at a time until one
    /// succeeds. Permanent failures are the message's own fault and do not count.
    pub fn pause_after(mut self, failures: u32, pause: Duration) -> Self {
        self.breaker = Some(Breaker { failures: failures.max(1), pause });
        self
    }

    /// Begins at most so many messages within so much time, in this process. As many may begin at once after a quiet
    /// time.
    pub fn rate(mut self, messages: u32, per: Duration) -> Self {
        self.rate = Some(Rate { messages: messages.max(1), per: per.max(Duration::from_nanos(1)) });
        self
    }

    /// Calls the handler, which takes a [`Batch`](crate::Batch), with up to so many messages, after so much time at the
    /// latest. One batch is gathered at a time; so many of them are handled at once as
    /// [`concurrency`](Self::concurrency) says.
    pub fn batches(mut self, messages: usize, within: Duration) -> Self {
        self.batch = Some(BatchSize { messages: messages.max(1), within });
        self
    }

    /// How many messages are held at once at most. Where slices are assigned, it is what handlers hold and no more: a
    /// member that can take no message is to be full, because only then can it ask for news without getting any.
    pub(crate) fn held(&self) -> usize {
        let by_handlers = self.concurrency.saturating_mul(self.batch.map_or(1, |batch| batch.messages));
        self.prefetch.unwrap_or(match (self.sharing, self.batch) {
            (Sharing::Slices, _) => by_handlers,
            (Sharing::Competing, Some(batch)) => by_handlers.saturating_add(batch.messages),
            (Sharing::Competing, None) => by_handlers.saturating_mul(2),
        })
    }

    /// Where its dead letters go.
    pub(crate) fn dead_letters(&self) -> String {
        self.dead_letter.clone().unwrap_or_else(|| format!("{}.dead", self.group))
    }
}
