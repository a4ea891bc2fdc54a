//! What a member of a group gets, and what it answers.

use std::{fmt, time::Duration};

use jiff::Timestamp;
use mainspring_event::EventId;
use mainspring_store::{AppendError, BoxError};

use crate::{Group, Message, Place, SendError, Slice};

/// How one member takes part in a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionSpec {
    /// Which group; it was created by `ensure`.
    pub group: Group,
    /// The name by which the broker knows this member when it comes back soon, where it can do that.
    pub member: Option<String>,
    /// The most that it holds and has not settled: what was delivered, and what waits for the next call of `next`.
    pub prefetch: Limit,
    /// For how long a delivery is its own after it was handed over, unless extended. Locks of the broker that are shorter
    /// are renewed by the adapter; those that are longer end with this.
    pub lease: Duration,
}

impl SubscriptionSpec {
    /// A member that holds at most 1,000 messages or 16 MiB, each for 30 seconds.
    pub fn new(group: Group) -> Self {
        let prefetch = Limit { messages: 1_000, bytes: 16 << 20 };
        Self { group, member: None, prefetch, lease: Duration::from_secs(30) }
    }

    /// Sets the most that it holds.
    pub fn prefetch(mut self, messages: usize, bytes: usize) -> Self {
        self.prefetch = Limit { messages, bytes };
        self
    }

    /// Sets the lease.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }
}

/// So many messages and so many bytes, whichever is reached first. One message always fits where there is none yet, or
/// a large one would never come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Messages.
    pub messages: usize,
    /// Bytes of bodies, keys and headers.
    pub bytes: usize,
}

impl Limit {
    /// So many messages of any size.
    pub const fn messages(messages: usize) -> Self {
        Self { messages, bytes: usize::MAX }
    }

    /// Whether a message of `size` bytes fits beside so many messages and bytes.
    pub fn has_room(&self, messages: usize, bytes: usize, size: usize) -> bool {
        messages < self.messages && (messages == 0 || bytes.saturating_add(size) <= self.bytes)
    }
}

/// What happens next at a member.
#[derive(Debug)]
#[non_exhaustive]
pub enum Next {
    /// Messages, at least one.
    Batch(Vec<Delivery>),
    /// These slices are its own from now on.
    Assigned(Vec<Slice>),
    /// It is to give slices up: settle what it holds of them, then complete the handover.
    Revoking(Handover),
    /// These slices are not its own any more; what it holds of them is stale.
    Lost(Vec<Slice>),
    /// It was closed; nothing comes any more.
    Closed,
}

/// A message handed to a member. Handing it over was an attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// What to settle it by.
    pub tag: DeliveryTag,
    /// The message as it was sent.
    pub message: Message,
    /// Where it lies, where the broker says that.
    pub place: Option<Place>,
    /// When the broker took it, where it says that.
    pub stored: Option<Timestamp>,
    /// Which attempt this is, counted from 1.
    pub attempt: u32,
}

impl Delivery {
    /// The same as often as the message is delivered: the id of its envelope, or one derived from its place. Without
    /// either, duplicates cannot be told.
    pub fn id(&self) -> Option<EventId> {
        let said = self.message.envelope.as_ref().map(|envelope| envelope.id);
        said.or_else(|| self.place.as_ref().map(Place::id))
    }
}

/// Names one delivery to one member. It is worth nothing after that delivery has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DeliveryTag {
    /// The message, by a number of the adapter's own.
    pub number: u64,
    /// Which delivery of it: a later one has a higher epoch, and only the latest may settle.
    pub epoch: u64,
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// Handled.
    Ack,
    /// To be tried again, not before this time has passed.
    Retry {
        /// How long to wait.
        after: Duration,
    },
    /// Never to be handled: to be put where dead letters go.
    DeadLetter {
        /// Why.
        reason: String,
    },
    /// Not tried: the next free member may have it, and this was no attempt.
    Release,
}

