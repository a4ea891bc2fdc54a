//! A disk that lies, to see whether a test notices.

use std::{
    any::Any,
    collections::HashMap,
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use mainspring_store_disk::{Access, Disk, DiskFile, LockError};

/// How a disk lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// Answers every sync of a file at once and does nothing.
    NeverSync,
    /// Syncs a file that was opened only once in time, later always just before it is written again: as a store would that
    /// acknowledges before its sync has ended.
    LateSync,
    /// Does not sync a file before it gets its name: files whose names end with `.new`.
    UnsyncedBeforeRename,
    /// Answers a sync of the directory and does nothing, so that creations, renames and removals can be lost.
    NeverSyncEntries,
    /// Answers a rename and does nothing.
    LostRename,
    /// Takes a write that failed for one that was done.
    SwallowedWriteError,
    /// Takes a sync that failed for one that was done.
    SwallowedSyncError,
    /// Writes all but the last byte of what is long and says that it wrote all.
    ShortenedWrite,
    /// Answers a cut and does nothing.
    IgnoredCut,
    /// Shows a file that is opened again to read as it was when it was first opened.
    StaleRead,
    /// Carries out each write only after the one that follows it, so that a sync comes between a write and its effect.
    ReorderedWrites,
}

/// Another disk, about which it does not tell the truth.
pub struct LyingDisk {
    disk: Arc<dyn Disk>,
    lie: Lie,
    /// What files were when they were first opened.
    first: Mutex<HashMap<String, Bytes>>,
}

impl LyingDisk {
    /// A disk that lies about `disk`.
    pub fn new(disk: Arc<dyn Disk>, lie: Lie) -> Self {
        Self { disk, lie, first: Mutex::default() }
    }

    fn file(&self, name: &str, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(LyingFile {
            file,
            lie: self.lie,
            provisional: name.ends_with(".new"),
            honest: AtomicBool::new(self.lie == Lie::LateSync),
            owes: AtomicBool::new(false),
            late: Mutex::default(),
        })
    }

    /// The file as it was when it was first opened.
    fn as_it_was(&self, name: &str, file: &dyn DiskFile) -> io::Result<Arc<dyn DiskFile>> {
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = match first.get(name) {
            Some(bytes) => bytes.clone(),
            None => file.map(file.size()?)?,
        };
        first.insert(name.to_owned(), bytes.clone());
        Ok(Arc::new(Memory(bytes)))
    }
}

impl Disk for LyingDisk {
    fn describe(&self, name: &str) -> String {
        self.disk.describe(name)
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.disk.list()
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.file(name, self.disk.create(name)?))
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.disk.open(name, access)?;
        if self.lie == Lie::StaleRead && access == Access::Read {
            return self.as_it_was(name, &*file);
        }
        Ok(self.file(name, file))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        if self.lie == Lie::LostRename { Ok(()) } else { self.disk.rename(from, to) }
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn sync_entries(&self) -> io::Result<()> {
        if self.lie == Lie::NeverSyncEntries { Ok(()) } else { self.disk.sync_entries() }
    }

    fn lock(&self) -> Result<Box<dyn Any + Send + Sync>, LockError> {
        self.disk.lock()
    }
}

struct LyingFile {
    file: Arc<dyn DiskFile>,
    lie: Lie,
    /// Whether it is yet to get its name.
    provisional: bool,
    /// Whether the next sync is done in time.
    honest: AtomicBool,
    /// Whether a sync was answered that was not done.
    owes: AtomicBool,
    /// A write that was answered and not done.
    late: Mutex<Option<(u64, Vec<u8>)>>,
}

impl LyingFile {
    fn pay(&self) -> io::Result<()> {
        if self.owes.swap(false, Ordering::Relaxed) { self.file.sync() } else { Ok(()) }
    }

    /// Does the write that is still to be done, in place of which this one may come.
    fn catch_up(&self, next: Option<(u64, Vec<u8>)>) -> io::Result<()> {
        let late = std::mem::replace(&mut *self.late.lock().unwrap_or_else(PoisonError::into_inner), next);
        late.map_or(Ok(()), |(offset, bytes)| self.file.write_at(offset, &bytes).map(drop))
    }
}

impl DiskFile for LyingFile {
    fn size(&self) -> io::Result<u64> {
        self.catch_up(None)?;
        self.file.size()
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.catch_up(None)?;
        self.file.read_at(offset, into)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        self.pay()?;
        match self.lie {
            Lie::SwallowedWriteError => Ok(self.file.write_at(offset, bytes).unwrap_or(bytes.len())),
            Lie::ShortenedWrite if bytes.len() > 256 => {
                self.file.write_at(offset, &bytes[..bytes.len() - 1]).map(|_| bytes.len())
            }
            Lie::ReorderedWrites => self.catch_up(Some((offset, bytes.to_owned()))).map(|()| bytes.len()),
            _ => self.file.write_at(offset, bytes),
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.catch_up(None)?;
        if self.lie == Lie::IgnoredCut && len < self.file.size()? { Ok(()) } else { self.file.set_len(len) }
    }

    fn sync(&self) -> io::Result<()> {
        match self.lie {
            Lie::NeverSync => Ok(()),
            Lie::LateSync if !self.honest.swap(false, Ordering::Relaxed) => {
                self.owes.store(true, Ordering::Relaxed);
                Ok(())
            }
            Lie::UnsyncedBeforeRename if self.provisional => Ok(()),
            Lie::SwallowedSyncError => {
                drop(self.file.sync());
                Ok(())
            }
            _ => self.file.sync(),
        }
    }

    fn map(&self, len: u64) -> io::Result<Bytes> {
        self.catch_up(None)?;
        self.file.map(len)
    }
}

/// A file that was read long ago.
struct Memory(Bytes);

impl DiskFile for Memory {
    fn size(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.0.get(offset..)).unwrap_or_default();
        let len = rest.len().min(into.len());
        into[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn write_at(&self, _: u64, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::PermissionDenied.into())
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::PermissionDenied.into())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn map(&self, len: u64) -> io::Result<Bytes> {
        let len = usize::try_from(len).map_err(io::Error::other)?;
        if len > self.0.len() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(self.0.slice(..len)) }
    }
}
