//! The program as its users meet it: the real binary, exact output, exit codes, pipes, signals.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking, as the test does")]

mod append;
mod backups;
mod broker;
mod damage;
mod dead_letters;
mod events;
mod follow;
mod help;
mod import;
mod kit;
mod operations;
mod overview;
mod read_models;
mod requests;
mod roundtrip;
mod scavenge;
mod sharing;
mod shop;
mod terminal;
