//! What becomes of the store when the machine, its disk or its own process fails.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking, as the test does")]

mod ahead;
mod backup;
mod boundaries;
mod damage;
mod directory;
mod failures;
mod findings;
mod flipped;
mod honesty;
mod killed;
mod kit;
mod lab;
mod linearizable;
mod processes;
mod races;
mod reading;
mod scavenging;
mod time;
mod truth;
mod workload;
