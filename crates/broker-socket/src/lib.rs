//! Layer 2a of Mainspring: the broker of another process on the same machine, over its local (Unix) socket.
//!
//! Only one process can hold the directory of an event store, and with it the broker that lies in it. It [serves](Server)
//! that broker at a socket in the directory, and every other process of the same user [connects](SocketBroker) and works
//! with the very same contract: it publishes, consumes, settles, and looks.
//!
//! It is not a network protocol: both sides are of one release, on one machine, and trust each other as far as one user
//! trusts himself. What a client can cost the server is bounded all the same: 256 connections, 32 MiB of requests and one
//! batch each; a client that is stuck stands in nobody's way.
//!
//! A member whose connection ends is gone as after a crash: what it held comes back. `docs/broker-socket.md` has the
//! protocol.
//!
//! ```
//! use std::sync::Arc;
//! use mainspring_broker::{
//!     Binding, Broker, Ensure, Limit, MemoryBroker, Message, Next, Outcome, Subscription, SubscriptionSpec, Topic,
//!     Topology,
//! };
//! use mainspring_broker_socket::{Server, SocketBroker};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! let path = directory.path().join("broker.sock");
//! let server = Server::serve(Arc::new(MemoryBroker::new()), &path).await?;
//!
//! // Usually in another process.
//! let broker = SocketBroker::connect(&path).await?;
//! let topology = Topology::new()
//!     .topic(Topic::new("orders".parse()?))
//!     .subscription(Subscription::new("billing".parse()?, [Binding::all("orders".parse()?)]));
//! assert_eq!(broker.ensure(&topology, Ensure::Create).await?, []);
//! let sent = broker.send(vec![Message::new("orders".parse()?, "two of them")]).await?.await;
//! assert!(sent[0].is_ok());
//!
//! let (mut deliveries, settler) = broker.subscribe(SubscriptionSpec::new("billing".parse()?)).await?;
//! let Next::Batch(batch) = deliveries.next(Limit::messages(10)).await? else { panic!("messages are there") };
//! assert_eq!((&batch[0].message.body[..], batch[0].attempt), (&b"two of them"[..], 1));
//! assert!(settler.settle(vec![(batch[0].tag, Outcome::Ack)]).await[0].is_ok());
//! server.stop().await?;
//! # Ok(())
//! # }
//! ```

#![cfg(unix)]

mod address;
mod client;
mod codec;
mod frame;
mod handshake;
mod protocol;
mod server;

/// Where the process that holds the directory of a store serves the broker in it: a name in that directory.
pub const SOCKET: &str = "broker.sock";

pub use client::{ConnectError, SocketBroker};
pub use server::{ServeError, Server};
