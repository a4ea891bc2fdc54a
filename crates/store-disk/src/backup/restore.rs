//! Making a store of a backup. What follows in it is another history, so it is another lineage.

use std::{io, path::Path, sync::Arc};

use mainspring_event::Position;
use mainspring_store::{Lineage, StoreId};

use super::{
    carry::{Carrier, Stop},
    error::BackupError,
    target::{self, Target},
};
use crate::{
    core::about,
    disk::{Disk, LockError, OsDisk},
    error::OpenError,
    format::{
        manifest::Manifest,
        watermark::{self, WATERMARK},
    },
    open::{Guard, load_manifest},
    verify::verify_on,
};

/// What a backup became.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Restored {
    /// The store that it was and is.
    pub store: StoreId,
    /// The lineage that it was a backup of.
    pub from: Lineage,
    /// The lineage that begins here.
    pub lineage: Lineage,
    /// Position of the last event.
    pub position: Position,
    /// Segments that the store shares with the backup: one file with two names.
    pub linked: usize,
    /// Segments of which something was copied.
    pub copied: usize,
    /// Segments that were there already, from a run that was interrupted.
    pub kept: usize,
    /// Bytes that were copied.
    pub bytes: u64,
}

/// Makes a store in the directory `to` of the backup in `from`, which stays as it is.
///
/// Positions, versions, recorded times and event ids are those of the backup, and so is the id of the store. The lineage
/// is new: a checkpoint that was taken in the old one is refused, because what follows it may be something else here.
/// The whole backup is verified before anything is copied.
///
/// A run that was interrupted leaves a directory that cannot be opened; the next run completes it.
///
/// # Errors
/// [`BackupError`]; it says what to do.
pub fn restore_backup(from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<Restored, BackupError> {
    let source = OsDisk::existing(&from).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => OpenError::Missing { directory: from.as_ref().display().to_string() }.into(),
        _ => BackupError::Source(error),
    })?;
    // Looked at before the other directory is made.
    backup_in(&source)?;
    let target = OsDisk::create(&to).map_err(|error| {
        let directory = to.as_ref().display();
        BackupError::Target(io::Error::new(error.kind(), format!("{directory}: {error}")))
    })?;
    restore_backup_on(Arc::new(source), Arc::new(target))
}

/// As [`restore_backup`], on any disks.
///
/// # Errors
/// As [`restore_backup`].
pub fn restore_backup_on(from: Arc<dyn Disk>, to: Arc<dyn Disk>) -> Result<Restored, BackupError> {
    let _guard = take(&*from)?;
    let backup = backup_in(&*from)?;
    let target = Target::claim(&*to, |present| target::for_restoring(present, &backup))?;
    let found = verify_on(from.clone())?;
    // What is derived is built again from the log.
    if let Some(damage) = found.damages().find(|damage| !damage.kind.is_harmless()) {
        return Err(BackupError::BadBackup(damage.clone()));
    }
    let mut carrier = Carrier::new(&*from, &target);
    carrier.carry(&backup).map_err(|stop| match stop {
        Stop::Vanished(file) => BackupError::missing(from.describe(&file)),
        Stop::Failed(error) => error,
    })?;
    let position = backup.backup.as_ref().map_or(0, |mark| mark.position);
    let mut manifest = Manifest { lineage: Lineage::new(), backup: None, ..backup.clone() };
    let last = manifest.segments.last_mut().expect("a backup that is complete names a segment");
    let end = last.base + last.sealed.take().unwrap_or_default();
    let mark = to.create(WATERMARK).and_then(|file| file.write_all_at(0, &watermark::encode(end)));
    mark.map_err(|error| BackupError::Target(about(&*to, WATERMARK, &error)))?;
    target.publish(&manifest)?;
    let report = carrier.report;
    Ok(Restored {
        store: manifest.store,
        from: backup.lineage,
        lineage: manifest.lineage,
        position: Position(position),
        linked: report.linked,
        copied: report.copied,
        kept: report.kept,
        bytes: report.bytes,
    })
}

/// The manifest of a backup that is complete.
fn backup_in(disk: &dyn Disk) -> Result<Manifest, BackupError> {
    let manifest = load_manifest(disk)?;
    if manifest.backup.is_none() {
        return Err(BackupError::NotABackup { directory: disk.describe("") });
    }
    Ok(manifest)
}

/// Keeps others from bringing the backup up to date meanwhile. What cannot be locked, a read-only medium say, cannot be
/// written by others either.
fn take(disk: &dyn Disk) -> Result<Option<Guard>, BackupError> {
    match disk.lock() {
        Ok(guard) => Ok(Some(guard)),
        Err(LockError::Held { holder }) => Err(BackupError::Busy { directory: disk.describe(""), holder }),
        Err(LockError::Io(error)) => {
            tracing::debug!(%error, "the backup cannot be locked");
            Ok(None)
        }
    }
}
