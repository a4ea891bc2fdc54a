//! Who a store is, how far it has come, and what it can do.

use std::fmt;

use mainspring_event::Position;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Append, AppendError};

macro_rules! identity {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $type(Uuid);

        impl $type {
            /// A new one, different from all others.
            #[expect(clippy::new_without_default, reason = "a default would suggest that all are equal")]
            pub fn new() -> Self {
                Self(Uuid::new_v4())
            }

            /// Wraps a UUID.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The id with these sixteen bytes.
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// The UUID inside.
            pub const fn as_uuid(&self) -> &Uuid {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

identity! {
    /// Identifies a store for ever.
    StoreId
}

identity! {
    /// Identifies one history of a store. Restoring a backup begins a new lineage, because what follows it is another
    /// history than what followed the original.
    Lineage
}

/// Who a store is and how far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    /// Which store.
    pub store: StoreId,
    /// Which history of it.
    pub lineage: Lineage,
    /// Position of the oldest event; one above `head` when there is none.
    pub first: Position,
    /// Position of the newest visible event; 0 when there is none.
    pub head: Position,
}

impl Info {
    /// The checkpoint of a reader that has come to `position` of this store.
    pub fn checkpoint(&self, position: Position) -> Checkpoint {
        Checkpoint { store: self.store, lineage: self.lineage, position }
    }

    /// Whether a reader may go on from `checkpoint` in this store.
    ///
    /// # Errors
    /// [`CheckpointError`] when it was taken from another store, from another lineage, or lies beyond the head.
    pub fn admits(&self, checkpoint: &Checkpoint) -> Result<(), CheckpointError> {
        if checkpoint.store != self.store {
            Err(CheckpointError::OtherStore { taken: checkpoint.store, here: self.store })
        } else if checkpoint.lineage != self.lineage {
            Err(CheckpointError::OtherLineage { taken: checkpoint.lineage, here: self.lineage })
        } else if checkpoint.position > self.head {
            Err(CheckpointError::BeyondHead { position: checkpoint.position, head: self.head })
        } else {
            Ok(())
        }
    }
}

/// How far a reader has come, and in which history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Of which store.
    pub store: StoreId,
    /// Of which history.
    pub lineage: Lineage,
    /// Everything up to here is done.
    pub position: Position,
}

/// Why a reader must not go on from its checkpoint. Going on would skip or repeat events in silence; rebuild instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// It was taken from another store.
    #[error("the checkpoint belongs to store {taken}, this is store {here}; rebuild from the start")]
    OtherStore {
        /// Where it was taken.
        taken: StoreId,
        /// Where it was shown.
        here: StoreId,
    },
    /// The store was restored from a backup since.
    #[error("the checkpoint belongs to lineage {taken}, the store is now at lineage {here}; rebuild from the start")]
    OtherLineage {
        /// When it was taken.
        taken: Lineage,
        /// The present history.
        here: Lineage,
    },
    /// It lies beyond the newest event.
    #[error("the checkpoint is at position {position}, beyond the head {head}; rebuild from the start")]
    BeyondHead {
        /// Where the reader says it is.
        position: Position,
        /// The last position there is.
        head: Position,
    },
}

/// What a store can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Whether acknowledged events survive power loss.
    pub durable: bool,
    /// Whether several processes can write at once.
    pub multi_process: bool,
    /// Whether an append can join a transaction of the user's database.
    pub transactional: bool,
    /// Whether retention frees space, and does not only hide.
    pub physical_retention: bool,
    /// The sizes it takes.
    pub limits: Limits,
}

/// How large things may be. What exceeds is refused before anything is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Payload and metadata of one event together, in bytes.
    pub event_bytes: usize,
    /// Payload and metadata of all events of one append together, in bytes.
    pub append_bytes: usize,
    /// Events of one append.
    pub append_events: usize,
    /// Checks and changes of one append together.
    pub append_checks: usize,
    /// Tags of one event.
    pub tags: usize,
    /// Content type of one event, in bytes. (Names and tags have at most 255 bytes by their types.)
    pub content_type_bytes: usize,
}

impl Default for Limits {
    /// 4 MiB an event, 16 MiB and 65,536 events an append, 64 tags an event. Larger payloads are a claim check.
    fn default() -> Self {
        Self {
            event_bytes: 4 << 20,
            append_bytes: 16 << 20,
            append_events: 65_536,
            append_checks: 4_096,
            tags: 64,
            content_type_bytes: 255,
        }
    }
}

impl Limits {
    /// Refuses an append that is too large or contradicts itself; stores call it first.
    ///
    /// # Errors
    /// [`AppendError::TooLarge`] or [`AppendError::Invalid`].
    pub fn check(&self, append: &Append) -> Result<(), AppendError> {
        let within = |what, actual, limit| {
            if actual > limit { Err(AppendError::TooLarge { what, actual, limit }) } else { Ok(()) }
        };
        within("the number of events of the append", append.events.len(), self.append_events)?;
        let conditions = append.checks.len() + append.changes.len();
        within("the number of checks and changes of the append", conditions, self.append_checks)?;
        let mut total = 0;
        for event in &append.events {
            let size = event.payload.len() + event.metadata.encoded_len();
            within("the payload and metadata of an event, in bytes,", size, self.event_bytes)?;
            within("the number of tags of an event", event.tags.len(), self.tags)?;
            within("the content type of an event, in bytes,", event.content_type.len(), self.content_type_bytes)?;
            if event.stream.is_internal() && !event.tags.is_empty() {
                let reason = format!("events of the internal stream `{}` carry no tags", event.stream);
                return Err(AppendError::Invalid { reason });
            }
            total += size;
        }
        within("the payloads and metadata of the append, in bytes,", total, self.append_bytes)
    }
}
