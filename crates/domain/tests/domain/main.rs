//! What the domain layer promises, tested on the reference model and on stores that misbehave.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking, as the test does")]

mod as_of;
mod bank;
mod commands;
mod commits;
mod courses;
mod decisions;
mod idempotency;
mod kit;
mod origins;
mod scripted;
mod snapshots;
mod unknown;
mod upcasting;
mod warnings;
