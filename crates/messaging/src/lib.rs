//! Layer 2b of Mainspring: handlers of messages, on any broker.
//!
//! A handler is an `async fn`; each argument is made from the delivery ([`FromDelivery`]). [`Subscriptions`] joins
//! handlers with what they handle and the state they share, and runs them: so many at once as each [`Subscription`]
//! says, one message of a key at a time, tried again by schedule, and a dead letter when that is used up. [`Publisher`]
//! sends.
//!
//! What is promised:
//! - A delivery is acknowledged after its handler succeeded, and never before; a crash in between repeats it.
//! - An error is never a drop: it is tried again by schedule, and then becomes a dead letter with its reason. A
//!   permanent one becomes a dead letter at once, as does a message that cannot be decoded. A panic is an error.
//! - Attempts are counted by the broker and survive crashes: a message that kills every process is given up, too.
//! - What a broker cannot do is refused by name before anything is handled.
//! - Handlers that are asked to stop are waited for. What they did not finish comes back.
//!
//! ```
//! use std::sync::Arc;
//! use mainspring_broker::MemoryBroker;
//! use mainspring_event::Event;
//! use mainspring_messaging::{Delivered, FromRef, Publisher, State, Subscription, Subscriptions};
//! use mainspring_retry::Failure;
//! use serde::{Deserialize, Serialize};
//! use tokio::sync::mpsc;
//!
//! #[derive(Serialize, Deserialize, Event)]
//! # #[event(crate = mainspring_event)]
//! struct OrderPlaced { order: u64, email: String }
//!
//! #[derive(Clone, FromRef)]
//! # #[from_ref(crate = mainspring_messaging)]
//! struct Services { mails: mpsc::Sender<String> }
//!
//! async fn confirm(placed: Delivered<OrderPlaced>, State(mails): State<mpsc::Sender<String>>) -> Result<(), Failure> {
//!     let OrderPlaced { order, email } = placed.event;
//!     mails.send(format!("{email}: we have your order {order}")).await?;
//!     Ok(())
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let broker = Arc::new(MemoryBroker::new());
//! let (mails, mut sent) = mpsc::channel(8);
//! let subscriptions = Subscriptions::new(Services { mails }).on(Subscription::new("orders", "confirm"), confirm);
//! let (_, runner) = subscriptions.prepare(broker.clone()).await?;
//!
//! let publisher = Publisher::new(broker);
//! let work = async {
//!     let placed = OrderPlaced { order: 17, email: "ada@example.org".to_owned() };
//!     publisher.publish("orders", &placed).key(placed.order).await.unwrap();
//!     assert_eq!(sent.recv().await.unwrap(), "ada@example.org: we have your order 17");
//! };
//! runner.run(work).await?; // Until the work is done; what handlers have begun is finished.
//! # Ok(())
//! # }
//! ```

mod batch;
mod cause;
mod claim;
mod commit;
mod context;
mod error;
mod extract;
mod handler;
mod inbox;
mod metrics;
mod publish;
mod reply;
mod request;
mod route;
mod runner;
mod settlement;
mod start;
mod subscription;
mod subscriptions;
pub mod testing;
mod worker;

pub use batch::Batch;
pub use cause::Cause;
pub use claim::{ClaimCheck, ClaimError};
pub use commit::{Commit, Outgoing};
pub use context::{Committed, Context, Transaction};
pub use error::{RunError, StartError};
pub use extract::{Attempt, Delivered, Extract, FromDelivery, FromRef, Raw, ReadError, Rejection, State, Takes};
pub use handler::Handler;
pub use inbox::{Inbox, Once, Seen};
pub use metrics::{Consumed, Histogram, Metrics, Sample};
pub use publish::{Confirmation, Publish, PublishError, Publisher};
pub use request::{Replies, Request, RequestError, Requester};
pub use route::{Failed, Route};
pub use runner::{Controls, NoSubscription, Runner};
pub use settlement::{IntoSettlement, Reply, Settlement};
pub use subscription::{Subscription, Unknown};
pub use subscriptions::Subscriptions;

/// The derive of the trait of the same name.
pub use mainspring_macros::FromRef;

/// A future behind a pointer, as handlers are called.
pub(crate) type BoxFuture<'a, T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'a>>;
