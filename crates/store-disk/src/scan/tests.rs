//! Frames of a real segment, harmed in every way: what comes before the harm is read, and nothing behind it.

use std::fs;

use mainspring_conformance::Seed;
use mainspring_event::NewEvent;
use mainspring_store::{Append, EventStore, Retained, Retention, StoreId, StreamChange};

use super::{Continuation, Scanner};
use crate::{
    DiskStore,
    format::segment::{SEGMENT_HEAD, SegmentHead, log_name},
    index::{Index, MemoryIndex},
};

/// A segment with frames of several kinds.
struct Segment {
    bytes: Vec<u8>,
    from: Continuation,
    store: StoreId,
}

/// Where a frame ends, and how many events come up to there.
type End = (u64, u32);

impl Segment {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let store = DiskStore::open(directory.path()).unwrap();
            let event = |name: &str, payload: usize| {
                NewEvent::json(name.parse().unwrap(), "Happened".parse().unwrap(), vec![b'x'; payload])
            };
            let retention = Retention { max_count: Some(1), max_age: None };
            let change = StreamChange::Retain { target: Retained::Stream("a-1".parse().unwrap()), retention };
            for append in [
                Append::new([event("a-1", 10)]),
                Append::new([event("a-1", 0), event("b-1", 33), event("$c-1", 200)]),
                Append::default().change(change),
                Append::new([event("b-1", 5)]),
            ] {
                store.append(append).await.unwrap();
            }
            store.close().unwrap();
        });
        let bytes = fs::read(directory.path().join(log_name(1))).unwrap();
        let head = SegmentHead::decode(&bytes).unwrap();
        let from = Continuation { offset: SEGMENT_HEAD, previous: head.chain(), next_position: 1 };
        Self { bytes, from, store: head.store }
    }

    /// The ends of the frames that can be read in these bytes, which begin where the first frame does.
    fn scan(&self, bytes: &[u8]) -> Vec<End> {
        let mut scanner = Scanner::new(bytes, 0, self.from, self.store);
        let mut index = MemoryIndex::default();
        let mut ends = Vec::new();
        while let Some(frame) = scanner.next_frame() {
            frame.index(&mut index).unwrap();
            ends.push((scanner.continuation().offset, index.events()));
        }
        assert!(scanner.synced_behind() <= self.bytes.len() as u64);
        ends
    }

    fn frames(&self) -> &[u8] {
        &self.bytes[SEGMENT_HEAD as usize..]
    }
}

#[test]
fn every_frame_is_read() {
    let segment = Segment::new();
    let ends = segment.scan(segment.frames());
    assert_eq!(ends.iter().map(|(_, events)| *events).collect::<Vec<_>>(), [1, 4, 4, 5, 5], "the last is a mark");
    assert_eq!(ends[4].0, segment.bytes.len() as u64);
}

#[test]
fn frames_are_read_up_to_the_harm() {
    let segment = Segment::new();
    let (frames, ends) = (segment.frames(), segment.scan(segment.frames()));
    let before = |at: usize| ends.iter().filter(|(end, _)| *end <= at as u64 + SEGMENT_HEAD).count();
    for at in 0..frames.len() {
        assert_eq!(segment.scan(&frames[..at]), ends[..before(at)], "cut at {at}");
        for bit in 0..8 {
            let mut flipped = frames.to_vec();
            flipped[at] ^= 1 << bit;
            let read = segment.scan(&flipped);
            // The zeros at the end of a frame mean nothing.
            let padding = frames[at] == 0 && read == ends;
            assert!(padding || read == ends[..before(at)], "bit {bit} of byte {at}");
        }
    }
}

#[test]
fn a_frame_behind_the_harm_tells_how_far_the_log_was_synced() {
    let segment = Segment::new();
    let ends = segment.scan(segment.frames());
    let mut harmed = segment.frames().to_vec();
    harmed[70] ^= 1;
    let scanner = Scanner::new(&harmed, 0, segment.from, segment.store);
    assert_eq!(scanner.synced_behind(), ends[3].0, "the mark covers all before it");
    let elsewhere = Scanner::new(&harmed, 8, segment.from, segment.store);
    assert_eq!(elsewhere.synced_behind(), 0, "a frame of another place is none");
    let foreign = Scanner::new(&harmed, 0, segment.from, StoreId::from_bytes([1; 16]));
    assert_eq!(foreign.synced_behind(), 0, "nor is one of another store");
}

#[test]
fn garbage_is_no_frame() {
    let segment = Segment::new();
    let mut seed = Seed::new(1);
    for _ in 0..300 {
        let mut harmed = segment.frames().to_vec();
        for _ in 0..seed.within(1..=20) {
            let (at, to) = (seed.index(harmed.len()), seed.index(harmed.len()));
            match seed.within(0..=3) {
                0 => harmed[at] = (seed.draw() >> 40) as u8,
                1 => harmed.truncate(at + 1),
                2 => harmed.copy_within(at.min(to)..at.max(to), 0),
                _ => harmed.swap(at, to),
            }
        }
        let read = segment.scan(&harmed);
        let ends = segment.scan(segment.frames());
        assert_eq!(read, ends[..read.len()], "what is read is what was written");
    }
}
