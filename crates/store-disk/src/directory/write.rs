//! Writes a run: under another name, piece by piece and in bounded memory, and renamed once it is durable.

use std::{io, sync::Arc};

use super::{
    filter::{LINE, Line, add, line_of, lines_for, seal},
    hash::Topic,
    load::run_name,
    run::{ENTRY, HEAD, Identity, MAGIC, PAGE_ENTRIES, Run, TABLE, TABLE_ENTRY},
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
    unsynced: u64,
    /// The pages of the topic that is being written.
    pages: Piece,
    /// Where in their piece the page that is being filled begins.
    page: usize,
    /// The filter of the topic, which lies before its pages and is filled beside them.
    filter: Piece,
    line: Line,
    /// How many lines of the filter are full.
    full: usize,
    table: [Section; Topic::ALL.len()],
    topic: Topic,
    last: Option<(u64, u32)>,
}

/// What is yet to be written at one place of the file.
#[derive(Default)]
struct Piece {
    bytes: Vec<u8>,
    offset: u64,
}

/// What the header says of a topic.
#[derive(Clone, Copy, Default)]
struct Section {
    start: u64,
    entries: u64,
    lines: usize,
}

impl<'a> RunWriter<'a> {
    pub(super) fn create(disk: &'a dyn Disk, identity: Identity) -> io::Result<Self> {
        let name = run_name(identity.first, identity.last);
        let file = disk.create(&new_name(&name))?;
        Ok(Self {
            disk,
            identity,
            name,
            file,
            unsynced: 0,
            pages: Piece { bytes: Vec::new(), offset: HEAD as u64 },
            page: 0,
            filter: Piece::default(),
            line: [0; LINE],
            full: 0,
            table: [Section::default(); Topic::ALL.len()],
            topic: Topic::Stream,
            last: None,
        })
    }

    /// Begins to write what there is about a topic: at most so many entries.
    pub(super) fn begin_topic(&mut self, topic: Topic, most: usize) -> io::Result<()> {
        self.write_out()?;
        let lines = lines_for(most);
        // Lines of the filter lie where those of the cache do; where there are none, the file ends.
        let start = if lines == 0 { self.pages.offset } else { self.pages.offset.next_multiple_of(LINE as u64) };
        self.filter.offset = start;
        self.pages.offset = start + (lines * LINE) as u64;
        self.table[topic as usize] = Section { start, entries: 0, lines };
        (self.topic, self.last, self.full) = (topic, None, 0);
        Ok(())
    }

    /// Adds an entry. They come in order; one that is repeated is kept once.
    pub(super) fn push(&mut self, hash: u64, number: u32) -> io::Result<()> {
        if self.last == Some((hash, number)) {
            return Ok(());
        }
        self.last = Some((hash, number));
        self.fill_lines(line_of(hash, self.table[self.topic as usize].lines));
        add(&mut self.line, hash);
        self.pages.bytes.extend_from_slice(&hash.to_le_bytes());
        self.pages.bytes.extend_from_slice(&number.to_le_bytes());
        self.table[self.topic as usize].entries += 1;
        if self.pages.bytes.len() - self.page == PAGE_ENTRIES * ENTRY {
            self.end_page();
            if self.pages.bytes.len() >= PIECE {
                self.write_out()?;
            }
        }
        Ok(())
    }

    /// Ends what there is about a topic.
    pub(super) fn end_topic(&mut self) {
        self.end_page();
        self.fill_lines(self.table[self.topic as usize].lines);
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
        let bytes = &mut self.pages.bytes;
        if bytes.len() > self.page {
            let checksum = crc32c::crc32c(&bytes[self.page..]);
            bytes.extend_from_slice(&checksum.to_le_bytes());
        }
        self.page = bytes.len();
    }

    /// Ends lines of the filter until so many are full.
    fn fill_lines(&mut self, lines: usize) {
        while self.full < lines {
            seal(&mut self.line);
            self.filter.bytes.extend_from_slice(&self.line);
            self.line = [0; LINE];
            self.full += 1;
        }
    }

    fn write_out(&mut self) -> io::Result<()> {
        for piece in [&mut self.filter, &mut self.pages] {
            let len = piece.bytes.len() as u64;
            self.file.write_all_at(piece.offset, &piece.bytes)?;
            piece.offset += len;
            self.unsynced += len;
            piece.bytes.clear();
        }
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
        head[56..64].copy_from_slice(&self.pages.offset.to_le_bytes());
        for (topic, Section { start, entries, lines }) in self.table.iter().enumerate() {
            let at = TABLE + TABLE_ENTRY * topic;
            head[at..at + 8].copy_from_slice(&start.to_le_bytes());
            head[at + 8..at + 16].copy_from_slice(&entries.to_le_bytes());
            head[at + 16..at + 24].copy_from_slice(&(*lines as u64).to_le_bytes());
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
