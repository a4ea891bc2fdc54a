//! Projections over SQLite, from the outside: what is read, after which accidents, and who is told.

#![expect(clippy::unwrap_used, reason = "all of this is test code")]

mod crash;
mod exactly_once;
mod failures;
mod reading;
mod shop;
mod stores;
mod versions;
