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
        Self::new("never syncs a file", Kind::Disk(Lie::NeverSync)),
        Self::new("acknowledges before the sync has ended", Kind::Disk(Lie::LateSync)),
        Self::new("renames a file that is not synced", Kind::Disk(Lie::UnsyncedBeforeRename)),
        Self::new("never syncs the directory", Kind::Disk(Lie::NeverSyncEntries)),
        Self::new("loses renames", Kind::Disk(Lie::LostRename)),
        Self::new("swallows errors of writes", Kind::Disk(Lie::SwallowedWriteError)),
        Self::new("swallows errors of syncs", Kind::Disk(Lie::SwallowedSyncError)),
        Self::new("loses the last byte of long writes", Kind::Disk(Lie::ShortenedWrite)),
        Self::new("does not cut off what it said has failed", Kind::Disk(Lie::IgnoredCut)),
        Self::new("reads files as they once were", Kind::Disk(Lie::StaleRead)),
        Self::new("syncs before the last write is done", Kind::Disk(Lie::ReorderedWrites)),
        Self::new("removes files before the manifest has ceased to name them", Kind::Disk(Lie::EarlyRemoval)),
        Self::new("writes to the log what is not a whole block", Kind::Disk(Lie::HiddenAlignment)),
        Self::new("acknowledges what has failed", Kind::Store(Bug::AcknowledgesFailure)),
        Self::new("calls failed what may be written", Kind::Store(Bug::FailedForUnknown)),
        Self::new("drops checks of streams", Kind::Store(Bug::DropsStreamChecks)),
        Self::new("drops conditions over queries", Kind::Store(Bug::DropsConditions)),
        Self::new("drops changes of streams", Kind::Store(Bug::DropsChanges)),
        Self::new("tears appends apart", Kind::Store(Bug::TearsAppends)),
        Self::new("writes repeated appends again", Kind::Store(Bug::ForgetsIds)),
        Self::new("shows followers one event too few", Kind::Store(Bug::SkipsEvent)),
        Self::new("delivers an event twice to those who read backwards", Kind::Store(Bug::RepeatsEvent)),
        Self::new("changes a byte of a payload where ids are asked for", Kind::Store(Bug::ChangesPayload)),
        Self::new("forgets where a stream stands of which it has removed everything", Kind::Scavenge(Bug::ForgetsHeads)),
        Self::new("removes an event too many", Kind::Scavenge(Bug::RemovesTooMany)),
        Self::new("leaves the last commit out of backups", Kind::Backup(Neglect::LastCommit)),
        Self::new("copies into backups what is not durable", Kind::Backup(Neglect::Unsynced)),
        Self::new("never syncs the files of a backup", Kind::Vault(Lie::NeverSync)),
        Self::new("never syncs the directory of a backup", Kind::Vault(Lie::NeverSyncEntries)),
        Self::new("never syncs what it restores", Kind::Restore(Lie::NeverSync)),
    ];

    const fn new(name: &'static str, kind: Kind) -> Self {
        Self { name, kind }
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
