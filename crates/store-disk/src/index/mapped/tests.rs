//! Index files, as they were written and as they were not.

use bytes::Bytes;
use mainspring_event::{EventId, Version};
use mainspring_store::{StoreId, StreamChange};

use super::{BadIndex, HEAD, MappedIndex};
use crate::{
    format::frame::Kind,
    index::{Entry, FrameEntry, Index, List, MemoryIndex, encode},
    names::Names,
};

const STORE: StoreId = StoreId::from_bytes([7; 16]);
const LOG_LEN: u64 = 10_000;

fn id(number: u32) -> EventId {
    EventId::derived(&["index", &number.to_string()])
}

/// Five commits of so many events, the positions with holes between them.
fn memory() -> MemoryIndex {
    let mut index = MemoryIndex::default();
    let mut ordinal = 0;
    for (commit, events) in [3, 1, 4, 1, 5].into_iter().enumerate() {
        index.begin_frame(100 * commit as u64 + 1, 1_000 * commit as i64);
        for _ in 0..events {
            let stream = index.intern(Kind::Stream, ["a-1", "a-2", "b-1", "$c"][ordinal as usize % 4]).0;
            let event_type = index.intern(Kind::Type, ["Opened", "Closed"][ordinal as usize % 2]).0;
            index.intern(Kind::Source, "here");
            index.intern(Kind::ContentType, "application/json");
            let tags = [index.intern(Kind::Tag, "k:1").0, index.intern(Kind::Tag, &format!("k:{ordinal}")).0];
            let version = u64::from(ordinal) + 1;
            let entry = Entry { id: id(ordinal), offset: 64 + 100 * ordinal, stream, event_type, version, tags: &tags };
            index.add(&entry);
            ordinal += 1;
        }
    }
    index.add_changes(&[StreamChange::TruncateBefore { stream: "a-1".parse().unwrap(), version: Version(2) }]);
    index
}

fn open(bytes: Vec<u8>) -> Result<MappedIndex, BadIndex> {
    let index = MappedIndex::open(Bytes::from(bytes), STORE, 3, LOG_LEN)?;
    index.verify().map(|()| index)
}

fn bytes() -> Vec<u8> {
    encode(&memory(), STORE, 3, LOG_LEN)
}

#[test]
fn a_file_answers_as_memory_does() {
    let (memory, mapped) = (memory(), open(bytes()).expect("it is as it was written"));
    assert_eq!((mapped.events(), mapped.frames(), mapped.categories()), (14, 5, 3));
    assert_eq!(mapped.changes().unwrap(), memory.changes());
    let list = |index: &dyn Index, list| {
        let postings = index.postings(list);
        (0..postings.len()).map(|at| postings.get(at)).collect::<Vec<_>>()
    };
    for kind in [Kind::Stream, Kind::Type, Kind::Tag] {
        assert_eq!(mapped.find(kind, "nobody"), None);
        for code in 0..memory.names_of(kind) {
            let name = memory.names().name(kind, code);
            assert_eq!((mapped.name(kind, code), mapped.find(kind, name)), (name, Some(code)));
            let of_code = match kind {
                Kind::Stream => List::Stream(code),
                Kind::Type => List::Type(code),
                _ => List::Tag(code),
            };
            assert_eq!(list(&mapped, of_code), list(&memory, of_code));
        }
    }
    for code in 0..memory.names_of(Kind::Stream) {
        assert_eq!((mapped.head(code), mapped.category_of(code)), (memory.head(code), memory.category_of(code)));
    }
    for (category, code) in [("a", 0), ("b", 1), ("$c", 2)] {
        assert_eq!((mapped.find_category(category), mapped.category_name(code)), (Some(code), category));
        assert_eq!(list(&mapped, List::Category(code)), list(&memory, List::Category(code)));
    }
    for ordinal in 0..14 {
        assert_eq!(mapped.find_id(id(ordinal)), Some(ordinal));
        assert_eq!(mapped.position(ordinal), memory.position(ordinal));
        let of = |index: &dyn Index| (index.offset(ordinal), index.stream_of(ordinal), index.type_of(ordinal));
        assert_eq!(of(&mapped), of(&memory));
    }
    assert_eq!(mapped.find_id(id(99)), None);
    assert_eq!(
        mapped.frame(4),
        FrameEntry { first_ordinal: 9, first_position: 401, recorded: 4_000, continues: false }
    );
}

