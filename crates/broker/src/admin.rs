//! What an operator asks of a broker, where it can answer.

use std::fmt;

use async_trait::async_trait;
use jiff::Timestamp;

use crate::{BrokerError, Group, Message, Place, Receipt, Topic};

/// What an operator asks of a broker. Beside the contract, because some brokers cannot answer.
#[async_trait]
pub trait Admin: Send + Sync {
    /// Every topic, by name.
    ///
    /// # Errors
    /// [`BrokerError`] when that cannot be said now.
    async fn topics(&self) -> Result<Vec<TopicStatus>, BrokerError>;

    /// Every group, by name.
    ///
    /// # Errors
    /// [`BrokerError`] when that cannot be said now.
    async fn groups(&self) -> Result<Vec<GroupStatus>, BrokerError>;

    /// The next messages of a group that it has not settled, in the order in which they were stored, over all its slices;
    /// at most `limit`. Takes nothing, counts no attempt and changes no order.
    ///
    /// # Errors
    /// [`BrokerError::NoGroup`], or when that cannot be said now.
    async fn browse(&self, group: &Group, limit: usize) -> Result<Vec<Pending>, BrokerError>;

    /// The message of a group at a place, if [`browse`](Self::browse) would show it. Takes nothing either.
    ///
    /// # Errors
    /// [`BrokerError::NoGroup`], or when that cannot be said now.
    async fn find(&self, group: &Group, place: &Place) -> Result<Option<Pending>, BrokerError>;

    /// Removes what a group has not settled and nobody holds. Says how many messages that were.
    ///
    /// # Errors
    /// [`BrokerError::NoGroup`], or when that cannot be done now.
    async fn purge(&self, group: &Group) -> Result<u64, BrokerError>;

    /// Removes these messages of a group, as far as it has not settled them, nobody holds them and they hold no key. Says
    /// how many messages that were.
    ///
    /// # Errors
    /// [`BrokerError::NoGroup`], or when that cannot be done now.
    async fn remove(&self, group: &Group, places: &[Place]) -> Result<u64, BrokerError>;

    /// Removes the message at `place` from the group `from` and sends `message` in its stead: both or neither. What is
    /// sent is no duplicate of anything, although its id may have come before.
    ///
    /// So a [dead letter](crate::DeadLetter) in the group that keeps it goes [again](crate::DeadLetter::again) to the
    /// group that gave it up, as it was or edited.
    ///
    /// # Errors
    /// [`BrokerError::NoGroup`]; [`BrokerError::Invalid`] when the group has no message at `place` that
    /// [`remove`](Self::remove) would remove; [`BrokerError::NotSent`]; or when that cannot be done now. Where nobody knows
    /// whether it was done, asking again does no harm: it is `Invalid` then, or done once.
    async fn resubmit(&self, from: &Group, place: &Place, message: Message) -> Result<Receipt, BrokerError>;

    /// Messages that are not due yet, the next one first, at most `limit`.
    ///
    /// # Errors
    /// [`BrokerError`] when that cannot be said now.
    async fn schedules(&self, limit: usize) -> Result<Vec<Scheduled>, BrokerError>;

    /// Takes a message back that is not due yet: it never comes. Says whether it was still there. It may be sent again
    /// under the same id.
    ///
    /// # Errors
    /// [`BrokerError`] when that cannot be done now.
    async fn cancel(&self, id: &ScheduleId) -> Result<bool, BrokerError>;

    /// Lets a key go on that a dead letter holds. Says how many messages waited behind it.
    ///
    /// # Errors
    /// [`BrokerError::NoGroup`], [`BrokerError::Invalid`] when the key is not held, or when that cannot be done now.
    async fn resume(&self, group: &Group, key: &[u8], how: Resume) -> Result<u64, BrokerError>;
}

/// How a key goes on that a dead letter holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// The message that became the dead letter comes first, as if it had never been tried; then what waited, in order.
    Resubmit,
    /// Without that message.
    Skip,
}

/// How a topic stands.
#[derive(Clone, Debug, PartialEq)]
pub struct TopicStatus {
    /// Which topic, as it was created.
    pub topic: Topic,
    /// Its partitions, in their order.
    pub slices: Vec<SliceStatus>,
}

/// What there is of one partition of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SliceStatus {
    /// Everything below this offset is gone: settled by every group, or removed by the limits of a log. A broker may keep
    /// a little more than that, never less.
    pub first: u64,
    /// The offset of the next message.
    pub next: u64,
}

/// How a group stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupStatus {
    /// Which group.
    pub group: Group,
    /// Its members.
    pub members: usize,
    /// Messages that it has not settled, those in flight included.
    pub lag: u64,
    /// Of these, how many members hold.
    pub in_flight: u64,
    /// Keys that dead letters hold.
    pub held_keys: u64,
}

/// A message that a group has not settled.
#[derive(Clone, Debug, PartialEq)]
pub struct Pending {
    /// The message as it was sent.
    pub message: Message,
    /// Where it lies, where the broker says that.
    pub place: Option<Place>,
    /// How often it was tried.
    pub attempts: u32,
    /// Whether a member holds it.
    pub in_flight: bool,
}

/// A message that is not due yet.
#[derive(Clone, Debug, PartialEq)]
pub struct Scheduled {
    /// What to cancel it by.
    pub id: ScheduleId,
    /// The message as it was sent.
    pub message: Message,
    /// When it is due, by the clock of whoever holds it.
    pub due: Timestamp,
}

/// Names a message that is not due yet, in words of the broker's own. No other message has it, then or later.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ScheduleId(String);

impl ScheduleId {
    /// The id that a broker gives, or gave.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ScheduleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
