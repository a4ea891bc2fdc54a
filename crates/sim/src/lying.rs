//! A disk that lies, to see whether a test notices.

mod file;
mod turn;

use std::{
    any::Any,
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use mainspring_store_disk::{Access, Disk, DiskFile, LockError};

use file::{LyingFile, Memory};
use turn::Turn;

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
    /// Removes files durably before the manifest whose turn it is takes the place of the old one, which names them.
    EarlyRemoval,
    /// Does not say that a log must be written in whole blocks.
    HiddenAlignment,
}

/// Another disk, about which it does not tell the truth.
pub struct LyingDisk {
    disk: Arc<dyn Disk>,
    lie: Lie,
    /// What files were when they were first opened.
    first: Mutex<HashMap<String, Bytes>>,
    turn: Arc<Turn>,
}

impl LyingDisk {
    /// A disk that lies about `disk`.
    pub fn new(disk: Arc<dyn Disk>, lie: Lie) -> Self {
        let turn = Arc::new(Turn::of(disk.clone()));
        Self { disk, lie, first: Mutex::default(), turn }
    }

    fn file(&self, name: &str, file: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        Arc::new(LyingFile::new(name, file, self.lie, self.turn.clone()))
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
        self.turn.come()?;
        self.disk.list()
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.turn.come()?;
        Ok(self.file(name, self.disk.create(name)?))
    }

    fn create_log(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.turn.come()?;
        Ok(self.file(name, self.disk.create_log(name)?))
    }

    fn open_log(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.turn.come()?;
        Ok(self.file(name, self.disk.open_log(name)?))
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        self.turn.come_for(name)?;
        let file = self.disk.open(name, access)?;
        if self.lie == Lie::StaleRead && access == Access::Read {
            return self.as_it_was(name, &*file);
        }
        Ok(self.file(name, file))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.turn.come()?;
        match self.lie {
            Lie::LostRename => Ok(()),
            Lie::EarlyRemoval if self.turn.is_for(to) => {
                self.turn.wait(from);
                Ok(())
            }
            _ => self.disk.rename(from, to),
        }
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.remove(name)?;
        // What waits for its turn is not made durable with it.
        if self.turn.is_waiting() { self.disk.sync_entries() } else { Ok(()) }
    }

    fn place_of(&self, name: &str) -> Option<PathBuf> {
        self.disk.place_of(name)
    }

    fn link(&self, original: &Path, name: &str) -> io::Result<()> {
        self.turn.come()?;
        self.disk.link(original, name)
    }

    fn sync_entries(&self) -> io::Result<()> {
        if self.lie == Lie::NeverSyncEntries || self.turn.is_waiting() { Ok(()) } else { self.disk.sync_entries() }
    }

    fn lock(&self) -> Result<Box<dyn Any + Send + Sync>, LockError> {
        self.turn.come()?;
        self.disk.lock()
    }
}
