//! Giving the end of the log to the disk, and taking back without a trace what the disk did not take.

use std::io;

use mainspring_event::Position;

use super::{
    Committer, FlushError, Place, again,
    flight::{Crash, Flight},
};
use crate::{
    disk::DiskFile,
    format::{
        frame::{FRAME_HEAD, FrameHead},
        segment::{SEGMENT_HEAD, SegmentHead},
    },
    image::{ImageWriter, PAGE},
    index::MemoryIndex,
    scan::{Continuation, Scanner},
    segment::Segment,
};

/// What the log grows by, at an address that every disk takes.
#[repr(align(4096))]
struct Zeros([u8; 1 << 20]);

static ZEROS: Zeros = Zeros([0; 1 << 20]);

impl Committer {
    /// What waits, on a flight of its own; nothing where no frame waits. The log is here.
    pub(super) fn depart(&mut self) -> Option<Flight> {
        if self.unsealed.is_empty() {
            return None;
        }
        let Place::Here(log) = std::mem::replace(&mut self.log, Place::Lost) else {
            unreachable!("whoever departs has the log");
        };
        // A frame names the one before it, and what is synced when it is written: the flight before this one included.
        for (at, head) in self.unsealed.drain(..) {
            let head = FrameHead { synced: self.segment.base + self.end as u64, previous: self.previous, ..head };
            self.previous = head.encode(self.image.write(at..at + FRAME_HEAD));
        }
        let frames = (self.end, self.image.lend(self.tip));
        let waiting = (std::mem::take(&mut self.waiting), Position(self.next_position - 1));
        Some(Flight::new((self.core.clone(), self.segment.clone()), log, frames, waiting, self.segment_bytes))
    }

    /// Makes what has come back durable and visible, and finds the answers that rest on it. Where the disk did not take it,
    /// all that was taken up behind it is void, too.
    pub(super) fn arrive(&mut self, flight: Flight) -> Result<(), FlushError> {
        let Flight { log, frames, waiting, last, landing, .. } = flight;
        self.log = Place::Here(log);
        let outcome = match landing {
            Ok(sync_time) => {
                self.sync_time = (self.sync_time * 7 + sync_time) / 8;
                self.end = frames.end();
                self.image.freeze(self.end);
                self.apply(&waiting.changes);
                self.core.publish(last);
                self.prepare_next();
                Ok(())
            }
            Err(crash) => {
                self.image.take_back(frames);
                self.forget_waiting();
                Err(self.recover(crash))
            }
        };
        self.tell(waiting, &outcome);
        match &outcome {
            // What waits without a frame rests on what is durable now.
            Ok(()) if self.unsealed.is_empty() => self.tell_waiting(&Ok(())),
            Ok(()) => {}
            Err(FlushError::Cut(error) | FlushError::Unknown(error)) => {
                // None of that was given to the disk.
                self.tell_waiting(&Err(FlushError::Cut(again(error))));
            }
        }
        outcome
    }

    /// What is known of what the disk did not take, which is cut off again if it can be.
    fn recover(&mut self, crash: Crash) -> FlushError {
        match crash {
            Crash::Write(error) => match self.cut() {
                Ok(()) => FlushError::Cut(error),
                Err(cut) => {
                    self.poison(format!("{error}, and what was written could not be cut off again: {cut}"));
                    FlushError::Unknown(error)
                }
            },
            Crash::Sync(error) => {
                self.poison(format!("a sync failed: {error}"));
                FlushError::Unknown(error)
            }
        }
    }

    /// Takes back what was written behind the last durable frame, on disk and in memory.
    fn cut(&mut self) -> io::Result<()> {
        let end = self.end as u64;
        let log = self.log_here();
        log.file.set_len(end)?;
        log.file.sync()?;
        log.allocated = end;
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
        if continuation.offset != end {
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
