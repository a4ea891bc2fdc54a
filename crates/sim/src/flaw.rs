//! The canaries: disks that lie and stores with a bug. A test that does not fail on them tests nothing.

mod backup;
mod store;

use std::{fmt, sync::Arc};

use mainspring_store::EventStore;
use mainspring_store_disk::{BackupError, BackupReport, Disk, DiskStore, Options};

use crate::{Lie, LyingDisk, SimDisk};
use backup::Neglect;
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
    /// It does wrong once events were removed for good.
    Scavenge(Bug),
    /// Its backups do not hold what they must.
    Backup(Neglect),
    /// Backups are written as if their disk had told the truth.
    Vault(Lie),
    /// They are restored so.
    Restore(Lie),
}

impl Flaw {
    /// All of them.
    #[rustfmt::skip] // A table reads as a table.
    pub const ALL: [Self; 30] = [
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
        Self { name: "forgets where a stream stands of which it has removed everything", kind: Kind::Scavenge(Bug::ForgetsHeads) },
        Self { name: "removes an event too many", kind: Kind::Scavenge(Bug::RemovesTooMany) },
        Self { name: "leaves the last commit out of backups", kind: Kind::Backup(Neglect::LastCommit) },
        Self { name: "copies into backups what is not durable", kind: Kind::Backup(Neglect::Unsynced) },
        Self { name: "never syncs the files of a backup", kind: Kind::Vault(Lie::NeverSync) },
        Self { name: "never syncs the directory of a backup", kind: Kind::Vault(Lie::NeverSyncEntries) },
        Self { name: "never syncs what it restores", kind: Kind::Restore(Lie::NeverSync) },
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
            _ => disk,
        }
    }

    /// Plants it between a backup and its disk.
    pub(crate) fn in_vault(self, disk: Arc<dyn Disk>) -> Arc<dyn Disk> {
        match self.kind {
            Kind::Vault(lie) => Arc::new(LyingDisk::new(disk, lie)),
            _ => disk,
        }
    }

    /// Plants it between a store that is restored and its disk.
    pub(crate) fn in_target(self, disk: Arc<dyn Disk>) -> Arc<dyn Disk> {
        match self.kind {
            Kind::Restore(lie) => Arc::new(LyingDisk::new(disk, lie)),
            _ => disk,
        }
    }

    /// Plants it between the store and those who use it; `freed` where events were removed from the disk.
    pub(crate) fn in_store(self, store: Arc<dyn EventStore>, freed: bool) -> Arc<dyn EventStore> {
        match self.kind {
            Kind::Store(bug) => Arc::new(BuggyStore::new(store, bug)),
            Kind::Scavenge(bug) if freed => Arc::new(BuggyStore::new(store, bug)),
            _ => store,
        }
    }

    /// Takes a backup of a store, which lies on a disk and is opened so.
    pub(crate) async fn back_up(
        self,
        store: &DiskStore,
        target: Arc<dyn Disk>,
        place: (&SimDisk, Options),
    ) -> Result<BackupReport, BackupError> {
        match self.kind {
            Kind::Backup(neglect) => neglect.back_up(store, target, place).await,
            _ => store.backup_on(target),
        }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a store that {}", self.name)
    }
}
