//! The laws of the `EventStore` contract as tests: no store is done before it passes all of them. Those of the `Broker`
//! contract are in [`broker`]; both are asked in the same way.
//!
//! A store implements [`Backend`] and calls [`laws!`], which makes one test of each law, so that one failure never hides
//! the rest. What a store cannot do at all it declares as an [`OptOut`] with a reason; the laws that need it then say so
//! aloud instead of passing in silence. Laws 1 and 3 to 9 cannot be opted out of: they need nothing but
//! [`Home::open`].
//!
//! Not here: what only shows while disks and processes fail (simulated and real crashes), and what takes a
//! measurement (memory while the store grows). Those belong to each store and to the benchmarks.
//!
//! ```
//! use std::sync::Arc;
//! use async_trait::async_trait;
//! use mainspring_conformance::{Backend, Capability, Home, OptOut};
//! use mainspring_store::{Clock, EventStore, MemoryStore};
//!
//! struct Memory;
//!
//! #[async_trait]
//! impl Backend for Memory {
//!     fn name(&self) -> &'static str {
//!         "memory"
//!     }
//!
//!     fn opt_outs(&self) -> &'static [OptOut] {
//!         const WHY: &str = "it dies with its last handle";
//!         &[OptOut { lacks: Capability::Reopen, why: WHY }, OptOut { lacks: Capability::SecondHandle, why: WHY }]
//!     }
//!
//!     async fn create(&self) -> Box<dyn Home> {
//!         Box::new(Memory)
//!     }
//! }
//!
//! #[async_trait]
//! impl Home for Memory {
//!     async fn open(&self, clock: Arc<dyn Clock>) -> Arc<dyn EventStore> {
//!         Arc::new(MemoryStore::with_clock(clock))
//!     }
//! }
//!
//! // In tests/conformance.rs this line makes one test of each law: `mainspring_conformance::laws!(memory);`
//! fn memory() -> impl Backend {
//!     Memory
//! }
//!
//! let laws = mainspring_conformance::LAWS;
//! let law = laws.iter().find(|law| law.name == "a_repeated_append_gets_the_original_answer").expect("it is a law");
//! assert_eq!(law.judge(Arc::new(memory())), mainspring_conformance::Verdict::Holds);
//! ```

mod backend;
pub mod broker;
mod clock;
mod follower;
mod law;
mod laws;
mod linearizability;
mod memory;
mod model;
mod pressure;
mod sample;
mod seed;
mod subject;

pub use backend::{Backend, Capability, Home, OptOut};
pub use clock::ManualClock;
pub use law::{Law, Subjected, Verdict, check};
pub use laws::LAWS;
pub use linearizability::{ConcurrentHistory, Linearization, Machine, NotLinearizable, linearizable, linearizable_of};
pub use memory::Memory;
pub use model::agrees_with_the_reference;
pub use seed::Seed;
