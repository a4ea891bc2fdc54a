//! Snapshots: a shortcut to the state at a version, never the truth. Whatever is wrong with one, the events decide.

mod register;

use std::time::Duration;

use jiff::Timestamp;
use mainspring_event::Version;
use serde::{Serialize, de::DeserializeOwned};

use crate::Decider;

pub(crate) use register::{Basis, Snapshotter};

/// A decider whose state can be kept. Opt-in: only such a decider needs serde.
///
/// The newest snapshot of the stream `order-17` is the only event of the internal stream `$snapshot-order-17`. It is
/// written after the command, never in its commit; a failure to write it is reported as a `tracing` warning and does
/// not fail the command. One that cannot be decoded, was made by another decider or version, or lies beyond the stream's
/// head is reported likewise and ignored, and the events are replayed.
pub trait Snapshot: Decider + Serialize + DeserializeOwned {
    /// Tells apart deciders that share a category, so that none takes the snapshot of another for its own. As a stream has
    /// one snapshot, such deciders keep replacing each other's.
    const NAME: &'static str = Self::CATEGORY;
    /// The shape and meaning of the state, counted from 1. Raise it whenever `evolve` or a field changes: older
    /// snapshots are then ignored.
    const VERSION: u32;
}

/// When a snapshot is written after a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Snapshots {
    /// When at least so many events are not covered by the last one.
    Every(u64),
    /// When the store took the oldest event that the last one does not cover longer ago than this.
    OlderThan(Duration),
    /// When loading the state for this command took longer than this.
    SlowerThan(Duration),
}

impl Snapshots {
    /// Whether a snapshot at `version` is due, where the state was loaded as `basis` says.
    fn due(self, basis: &Basis, version: Version) -> bool {
        let uncovered = version.0.saturating_sub(basis.covered.0);
        uncovered > 0
            && match self {
                Self::Every(count) => uncovered >= count,
                Self::OlderThan(age) => basis.oldest.is_some_and(|recorded| {
                    let passed = Timestamp::now().duration_since(recorded);
                    Duration::try_from(passed).is_ok_and(|passed| passed > age)
                }),
                Self::SlowerThan(limit) => basis.took > limit,
            }
    }
}