#[test]
fn a_commit_with_holes_is_one_commit() {
    let mut memory = memory();
    for (position, first) in [(500, true), (502, false), (510, false), (600, true)] {
        match first {
            true => memory.begin_frame(position, 5_000),
            false => memory.continue_frame(position, 5_000),
        }
        let number = memory.events();
        memory.add(&Entry { id: id(number), offset: 0, stream: 0, event_type: 0, version: 90, tags: &[] });
    }
    let mapped = open(encode(&memory, STORE, 3, LOG_LEN)).expect("it is as it was written");
    for index in [&memory as &dyn Index, &mapped] {
        let positions: Vec<_> = (14..18).map(|ordinal| index.position(ordinal)).collect();
        assert_eq!(positions, [500, 502, 510, 600]);
        let commits: Vec<_> = [0, 3, 13, 14, 15, 16, 17].map(|ordinal| index.commit_of(ordinal)).into();
        assert_eq!(commits, [0..3, 3..4, 9..14, 14..17, 14..17, 14..17, 17..18]);
        let after: Vec<_> = [499, 500, 501, 502, 509, 510, 511, 600].map(|at| index.ordinal_after(at)).into();
        assert_eq!(after, [14, 15, 15, 16, 16, 17, 17, 18]);
    }
}

#[test]
fn positions_with_holes_are_found() {
    for index in [&memory() as &dyn Index, &open(bytes()).expect("it is as it was written")] {
        let after: Vec<_> = [0, 1, 3, 50, 100, 101, 204, 405, 999].map(|at| index.ordinal_after(at)).into();
        assert_eq!(after, [0, 1, 3, 3, 3, 4, 8, 14, 14]);
        let at: Vec<_> = [-1, 0, 1, 1_000, 4_000, 4_001].map(|time| index.ordinal_at(time)).into();
        assert_eq!(at, [0, 0, 3, 3, 9, 14]);
    }
}

#[test]
fn an_empty_index_comes_back() {
    let index = open(encode(&MemoryIndex::default(), STORE, 3, LOG_LEN)).expect("it is as it was written");
    assert_eq!((index.events(), index.frames(), index.categories()), (0, 0, 0));
    assert_eq!((index.find(Kind::Stream, "a-1"), index.find_id(id(1))), (None, None));
    assert_eq!((index.ordinal_after(0), index.ordinal_at(0)), (0, 0));
}

#[test]
fn a_file_that_was_changed_or_cut_off_is_refused() {
    let bytes = bytes();
    for at in 0..bytes.len() {
        assert_eq!(open(bytes[..at].to_vec()).err(), Some(BadIndex::Damaged), "cut at {at}");
        for bit in [0, 3, 7] {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            assert_eq!(open(flipped).err(), Some(BadIndex::Damaged), "bit {bit} of byte {at}, the header has {HEAD}");
        }
    }
    assert_eq!(open([bytes, vec![0]].concat()).err(), Some(BadIndex::Damaged));
}

#[test]
fn a_file_of_another_segment_is_refused() {
    let open = |store, number, log_len| MappedIndex::open(bytes().into(), store, number, log_len).err();
    assert_eq!(open(STORE, 3, LOG_LEN), None);
    assert_eq!(open(STORE, 4, LOG_LEN), Some(BadIndex::Other));
    assert_eq!(open(STORE, 3, LOG_LEN + 8), Some(BadIndex::Other));
    assert_eq!(open(StoreId::from_bytes([8; 16]), 3, LOG_LEN), Some(BadIndex::Other));
}
