//! Subscriptions on the reference model of a broker.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails by panicking, as the test does")]

mod attempts;
mod batches;
mod claims;
mod commits;
mod double;
mod faulty;
mod flow;
mod handlers;
mod inbox;
mod lifecycle;
mod publishing;
mod requests;
mod starting;
mod support;
