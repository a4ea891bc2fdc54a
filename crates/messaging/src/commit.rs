//! Exactly-once effects in the event store: what a handler decides, what it publishes and the acknowledgement of its
//! delivery are one append.

use std::{
    fmt::Display,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use mainspring_broker::{CommitError, DeliveryTag, Message, Outcome, SendError, SettleError, Settler};
use mainspring_domain::{self as domain, CommandError, Decider, Decision};
use mainspring_event::Event;
use mainspring_retry::{Advise, Failure};
use mainspring_store::{Append, AppendError, Store};

use crate::{
    BoxFuture, Cause, Committed, Context, FromDelivery, PublishError, Publisher, Rejection, Transaction,
    publish::message_of,
};

/// How often a commit is repeated at most after the broker could not say what became of it.
const REPETITIONS: u32 = 8;

/// A handler's transaction in the event store. Cloning shares it.
///
/// What is decided and published through it happens when the handler returns `Ok`, together with the acknowledgement of
/// its delivery: all of it or nothing, and once. When others got ahead of a decision, the handler is called again, and
/// that is no attempt.
///
/// Beside a [`Batch`](crate::Batch) it acknowledges all of it: thousands of deliveries cost one append. What comes of a
/// batch has no single cause, so none is noted. Where a delivery cannot be decoded, it becomes a dead letter, and the rest
/// of its batch comes again, untried.
///
/// It needs a broker whose deliveries are settled in an event store ([`Settler::in_store`]); with any other the
/// subscription does not start.
#[derive(Clone)]
pub struct Commit {
    store: Store,
    decisions: domain::Commit,
    cause: Option<Arc<Cause>>,
    staged: Arc<Mutex<Staged>>,
}

/// What goes into the commit beside the decisions.
#[derive(Default)]
struct Staged {
    append: Append,
    out: Vec<(Message, &'static str)>,
    /// Two decisions have read different versions of one stream.
    overtaken: bool,
    /// The commit was taken; what is staged now would be lost.
    closed: bool,
}

/// A message that is part of a [`Commit`]. Its options can be set as long as the handler runs.
pub struct Outgoing<'a> {
    commit: &'a Commit,
    index: usize,
}

impl Commit {
    /// The store, for reading.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Decides on `command` for the aggregate `id`, and stages its events.
    ///
    /// # Errors
    /// [`CommandError`] as of [`domain::Commit::handle`]. After a conflict the handler is called again, whatever it makes
    /// of it.
    pub async fn handle<D: Decider>(&self, id: &D::Id, command: D::Command) -> Result<(), CommandError<D::Error>> {
        let decided = self.decisions.handle::<D>(id, command).await;
        self.lock().overtaken |= matches!(decided, Err(CommandError::Conflict { .. }));
        decided
    }

    /// Makes `decision` and stages its events.
    ///
    /// # Errors
    /// [`CommandError`] as of [`domain::Commit::decide`].
    pub async fn decide<D: Decision>(&self, decision: &D) -> Result<(), CommandError<D::Error>> {
        self.decisions.decide(decision).await
    }

    /// Stages events and conditions that were made elsewhere.
    ///
    /// # Errors
    /// [`PublishError::Closed`] when the handler has returned already.
    pub fn append(&self, append: Append) -> Result<(), PublishError> {
        let mut staged = self.open()?;
        staged.append.events.extend(append.events);
        staged.append.checks.extend(append.checks);
        staged.append.changes.extend(append.changes);
        Ok(())
    }

    /// Publishes `event` to a topic of the same broker, when the commit happens.
    ///
    /// # Errors
    /// [`PublishError`] when the event cannot be a message, or the handler has returned already.
    pub fn publish<E: Event>(&self, topic: &str, event: &E) -> Result<Outgoing<'_>, PublishError> {
        let message = message_of(topic, event, self.cause.as_deref())?;
        let mut staged = self.open()?;
        staged.out.push((message, event.event_type().name));
        Ok(Outgoing { commit: self, index: staged.out.len() - 1 })
    }

    fn open(&self) -> Result<MutexGuard<'_, Staged>, PublishError> {
        let staged = self.lock();
        if staged.closed { Err(PublishError::Closed) } else { Ok(staged) }
    }

    /// Everything that was staged; nothing more can be.
    fn close(&self) -> (Append, Vec<(Message, &'static str)>) {
        let mut append = self.decisions.clone().into_append();
        let mut staged = self.lock();
        staged.closed = true;
        let Append { events, checks, changes } = std::mem::take(&mut staged.append);
        append.events.extend(events);
        append.checks.extend(checks);
        append.changes.extend(changes);
        (append, std::mem::take(&mut staged.out))
    }

    /// Everything is computed before the lock is taken, so a panic leaves nothing half-staged.
    fn lock(&self) -> MutexGuard<'_, Staged> {
        self.staged.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outgoing<'_> {
    /// What keeps it in order: messages with the same key are delivered one after the other.
    pub fn key(self, key: impl Display) -> Self {
        self.with(|message| message.key = Some(Bytes::from(key.to_string())))
    }

    /// Changes anything else about the message.
    pub fn with(self, change: impl FnOnce(&mut Message)) -> Self {
        let mut staged = self.commit.lock();
        // A commit that was taken meanwhile has taken the message as it was.
        if let Some((message, _)) = staged.out.get_mut(self.index) {
            change(message);
        }
        drop(staged);
        self
    }
}

