//! What becomes of the store when the machine, its disk or its own process fails.

mod boundaries;
mod kit;
mod truth;
mod workload;
