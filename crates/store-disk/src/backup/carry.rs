//! Bringing the files of a log into another directory, so that an interruption anywhere leaves nothing that is taken for whole.
//!
//! A file gets its name only when all of it is synced. The one exception is the last file that the manifest of a backup
//! names: it grows in place, behind the length which that manifest gives it.

use std::{collections::HashSet, io, ops::Range, sync::Arc};

use super::{BackupReport, error::BackupError, target::Target};
use crate::{
    core::about,
    disk::{Access, Disk, DiskFile},
    format::{
        manifest::{Manifest, SegmentEntry},
        segment::SEGMENT_HEAD,
    },
};

/// So much is read and written at once.
const PIECE: usize = 1 << 20;

/// So much at the end of a full segment is compared with what the target has.
const END: u64 = 4096;

/// Why not everything was brought.
pub(super) enum Stop {
    /// This file of the source is not there any more.
    Vanished(String),
    Failed(BackupError),
}

impl From<BackupError> for Stop {
    fn from(error: BackupError) -> Self {
        Self::Failed(error)
    }
}

/// Brings files from a directory into another.
pub(super) struct Carrier<'a> {
    source: &'a dyn Disk,
    target: &'a Target<'a>,
    pub(super) report: BackupReport,
    /// Segments that were counted: the files behind a name do not change, so a second attempt need not look again.
    done: HashSet<String>,
}

/// What the target has of a file.
enum Have {
    Nothing,
    /// So many bytes of it, of a file that nobody else has.
    Part(u64),
    Whole,
}

impl<'a> Carrier<'a> {
    pub(super) fn new(source: &'a dyn Disk, target: &'a Target<'a>) -> Self {
        Self { source, target, report: BackupReport::default(), done: HashSet::new() }
    }

    /// Brings everything that `manifest` names, each file as far as it says.
    pub(super) fn carry(&mut self, manifest: &Manifest) -> Result<(), Stop> {
        let (last, sealed) = manifest.segments.split_last().expect("a manifest that was loaded names a segment");
        for entry in sealed.iter().filter(|entry| entry.has_file()) {
            if !self.done.contains(&entry.log_name()) {
                self.segment(entry)?;
                self.done.insert(entry.log_name());
            }
            self.index(&entry.index_name())?;
        }
        self.last(last)
    }

    /// Brings a segment that will never be written again.
    fn segment(&mut self, entry: &SegmentEntry) -> Result<(), Stop> {
        let (name, length) = (entry.log_name(), entry.sealed.unwrap_or_default());
        let count = match self.have(&name, length)? {
            Have::Whole => {
                // Two histories that parted differ at the end of the segment and in the head of every later one.
                self.compare(&name, 0, SEGMENT_HEAD)?;
                self.compare(&name, length.saturating_sub(END), length)?;
                &mut self.report.kept
            }
            Have::Part(known) => {
                self.compare(&name, 0, known.min(length))?;
                if self.link(&name) {
                    &mut self.report.linked
                } else {
                    self.extend(&name, known, length)?;
                    &mut self.report.copied
                }
            }
            Have::Nothing if self.link(&name) => &mut self.report.linked,
            Have::Nothing => {
                self.copy(&name, length)?;
                &mut self.report.copied
            }
        };
        *count += 1;
        Ok(())
    }

    /// Brings the segment that is still written. It is never shared with the source.
    fn last(&mut self, entry: &SegmentEntry) -> Result<(), Stop> {
        let (name, length) = (entry.log_name(), entry.sealed.unwrap_or_default());
        let before = self.report.bytes;
        match self.have(&name, length)? {
            Have::Part(known) => {
                self.compare(&name, 0, known.min(length))?;
                self.extend(&name, known, length)?;
            }
            _ => self.copy(&name, length)?,
        }
        if self.report.bytes == before {
            self.report.kept += 1;
        } else {
            self.report.copied += 1;
        }
        Ok(())
    }

    /// Brings an index, which can be built again, if it is there.
    fn index(&mut self, name: &str) -> Result<(), Stop> {
        let length = match self.source.open(name, Access::Read).and_then(|file| file.size()) {
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(self.source_error(name, &error).into()),
        };
        if self.size(name)? == Some(length) || self.link(name) {
            return Ok(());
        }
        match self.copy(name, length) {
            Err(Stop::Vanished(_)) => Ok(()),
            copied => copied,
        }
    }

    fn have(&self, name: &str, length: u64) -> Result<Have, BackupError> {
        let Some(size) = self.size(name)? else { return Ok(Have::Nothing) };
        let grows = self.target.manifest.segments.last().filter(|last| last.log_name() == name);
        Ok(match grows {
            Some(last) => Have::Part(last.sealed.unwrap_or_default().min(size)),
            None if size >= length => Have::Whole,
            None => Have::Nothing,
        })
    }

