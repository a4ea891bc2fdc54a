//! The raw limit: the same bytes written and synced without a store.

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::FileExt,
    path::Path,
};

/// What one event takes in the log, about: what a raw write of an event writes.
pub(super) const RECORD: usize = super::PAYLOAD + 92 + 8;

/// The file goes round at this size.
const SIZE: u64 = 256 << 20;

/// A file filled before, so that a sync has no length to write.
pub(super) struct RawLog {
    file: File,
    offset: u64,
    bytes: Vec<u8>,
}

impl RawLog {
    pub(super) fn create(directory: &Path, events: usize) -> anyhow::Result<Self> {
        let path = directory.join("raw.log");
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let zeros = vec![0; 1 << 20];
        let mut filled = file.metadata()?.len();
        while filled < SIZE {
            file.write_all_at(&zeros, filled)?;
            filled += zeros.len() as u64;
        }
        file.sync_all()?;
        Ok(Self { file, offset: 0, bytes: vec![0x5a; events * RECORD] })
    }

    /// Writes and syncs one batch.
    pub(super) fn append(&mut self) -> anyhow::Result<()> {
        if self.offset + self.bytes.len() as u64 > SIZE {
            self.offset = 0;
        }
        self.file.write_all_at(&self.bytes, self.offset)?;
        self.offset += self.bytes.len() as u64;
        Ok(self.file.sync_data()?)
    }
}
