//! Index files, as they were written and as they were not.

use std::hint::black_box;

use bytes::Bytes;
use mainspring_event::{EventId, Version};
use mainspring_store::{StoreId, StreamChange};

use super::{BadIndex, HEAD, MappedIndex, SECTIONS, Section, TABLE, TABLE_ENTRY};
use crate::{
    format::{frame::Kind, u64_at},
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
    index.list();
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

/// The file with one byte changed in each section that is not empty, one at a time.
fn with_damage_in_each_section() -> impl Iterator<Item = (usize, MappedIndex)> {
    let bytes = bytes();
    let sections: Vec<_> = (0..SECTIONS).map(|section| (section, place(&bytes, section))).collect();
    sections.into_iter().filter(|(_, (_, len))| *len > 0).map(move |(section, (start, len))| {
        let mut changed = bytes.clone();
        changed[start + len / 2] ^= 1;
        (section, MappedIndex::open(Bytes::from(changed), STORE, 3, LOG_LEN).expect("the header is as it was"))
    })
}

/// Where a section is, and its length.
fn place(bytes: &[u8], section: usize) -> (usize, usize) {
    let number = |at| usize::try_from(u64_at(bytes, TABLE + TABLE_ENTRY * section + at)).unwrap();
    (number(0), number(8))
}

#[test]
fn looking_up_a_stream_reads_no_ids_no_tags_and_no_types() {
    use Section::*;
    let expected = open(bytes()).unwrap();
    let code = expected.find(Kind::Stream, "b-1").unwrap();
    let read = [StreamNameStarts, StreamNames, StreamLookup, StreamStarts, StreamPostings, Heads, Offsets];
    let mut untouched = 0;
    for (section, index) in with_damage_in_each_section() {
        let found = index.find(Kind::Stream, "b-1").map(|code| {
            let postings = index.postings(List::Stream(code));
            let ordinals = (0..postings.len()).map(|at| postings.get(at));
            (code, index.head(code), ordinals.map(|ordinal| index.offset(ordinal)).collect::<Vec<_>>())
        });
        if read.iter().any(|read| *read as usize == section) {
            assert!(index.is_damaged(), "section {section} is used");
        } else {
            assert!(!index.is_damaged(), "section {section} is not used");
            assert_eq!(found, Some((code, 11, vec![264, 664, 1064])));
            assert_eq!(index.verify(), Err(BadIndex::Damaged));
            untouched += 1;
        }
    }
    assert!(untouched > 20, "{untouched}");
}

/// Everything that an index can be asked, with codes and ordinals that it has and that it has not.
fn ask_everything(index: &MappedIndex, codes: impl Iterator<Item = u32> + Clone) {
    for name in ["a-1", "b-1", "$c", "k:1", "k:3", "Opened", "a", ""] {
        black_box(Kind::ALL.map(|kind| index.find(kind, name)));
        black_box(index.find_category(name));
    }
    for kind in Kind::ALL {
        black_box(index.names_of(kind));
        codes.clone().for_each(|code| assert!(index.name(kind, code).len() < 1 << 20));
    }
    black_box((index.events(), index.categories(), index.id_hint(), index.last_recorded()));
    black_box((index.changes().is_ok(), index.names(true).is_ok(), index.ids().count()));
    for code in codes {
        for list in [List::Stream(code), List::Type(code), List::Category(code), List::Tag(code)] {
            let postings = index.postings(list);
            black_box((0..postings.len()).map(|at| postings.get(at)).max());
            black_box((postings.below(code), postings.contains(code)));
        }
        black_box((index.head(code), index.category_of(code), index.category_name(code).len()));
        black_box((index.stream_of(code), index.type_of(code), index.offset(code), index.position(code)));
        black_box((index.frame(code as usize), index.ordinals(index.frame_of(code)), index.find_id(id(code))));
        black_box((index.ordinal_after(u64::from(code) * 50), index.ordinal_at(i64::from(code) * 500)));
    }
    black_box(index.verify().is_ok());
}

/// Whatever the bytes are, and whether or not their checksums are right, an answer is given and nothing panics.
#[test]
fn no_bytes_make_it_panic() {
    let bytes = bytes();
    let mut draw = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = |below: usize| {
        draw = draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (draw >> 33) as usize % below
    };
    let (mut opened, mut damaged) = (0, 0);
    for round in 0..3_000 {
        let mut changed = bytes.clone();
        for _ in 0..=next(4) {
            let at = if next(4) == 0 { 48 + next(HEAD - 52) } else { HEAD + next(bytes.len() - HEAD) };
            changed[at] = next(256) as u8;
        }
        if round % 3 > 0 {
            for section in 0..SECTIONS {
                let (start, len) = place(&changed, section);
                let checksum = changed.get(start..start.saturating_add(len)).map_or(0, crc32c::crc32c);
                let at = TABLE + TABLE_ENTRY * section + 16;
                changed[at..at + 4].copy_from_slice(&checksum.to_le_bytes());
            }
        }
        let checksum = crc32c::crc32c(&changed[..HEAD - 4]);
        changed[HEAD - 4..HEAD].copy_from_slice(&checksum.to_le_bytes());
        let Ok(index) = MappedIndex::open(Bytes::from(changed), STORE, 3, LOG_LEN) else { continue };
        opened += 1;
        ask_everything(&index, (0..20).chain([1 << 20, u32::MAX - 1, u32::MAX]));
        damaged += usize::from(index.is_damaged());
    }
    assert!(opened > 1_000 && damaged > 300, "{opened} were opened, {damaged} were found damaged");
}
