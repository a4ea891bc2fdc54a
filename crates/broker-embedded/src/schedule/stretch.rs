//! A stretch of time, and what is known of the messages that are due in it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::ranges::Ranges;

/// How long a stretch is, in seconds. A year has 53,000 of them.
const STRETCH: i64 = 600;

/// The messages that are due within a stretch of time.
pub(super) struct Stretch {
    /// The version of its stream, with everything that is on its way and without.
    pub(super) version: u64,
    pub(super) stored: u64,
    /// The versions of the messages that have left.
    pub(super) left: Ranges,
    /// The messages that are leaving now, with their times: until they have, they wait.
    pub(super) leaving: BTreeMap<u64, Timestamp>,
    /// When each of the others is due, unless the time for that has not come.
    pub(super) index: Option<BTreeSet<(Timestamp, u64)>>,
    /// What arrives while somebody reads the stream to make the index.
    pub(super) meanwhile: Option<Vec<(Timestamp, u64)>>,
}

impl Stretch {
    pub(super) fn new(version: u64) -> Self {
        Self {
            version,
            stored: version,
            left: Ranges::default(),
            leaving: BTreeMap::new(),
            index: Some(BTreeSet::new()),
            meanwhile: None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.left.count() == self.stored
    }

    pub(super) fn next_event(&self, number: i64) -> Option<Timestamp> {
        match &self.index {
            Some(index) => index.first().map(|(due, _)| *due),
            None if self.meanwhile.is_some() || self.is_empty() => None,
            None => Timestamp::from_second((number - 1) * STRETCH).ok(),
        }
    }
}

/// The stretch in which this moment lies.
pub(super) fn stretch_of(due: Timestamp) -> i64 {
    due.as_second().div_euclid(STRETCH)
}
