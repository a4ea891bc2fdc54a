//! The shop as its users see it: rules, read models, the demo, and looking at it from outside.

#![expect(clippy::unwrap_used, reason = "all of this is test code")]

mod cancelled;
mod demo;
mod differences;
mod input;
mod killed;
mod messages;
mod order;
mod outside;
mod read_models;
