//! A new file, written in pieces and synced on the way, so that appends never wait long for the disk.

use std::{io, sync::Arc};

use super::{ScavengeError, pace::Pace};
use crate::{
    core::{Core, about},
    disk::DiskFile,
};

/// So much is gathered before it is written …
const PIECE: usize = 1 << 20;

/// … and so much synced together, so that syncs of the log beside it stay short.
const SYNC_EVERY: u64 = 2 << 20;

/// A file that is written in pieces.
pub(super) struct Pieces {
    name: String,
    pub(super) file: Arc<dyn DiskFile>,
    /// What waits to be written.
    pub(super) buffer: Vec<u8>,
    /// How many bytes are in the file.
    pub(super) written: u64,
    synced: u64,
}

impl Pieces {
    pub(super) fn new(core: &Core, name: &str) -> io::Result<Self> {
        let file = core.disk.create(name).map_err(|error| about(&*core.disk, name, &error))?;
        Ok(Self { name: core.disk.describe(name), file, buffer: Vec::new(), written: 0, synced: 0 })
    }

    /// Writes and syncs what is left.
    pub(super) fn end(&mut self, pace: &mut Pace<'_>) -> Result<(), ScavengeError> {
        self.write(pace)?;
        Ok(self.file.sync().map_err(|error| self.about(&error))?)
    }

    pub(super) fn put(&mut self, bytes: &[u8], pace: &mut Pace<'_>) -> Result<(), ScavengeError> {
        for piece in bytes.chunks(PIECE) {
            self.buffer.extend_from_slice(piece);
            self.relieve(pace)?;
        }
        Ok(())
    }

    /// Writes the buffer if it has become large.
    pub(super) fn relieve(&mut self, pace: &mut Pace<'_>) -> Result<(), ScavengeError> {
        if self.buffer.len() >= PIECE { self.write(pace) } else { Ok(()) }
    }

    fn write(&mut self, pace: &mut Pace<'_>) -> Result<(), ScavengeError> {
        self.file.write_all_at(self.written, &self.buffer).map_err(|error| self.about(&error))?;
        self.written += self.buffer.len() as u64;
        pace.moved(self.buffer.len() as u64)?;
        self.buffer.clear();
        if self.written - self.synced >= SYNC_EVERY {
            self.file.sync().map_err(|error| self.about(&error))?;
            self.synced = self.written;
        }
        Ok(())
    }

    fn about(&self, error: &io::Error) -> io::Error {
        io::Error::new(error.kind(), format!("{}: {error}", self.name))
    }
}
