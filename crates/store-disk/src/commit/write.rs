//! Writing the log: once and synced once for a whole group, or taken back without a trace.

use std::{io, time::Instant};

use super::{Committer, FlushError};
use crate::{
    core::about,
    format::{
        segment::{SEGMENT_HEAD, SegmentHead, log_name},
        watermark,
    },
    index::MemoryIndex,
    scan::{Continuation, Scanner},
    segment::{Segment, SegmentPlace},
};

/// The log grows by zeros in pieces of at least this size …
const LEAST_GROWTH: u64 = 1 << 20;

/// … and at most this size.
const MOST_GROWTH: u64 = 8 << 20;

/// A write of so many bytes is worth a new length of the file: writing zeros ahead of it would write everything twice.
const ENOUGH_AT_ONCE: usize = 128 << 10;

impl Committer {
    /// Writes what waits and syncs it; what cannot be written is cut off again.
    pub(super) fn write_and_sync(&mut self) -> Result<(), FlushError> {
        let frames = std::mem::take(&mut self.waiting.frames);
        let written = self.write_frames(&frames);
        self.waiting.frames = frames;
        if let Err(error) = written {
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
        self.end += self.waiting.frames.len() as u64;
        self.segment.grow(self.end);
        self.note_synced();
        Ok(())
    }

    /// Writes frames at the end of the log, which grows by zeros ahead of need so that a sync need not write its length.
    fn write_frames(&mut self, frames: &[u8]) -> io::Result<()> {
        let needed = self.end + frames.len() as u64;
        if needed > self.allocated && frames.len() < ENOUGH_AT_ONCE {
            let growth = self.allocated.clamp(LEAST_GROWTH, MOST_GROWTH);
            let wanted = (self.allocated + growth).min(self.segment_bytes).max(needed).next_multiple_of(4096);
            // Where there is no room ahead there may still be room for the frames themselves.
            drop(self.write_zeros(self.allocated, wanted));
            self.allocated = self.file.size()?;
        }
        self.file.write_all_at(self.end, frames)?;
        self.allocated = self.allocated.max(needed);
        Ok(())
    }

    fn write_zeros(&self, mut from: u64, to: u64) -> io::Result<()> {
        static ZEROS: [u8; 1 << 16] = [0; 1 << 16];
        while from < to {
            let part = (to - from).min(ZEROS.len() as u64);
            self.file.write_all_at(from, &ZEROS[..usize::try_from(part).map_err(io::Error::other)?])?;
            from += part;
        }
        Ok(())
    }

    /// Takes back what was written behind the last durable frame, on disk and in memory.
    fn cut(&mut self) -> io::Result<()> {
        self.file.set_len(self.end)?;
        self.file.sync()?;
        self.allocated = self.end;
        let bytes = self.file.read_exact_at(0, usize::try_from(self.end).map_err(io::Error::other)?)?;
        let head =
            SegmentHead::decode(&bytes).map_err(|_| io::Error::other("the head of the segment cannot be read"))?;
        let from =
            Continuation { offset: SEGMENT_HEAD, previous: head.chain(), next_position: self.segment.first_position };
        let frames = &bytes[usize::try_from(SEGMENT_HEAD).map_err(io::Error::other)?..];
        let mut scanner = Scanner::new(frames, self.segment.base, from, self.core.store);
        let mut index = MemoryIndex::default();
        while let Some(frame) = scanner.next_frame() {
            frame.index(&mut index).map_err(io::Error::other)?;
        }
        let continuation = scanner.continuation();
        if continuation.offset != self.end {
            return Err(io::Error::other("the frames before it cannot be read back"));
        }
        self.previous = continuation.previous;
        self.next_position = continuation.next_position;
        let place = SegmentPlace {
            number: self.segment.number,
            base: self.segment.base,
            first_position: self.segment.first_position,
            file_name: self.segment.file_name.clone(),
        };
        self.core.replace(Segment::growing(place, self.file.clone(), self.end, index));
        self.take_segment();
        Ok(())
    }

    /// Takes the growing segment from the view.
    pub(super) fn take_segment(&mut self) {
        if let Some(segment) = self.core.view().last() {
            self.segment = segment.clone();
        }
    }

    pub(super) fn note_synced(&mut self) {
        self.synced = self.segment.base + self.end;
        // Nothing rests on the watermark: other processes see less until the next one is written.
        if let Err(error) = self.watermark.write_all_at(0, &watermark::encode(self.synced)) {
            tracing::warn!(%error, "the watermark could not be written");
        }
    }
}
