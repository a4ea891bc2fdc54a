//! What was done to a store: a run that injected nothing has tested nothing.

use std::{fmt, ops::AddAssign};

/// How often what went wrong. A disk counts on through its crashes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Injected {
    /// Losses of power.
    pub crashes: u64,
    /// Unsynced writes of which a crash kept a part.
    pub torn_writes: u64,
    /// Unsynced writes and changes of length of which a crash kept nothing.
    pub dropped_writes: u64,
    /// Unsynced creations, renames and removals that a crash undid.
    pub dropped_entries: u64,
    /// Operations for which there was no room.
    pub full_disks: u64,
    /// Operations other than syncs that failed.
    pub io_errors: u64,
    /// Syncs that failed.
    pub failed_syncs: u64,
    /// Writes that took only a part and said so.
    pub short_writes: u64,
}

impl Injected {
    /// All of them together.
    pub fn total(&self) -> u64 {
        self.counts().iter().map(|(count, _)| count).sum()
    }

    /// What was done since the count was `earlier`.
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            crashes: self.crashes - earlier.crashes,
            torn_writes: self.torn_writes - earlier.torn_writes,
            dropped_writes: self.dropped_writes - earlier.dropped_writes,
            dropped_entries: self.dropped_entries - earlier.dropped_entries,
            full_disks: self.full_disks - earlier.full_disks,
            io_errors: self.io_errors - earlier.io_errors,
            failed_syncs: self.failed_syncs - earlier.failed_syncs,
            short_writes: self.short_writes - earlier.short_writes,
        }
    }

    fn counts(&self) -> [(u64, &'static str); 8] {
        [
            (self.crashes, "crashes"),
            (self.torn_writes, "torn writes"),
            (self.dropped_writes, "dropped writes"),
            (self.dropped_entries, "dropped entries"),
            (self.full_disks, "full disks"),
            (self.io_errors, "I/O errors"),
            (self.failed_syncs, "failed syncs"),
            (self.short_writes, "short writes"),
        ]
    }
}

impl AddAssign for Injected {
    fn add_assign(&mut self, other: Self) {
        self.crashes += other.crashes;
        self.torn_writes += other.torn_writes;
        self.dropped_writes += other.dropped_writes;
        self.dropped_entries += other.dropped_entries;
        self.full_disks += other.full_disks;
        self.io_errors += other.io_errors;
        self.failed_syncs += other.failed_syncs;
        self.short_writes += other.short_writes;
    }
}

impl fmt::Display for Injected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (count, what)) in self.counts().into_iter().enumerate() {
            write!(f, "{}{count} {what}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}
