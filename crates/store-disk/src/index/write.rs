//! The file form of an index: sections behind a header that says where they are.

use mainspring_store::StoreId;

use super::{
    FrameEntry,
    layout::{CONTINUES, HEAD, MAGIC, SECTIONS, Section, TABLE, TABLE_ENTRY, name_hash},
    memory::MemoryIndex,
};
use crate::{
    format::{FORMAT, frame::Kind, short},
    names::Names,
};

/// The index file of segment `number`, whose log has `log_len` bytes.
pub(crate) fn encode(index: &MemoryIndex, store: StoreId, number: u32, log_len: u64) -> Vec<u8> {
    let mut out = Writer { bytes: vec![0; HEAD], table: [(0, 0); SECTIONS] };
    write_names(&mut out, index);
    write_events(&mut out, index);
    write_postings(&mut out, index);
    out.section(Section::FrameOrdinals, index.frames.iter().map(|frame| ordinal_bits(frame).to_le_bytes()));
    out.section(Section::FramePositions, index.frames.iter().map(|frame| frame.first_position.to_le_bytes()));
    out.section(Section::FrameRecorded, index.frames.iter().map(|frame| frame.recorded.to_le_bytes()));
    let mut ids: Vec<_> = index.ids().collect();
    // New ids come in runs that increase, which a stable sort finds and merges.
    ids.sort();
    out.section(Section::Ids, ids.iter().map(|(id, _)| id.to_bytes()));
    out.section(Section::IdOrdinals, ids.iter().map(|(_, ordinal)| ordinal.to_le_bytes()));
    let changes = match index.changes.as_slice() {
        [] => Vec::new(),
        changes => serde_json::to_vec(changes).expect("changes always make JSON"),
    };
    out.section(Section::Changes, changes.chunks(1).map(|byte| [byte[0]]));
    out.finish(store, number, log_len, index)
}

/// The first ordinal of a frame, its highest bit set where the frame continues a commit.
fn ordinal_bits(frame: &FrameEntry) -> u32 {
    frame.first_ordinal | if frame.continues { CONTINUES } else { 0 }
}

fn write_names(out: &mut Writer, index: &MemoryIndex) {
    let names = &index.names;
    for kind in Kind::ALL {
        let all: Vec<&str> = (0..names.len(kind)).map(|code| names.name(kind, code)).collect();
        out.names(Section::of_names(kind), &all);
        if let Some(lookup) = Section::of_lookup(kind) {
            out.lookup(lookup, &all);
        }
    }
    let categories: Vec<&str> = index.categories.iter().map(AsRef::as_ref).collect();
    out.names((Section::CategoryStarts, Section::CategoryNames), &categories);
    out.lookup(Section::CategoryLookup, &categories);
}

fn write_events(out: &mut Writer, index: &MemoryIndex) {
    out.section(Section::Offsets, index.offsets.iter().map(|offset| offset.to_le_bytes()));
    out.section(Section::StreamOf, index.stream_of.iter().map(|code| code.to_le_bytes()));
    out.section(Section::TypeOf, index.type_of.iter().map(|code| code.to_le_bytes()));
    out.section(Section::Heads, index.streams.iter().map(|stream| stream.head.to_le_bytes()));
    out.section(Section::CategoryOf, index.streams.iter().map(|stream| stream.category.to_le_bytes()));
}

fn write_postings(out: &mut Writer, index: &MemoryIndex) {
    let types = index.names.len(Kind::Type) as usize;
    let categories: Vec<u32> = index.stream_of.iter().map(|stream| index.streams[*stream as usize].category).collect();
    out.lists((Section::StreamStarts, Section::StreamPostings), &Sorted::new(&index.stream_of, index.streams.len()));
    out.lists((Section::TypeStarts, Section::TypePostings), &Sorted::new(&index.type_of, types));
    let sorted = Sorted::new(&categories, index.categories.len());
    out.lists((Section::CategoryPostingStarts, Section::CategoryPostings), &sorted);
    out.lists((Section::TagStarts, Section::TagPostings), &sorted_by_tag(index));
}

/// Ordinals sorted by a code: where those of each code start, and all of them.
struct Sorted {
    starts: Vec<u32>,
    ordinals: Vec<u32>,
}

impl Sorted {
    /// Sorts ordinals, of which each has one code, by counting.
    fn new(codes: &[u32], lists: usize) -> Self {
        Self::of(|| codes.iter().copied().zip(0..), lists)
    }

