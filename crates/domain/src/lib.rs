//! Layer 2b of Mainspring: the domain model, on any event store.
//!
//! A [`Decider`] is an aggregate as two pure functions, a [`Decision`] a command over several entities. A [`Repository`]
//! and [`decide()`] run them: read, decide, append on the condition that nothing relevant was added, again on conflict.
//! [`Commit`] puts several of them into one append. [`testing`] runs them without a store.
//!
//! What is promised:
//! - A state never lacks events: an undecodable event, a truncated stream or a gap is an error.
//! - A command is decided anew only when its append was surely not written. What is not known is settled by repeating
//!   the identical append.
//! - A snapshot is a shortcut and never the truth.

mod attempts;
mod commit;
mod decide;
mod decider;
mod decision;
mod error;
mod history;
mod idempotency;
mod origin;
mod receipt;
mod repository;
mod snapshot;
mod staging;
pub mod testing;

pub use commit::Commit;
pub use decide::{Decide, decide};
pub use decider::Decider;
pub use decision::Decision;
pub use error::{CommandError, LoadError};
pub use origin::Cause;
pub use receipt::Receipt;
pub use repository::{AsOf, Handle, Repository};
pub use snapshot::{Snapshot, Snapshots};
