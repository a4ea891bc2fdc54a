//! A disk that lies, to see whether a test notices.

use std::{
    any::Any,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use mainspring_store_disk::{Access, Disk, DiskFile, LockError};

/// Another disk, whose files answer every sync at once.
pub struct LyingDisk {
    disk: Arc<dyn Disk>,
    lie: Lie,
}

#[derive(Clone, Copy)]
enum Lie {
    Never,
    Late,
}

impl LyingDisk {
    /// Never syncs a file.
    pub fn never(disk: Arc<dyn Disk>) -> Self {
        Self { disk, lie: Lie::Never }
    }

    /// Syncs a file that was opened only once in time, later always just before it is written again: as a store would that
    /// acknowledges before its sync has ended.
    pub fn late(disk: Arc<dyn Disk>) -> Self {
        Self { disk, lie: Lie::Late }
    }

    fn file(&self, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(LyingFile {
            file,
            lie: self.lie,
            honest: AtomicBool::new(matches!(self.lie, Lie::Late)),
            owes: AtomicBool::new(false),
        })
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
        Ok(self.file(self.disk.create(name)?))
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.file(self.disk.open(name, access)?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)
    }

    fn sync_entries(&self) -> io::Result<()> {
        self.disk.sync_entries()
    }

    fn lock(&self) -> Result<Box<dyn Any + Send + Sync>, LockError> {
        self.disk.lock()
    }
}

struct LyingFile {
    file: Arc<dyn DiskFile>,
    lie: Lie,
    /// Whether the next sync is done in time.
    honest: AtomicBool,
    /// Whether a sync was answered that was not done.
    owes: AtomicBool,
}

impl LyingFile {
    fn pay(&self) -> io::Result<()> {
        if self.owes.swap(false, Ordering::Relaxed) { self.file.sync() } else { Ok(()) }
    }
}

impl DiskFile for LyingFile {
    fn size(&self) -> io::Result<u64> {
        self.file.size()
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(offset, into)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        self.pay()?;
        self.file.write_at(offset, bytes)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        if self.honest.swap(false, Ordering::Relaxed) {
            return self.file.sync();
        }
        self.owes.store(matches!(self.lie, Lie::Late), Ordering::Relaxed);
        Ok(())
    }

    fn map(&self, len: u64) -> io::Result<Bytes> {
        self.file.map(len)
    }
}
