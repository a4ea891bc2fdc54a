//! The decoders of bytes that come from a disk, one function each, for fuzzing: whatever the bytes are, they end without a
//! panic and without more memory than the bytes themselves justify.
//!
//! This is no part of the public interface: it exists in tests and with the feature `fuzzing`, which only `fuzz/` asks for.
//! Checksums keep a fuzzer out of everything behind them, so most targets run twice: as the bytes are, and with their
//! checksums made right, as only a bug of the writer could leave them.

mod repair;
mod seeds;

use mainspring_event::{Metadata, MetadataRef};
use mainspring_store::{StoreId, StreamChange};

pub use seeds::{Seed, seeds};

use crate::{
    directory::{ask_run, repair_run},
    format::{
        array_at,
        frame::{FrameHead, Kind, names, put_emptied, put_name},
        manifest::Manifest,
        record::Record,
        segment::{SEGMENT_HEAD, SegmentHead},
        u32_at, u64_at, watermark,
    },
    index::{Index, List, MappedIndex, MemoryIndex},
    names::Names,
    scan::{Continuation, Scanner},
};

/// A decoder that takes any bytes.
pub type Target = fn(&[u8]);

/// Every target by its name, which is also the name of its corpus.
pub const TARGETS: &[(&str, Target)] = &[
    ("frame", frame),
    ("record", record),
    ("segment_head", segment_head),
    ("manifest", manifest),
    ("watermark", mark),
    ("index", index),
    ("run", run),
    ("scan", scan),
    ("metadata", metadata),
];

/// The header of a frame, and the names and changes that follow one.
pub fn frame(bytes: &[u8]) {
    if let Some((head, checksum)) = FrameHead::decode(bytes) {
        let mut again = [0; 64];
        assert_eq!((head.encode(&mut again), &again[8..]), (checksum, &bytes[8..64]), "a header comes back");
    }
    let mut again = Vec::new();
    for name in names(bytes).flatten() {
        match name.emptied_at {
            Some(head) => put_emptied(&mut again, name.text, head),
            None => put_name(&mut again, name.kind, name.text),
        }
    }
    assert!(again.len() <= bytes.len());
    if let Ok(changes) = serde_json::from_slice::<Vec<StreamChange>>(bytes) {
        let again = serde_json::to_vec(&changes).expect("changes are JSON");
        assert_eq!(serde_json::from_slice::<Vec<StreamChange>>(&again).ok(), Some(changes), "changes come back");
    }
}

/// One record.
pub fn record(bytes: &[u8]) {
    if let Some(record) = Record::verify(bytes) {
        look_at(record);
    }
    // Records in the memory of a process are not verified each time they are looked at.
    if let Some(record) = Record::trusted(bytes) {
        look_at(record);
    }
}

fn look_at(record: Record<'_>) {
    let place = record.place();
    let parts = record.metadata().len() + record.payload().len() + record.tags().len();
    assert!(parts < record.len(), "the parts of a record lie inside");
    let times = (record.time(), place.recorded, place.position, place.version);
    std::hint::black_box((times, record.id(), record.schema_version(), record.checksum(), place.stream));
    metadata(record.metadata());
}

/// The head of a segment.
pub fn segment_head(bytes: &[u8]) {
    for bytes in [bytes, &repair::segment_head(bytes)] {
        if let Ok(head) = SegmentHead::decode(bytes) {
            std::hint::black_box(head.chain());
            assert_eq!(SegmentHead::decode(&head.encode()), Ok(head), "a head comes back");
        }
    }
}

/// The manifest.
pub fn manifest(bytes: &[u8]) {
    for bytes in [bytes, &repair::manifest(bytes)] {
        if let Ok(manifest) = Manifest::decode(bytes) {
            let again = Manifest::decode(&manifest.encode());
            assert!(again.is_ok_and(|again| again == manifest), "a manifest comes back");
        }
    }
}

/// The watermark.
pub fn mark(bytes: &[u8]) {
    let synced = watermark::decode(bytes);
    assert!(synced == 0 || watermark::encode(synced) == bytes, "a watermark is not guessed");
}

