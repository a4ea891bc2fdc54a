//! The canaries: disks that lie and stores with a bug. A test that does not fail on them tests nothing.

mod store;

use std::{fmt, sync::Arc};

use mainspring_store::EventStore;
use mainspring_store_disk::Disk;

use crate::{Lie, LyingDisk};
use store::{Bug, BuggyStore};

/// Something that is wrong with a store, planted to be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flaw {
    name: &'static str,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The store behaves as if the disk had told the truth.
    Disk(Lie),
    /// The store itself does wrong.
    Store(Bug),
}

impl Flaw {
    /// All of them.
    #[rustfmt::skip] // A table reads as a table.
    pub const ALL: [Self; 23] = [
        Self::disk("never syncs a file", Lie::NeverSync),
        Self::disk("acknowledges before the sync has ended", Lie::LateSync),
        Self::disk("renames a file that is not synced", Lie::UnsyncedBeforeRename),
        Self::disk("never syncs the directory", Lie::NeverSyncEntries),
        Self::disk("loses renames", Lie::LostRename),
        Self::disk("swallows errors of writes", Lie::SwallowedWriteError),
        Self::disk("swallows errors of syncs", Lie::SwallowedSyncError),
        Self::disk("loses the last byte of long writes", Lie::ShortenedWrite),
        Self::disk("does not cut off what it said has failed", Lie::IgnoredCut),
        Self::disk("reads files as they once were", Lie::StaleRead),
        Self::disk("syncs before the last write is done", Lie::ReorderedWrites),
        Self::disk("removes files before the manifest has ceased to name them", Lie::EarlyRemoval),
        Self::disk("writes to the log what is not a whole block", Lie::HiddenAlignment),
        Self::store("acknowledges what has failed", Bug::AcknowledgesFailure),
        Self::store("calls failed what may be written", Bug::FailedForUnknown),
        Self::store("drops checks of streams", Bug::DropsStreamChecks),
        Self::store("drops conditions over queries", Bug::DropsConditions),
        Self::store("drops changes of streams", Bug::DropsChanges),
        Self::store("tears appends apart", Bug::TearsAppends),
        Self::store("writes repeated appends again", Bug::ForgetsIds),
        Self::store("shows followers one event too few", Bug::SkipsEvent),
        Self::store("delivers an event twice to those who read backwards", Bug::RepeatsEvent),
        Self::store("changes a byte of a payload where ids are asked for", Bug::ChangesPayload),
    ];

    const fn disk(name: &'static str, lie: Lie) -> Self {
        Self { name, kind: Kind::Disk(lie) }
    }

    const fn store(name: &'static str, bug: Bug) -> Self {
        Self { name, kind: Kind::Store(bug) }
    }

    /// Plants it between the store and its disk.
    pub(crate) fn in_disk(self, disk: Arc<dyn Disk>) -> Arc<dyn Disk> {
        match self.kind {
            Kind::Disk(lie) => Arc::new(LyingDisk::new(disk, lie)),
            Kind::Store(_) => disk,
        }
    }

    /// Plants it between the store and those who use it.
    pub(crate) fn in_store(self, store: Arc<dyn EventStore>) -> Arc<dyn EventStore> {
        match self.kind {
            Kind::Disk(_) => store,
            Kind::Store(bug) => Arc::new(BuggyStore::new(store, bug)),
        }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a store that {}", self.name)
    }
}
