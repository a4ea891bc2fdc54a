//! What is on its way to the disk, while the committer takes up more behind it.

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use mainspring_event::Position;

use super::{Waiting, write::write_zeros};
use crate::{
    core::{Core, about},
    disk::DiskFile,
    format::watermark,
    image::{Lent, PAGE},
    segment::Segment,
};

/// The log grows by zeros in pieces of at least this size …
const LEAST_GROWTH: u64 = 1 << 20;

/// … and at most this size.
const MOST_GROWTH: u64 = 8 << 20;

/// The files at the end of the log: with the committer, or with a flight.
pub(super) struct Log {
    pub(super) file: Arc<dyn DiskFile>,
    watermark: Arc<dyn DiskFile>,
    /// Length of the file; what lies behind the last frame is zeros.
    pub(super) allocated: u64,
    /// The last page of what is written.
    page: Box<Page>,
}

/// A piece of memory that every disk takes.
#[repr(align(4096))]
struct Page([u8; PAGE]);

/// Frames on their way to the disk, and the answers that rest on them.
pub(crate) struct Flight {
    core: Arc<Core>,
    segment: Arc<Segment>,
    /// Segments are closed when they would exceed so many bytes.
    segment_bytes: u64,
    pub(super) log: Log,
    /// Where the first frame begins; they end with what is lent.
    from: usize,
    pub(super) frames: Lent,
    pub(super) waiting: Waiting,
    /// The position of the last event.
    pub(super) last: Position,
    pub(super) landing: Result<Duration, Crash>,
}

/// What went wrong.
pub(super) enum Crash {
    /// Some of it may have been written, and nothing synced.
    Write(io::Error),
    /// What the disk holds is unknown until recovery.
    Sync(io::Error),
}

impl Log {
    pub(super) fn new(file: Arc<dyn DiskFile>, watermark: Arc<dyn DiskFile>) -> io::Result<Self> {
        let allocated = file.size()?;
        Ok(Self { file, watermark, allocated, page: Box::new(Page([0; PAGE])) })
    }

    /// Tells other processes that everything in the log below `synced` is synced.
    pub(super) fn note_synced(&self, synced: u64) {
        // Nothing rests on the watermark: other processes see less until the next one is written.
        if let Err(error) = self.watermark.write_all_at(0, &watermark::encode(synced)) {
            tracing::warn!(%error, "the watermark could not be written");
        }
    }

    /// Writes the end of what is lent, from `from` on. The file grows by zeros ahead of need, up to `most`, so that a sync
    /// need not write its length.
    fn write(&mut self, frames: &Lent, from: usize, most: u64) -> io::Result<()> {
        let needed = frames.end() as u64;
        if needed > self.allocated {
            let growth = self.allocated.clamp(LEAST_GROWTH, MOST_GROWTH);
            let wanted = (self.allocated + growth).min(most).max(needed).next_multiple_of(PAGE as u64);
            // Where there is no room ahead there may still be room for the frames themselves.
            drop(write_zeros(&*self.file, self.allocated, wanted, || true));
            self.allocated = self.file.size()?;
        }
        let written = self.write_aligned(frames, from)?;
        self.allocated = self.allocated.max(written as u64);
        Ok(())
    }

    /// Writes it extended to what the alignment of the file asks for: backwards by what is there already, and forwards by
    /// zeros, which are put behind a copy of the last piece, because others write the image there. Answers where that ends.
    fn write_aligned(&mut self, frames: &Lent, from: usize) -> io::Result<usize> {
        let alignment = self.file.alignment();
        let from = from / alignment * alignment;
        let whole = (frames.end() / alignment * alignment).max(from);
        let rest = frames.read(whole..frames.end());
        let padded = rest.len().next_multiple_of(alignment);
        let page = &mut self.page.0[..padded];
        page[..rest.len()].copy_from_slice(rest);
        page[rest.len()..].fill(0);
        self.file.write_all_of_both_at(from as u64, frames.read(from..whole), page)?;
        Ok(whole + padded)
    }
}

impl Flight {
    pub(super) fn new(
        (core, segment): (Arc<Core>, Arc<Segment>),
        log: Log,
        (from, frames): (usize, Lent),
        (waiting, last): (Waiting, Position),
        segment_bytes: u64,
    ) -> Self {
        Self { core, segment, segment_bytes, log, from, frames, waiting, last, landing: Ok(Duration::ZERO) }
    }

    /// How many bytes are written.
    pub(super) fn bytes(&self) -> usize {
        self.frames.end() - self.from
    }

    /// Writes the frames and syncs them.
    pub(crate) fn fly(&mut self) {
        self.landing = self.write_and_sync();
    }

    /// Answers how long the sync took.
    fn write_and_sync(&mut self) -> Result<Duration, Crash> {
        let explain = |error: io::Error| about(&*self.core.disk, &self.segment.log_name(), &error);
        self.log.write(&self.frames, self.from, self.segment_bytes).map_err(|error| Crash::Write(explain(error)))?;
        let begun = Instant::now();
        self.log.file.sync().map_err(|error| Crash::Sync(explain(error)))?;
        let took = begun.elapsed();
        self.log.note_synced(self.segment.base + self.frames.end() as u64);
        Ok(took)
    }
}
