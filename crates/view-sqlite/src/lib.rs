//! Layer 2c of Mainspring: read models in SQLite. A directory of [`Views`] holds one file for each version of each
//! projection, so user SQL names its tables plainly, and a file can be opened with any SQLite tool.
//!
//! Rows and checkpoint are in the same file and commit together. Readers get an [`sqlx::SqlitePool`] that cannot write;
//! they never wait for the writer (write-ahead log). Other processes may read, list and ask for rebuilds meanwhile.
//!
//! ```
//! use std::time::Duration;
//! use mainspring_event::{Event, NewEvent, Recorded, StreamName};
//! use mainspring_projection::{Projection, prepare};
//! use mainspring_retry::Failure;
//! use mainspring_store::{Append, MemoryStore, Store};
//! use mainspring_view_sqlite::Views;
//! use serde::{Deserialize, Serialize};
//! use sqlx::SqliteConnection;
//!
//! #[derive(Debug, Serialize, Deserialize, Event)]
//! # #[event(crate = mainspring_event)]
//! enum OrderEvent {
//!     OrderPlaced { cents: i64 },
//!     OrderShipped,
//! }
//!
//! struct OrderSummary;
//!
//! impl Projection for OrderSummary {
//!     const NAME: &'static str = "order_summary";
//!     const VERSION: u32 = 1;
//!     type View = Views;
//!     type Event = OrderEvent;
//!
//!     async fn create(&self, db: &mut SqliteConnection) -> Result<(), Failure> {
//!         sqlx::query("CREATE TABLE orders (id TEXT PRIMARY KEY, cents INTEGER, status TEXT)").execute(db).await?;
//!         Ok(())
//!     }
//!
//!     async fn apply(&self, db: &mut SqliteConnection, order: &Recorded<OrderEvent>) -> Result<(), Failure> {
//!         let query = match &order.event {
//!             OrderEvent::OrderPlaced { cents } => {
//!                 sqlx::query("INSERT INTO orders VALUES (?1, ?2, 'placed')").bind(order.key()).bind(cents)
//!             }
//!             OrderEvent::OrderShipped => {
//!                 sqlx::query("UPDATE orders SET status = 'shipped' WHERE id = ?1").bind(order.key())
//!             }
//!         };
//!         query.execute(db).await?;
//!         Ok(())
//!     }
//! }
//!
//! # let runtime = tokio::runtime::Runtime::new()?;
//! # runtime.block_on(async {
//! let directory = tempfile::tempdir()?;
//! let store = Store::new(MemoryStore::new());
//! let views = Views::open(directory.path()).await?;
//! let (orders, runner) = prepare(OrderSummary, views, store.clone()).await?;
//! let running = tokio::spawn(runner.run(std::future::pending()));
//!
//! let placed = OrderEvent::OrderPlaced { cents: 3_998 };
//! let (name, payload) = (placed.event_type().name.parse()?, placed.encode()?.bytes);
//! let placed = NewEvent::json(StreamName::of("order", 17)?, name, payload);
//! let receipt = store.append(Append::new([placed])).await?;
//!
//! let db = orders.read_after(receipt.position, Duration::from_secs(10)).await?;
//! let status: String = sqlx::query_scalar("SELECT status FROM orders WHERE id = '17'").fetch_one(&db).await?;
//! assert_eq!(status, "placed");
//! # running.abort();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Fast to catch up
//! Each statement costs a hand-over to the connection's thread. A projection with a long history overrides
//! [`apply_batch`](mainspring_projection::Projection::apply_batch) and writes many rows with one static statement:
//! `INSERT INTO orders SELECT value ->> 0, value ->> 1, 'placed' FROM json_each(?1)`.
//!
//! # Versions and rebuilds
//! Version 2 of `order_summary` is built in `order_summary.v2.sqlite` while readers see `order_summary.v1.sqlite`, and so
//! is a rebuild of the same version in `order_summary.v1.2.sqlite`. The catalogue (`catalogue.sqlite`) records which one
//! is current. What was replaced stays on disk until its projection is opened the next time, so readers that still hold
//! it are not disturbed, and a program that goes back to the older version finds its tables. A file that was removed by
//! hand is built anew. Copy files only while nothing writes to them.
//!
//! # Handlers that write
//! Handlers of messages have databases of their own, in which they do what they do exactly once: see [`Sqlite`] and
//! [`inbox`].

mod catalogue;
mod error;
mod files;
pub mod inbox;
mod model;
mod plan;
mod views;

pub use error::ViewError;
pub use inbox::Sqlite;
pub use model::Model;
pub use plan::State;
pub use views::{ReadModel, Views};
