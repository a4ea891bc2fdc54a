//! The laws of the `Broker` contract as tests: no broker is done before it passes all of them.
//!
//! A broker implements [`Backend`] and calls [`broker_laws!`](crate::broker_laws), which makes one test of each law. What
//! it cannot do it declares as an [`OptOut`] with a reason; then it must also say so in its capabilities and refuse it.
//! Nothing else can be opted out of but a second life of the broker. `cargo xtask test` prints a table of all brokers that
//! were tested.
//!
//! ```
//! use std::sync::Arc;
//! use mainspring_conformance::{Verdict, broker::{LAWS, Memory}};
//!
//! // In tests/conformance.rs: `mainspring_conformance::broker_laws!(memory);`, where `memory()` returns the backend.
//! let law = LAWS.iter().find(|law| law.name == "a_crash_is_an_attempt").expect("it is a law");
//! assert_eq!(law.judge(Arc::new(Memory)), Verdict::Holds);
//! ```

mod backend;
mod consumer;
mod laws;
mod memory;
mod report;
mod sample;
mod subject;

pub use backend::{Backend, Home, Member, Need, OptOut, Time};
pub use laws::LAWS;
pub use memory::Memory;
use report::Stage;

/// Asks the law `group::name` of `backend`, as the tests do that [`broker_laws!`](crate::broker_laws) makes.
///
/// # Panics
/// When the law is broken, or there is no such law.
pub fn check(group: &str, name: &str, backend: &dyn Backend) {
    report::law(backend.name(), group, name, Stage::Asked);
    let opted_out = crate::law::check_one_of(LAWS, group, name, backend);
    report::law(backend.name(), group, name, if opted_out.is_none() { Stage::Held } else { Stage::NotAsked });
}
