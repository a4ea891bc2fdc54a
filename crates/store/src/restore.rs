//! Copying a whole history into an empty store. Beside the contract, because only a few stores need it.

use async_trait::async_trait;
use mainspring_event::{Position, StoredEvent};

use crate::{BoxError, EventStore};

/// A store that can take over the history of another one, keeping positions, versions and recorded times.
#[async_trait]
pub trait Restore: EventStore {
    /// Makes the next `events` of a copied history durable in one commit.
    ///
    /// Their positions are above the head and increase; the versions of each stream are above its head and increase. A
    /// version above the next one means that what lies between was removed before the copy.
    ///
    /// # Errors
    /// [`RestoreError`]; nothing of `events` was written unless it says so.
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
    /// Surely not written.
    #[error("not written")]
    Failed(#[source] BoxError),
    /// May have been written.
    #[error("may have been written")]
    Unknown(#[source] BoxError),
}
