//! A file of a disk that lies.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use mainspring_store_disk::DiskFile;

use super::{Lie, turn::Turn};

pub(super) struct LyingFile {
    file: Arc<dyn DiskFile>,
    lie: Lie,
    /// Whether it is yet to get its name.
    provisional: bool,
    /// Whether the next sync is done in time.
    honest: AtomicBool,
    /// Whether a sync was answered that was not done.
    owes: AtomicBool,
    /// A write that was answered and not done.
    late: Mutex<Option<Late>>,
    turn: Arc<Turn>,
}

/// A write that is still to be done.
struct Late {
    offset: u64,
    bytes: Aligned,
}

/// Bytes at an address that is a multiple of what the disk asks for.
struct Aligned {
    memory: Vec<u8>,
    start: usize,
}

impl Aligned {
    fn copy(bytes: &[u8], alignment: usize) -> Self {
        let mut memory = vec![0; bytes.len() + alignment];
        let start = memory.as_ptr().align_offset(alignment);
        memory.truncate(start + bytes.len());
        memory[start..].copy_from_slice(bytes);
        Self { memory, start }
    }
}

impl LyingFile {
    pub(super) fn new(name: &str, file: Arc<dyn DiskFile>, lie: Lie, turn: Arc<Turn>) -> Self {
        Self {
            file,
            lie,
            provisional: name.ends_with(".new"),
            honest: AtomicBool::new(lie == Lie::LateSync),
            owes: AtomicBool::new(false),
            late: Mutex::default(),
            turn,
        }
    }

    fn pay(&self) -> io::Result<()> {
        if self.owes.swap(false, Ordering::Relaxed) { self.file.sync() } else { Ok(()) }
    }

    /// Does the write that is still to be done, in place of which this one may come.
    fn catch_up(&self, next: Option<Late>) -> io::Result<()> {
        let late = std::mem::replace(&mut *self.late.lock().unwrap_or_else(PoisonError::into_inner), next);
        late.map_or(Ok(()), |Late { offset, bytes: Aligned { memory, start } }| {
            self.file.write_at(offset, &memory[start..]).map(drop)
        })
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

    fn alignment(&self) -> usize {
        if self.lie == Lie::HiddenAlignment { 1 } else { self.file.alignment() }
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        self.turn.come()?;
        self.pay()?;
        let alignment = self.file.alignment();
        match self.lie {
            Lie::SwallowedWriteError => Ok(self.file.write_at(offset, bytes).unwrap_or(bytes.len())),
            Lie::ShortenedWrite if bytes.len() > 256 => {
                self.file.write_at(offset, &bytes[..bytes.len() - alignment]).map(|_| bytes.len())
            }
            Lie::ReorderedWrites => {
                let late = Late { offset, bytes: Aligned::copy(bytes, alignment) };
                self.catch_up(Some(late)).map(|()| bytes.len())
            }
            _ => self.file.write_at(offset, bytes),
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.turn.come()?;
        self.catch_up(None)?;
        if self.lie == Lie::IgnoredCut && len < self.file.size()? { Ok(()) } else { self.file.set_len(len) }
    }

    fn sync(&self) -> io::Result<()> {
        self.turn.come()?;
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
pub(super) struct Memory(pub(super) Bytes);

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
