//! What an operator asks of a broker, where it can answer.

use async_trait::async_trait;
use jiff::Timestamp;

use crate::{BrokerError, Group, Message, Place};

/// What an operator asks of a broker. Beside the contract, because some brokers cannot answer.
#[async_trait]
pub trait Admin: Send + Sync {
    /// Every group, by name.
    ///
    /// # Errors
    /// [`BrokerError`] when that cannot be said now.
    async fn groups(&self) -> Result<Vec<GroupStatus>, BrokerError>;

    /// The next messages of a group that it has not settled, in their order, at most `limit`. Takes nothing.
    ///
    /// # Errors
    /// [`BrokerError::NoGroup`], or when that cannot be said now.
    async fn browse(&self, group: &Group, limit: usize) -> Result<Vec<Pending>, BrokerError>;

    /// Removes what a group has not settled and nobody holds. Says how many messages that were.
    ///
    /// # Errors
    /// [`BrokerError::NoGroup`], or when that cannot be done now.
    async fn purge(&self, group: &Group) -> Result<u64, BrokerError>;

    /// Messages that are not due yet, the next one first, at most `limit`.
    ///
    /// # Errors
    /// [`BrokerError`] when that cannot be said now.
    async fn schedules(&self, limit: usize) -> Result<Vec<Scheduled>, BrokerError>;

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
    /// The message as it was sent.
    pub message: Message,
    /// When it is due, by the clock of whoever holds it.
    pub due: Timestamp,
}
