//! Event-driven architecture for services that must not lose events: an event store, deciders and projections that work
//! together on a directory on disk.
//!
//! **It is** a library first. **It is not** a new distributed database or broker: it uses the ones there are.
//!
//! - [`Event`] describes what happened, [`Decider`] and [`Decision`] decide what may happen, [`Repository`] and [`decide()`]
//!   run them on any [`Store`].
//! - [`Projection`] turns events into the rows of a read model, exactly once; [`Projected`] reads it.
//! - [`App`] opens a store by URL and supervises what runs on it.
//!
//! The example `readme` is a whole program: events, a decider, a command and a read model.

mod app;
mod open;

pub use app::{App, RunError, Shutdown};
pub use mainspring_domain::{
    AsOf, Cause, CommandError, Commit, Decider, Decision, LoadError, Receipt, Repository, Snapshot, Snapshots, decide,
};
pub use mainspring_event::{Event, Recorded, Tagged};
pub use mainspring_projection::{Projected, Projection};
pub use mainspring_retry::{Advise, Failure, Retry};
pub use mainspring_store::Store;
pub use open::{OpenError, open};

/// What events are made of, and how they are encoded.
pub use mainspring_event as event;
/// The engine that runs projections, and how to watch it.
pub use mainspring_projection as projection;
/// The event store contract, for reading and appending without a decider.
pub use mainspring_store as store;

/// The embedded event store in a directory.
#[cfg(feature = "disk")]
pub use mainspring_store_disk as disk;
/// Read models in SQLite.
#[cfg(feature = "sqlite")]
pub use mainspring_view_sqlite as sqlite;

/// Given, when, then: deciders and decisions without a store.
pub mod testing {
    pub use mainspring_domain::testing::{Given, GivenFacts, Then, given, given_facts};
}