impl<S: Sync> FromDelivery<S> for Commit {
    const TRANSACTIONS: usize = 1;
    const IN_STORE: bool = true;

    async fn from_delivery(context: &mut Context, _: &S) -> Result<Self, Rejection> {
        let settler = context.settler().ok_or("there is nothing to commit to outside the runtime")?.clone();
        let store = settler.in_store().ok_or("the broker is not made of an event store")?.store();
        let cause = (!context.in_batches()).then(|| Arc::new(Cause::from(&**context.delivery())));
        let mut decisions = domain::Commit::new(&store);
        if let Some(Cause { id: Some(id), correlation, .. }) = cause.as_deref() {
            decisions = decisions.caused_by(domain::Cause { id: *id, correlation: *correlation });
        }
        let commit = Self { store, decisions, cause, staged: Arc::default() };
        let tags = context.deliveries().iter().map(|delivery| delivery.tag).collect();
        let publisher = context.publisher().cloned();
        context.bind(InOneAppend { commit: commit.clone(), settler, tags, publisher });
        Ok(commit)
    }
}

/// A commit that waits for its handler to succeed.
struct InOneAppend {
    commit: Commit,
    settler: Arc<dyn Settler>,
    tags: Vec<DeliveryTag>,
    publisher: Option<Publisher>,
}

impl Transaction for InOneAppend {
    fn commit(self: Box<Self>) -> BoxFuture<'static, Result<Committed, Failure>> {
        Box::pin(async move {
            let (append, out) = self.commit.close();
            let (mut out, event_types): (Vec<_>, Vec<_>) = out.into_iter().unzip();
            if let Some(publisher) = &self.publisher {
                for message in &mut out {
                    *message = publisher.checked_in(message.clone()).await?;
                }
            }
            let committed = self.append(&append, &out).await?;
            if let (Committed::Settled, Some(publisher)) = (&committed, &self.publisher) {
                event_types.into_iter().for_each(|event_type| publisher.counted().add(event_type));
            }
            Ok(committed)
        })
    }

    fn is_overtaken(&self) -> bool {
        self.commit.lock().overtaken
    }
}

impl InOneAppend {
    async fn append(&self, append: &Append, out: &[Message]) -> Result<Committed, Failure> {
        let mut repetitions = 0;
        loop {
            let in_store = self.settler.in_store().ok_or("the broker is not made of an event store")?;
            let acknowledged = self.tags.iter().map(|tag| (*tag, Outcome::Ack)).collect();
            let error = match in_store.append(append.clone(), acknowledged, out.to_vec()).await {
                Ok(_) => return Ok(Committed::Settled),
                Err(error) => error,
            };
            match error {
                CommitError::Append(AppendError::Conflict(_) | AppendError::Stale { .. }) => {
                    return Ok(Committed::Overtaken(error.into()));
                }
                // A try before this one may have been the one that settled it. If it was not, the delivery is somebody
                // else's: there is nothing left to do here in either case.
                CommitError::Settle { source: SettleError::Stale, .. } if repetitions > 0 => {
                    return Ok(Committed::Settled);
                }
                CommitError::Send { source: SendError::Rejected { .. } | SendError::TooLarge { .. }, .. } => {
                    return Err(error).permanent();
                }
                CommitError::Unknown(_) | CommitError::Append(AppendError::Unknown(_)) if repetitions < REPETITIONS => {
                }
                error => return Err(error.into()),
            }
            repetitions += 1;
            tokio::time::sleep(Duration::from_millis(1 << repetitions)).await;
        }
    }
}
