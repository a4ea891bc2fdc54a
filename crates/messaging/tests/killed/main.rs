//! Real processes with handlers on a real directory: killed by SIGKILL, kept out of each other's way, and given more than
//! they can take. What is promised of messages holds all the same.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails by panicking, as the test does")]

mod effects;
mod fenced;
mod poison;
mod processes;
mod scheduled;
mod stuck;
mod world;
