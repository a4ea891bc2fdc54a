//! How a projection is doing, for health checks, consoles and metrics.

use jiff::Timestamp;
use mainspring_event::Position;

use crate::{EventPlace, Generation};

/// How a projection is doing, as its runner last said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// Which projection.
    pub name: &'static str,
    /// The version that this program has of it.
    pub version: u32,
    /// What it is doing.
    pub phase: Phase,
    /// What readers see.
    pub reading: Generation,
    /// Everything up to here that matches is in what readers see.
    pub at: Position,
    /// The head of the store, as last heard of.
    pub head: Position,
    /// What is to replace what readers see.
    pub building: Option<Building>,
    /// What keeps it from going on; `None` when nothing does.
    pub failure: Option<FailureReport>,
}

/// What a projection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Working through history, or building what readers will see.
    CatchingUp,
    /// At the head: each new event is applied when it arrives.
    Live,
    /// Not running, because it was told to stop, failed for good, or its runner was dropped.
    Stopped,
}

/// A generation under construction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Building {
    /// Which one.
    pub generation: Generation,
    /// How far it has come.
    pub at: Position,
    /// What keeps it from going on; `None` when nothing does.
    pub failure: Option<FailureReport>,
}

/// A failure that a projection is about to try again, or that has stopped it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureReport {
    /// Which event could not be applied; `None` when it is the store or the view that fails.
    pub event: Option<EventPlace>,
    /// What went wrong last, with all its causes.
    pub error: String,
    /// How often it has failed in a row.
    pub attempts: u32,
    /// When it failed first.
    pub since: Timestamp,
    /// When it is tried again; `None` when it has stopped.
    pub next: Option<Timestamp>,
}

impl Status {
    /// By how many positions readers are behind the head, as last heard of. Positions without a matching event count
    /// until the store has reported that nothing is there.
    pub fn lag(&self) -> u64 {
        self.head.0.saturating_sub(self.at.0)
    }
}
