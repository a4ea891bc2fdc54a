//! The laws of the `Broker` contract as tests: no broker is done before it passes all of them.
//!
//! A broker implements [`Backend`] and calls [`broker_laws!`](crate::broker_laws), which makes one test of each law. What
//! it cannot do it declares as an [`OptOut`] with a reason; then it must also say so in its capabilities and refuse it.
//! Nothing else can be opted out of but a second life of the broker.
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
mod matrix;
mod memory;
mod sample;
mod subject;

pub use backend::{Backend, Home, Member, Need, OptOut, Time};
pub use laws::LAWS;
pub use matrix::matrix;
pub use memory::Memory;

/// Asks the law `group::name` of `backend`, as the tests do that [`broker_laws!`](crate::broker_laws) makes.
///
/// # Panics
/// When the law is broken, or there is no such law.
pub fn check(group: &str, name: &str, backend: &dyn Backend) {
    crate::law::check_one_of(LAWS, group, name, backend);
}
