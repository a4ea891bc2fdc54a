//! The contract.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use mainspring_store::{Append, Appended, Store};

use crate::{
    Admin, BrokerError, Capabilities, CommitError, Confirmations, DeliveryTag, Destination, Drift, Ensure, Limit,
    Message, Next, Outcome, Receipt, SendError, SettleError, Slice, Start, SubscriptionSpec, Topology,
};

/// A broker: takes messages and delivers them to groups. What it guarantees are the ten laws of [this crate](crate).
#[async_trait]
pub trait Broker: Send + Sync + 'static {
    /// Compares `topology` with what is there and says what differs; with [`Ensure::Create`], after it has created what
    /// was missing. Nothing is ever altered or deleted.
    ///
    /// # Errors
    /// [`BrokerError::Invalid`] for a topology that contradicts itself or names topics that do not exist,
    /// [`BrokerError::Refused`] for what this broker cannot do; nothing was created then.
    async fn ensure(&self, topology: &Topology, mode: Ensure) -> Result<Vec<Drift>, BrokerError>;

    /// What the broker can do at a destination.
    ///
    /// # Errors
    /// [`BrokerError::NoTopic`], or when that cannot be said now.
    async fn capabilities(&self, of: &Destination) -> Result<Capabilities, BrokerError>;

    /// Sends messages in their order. Resolves on admission, which waits while too much is unconfirmed; what became of
    /// each message is what the [`Confirmations`] resolve to. A send that begins after another was admitted follows it.
    ///
    /// # Errors
    /// [`SendError`] when none of the messages was admitted.
    ///
    /// # Cancel safety
    /// Dropping the future leaves each message sent or not; those of one key form a beginning of the batch's.
    async fn send(&self, batch: Vec<Message>) -> Result<Confirmations, SendError>;

    /// Takes part in a group.
    ///
    /// # Errors
    /// [`BrokerError::NoGroup`], [`BrokerError::Invalid`] for a spec that exceeds limits or could never get a message,
    /// or when that is not possible now.
    async fn subscribe(&self, spec: SubscriptionSpec) -> Result<(Box<dyn Deliveries>, Arc<dyn Settler>), BrokerError>;

    /// What operators ask, where the broker can answer.
    fn admin(&self) -> Option<&dyn Admin>;

    /// Takes nothing more, lets members and unconfirmed messages come to their ends until `deadline`, and gives the rest
    /// back. Repeating it changes nothing.
    ///
    /// # Errors
    /// [`BrokerError`] when what was unconfirmed may be lost.
    async fn close(&self, deadline: Instant) -> Result<(), BrokerError>;
}

/// What comes to one member. Dropping it ends fetching; what was delivered can still be settled. When its [`Settler`] is
/// dropped as well, the member is gone as after a crash: what it had not settled comes back.
#[async_trait]
pub trait Deliveries: Send {
    /// What happens next; of messages as many as are there, within `max`, but at least one. Reconnects by itself.
    ///
    /// # Errors
    /// [`BrokerError`]; after one, nothing comes any more.
    ///
    /// # Cancel safety
    /// Dropping the future loses nothing and is no attempt.
    async fn next(&mut self, max: Limit) -> Result<Next, BrokerError>;
}

/// What one member answers. Apart from [`Deliveries`], because a full prefetch must not stand in the way of settling.
#[async_trait]
pub trait Settler: Send + Sync {
    /// Says what became of deliveries; answers for each, in order. Where a broker does not confirm acknowledgements, `Ok`
    /// says that one was sent while the delivery was still the member's own: after a lost connection it may come again.
    ///
    /// # Cancel safety
    /// Dropping the future leaves each settled or not.
    async fn settle(&self, outcomes: Vec<(DeliveryTag, Outcome)>) -> Vec<Result<(), SettleError>>;

    /// Keeps deliveries for so much time from now on, for handlers that take longer than the lease.
    ///
    /// # Cancel safety
    /// Dropping the future leaves each extended or not.
    async fn extend(&self, tags: &[DeliveryTag], by: Duration) -> Vec<Result<(), SettleError>>;

    /// Settles and sends, all or nothing, fenced by every tag.
    ///
    /// # Errors
    /// [`CommitError`]; nothing happened unless it is [`CommitError::Unknown`].
    ///
    /// # Cancel safety
    /// Dropping the future leaves all or nothing.
    async fn commit(
        &self,
        outcomes: Vec<(DeliveryTag, Outcome)>,
        out: Vec<Message>,
    ) -> Result<Vec<Receipt>, CommitError>;

    /// Moves the whole group in its logs. What its members hold becomes stale, and attempts count anew.
    ///
    /// # Errors
    /// [`BrokerError::Refused`] where a topic of the group is no log; [`BrokerError::Failed`] where a broker moves only
    /// groups without members, and there are members elsewhere.
    async fn seek(&self, to: Start) -> Result<(), BrokerError>;

    /// Stops or resumes delivering from slices to this member. What it holds stays its own.
    ///
    /// # Errors
    /// [`BrokerError::Closed`], or when that is not possible now.
    async fn pause(&self, slices: &[Slice], paused: bool) -> Result<(), BrokerError>;

    /// Ends the member: nothing more is fetched, [`Deliveries::next`] says [`Next::Closed`], what was delivered can be
    /// settled until `deadline`, and the rest comes back. Repeating it changes nothing.
    ///
    /// # Errors
    /// [`BrokerError`] when the broker may not have heard of it.
    async fn close(&self, deadline: Instant) -> Result<(), BrokerError>;

    /// The same with events of the user's, where deliveries are settled by events of a store.
    fn in_store(&self) -> Option<&dyn InStore> {
        None
    }
}

/// Settles, sends and appends in one commit, on a broker that is made of an event store.
#[async_trait]
pub trait InStore: Send + Sync {
    /// The store; whoever decides about an append reads it here.
    fn store(&self) -> Store;

    /// What [`Settler::commit`] does, and `append` with it: all of it or nothing, in one append.
    ///
    /// # Errors
    /// [`CommitError`]; nothing happened unless it is [`CommitError::Unknown`]. What the store says of `append` is
    /// [`CommitError::Append`].
    ///
    /// # Cancel safety
    /// Dropping the future leaves all or nothing.
    async fn append(
        &self,
        append: Append,
        outcomes: Vec<(DeliveryTag, Outcome)>,
        out: Vec<Message>,
    ) -> Result<(Appended, Vec<Receipt>), CommitError>;
}