/// The index of a sealed segment, and everything that can be asked of it.
pub fn index(bytes: &[u8]) {
    if bytes.len() < 64 {
        assert!(MappedIndex::open(bytes.to_vec().into(), StoreId::from_bytes([0; 16]), 0, 0).is_err());
        return;
    }
    let (number, store, log_len) = (u32_at(bytes, 12), StoreId::from_bytes(array_at(bytes, 16)), u64_at(bytes, 32));
    let open = |bytes: &[u8]| MappedIndex::open(bytes.to_vec().into(), store, number, log_len);
    if let Ok(index) = open(bytes)
        && index.verify().is_ok()
    {
        ask(&index);
        drop(index.changes());
    }
}

/// Asks an index everything, as far as it says that there is something.
fn ask(index: &(impl Index + Names)) {
    let events = index.events();
    for kind in Kind::ALL {
        for code in 0..index.names_of(kind) {
            let found = index.find(kind, index.name(kind, code));
            assert!(found.is_none_or(|found| found == code), "a name is there once");
        }
        assert_eq!(index.find(kind, "\u{1f4a5}"), None);
    }
    let postings = |list| {
        let postings = index.postings(list);
        (0..postings.len()).for_each(|at| assert!(postings.get(at) < events, "an ordinal of the segment"));
        std::hint::black_box((postings.below(events), postings.contains(0)));
    };
    for stream in 0..index.names_of(Kind::Stream) {
        postings(List::Stream(stream));
        std::hint::black_box((index.head(stream), index.category_name(index.category_of(stream)).len()));
    }
    (0..index.names_of(Kind::Type)).for_each(|code| postings(List::Type(code)));
    (0..index.names_of(Kind::Tag)).for_each(|code| postings(List::Tag(code)));
    (0..index.categories()).for_each(|code| postings(List::Category(code)));
    for ordinal in 0..events {
        let position = index.position(ordinal);
        assert!(index.ordinal_after(position) > ordinal && index.ordinal_at(i64::MIN) == 0);
        std::hint::black_box((index.offset(ordinal), index.stream_of(ordinal), index.type_of(ordinal)));
    }
}

/// A run of the directory, and everything that can be asked of it.
pub fn run(bytes: &[u8]) {
    ask_run(bytes, true);
    ask_run(&repair_run(bytes), false);
}

/// The frames of a whole segment, as recovery reads them.
pub fn scan(bytes: &[u8]) {
    scan_as_it_is(bytes);
    scan_as_it_is(&repair::segment(bytes));
}

fn scan_as_it_is(bytes: &[u8]) {
    let Ok(head) = SegmentHead::decode(bytes) else { return };
    let from = Continuation { offset: SEGMENT_HEAD, previous: head.chain(), next_position: head.first_position };
    let scanner = Scanner::new(&bytes[SEGMENT_HEAD as usize..], head.base, from, head.store);
    let mut scanner = scanner.sparse(head.generation > 0);
    let mut index = MemoryIndex::default();
    loop {
        let before = scanner.continuation();
        let Some(frame) = scanner.next_frame() else { break };
        assert!(scanner.continuation().offset > before.offset, "each frame leads on");
        if frame.index(&mut index).is_err() {
            return;
        }
        frame.records().for_each(|(_, record)| look_at(record));
    }
    std::hint::black_box(scanner.synced_behind());
    ask_growing(&index);
}

fn ask_growing(index: &MemoryIndex) {
    let encoded = crate::index::encode(index, StoreId::from_bytes([3; 16]), 1, 64);
    let opened = MappedIndex::open(encoded.into(), StoreId::from_bytes([3; 16]), 1, 64).expect("it was just written");
    opened.verify().expect("it was just written");
    ask(&opened);
}

/// The metadata of an event.
pub fn metadata(bytes: &[u8]) {
    let borrowed = MetadataRef::new(bytes);
    let owned: Metadata = borrowed.to_owned();
    std::hint::black_box((borrowed.correlation(), borrowed.causation(), borrowed.traceparent()));
    std::hint::black_box((borrowed.user(), borrowed.tenant()));
    let mut encoded = Vec::new();
    owned.encode(&mut encoded);
    assert_eq!(encoded.len(), owned.encoded_len());
    assert_eq!(MetadataRef::new(&encoded).to_owned(), owned, "metadata comes back");
}

#[cfg(test)]
mod tests;