/// Why a settlement did not count. The delivery is still the member's own after all but `Stale`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettleError {
    /// The delivery had ended: its lease ran out, its slice was given up, or it was settled before.
    #[error("the delivery had ended before it was settled; the message belongs to somebody else")]
    Stale,
    /// A limit is exceeded.
    #[error("{what} is {actual}, the limit is {limit}")]
    TooLarge {
        /// What exceeds, with its unit.
        what: &'static str,
        /// How much there is.
        actual: usize,
        /// How much there may be.
        limit: usize,
    },
    /// The broker cannot do it, or the group has no place for dead letters.
    #[error("refused: {reason}")]
    Refused {
        /// Why.
        reason: String,
    },
    /// The copy that had to come first was not confirmed, so nothing was acknowledged.
    #[error("the message could not be moved, so it was not settled")]
    NotMoved(#[source] SendError),
    /// It did not count, and may be tried again.
    #[error("not settled now; try again")]
    Failed(#[source] BoxError),
    /// May have counted. The message may come again.
    #[error("may have been settled; the message may come again")]
    Unknown(#[source] BoxError),
}

/// Why a commit did not happen. Nothing of it did, unless it is `Unknown`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommitError {
    /// One of the settlements does not count.
    #[error("delivery {} of epoch {} cannot be settled", tag.number, tag.epoch)]
    Settle {
        /// Which delivery.
        tag: DeliveryTag,
        /// Why.
        source: SettleError,
    },
    /// One of the messages cannot be sent.
    #[error("message {at} of the commit cannot be sent")]
    Send {
        /// Its place in the commit, counted from 0.
        at: usize,
        /// Why.
        source: SendError,
    },
    /// The store did not take the events that were to be committed too: a conflict is decided anew.
    #[error("the events of the commit were not appended")]
    Append(#[source] AppendError),
    /// The broker cannot settle and send together.
    #[error("atomic commits are not possible here")]
    Refused,
    /// May have happened, as a whole.
    #[error("may have been committed, as a whole")]
    Unknown(#[source] BoxError),
}

/// Slices that are to be given up. Completing or dropping it gives them up; at its deadline they are lost. Until then a
/// client may deliver nothing from other slices either, so whoever has nothing left to settle completes it at once.
#[must_use = "dropping it gives the slices up at once"]
pub struct Handover {
    slices: Vec<Slice>,
    deadline: Timestamp,
    give_up: Option<Box<dyn FnOnce() + Send>>,
}

impl Handover {
    /// A handover whose end calls `give_up`, once, which must not block.
    pub fn new(slices: Vec<Slice>, deadline: Timestamp, give_up: impl FnOnce() + Send + 'static) -> Self {
        Self { slices, deadline, give_up: Some(Box::new(give_up)) }
    }

    /// What is to be given up. Nothing more of it is delivered.
    pub fn slices(&self) -> &[Slice] {
        &self.slices
    }

    /// When it is lost, by the clock of the broker.
    pub fn deadline(&self) -> Timestamp {
        self.deadline
    }

    /// Everything of them is settled that is going to be.
    pub fn complete(self) {
        drop(self);
    }
}

impl Drop for Handover {
    fn drop(&mut self) {
        if let Some(give_up) = self.give_up.take() {
            give_up();
        }
    }
}

impl fmt::Debug for Handover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Handover");
        shown.field("slices", &self.slices).field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    };

    use super::*;

    #[test]
    fn a_limit_has_room_for_one_message_of_any_size() {
        let limit = Limit { messages: 2, bytes: 10 };
        assert!(limit.has_room(0, 0, 100));
        assert!(limit.has_room(1, 6, 4));
        assert!(!limit.has_room(1, 6, 5));
        assert!(!limit.has_room(2, 0, 0));
        assert!(!Limit::messages(0).has_room(0, 0, 1));
    }

    #[test]
    fn a_handover_gives_up_once_however_it_ends() {
        let count = Arc::new(AtomicU32::new(0));
        let handover = || {
            let count = count.clone();
            Handover::new(Vec::new(), Timestamp::UNIX_EPOCH, move || {
                count.fetch_add(1, Ordering::Relaxed);
            })
        };
        handover().complete();
        assert_eq!(count.load(Ordering::Relaxed), 1);
        drop(handover());
        assert_eq!(count.load(Ordering::Relaxed), 2);
    }
}
