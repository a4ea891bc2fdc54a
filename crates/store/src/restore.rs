//! Copying a whole history into an empty store. Beside the contract, because only a few stores need it.

use async_trait::async_trait;
use mainspring_event::{Position, StoredEvent};

use crate::{BoxError, EventStore};

/// A store that can take over the history of another one, keeping positions, versions and recorded times.
#[async_trait]
pub trait Restore: EventStore {
    /// Makes the next `events` of a copied history durable.
    ///
    /// Their positions are above the head and increase, the versions of each stream are above its head and increase, and
    /// recorded times do not decrease. A version above the next one means that what lies between was removed before the
    /// copy.
    ///
    /// # Errors
    /// [`RestoreError`]. After `OutOfOrder` nothing of `events` was written. After another error, or a crash, the first of
    /// them may have been: go on with those above the head.
    async fn restore(&self, events: Vec<StoredEvent>) -> Result<(), RestoreError>;
}

/// Why a part of a history was not taken over.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The event does not follow what the store already has.
    #[error("the event at position {position} cannot follow what the store already has: {reason}")]
    OutOfOrder {
        /// The event in question.
        position: Position,
        /// What is wrong with it.
        reason: String,
    },
    /// Not written, or not all of it.
    #[error("not written to its end")]
    Failed(#[source] BoxError),
    /// May have been written.
    #[error("may have been written")]
    Unknown(#[source] BoxError),
}
