//! Backups: a copy of a store that is taken while the store works on, brought up to date later, and restored as a new lineage.
//!
//! A backup directory gets its manifest twice. The first names no segment and says that a copy was begun; the last names
//! everything and says how far. Between the two nobody takes the directory for a store, and a second run finds its way.

mod carry;
mod error;
mod restore;
mod target;

use std::{io, path::Path, sync::Arc};

use mainspring_event::Position;

use crate::{
    core::{Core, about},
    damage::Damage,
    disk::{Access, Disk, OsDisk},
    error::OpenError,
    format::{
        manifest::{BackupMark, Manifest},
        segment::{SEGMENT_HEAD, SegmentHead},
    },
    index::partition_point,
    open::load_manifest,
    segment::{Segment, SegmentError},
    store::DiskStore,
};
use carry::{Carrier, Stop};
use target::Target;

pub use error::BackupError;
pub use restore::{Restored, restore_backup, restore_backup_on};

/// What a run of a backup did. A segment counts once, under what was done for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupReport {
    /// Position of the last event in the backup. It holds every event up to here and none above.
    pub position: Position,
    /// Segments that the backup shares with the store: one file with two names.
    pub linked: usize,
    /// Segments of which something was copied.
    pub copied: usize,
    /// Segments that were there already.
    pub kept: usize,
    /// Bytes that were copied.
    pub bytes: u64,
}

impl DiskStore {
    /// Makes `directory` a backup of this store, or brings the backup that it holds up to date. Appends and reads go on.
    ///
    /// Full segments get a second name where the file system can do that and are copied otherwise; of the last one,
    /// which is still written, everything durable is copied. A later run copies what has been added since. A run that
    /// was interrupted leaves the backup as it was before, or one that cannot be opened; the next run completes it.
    ///
    /// It works on files and blocks: call it where blocking is welcome. A store that was opened read-only can be backed
    /// up too, while another process writes.
    ///
    /// # Errors
    /// [`BackupError`]; it says what to do. The store is as it was.
    pub fn backup(&self, directory: impl AsRef<Path>) -> Result<BackupReport, BackupError> {
        let target = OsDisk::create(&directory).map_err(|error| {
            let directory = directory.as_ref().display();
            BackupError::Target(io::Error::new(error.kind(), format!("{directory}: {error}")))
        })?;
        self.backup_on(Arc::new(target))
    }

    /// As [`backup`](Self::backup), on any disk.
    ///
    /// # Errors
    /// As [`backup`](Self::backup).
    pub fn backup_on(&self, target: Arc<dyn Disk>) -> Result<BackupReport, BackupError> {
        let target = Target::claim(&*target, |present| target::for_backup(present, &self.core))?;
        let mut carrier = Carrier::new(&*self.core.disk, &target);
        let mut vanished: Option<String> = None;
        loop {
            let (copy, position) = self.copied_manifest()?;
            if let Some(held) = target.position().filter(|held| *held > position) {
                let directory = target.disk.describe("");
                return Err(BackupError::Ahead { directory, backup: held, store: position });
            }
            // A file vanishes when others take its place. Then the manifest names those.
            if let Some(file) = vanished.filter(|file| copy.segments.iter().any(|entry| entry.log_name() == *file)) {
                return Err(BackupError::missing(self.core.disk.describe(&file)));
            }
            match carrier.carry(&copy) {
                Ok(()) => {
                    target.publish(&copy)?;
                    return Ok(BackupReport { position, ..carrier.report });
                }
                Err(Stop::Vanished(file)) => vanished = Some(file),
                Err(Stop::Failed(error)) => return Err(error),
            }
        }
    }

    /// What the manifest of a copy says that is taken now, and how far the copy goes: every segment has a length, and all
    /// of it is durable.
    fn copied_manifest(&self) -> Result<(Manifest, Position), BackupError> {
        self.refresh().map_err(unreadable)?;
        let core = &*self.core;
        // Before the manifest: what the view holds is in the manifest by then, or replaced.
        let view = core.view();
        let mut manifest = load_manifest(&*core.disk)?;
        let active = manifest.segments.last_mut().expect("a manifest that was loaded names a segment");
        let known = view.last().filter(|segment| segment.number == active.number);
        let (end, position) = match known {
            Some(segment) => {
                let end = segment.end();
                let last = last_position(segment, end).map_err(SegmentError::from).map_err(unreadable)?;
                (end, last.unwrap_or(segment.first_position - 1))
            }
            // The log has just gone on in another segment. What is in that one was appended meanwhile.
            None => (SEGMENT_HEAD, first_position(core, &active.log_name())? - 1),
        };
        active.sealed = Some(end);
        manifest.backup = Some(BackupMark { position });
        Ok((manifest, Position(position)))
    }
}

/// The position of the last event of a segment that lies before `end`. The index knows what is not durable, too.
fn last_position(segment: &Segment, end: u64) -> Result<Option<u64>, Damage> {
    segment.with_index(|index| {
        let before = |ordinal: usize| u32::try_from(ordinal).is_ok_and(|at| u64::from(index.offset(at)) < end);
        let last = partition_point(index.events() as usize, before).checked_sub(1);
        last.and_then(|last| u32::try_from(last).ok()).map(|last| index.position(last))
    })
}

/// The position of the first event that a segment can hold.
fn first_position(core: &Core, log: &str) -> Result<u64, BackupError> {
    let head = core.disk.open(log, Access::Read).and_then(|file| file.read_exact_at(0, SEGMENT_HEAD as usize));
    let head = head.map_err(|error| BackupError::Source(about(&*core.disk, log, &error)))?;
    let head = SegmentHead::decode(&head).map_err(|_| {
        let what = "the head of the segment cannot be read".to_owned();
        OpenError::Damaged(Damage { file: core.disk.describe(log), offset: 0, what })
    })?;
    Ok(head.first_position)
}

fn unreadable(error: SegmentError) -> BackupError {
    match error {
        SegmentError::Damaged(damage) => OpenError::Damaged(damage).into(),
        SegmentError::Io(error) => BackupError::Source(error),
    }
}
