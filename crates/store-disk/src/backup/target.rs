//! The directory that a copy is written to: whose it is, what it holds already, and when it is complete.

use mainspring_event::Position;
use mainspring_store::{Lineage, StoreId};

use super::error::BackupError;
use crate::{
    core::{Core, about},
    disk::{Disk, LOCK, LockError},
    error::OpenError,
    format::manifest::{BackupMark, MANIFEST, Manifest, NEXT},
    open::{Guard, load_any_manifest, remove_garbage},
};

/// What a directory holds before something is copied into it.
pub(super) enum Present {
    Nothing,
    /// A store, a backup, or the beginning of a copy.
    Copy(Manifest),
    /// Files of another kind.
    Foreign,
}

/// A directory that is locked and marked: until [`publish`](Self::publish) it is a backup as before, or an unfinished one.
pub(super) struct Target<'a> {
    pub(super) disk: &'a dyn Disk,
    /// What the directory says that it holds; an unfinished copy names no segment.
    pub(super) manifest: Manifest,
    _guard: Guard,
}

impl<'a> Target<'a> {
    /// Takes the directory, if `judge` finds that what is present may be replaced or completed; it answers what the
    /// manifest says until the copy is complete.
    pub(super) fn claim(
        disk: &'a dyn Disk,
        judge: impl Fn(Present) -> Result<Manifest, Refusal>,
    ) -> Result<Self, BackupError> {
        let judged = || judge(present(disk)?).map_err(|refusal| refusal.of(disk));
        // Once before the lock, whose file would be left in a directory that is none of ours.
        judged()?;
        let guard = match disk.lock() {
            Ok(guard) => guard,
            Err(LockError::Held { holder }) => {
                return Err(BackupError::Busy { directory: disk.describe(""), holder });
            }
            Err(LockError::Io(error)) => return Err(BackupError::Target(error)),
        };
        let manifest = judged()?;
        let target = Self { disk, manifest, _guard: guard };
        if target.manifest.segments.is_empty() {
            target.write(&target.manifest)?;
        }
        Ok(target)
    }

    /// How far the backup reached that is there already.
    pub(super) fn position(&self) -> Option<Position> {
        let mark = self.manifest.backup.as_ref().filter(|_| !self.manifest.segments.is_empty());
        mark.map(|mark| Position(mark.position))
    }

    /// Makes `manifest` what the directory holds, and removes what it does not name.
    pub(super) fn publish(&self, manifest: &Manifest) -> Result<(), BackupError> {
        self.disk.sync_entries().map_err(BackupError::Target)?;
        self.write(manifest)?;
        remove_garbage(self.disk, manifest, &[]).map_err(BackupError::Target)
    }

    fn write(&self, manifest: &Manifest) -> Result<(), BackupError> {
        manifest.store(self.disk).map_err(|error| BackupError::Target(about(self.disk, MANIFEST, &error)))
    }
}

/// Why a directory is not taken.
pub(super) enum Refusal {
    Occupied(&'static str),
    Other(&'static str),
}

impl Refusal {
    fn of(self, disk: &dyn Disk) -> BackupError {
        let directory = disk.describe("");
        match self {
            Self::Occupied(what) => BackupError::Occupied { directory, what },
            Self::Other(what) => BackupError::Other { directory, what },
        }
    }
}

fn present(disk: &dyn Disk) -> Result<Present, BackupError> {
    match load_any_manifest(disk) {
        Ok(manifest) => Ok(Present::Copy(manifest)),
        Err(OpenError::Missing { .. }) => {
            let names = disk.list().map_err(BackupError::Target)?;
            // A first run that was interrupted at once leaves no more than that.
            let ours = |name: &String| name == LOCK || name == NEXT;
            Ok(if names.iter().all(ours) { Present::Nothing } else { Present::Foreign })
        }
        Err(OpenError::ManifestMissing { .. } | OpenError::Damaged(_)) => Ok(Present::Foreign),
        Err(OpenError::Io(error)) => Err(BackupError::Target(error)),
        Err(error) => Err(error.into()),
    }
}

/// A backup of the same history is brought up to date, an unfinished one completed.
pub(super) fn for_backup(present: Present, core: &Core) -> Result<Manifest, Refusal> {
    let unfinished = || unfinished(core.store, core.lineage);
    match present {
        Present::Nothing => Ok(unfinished()),
        Present::Foreign => Err(Refusal::Occupied("files that make up neither a store nor a backup")),
        Present::Copy(manifest) if manifest.backup.is_none() => Err(Refusal::Occupied("an event store")),
        Present::Copy(manifest) if manifest.store != core.store => Err(Refusal::Other("another store")),
        Present::Copy(manifest) if manifest.lineage != core.lineage => {
            Err(Refusal::Other("another lineage of this store"))
        }
        Present::Copy(manifest) => Ok(manifest),
    }
}

/// The restoring of the same backup is completed; anything else stays as it is.
pub(super) fn for_restoring(present: Present, backup: &Manifest) -> Result<Manifest, Refusal> {
    let unfinished = || unfinished(backup.store, backup.lineage);
    match present {
        Present::Nothing => Ok(unfinished()),
        Present::Foreign => Err(Refusal::Occupied("files that make up neither a store nor a backup")),
        Present::Copy(manifest) if manifest.backup.is_none() => Err(Refusal::Occupied("an event store")),
        Present::Copy(manifest) if !manifest.segments.is_empty() => Err(Refusal::Occupied("a backup")),
        Present::Copy(manifest) if (manifest.store, manifest.lineage) == (backup.store, backup.lineage) => Ok(manifest),
        Present::Copy(_) => Err(Refusal::Occupied("the beginning of another copy")),
    }
}

fn unfinished(store: StoreId, lineage: Lineage) -> Manifest {
    Manifest { backup: Some(BackupMark { position: 0 }), ..Manifest::new(store, lineage) }
}
