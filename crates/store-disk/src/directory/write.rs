//! Writes a run: under another name, piece by piece and in bounded memory, and renamed once it is durable.

use std::{io, sync::Arc};

use super::{
    hash::Topic,
    load::run_name,
    run::{ENTRY, HEAD, Identity, MAGIC, PAGE_ENTRIES, Run, TABLE},
};
use crate::{
    bell::Bell,
    disk::{Access, Disk, DiskFile},
    format::FORMAT,
};

/// So much is written at once …
const PIECE: usize = 1 << 18;

/// … and so much synced together, so that syncs of the log beside it stay short.
const SYNC_EVERY: u64 = 2 << 20;

/// A run that is being written.
pub(super) struct RunWriter<'a> {
    disk: &'a dyn Disk,
    identity: Identity,
    name: String,
    file: Arc<dyn DiskFile>,
    /// What is yet to be written.
    buffer: Vec<u8>,
    /// Where in the file `buffer` belongs.
    offset: u64,
    unsynced: u64,
    /// Where in `buffer` the page that is being filled begins.
    page: usize,
    table: [(u64, u64); Topic::ALL.len()],
    topic: usize,
    last: Option<(u64, u32)>,
}

impl<'a> RunWriter<'a> {
    pub(super) fn create(disk: &'a dyn Disk, identity: Identity) -> io::Result<Self> {
        let name = run_name(identity.first, identity.last);
        let file = disk.create(&new_name(&name))?;
        let table = [(HEAD as u64, 0); Topic::ALL.len()];
        let (buffer, offset) = (Vec::new(), HEAD as u64);
        Ok(Self { disk, identity, name, file, buffer, offset, unsynced: 0, page: 0, table, topic: 0, last: None })
    }

    /// Adds an entry about the topic that is being written. They come in order; one that is repeated is kept once.
    pub(super) fn push(&mut self, hash: u64, number: u32) -> io::Result<()> {
        if self.last == Some((hash, number)) {
            return Ok(());
        }
        self.last = Some((hash, number));
        self.buffer.extend_from_slice(&hash.to_le_bytes());
        self.buffer.extend_from_slice(&number.to_le_bytes());
        self.table[self.topic].1 += 1;
        if self.buffer.len() - self.page == PAGE_ENTRIES * ENTRY {
            self.end_page();
            if self.buffer.len() >= PIECE {
                self.write_out()?;
            }
        }
        Ok(())
    }

    /// Goes on with the next topic.
    pub(super) fn end_topic(&mut self) {
        self.end_page();
        self.topic += 1;
        self.last = None;
        if let Some(section) = self.table.get_mut(self.topic) {
            section.0 = self.offset + self.buffer.len() as u64;
        }
    }

    /// Makes the run durable under its own name, and opens it.
    pub(super) fn finish(mut self, bell: &Arc<Bell>) -> io::Result<Run> {
        self.write_out()?;
        self.file.write_all_at(0, &self.head())?;
        self.file.sync()?;
        self.disk.rename(&new_name(&self.name), &self.name)?;
        self.disk.sync_entries()?;
        let file = self.disk.open(&self.name, Access::Read)?;
        let bytes = file.map(file.size()?)?;
        Run::open(bytes, self.name, bell.clone()).map_err(io::Error::other)
    }

    /// Gives up. On a full disk the room is needed for events.
    pub(super) fn abandon(self) {
        if let Err(error) = self.disk.remove(&new_name(&self.name)) {
            tracing::debug!(%error, "a run of the directory that was not finished is left until the store is opened");
        }
    }

    fn end_page(&mut self) {
        if self.buffer.len() > self.page {
            let checksum = crc32c::crc32c(&self.buffer[self.page..]);
            self.buffer.extend_from_slice(&checksum.to_le_bytes());
        }
        self.page = self.buffer.len();
    }

    fn write_out(&mut self) -> io::Result<()> {
        self.file.write_all_at(self.offset, &self.buffer)?;
        self.offset += self.buffer.len() as u64;
        self.unsynced += self.buffer.len() as u64;
        self.buffer.clear();
        self.page = 0;
        if self.unsynced >= SYNC_EVERY {
            self.file.sync()?;
            self.unsynced = 0;
        }
        Ok(())
    }

    fn head(&self) -> [u8; HEAD] {
        let Identity { store, lineage, first, last, level } = self.identity;
        let mut head = [0; HEAD];
        head[..8].copy_from_slice(MAGIC);
        head[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        head[12..16].copy_from_slice(&level.to_le_bytes());
        head[16..20].copy_from_slice(&first.to_le_bytes());
        head[20..24].copy_from_slice(&last.to_le_bytes());
        head[24..40].copy_from_slice(store.as_uuid().as_bytes());
        head[40..56].copy_from_slice(lineage.as_uuid().as_bytes());
        head[56..64].copy_from_slice(&self.offset.to_le_bytes());
        for (topic, (start, entries)) in self.table.iter().enumerate() {
            let at = TABLE + 16 * topic;
            head[at..at + 8].copy_from_slice(&start.to_le_bytes());
            head[at + 8..at + 16].copy_from_slice(&entries.to_le_bytes());
        }
        let checksum = crc32c::crc32c(&head[..HEAD - 4]);
        head[HEAD - 4..].copy_from_slice(&checksum.to_le_bytes());
        head
    }
}

/// The name of a file that is being written.
fn new_name(name: &str) -> String {
    format!("{name}.new")
}
