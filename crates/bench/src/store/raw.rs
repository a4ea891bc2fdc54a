//! The raw limit: the same bytes written, synced and read without a store.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use super::source::PAYLOAD;

/// What one event takes in the log, about: what a raw write of an event writes.
pub(super) const RECORD: usize = PAYLOAD + 92 + 8;

/// The file goes round at this size.
const SIZE: u64 = 256 << 20;

/// A file filled before, so that a sync has no length to write.
pub(crate) struct RawLog {
    file: File,
    offset: u64,
    bytes: Vec<u8>,
}

impl RawLog {
    pub(crate) fn create(directory: &Path, events: usize) -> anyhow::Result<Self> {
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
    pub(crate) fn append(&mut self) -> anyhow::Result<()> {
        if self.offset + self.bytes.len() as u64 > SIZE {
            self.offset = 0;
        }
        self.file.write_all_at(&self.bytes, self.offset)?;
        self.offset += self.bytes.len() as u64;
        Ok(self.file.sync_data()?)
    }
}

/// The segments of a store in their order.
pub(super) fn log_files(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let paths = fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    let is_log = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "log");
    let mut logs: Vec<PathBuf> = paths.into_iter().filter(is_log).collect();
    logs.sort();
    Ok(logs)
}

/// Reads one record's length at places evenly spread over the log; answers a checksum of all.
pub(super) fn read_scattered(directory: &Path, records: usize) -> anyhow::Result<u32> {
    let files = log_files(directory)?.iter().map(File::open).collect::<io::Result<Vec<_>>>()?;
    let lengths = files.iter().map(|file| Ok(file.metadata()?.len())).collect::<io::Result<Vec<u64>>>()?;
    let whole: u64 = lengths.iter().sum();
    let mut record = [0; RECORD];
    let mut checksum = 0;
    for number in 0..records as u64 {
        let mut at = whole / records as u64 * number;
        let mut index = 0;
        while at >= lengths[index] {
            at -= lengths[index];
            index += 1;
        }
        let read = files[index].read_at(&mut record, at)?;
        checksum = crc32c::crc32c_append(checksum, &record[..read]);
    }
    Ok(checksum)
}
