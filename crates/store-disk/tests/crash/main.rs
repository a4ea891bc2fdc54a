//! What becomes of the store when the machine, its disk or its own process fails.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking, as the test does")]

mod boundaries;
mod damage;
mod failures;
mod flipped;
mod honesty;
mod killed;
mod kit;
mod linearizable;
mod processes;
mod reading;
mod truth;
mod workload;