    /// The length of a file of the target.
    fn size(&self, name: &str) -> Result<Option<u64>, BackupError> {
        match self.target.disk.open(name, Access::Read).and_then(|file| file.size()) {
            Ok(size) => Ok(Some(size)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.target_error(name, &error)),
        }
    }

    /// Gives a file of the source a name in the target, in place of what has that name. Where that fails it is copied.
    fn link(&self, name: &str) -> bool {
        let Some(original) = self.source.place_of(name) else { return false };
        let next = next(name);
        if self.target.disk.remove(&next).is_err_and(|error| error.kind() != io::ErrorKind::NotFound) {
            return false;
        }
        let linked = self.target.disk.link(&original, &next).and_then(|()| self.target.disk.rename(&next, name));
        if let Err(error) = &linked {
            tracing::debug!(%error, name, "a file cannot have a second name there and is copied");
        }
        linked.is_ok()
    }

    /// Copies a file under another name, which becomes its own when all of it is synced.
    fn copy(&mut self, name: &str, length: u64) -> Result<(), Stop> {
        let from = self.open(name)?;
        let next = next(name);
        let into = self.target.disk.create(&next).map_err(|error| self.target_error(&next, &error))?;
        self.pieces(name, &from, &into, 0, length)?;
        let finished = into.sync().and_then(|()| self.target.disk.rename(&next, name));
        Ok(finished.map_err(|error| self.target_error(name, &error))?)
    }

    /// Completes a file of which the first `known` bytes are a durable copy.
    ///
    /// Where more is there, an interrupted run has left it, and the file is copied anew. It may be a link, which is never
    /// written; or a sync has failed, and then what can be read need not be on the disk, nor would another sync write it.
    fn extend(&mut self, name: &str, known: u64, length: u64) -> Result<(), Stop> {
        if self.size(name)? != Some(known) {
            return self.copy(name, length);
        }
        let from = self.open(name)?;
        let into = self.open_target(name, Access::Write)?;
        self.pieces(name, &from, &into, known, length)?;
        Ok(into.sync().map_err(|error| self.target_error(name, &error))?)
    }

    /// Sees to it that a part of a file is that of the source.
    fn compare(&self, name: &str, start: u64, end: u64) -> Result<(), Stop> {
        let from = self.open(name)?;
        let into = self.open_target(name, Access::Read)?;
        if self.same(name, (&from, &into), start..end)? < end {
            return Err(self.another_history().into());
        }
        Ok(())
    }

    /// Up to where a range is the same in both files.
    fn same(
        &self,
        name: &str,
        (one, other): (&Arc<dyn DiskFile>, &Arc<dyn DiskFile>),
        range: Range<u64>,
    ) -> Result<u64, BackupError> {
        let mut at = range.start;
        while at < range.end {
            let piece = piece(range.end - at);
            let one = one.read_exact_at(at, piece).map_err(|error| self.source_error(name, &error))?;
            let other = other.read_exact_at(at, piece).map_err(|error| self.target_error(name, &error))?;
            if let Some(differs) = one.iter().zip(&other).position(|(one, other)| one != other) {
                return Ok(at + differs as u64);
            }
            at += piece as u64;
        }
        Ok(range.end)
    }

    fn pieces(
        &mut self,
        name: &str,
        from: &Arc<dyn DiskFile>,
        into: &Arc<dyn DiskFile>,
        mut at: u64,
        length: u64,
    ) -> Result<(), BackupError> {
        while at < length {
            let bytes = from.read_exact_at(at, piece(length - at)).map_err(|error| self.source_error(name, &error))?;
            into.write_all_at(at, &bytes).map_err(|error| self.target_error(name, &error))?;
            at += bytes.len() as u64;
            self.report.bytes += bytes.len() as u64;
        }
        Ok(())
    }

    fn open(&self, name: &str) -> Result<Arc<dyn DiskFile>, Stop> {
        self.source.open(name, Access::Read).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Stop::Vanished(name.to_owned()),
            _ => self.source_error(name, &error).into(),
        })
    }

    fn open_target(&self, name: &str, access: Access) -> Result<Arc<dyn DiskFile>, BackupError> {
        self.target.disk.open(name, access).map_err(|error| self.target_error(name, &error))
    }

    fn another_history(&self) -> BackupError {
        BackupError::Other { directory: self.target.disk.describe(""), what: "another history of this store" }
    }

    fn source_error(&self, name: &str, error: &io::Error) -> BackupError {
        BackupError::Source(about(self.source, name, error))
    }

    fn target_error(&self, name: &str, error: &io::Error) -> BackupError {
        BackupError::Target(about(self.target.disk, name, error))
    }
}

/// The name of a file until all of it is there.
fn next(name: &str) -> String {
    format!("{name}.new")
}

fn piece(left: u64) -> usize {
    usize::try_from(left).unwrap_or(PIECE).min(PIECE)
}
