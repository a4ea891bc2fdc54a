//! Layer 1 of Mainspring: the one durable primitive. An [`EventStore`] appends a batch of events to any number of streams
//! atomically and under conditions, and reads them in order. Everything else is built on these two calls.
//!
//! This crate holds the contract, the plain types it speaks, and [`MemoryStore`], the reference model that every other
//! store is compared with. What a store must guarantee stands at [`EventStore`]; `mainspring-conformance` tests it.

mod append;
mod batch;
mod change;
mod clock;
mod info;
mod memory;
mod query;
mod read;
mod restore;
mod store;

pub use append::{Append, AppendError, Appended, Check, Conflict, Expected, Written};
pub use batch::EventBatch;
pub use change::{Retained, Retention, StreamChange};
pub use clock::{Clock, SystemClock};
pub use info::{Capabilities, Checkpoint, CheckpointError, Info, Limits, Lineage, StoreId};
pub use memory::MemoryStore;
pub use query::{Query, QueryItem, Scope};
pub use read::{Direction, Read, ReadError, ReadFrom};
pub use restore::{Restore, RestoreError};
pub use store::{BatchStream, EventStore, Store};

/// Any error that can cross threads.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
