//! Writing the log: once and synced once for a whole group, or taken back without a trace.

use std::{io, time::Instant};

use super::{Committer, FlushError};
use crate::{
    core::about,
    disk::DiskFile,
    format::{
        segment::{SEGMENT_HEAD, SegmentHead, log_name},
        watermark,
    },
    image::{ImageWriter, PAGE},
    index::MemoryIndex,
    scan::{Continuation, Scanner},
    segment::Segment,
};

/// The log grows by zeros in pieces of at least this size …
const LEAST_GROWTH: u64 = 1 << 20;

/// … and at most this size.
const MOST_GROWTH: u64 = 8 << 20;

/// What the log grows by, at an address that every disk takes.
#[repr(align(4096))]
struct Zeros([u8; 1 << 20]);

static ZEROS: Zeros = Zeros([0; 1 << 20]);

impl Committer {
    /// Writes what waits and syncs it; what cannot be written is cut off again.
    pub(super) fn write_and_sync(&mut self) -> Result<(), FlushError> {
        if let Err(error) = self.write_tip() {
            let error = about(&*self.core.disk, &log_name(self.segment.number), &error);
            return Err(match self.cut() {
                Ok(()) => FlushError::Cut(error),
                Err(cut) => {
                    self.poison(format!("{error}, and what was written could not be cut off again: {cut}"));
                    FlushError::Unknown(error)
                }
            });
        }
        let begun = Instant::now();
        if let Err(error) = self.file.sync() {
            let error = about(&*self.core.disk, &log_name(self.segment.number), &error);
            self.poison(format!("a sync failed: {error}"));
            return Err(FlushError::Unknown(error));
        }
        self.sync_time = (self.sync_time * 7 + begun.elapsed()) / 8;
        self.end = self.tip;
        self.image.freeze(self.end);
        self.note_synced();
        Ok(())
    }

    /// Writes the log from its durable end to its tip. It grows by zeros ahead of need, so that a sync need not write its
    /// length.
    fn write_tip(&mut self) -> io::Result<()> {
        let needed = self.tip as u64;
        if needed > self.allocated {
            let growth = self.allocated.clamp(LEAST_GROWTH, MOST_GROWTH);
            let wanted = (self.allocated + growth).min(self.segment_bytes).max(needed).next_multiple_of(PAGE as u64);
            // Where there is no room ahead there may still be room for the frames themselves.
            drop(write_zeros(&*self.file, self.allocated, wanted, || true));
            self.allocated = self.file.size()?;
        }
        let written = write_image(&*self.file, &mut self.image, self.end, self.tip)?;
        self.allocated = self.allocated.max(written as u64);
        Ok(())
    }

    /// Takes back what was written behind the last durable frame, on disk and in memory.
    fn cut(&mut self) -> io::Result<()> {
        self.file.set_len(self.end as u64)?;
        self.file.sync()?;
        self.allocated = self.end as u64;
        let bytes = self.image.read(0..self.end);
        let head =
            SegmentHead::decode(bytes).map_err(|_| io::Error::other("the head of the segment cannot be read"))?;
        let from =
            Continuation { offset: SEGMENT_HEAD, previous: head.chain(), next_position: self.segment.first_position };
        let mut scanner = Scanner::new(&bytes[SEGMENT_HEAD as usize..], self.segment.base, from, self.core.store);
        let mut index = MemoryIndex::default();
        while let Some(frame) = scanner.next_frame() {
            frame.index(&mut index).map_err(io::Error::other)?;
        }
        let continuation = scanner.continuation();
        if continuation.offset != self.end as u64 {
            return Err(io::Error::other("the frames before it cannot be read back"));
        }
        self.previous = continuation.previous;
        self.next_position = continuation.next_position;
        let place = self.segment.place();
        self.core.replace(Segment::growing(place, self.image.image().clone(), index));
        self.take_segment();
        Ok(())
    }

    /// Takes the growing segment from the view.
    pub(super) fn take_segment(&mut self) {
        self.view = self.core.view();
        if let Some(segment) = self.view.last() {
            self.segment = segment.clone();
        }
    }

    pub(super) fn note_synced(&mut self) {
        self.synced = self.segment.base + self.end as u64;
        // Nothing rests on the watermark: other processes see less until the next one is written.
        if let Err(error) = self.watermark.write_all_at(0, &watermark::encode(self.synced)) {
            tracing::warn!(%error, "the watermark could not be written");
        }
    }
}

/// Writes a part of an image, extended to what the alignment of the file asks for: backwards by what is there already, and
/// forwards by zeros. Answers where that ends.
pub(crate) fn write_image(file: &dyn DiskFile, image: &mut ImageWriter, from: usize, to: usize) -> io::Result<usize> {
    let alignment = file.alignment();
    let from = from / alignment * alignment;
    let end = to.next_multiple_of(alignment);
    image.write(to..end).fill(0);
    file.write_all_at(from as u64, image.read(from..end))?;
    Ok(end)
}

/// Writes zeros from the first page behind `from`, as long as `go_on` says so.
pub(super) fn write_zeros(file: &dyn DiskFile, from: u64, to: u64, go_on: impl Fn() -> bool) -> io::Result<()> {
    let mut at = from.next_multiple_of(PAGE as u64);
    while at < to && go_on() {
        let part = (to - at).min(ZEROS.0.len() as u64);
        file.write_all_at(at, &ZEROS.0[..usize::try_from(part).map_err(io::Error::other)?])?;
        at += part;
    }
    Ok(())
}
