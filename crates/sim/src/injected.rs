//! What was done to a store: a run that injected nothing has tested nothing.

use std::{fmt, ops::AddAssign};

use crate::Operation;

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
    /// Bits that were changed behind the back of every program.
    pub bit_flips: u64,
    /// Operations that were made to take their time.
    pub slow_operations: u64,
    /// I/O errors, those of syncs too, by operation.
    pub(crate) errors: [u64; Operation::KINDS],
}

impl Injected {
    /// How often an operation of this kind failed with an I/O error.
    pub fn errors_of(&self, operation: Operation) -> u64 {
        self.errors[operation as usize]
    }

    /// How often something failed that a program was told of: an error or a lack of room.
    pub fn failures(&self) -> u64 {
        self.full_disks + self.io_errors + self.failed_syncs
    }

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
            bit_flips: self.bit_flips - earlier.bit_flips,
            slow_operations: self.slow_operations - earlier.slow_operations,
            errors: std::array::from_fn(|kind| self.errors[kind] - earlier.errors[kind]),
        }
    }

    pub(crate) fn counts(&self) -> [(u64, &'static str); 10] {
        [
            (self.crashes, "crashes"),
            (self.torn_writes, "torn writes"),
            (self.dropped_writes, "dropped writes"),
            (self.dropped_entries, "dropped entries"),
            (self.full_disks, "full disks"),
            (self.io_errors, "I/O errors"),
            (self.failed_syncs, "failed syncs"),
            (self.short_writes, "short writes"),
            (self.bit_flips, "bit flips"),
            (self.slow_operations, "slow operations"),
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
        self.bit_flips += other.bit_flips;
        self.slow_operations += other.slow_operations;
        self.errors.iter_mut().zip(other.errors).for_each(|(count, more)| *count += more);
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
