//! What was done in histories, all in all: a campaign that injected nothing has tested nothing.

use std::{fmt, ops::AddAssign};

use crate::{Injected, Operation};

macro_rules! totals {
    ($($(#[$doc:meta])* $field:ident: $name:literal,)*) => {
        /// How often what was done.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Totals {
            $($(#[$doc])* pub $field: u64,)*
            /// What the disks did.
            pub injected: Injected,
        }

        impl Totals {
            /// Each count with its name, those of the disks apart.
            fn counts(&self) -> Vec<(u64, &'static str)> {
                vec![$((self.$field, $name),)*]
            }
        }

        impl AddAssign for Totals {
            fn add_assign(&mut self, other: Self) {
                $(self.$field += other.$field;)*
                self.injected += other.injected;
            }
        }
    };
}

totals! {
    /// Histories.
    seeds: "seeds",
    /// Of these, histories in which the log is written past the cache, in whole blocks.
    aligned: "seeds with a log in blocks",
    /// Steps of all histories.
    steps: "steps",
    /// Appends that were answered `Ok`.
    acknowledged: "appends acknowledged",
    /// Of these, appends that were there already.
    repeated: "appends repeated",
    /// Appends that were refused for what they say: conflicts, stale conditions, reused ids, tombstones.
    refused: "appends refused",
    /// Appends that were answered `Failed`.
    failed: "appends failed",
    /// Appends that were answered `Unknown`.
    unknown: "appends unknown",
    /// Of these, appends that were found written.
    unknown_written: "unknown appends found written",
    /// Of these, appends that were found not to be written.
    unknown_lost: "unknown appends found lost",
    /// Appends whose caller went away.
    abandoned: "appends abandoned",
    /// Events that the histories held in the end.
    events: "events",
    /// Segments that they held in the end.
    segments: "segments",
    /// Reads that agreed with the model.
    reads: "reads",
    /// Reads that failed as they may.
    failed_reads: "failed reads",
    /// Times that followers looked for more.
    follows: "looks of followers",
    /// Times that another process opened the store.
    read_only: "read-only opens",
    /// Times that the store was opened again.
    reopened: "reopenings",
    /// Attempts to open it that failed as they may.
    failed_opens: "failed openings",
    /// Derived files that were lost.
    lost_files: "derived files lost",
    /// Bits that changed and were told of as damage.
    rot_told: "flips told as damage",
    /// Bits that changed and cost nothing.
    rot_harmless: "flips without harm",
    /// Index files that a changed bit had spoilt and that were built again.
    rebuilt: "indexes rebuilt",
    /// Times that the directory was verified.
    verified: "verify runs",
    /// Times that a process looked again that has had the store open to read.
    beheld: "looks of a reading process that stays",
    /// Times that space was freed.
    scavenged: "scavenge passes",
    /// Times that freeing space failed as it may.
    failed_passes: "failed scavenge passes",
    /// Segments that were written again to free space.
    rewritten: "segments rewritten",
    /// Segments of which nothing was left.
    removed: "segments dropped",
    /// Events that were removed for good.
    removed_events: "events removed",
    /// Backups that were taken or brought up to date.
    backups: "backups",
    /// Runs of a backup that failed as they may.
    failed_backups: "failed backups",
    /// Backups that were restored.
    restored: "backups restored",
    /// Attempts to restore one that failed as they may.
    failed_restores: "failed restores",
}

impl Totals {
    /// What never happened; a campaign of some size must have none of it.
    pub fn missing(&self) -> Vec<String> {
        let own = self.counts().into_iter().map(|(count, name)| (count, name.to_owned()));
        let disks = self.injected.counts().into_iter().map(|(count, name)| (count, name.to_owned()));
        let errors = Operation::ALL.map(|kind| (self.injected.errors_of(kind), format!("I/O errors of {kind:?}")));
        own.chain(disks).chain(errors).filter(|(count, _)| *count == 0).map(|(_, name)| name).collect()
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (count, name) in self.counts().into_iter().chain(self.injected.counts()) {
            writeln!(f, "{count:>12} {name}")?;
        }
        for kind in Operation::ALL {
            writeln!(f, "{:>12} I/O errors of {kind:?}", self.injected.errors_of(kind))?;
        }
        Ok(())
    }
}
