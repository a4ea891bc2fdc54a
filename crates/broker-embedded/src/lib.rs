//! The embedded broker of Mainspring: topics, groups and queues on any event store.

mod admin;
mod broker;
mod browsing;
mod codec;
mod creating;
mod entry;
mod group;
mod journal;
mod keeper;
mod loading;
mod member;
mod moving;
mod opening;
mod picking;
mod ranges;
mod schedule;
mod sending;
mod settling;
mod shared;
mod state;
mod time;
mod topic;

pub use broker::{EmbeddedBroker, Options};
