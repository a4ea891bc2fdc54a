//! Layer 2a of Mainspring: the embedded broker. Topics, groups and queues on any event store, with every guarantee of the
//! `Broker` contract, and one that no broker beside a database has: what is consumed, what is sent and the user's own
//! events become true in one append.
//!
//! It is a library in the process that holds the store, not a server. Another process on the same machine reaches it
//! through `mainspring-broker-socket`.
//!
//! # What is where
//!
//! | stream | holds |
//! |---|---|
//! | `$broker` | topics and groups, and who works here: opening a broker fences the one before |
//! | `$topic-NAME/PARTITION` | the messages of a partition; the offset is the version less one |
//! | `$group-NAME` | how far a group has come: settled offsets, attempts, moves, snapshots |
//! | `$schedule`, `$delay-N` | which messages are not due yet, and these, ten minutes in each |
//!
//! # Limits
//!
//! A message has at most 1 MiB, a batch 10,000 messages and 8 MiB; a delay is at most a year. A group may have 262,144 messages that
//! wait for another attempt, or behind one of their key; then it waits, too. A priority goes before the few thousand
//! messages that are in memory, not before a backlog.
//!
//! ```
//! use mainspring_broker::{
//!     Binding, Broker, Ensure, Limit, Message, Next, Outcome, Subscription, SubscriptionSpec, Topic, Topology,
//! };
//! use mainspring_broker_embedded::EmbeddedBroker;
//! use mainspring_store::{MemoryStore, Store};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = Store::new(MemoryStore::new());
//! let broker = EmbeddedBroker::open(store.clone()).await?;
//! let topology = Topology::new()
//!     .topic(Topic::new("orders".parse()?))
//!     .subscription(Subscription::new("billing".parse()?, [Binding::all("orders".parse()?)]));
//! broker.ensure(&topology, Ensure::Create).await?;
//! let confirmations = broker.send(vec![Message::new("orders".parse()?, "two of them")]).await?;
//! assert!(confirmations.await.iter().all(Result::is_ok));
//!
//! // Another broker on the same store takes the place of the first, and has everything.
//! let broker = EmbeddedBroker::open(store).await?;
//! let (mut deliveries, settler) = broker.subscribe(SubscriptionSpec::new("billing".parse()?)).await?;
//! let Next::Batch(batch) = deliveries.next(Limit::messages(10)).await? else { panic!("messages are there") };
//! assert_eq!(&batch[0].message.body[..], b"two of them");
//! let answers = settler.settle(vec![(batch[0].tag, Outcome::Ack)]).await;
//! assert!(answers.iter().all(Result::is_ok));
//! # Ok(())
//! # }
//! ```

mod admin;
mod broker;
mod browsing;
mod codec;
mod creating;
mod entry;
mod group;
mod journal;
mod keeper;
mod loading;
mod member;
mod moving;
mod opening;
mod picking;
mod ranges;
mod schedule;
mod sending;
mod settling;
mod shared;
mod state;
mod time;
mod topic;
mod trimming;

pub use broker::{EmbeddedBroker, Options};