    /// Sorts pairs of a code and an ordinal, which come in the order of the ordinals.
    fn of<I: Iterator<Item = (u32, u32)>>(pairs: impl Fn() -> I, lists: usize) -> Self {
        let mut starts = vec![0; lists + 1];
        pairs().for_each(|(code, _)| starts[code as usize + 1] += 1);
        for list in 0..lists {
            starts[list + 1] += starts[list];
        }
        let mut next = starts.clone();
        let mut ordinals = vec![0; starts[lists] as usize];
        for (code, ordinal) in pairs() {
            let next = &mut next[code as usize];
            ordinals[*next as usize] = ordinal;
            *next += 1;
        }
        Self { starts, ordinals }
    }
}

fn sorted_by_tag(index: &MemoryIndex) -> Sorted {
    let tags_of = |ordinal: usize| {
        let first = ordinal.checked_sub(1).map_or(0, |before| index.tag_ends[before]);
        &index.tags[first as usize..index.tag_ends[ordinal] as usize]
    };
    let pairs = || {
        (0..index.tag_ends.len()).flat_map(|ordinal| {
            let tags = tags_of(ordinal);
            // An event may carry a tag twice.
            let once = tags.iter().enumerate().filter(|(at, tag)| !tags[..*at].contains(tag));
            once.map(move |(_, tag)| (*tag, short(ordinal)))
        })
    };
    Sorted::of(pairs, index.names.len(Kind::Tag) as usize)
}

struct Writer {
    bytes: Vec<u8>,
    table: [(u64, u64); SECTIONS],
}

impl Writer {
    fn section<const N: usize>(&mut self, section: Section, items: impl Iterator<Item = [u8; N]>) {
        let start = self.bytes.len();
        items.for_each(|item| self.bytes.extend_from_slice(&item));
        self.table[section as usize] = (start as u64, (self.bytes.len() - start) as u64);
    }

    /// Names by their codes: where each starts, and one after the other.
    fn names(&mut self, (starts, bytes): (Section, Section), names: &[&str]) {
        let mut end = 0;
        let ends = names.iter().map(|name| {
            end += name.len();
            short(end).to_le_bytes()
        });
        self.section(starts, std::iter::once([0; 4]).chain(ends));
        self.section(bytes, names.iter().flat_map(|name| name.bytes()).map(|byte| [byte]));
    }

    /// Codes sorted by the hash of their names.
    fn lookup(&mut self, section: Section, names: &[&str]) {
        let mut pairs: Vec<(u32, u32)> =
            names.iter().enumerate().map(|(code, name)| (name_hash(name), short(code))).collect();
        pairs.sort_unstable();
        self.section(
            section,
            pairs.iter().map(|(hash, code)| (u64::from(*code) << 32 | u64::from(*hash)).to_le_bytes()),
        );
    }

    /// Lists of ordinals: where each starts, and one after the other.
    fn lists(&mut self, (starts, entries): (Section, Section), lists: &Sorted) {
        self.section(starts, lists.starts.iter().map(|start| start.to_le_bytes()));
        self.section(entries, lists.ordinals.iter().map(|ordinal| ordinal.to_le_bytes()));
    }

    fn finish(mut self, store: StoreId, number: u32, log_len: u64, index: &MemoryIndex) -> Vec<u8> {
        let length = self.bytes.len() as u64;
        let (head, sections) = self.bytes.split_at_mut(HEAD);
        head[..8].copy_from_slice(MAGIC);
        head[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        head[12..16].copy_from_slice(&number.to_le_bytes());
        head[16..32].copy_from_slice(store.as_uuid().as_bytes());
        head[32..40].copy_from_slice(&log_len.to_le_bytes());
        head[40..48].copy_from_slice(&length.to_le_bytes());
        head[48..52].copy_from_slice(&short(index.offsets.len()).to_le_bytes());
        head[52..56].copy_from_slice(&short(SECTIONS).to_le_bytes());
        let [oldest, newest] = index.id_hint.to_numbers();
        head[56..64].copy_from_slice(&newest.to_le_bytes());
        head[64..72].copy_from_slice(&oldest.to_le_bytes());
        let recorded = index.frames.last().map_or(i64::MIN, |frame| frame.recorded);
        head[72..80].copy_from_slice(&recorded.to_le_bytes());
        for (index, (start, length)) in self.table.iter().enumerate() {
            let at = TABLE + TABLE_ENTRY * index;
            let from = usize::try_from(*start).expect("it is in memory") - HEAD;
            let section = &sections[from..from + usize::try_from(*length).expect("it is in memory")];
            head[at..at + 8].copy_from_slice(&start.to_le_bytes());
            head[at + 8..at + 16].copy_from_slice(&length.to_le_bytes());
            head[at + 16..at + 20].copy_from_slice(&crc32c::crc32c(section).to_le_bytes());
        }
        let checksum = crc32c::crc32c(&head[..HEAD - 4]);
        head[HEAD - 4..].copy_from_slice(&checksum.to_le_bytes());
        self.bytes
    }
}
