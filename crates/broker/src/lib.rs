//! Layer 1 of Mainspring: messages and who gets them. A [`Broker`] takes messages for topics and delivers them to groups,
//! whose members settle each one.
//!
//! This crate holds the contract, the plain types it speaks, and [`MemoryBroker`], the reference model that every other
//! broker is compared with. It has no connection to anything: an adapter for a real broker is a crate of its own.
//!
//! # The laws
//!
//! An implementor guarantees these; `mainspring-conformance` has tests for each. What a broker cannot do it refuses by
//! name ([`Feature`]), when a topology is ensured or a message sent: never in silence, and never later.
//!
//! 1. **Confirmed is stored**, at the declared [`Durability`], for every durable subscription that existed and
//!    [selects](Subscription::selects) the message. A message without a route is an error.
//! 2. **Honest errors of sending.** All classes of [`SendError`] but `Unknown` mean: surely not stored. Where the
//!    destination is `gapless`, no later message of a key is stored before an earlier one that failed. A send that begins
//!    after another was admitted follows it.
//! 3. **Nothing unsettled is lost.** It comes back after a crash of the member and, where it is durable, of the broker.
//!    Dropping and cancelling settle nothing. Closing means: stop fetching, drain, settle, give the rest back.
//! 4. **One holder.** One member at a time holds a message; a stale holder can neither settle nor extend nor commit. Every
//!    group gets every message. A commit is all or nothing.
//! 5. **Moves copy first.** A dead letter is a confirmed copy, and then an acknowledgement: it may duplicate under the same
//!    id, and never loses. The same is true of retries that an adapter emulates. What was settled before reaches the
//!    broker before the copy does; otherwise a crash would bring it back behind what followed it.
//! 6. **Order** by the [`Order`] of the subscription: one message of a key at a time, in the order of sending, whatever
//!    fails; a message that waits stops its key and no other. After a dead letter the key goes on, or is held until it is
//!    resumed.
//! 7. **Attempts.** Handing a message over is an attempt, also when the member crashes then; giving it back with
//!    [`Outcome::Release`] takes that back. What was only fetched was not tried. The count is as durable as the message.
//! 8. **Delays** are lower bounds by the clock of whoever holds the message, and never silently immediate. Each attempt
//!    after a delay counts, so a cap on attempts is reached.
//! 9. **Dead letters** keep original bytes, key, headers, envelope, destination, reason, times and attempts
//!    ([`DeadLetter`]).
//! 10. **Bounded.** A member holds no more than its prefetch, in messages and in bytes, also when it is stuck. What exceeds
//!     a limit is `TooLarge`, with the limit, before anything is sent.
//!
//! ```
//! use mainspring_broker::{
//!     Binding, Broker, Ensure, Limit, MemoryBroker, Message, Next, Outcome, Subscription, SubscriptionSpec, Topic,
//!     Topology,
//! };
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let broker = MemoryBroker::new();
//! let topology = Topology::new()
//!     .topic(Topic::new("orders".parse()?))
//!     .subscription(Subscription::new("billing".parse()?, [Binding::all("orders".parse()?)]));
//! assert_eq!(broker.ensure(&topology, Ensure::Create).await?, []);
//!
//! let confirmations = broker.send(vec![Message::new("orders".parse()?, "two of them")]).await?;
//! assert!(confirmations.await.iter().all(Result::is_ok));
//!
//! let (mut deliveries, settler) = broker.subscribe(SubscriptionSpec::new("billing".parse()?)).await?;
//! let Next::Batch(batch) = deliveries.next(Limit::messages(10)).await? else { panic!("messages are there") };
//! assert_eq!((&batch[0].message.body[..], batch[0].attempt), (&b"two of them"[..], 1));
//! let answers = settler.settle(vec![(batch[0].tag, Outcome::Ack)]).await;
//! assert!(answers.iter().all(Result::is_ok));
//! # Ok(())
//! # }
//! ```

mod admin;
mod assign;
mod broker;
mod capabilities;
mod dead_letter;
mod delivery;
mod error;
mod headers;
mod memory;
mod message;
mod name;
mod partition;
mod pattern;
mod routing;
mod send;
mod topology;

pub use admin::{Admin, GroupStatus, Pending, Resume, ScheduleId, Scheduled, SliceStatus, TopicStatus};
pub use assign::assign;
pub use broker::{Broker, Deliveries, InStore, Settler};
pub use capabilities::{Capabilities, Durability, Feature, Limits, Support};
pub use dead_letter::DeadLetter;
pub use delivery::{CommitError, Delivery, DeliveryTag, Handover, Limit, Next, Outcome, SettleError, SubscriptionSpec};
pub use error::BrokerError;
pub use headers::Headers;
pub use memory::MemoryBroker;
pub use message::{Envelope, Message, ONLY};
pub use name::{Destination, Group};
pub use partition::partition_of;
pub use pattern::{Pattern, PatternError};
pub use routing::{Binding, Filter, Require};
pub use send::{Confirmations, Place, Receipt, SendError};
pub use topology::{AfterDeadLetter, Drift, Ensure, Keep, Order, Sharing, Slice, Start, Subscription, Topic, Topology};
