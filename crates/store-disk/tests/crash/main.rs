//! What becomes of the store when the machine, its disk or its own process fails.

mod boundaries;
mod failures;
mod honesty;
mod kit;
mod truth;
mod workload;
