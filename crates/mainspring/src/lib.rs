//! Event-driven architecture for services that must not lose events: an event store, deciders, projections and messages
//! that work together on a directory on disk.
//!
//! **It is** a library first. **It is not** a new distributed database or broker: it uses the ones there are.
//!
//! - [`Event`] describes what happened, [`Decider`] and [`Decision`] decide what may happen, [`Repository`] and [`decide()`]
//!   run them on any [`Store`].
//! - [`Projection`] turns events into the rows of a read model, exactly once; [`Projected`] reads it.
//! - [`Subscriptions`] deliver messages to handlers, which are `async fn`s of [`Delivered`] events; [`Publisher`] sends
//!   them. A handler with [`Commit`] decides, publishes and acknowledges in one append; one with [`Once`] writes to its
//!   database exactly once.
//! - [`App`] opens a store by URL, the broker inside it when that is asked for, and supervises what runs on them.
//!
//! The example `readme` is a whole program: events, a decider, a command and a read model. There is an example for each
//! pattern of messages, such as `messaging_queue`; the guide `docs/messaging.md` explains them.

mod app;
mod open;

pub use app::{App, MessagingError, RunError, Shutdown};
pub use mainspring_domain::{
    AsOf, Cause, CommandError, Decider, Decision, LoadError, Receipt, Repository, Snapshot, Snapshots, decide,
};
pub use mainspring_event::{Event, Recorded, Tagged};
pub use mainspring_messaging::{Batch, Commit, Delivered, Once, Publisher, Reply, State, Subscription, Subscriptions};
pub use mainspring_projection::{Projected, Projection};
pub use mainspring_retry::{Advise, Failure, Retry};
pub use mainspring_store::Store;
pub use open::{OpenError, open};

/// The contract of brokers: topics, groups, filters, dead letters, and what operators ask.
pub use mainspring_broker as broker;
/// Everything about decisions, such as a [`Commit`](domain::Commit) of several of them outside of handlers.
pub use mainspring_domain as domain;
/// What events are made of, and how they are encoded.
pub use mainspring_event as event;
/// Everything about handlers: what they take and answer, how they are subscribed, and asking for answers.
pub use mainspring_messaging as messaging;
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

/// Given, when, then: deciders and decisions without a store; handlers without a broker.
pub mod testing {
    pub use mainspring_domain::testing::{Given, GivenFacts, Then, given, given_facts};
    pub use mainspring_messaging::testing::{deliver, deliver_message};
}
