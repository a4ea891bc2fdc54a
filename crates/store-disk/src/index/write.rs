//! The file form of an index: sections behind a header that says where they are.

use mainspring_store::StoreId;

use super::{
    FrameEntry,
    mapped::{CONTINUES, HEAD, MAGIC, SECTIONS, Section, name_hash},
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
    let mut ids: Vec<_> = index.ids.iter().collect();
    ids.sort_unstable();
    out.section(Section::Ids, ids.iter().map(|(id, _)| id.to_bytes()));
    out.section(Section::IdOrdinals, ids.iter().map(|(_, ordinal)| ordinal.to_le_bytes()));
    let changes = serde_json::to_vec(&index.changes).expect("changes always make JSON");
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
    let streams: Vec<&[u32]> = index.streams.iter().map(|stream| stream.postings.as_slice()).collect();
    out.lists((Section::StreamStarts, Section::StreamPostings), &streams);
    out.lists((Section::TypeStarts, Section::TypePostings), &as_slices(&index.type_postings));
    out.lists((Section::CategoryPostingStarts, Section::CategoryPostings), &as_slices(&index.category_postings));
    out.lists((Section::TagStarts, Section::TagPostings), &as_slices(&index.tag_postings));
}

fn as_slices(lists: &[Vec<u32>]) -> Vec<&[u32]> {
    lists.iter().map(Vec::as_slice).collect()
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
    fn lists(&mut self, (starts, entries): (Section, Section), lists: &[&[u32]]) {
        let mut end = 0;
        let ends = lists.iter().map(|list| {
            end += list.len();
            short(end).to_le_bytes()
        });
        self.section(starts, std::iter::once([0; 4]).chain(ends));
        self.section(entries, lists.iter().flat_map(|list| list.iter()).map(|ordinal| ordinal.to_le_bytes()));
    }

    fn finish(mut self, store: StoreId, number: u32, log_len: u64, index: &MemoryIndex) -> Vec<u8> {
        let body = crc32c::crc32c(&self.bytes[HEAD..]);
        let length = self.bytes.len() as u64;
        let head = &mut self.bytes[..HEAD];
        head[..8].copy_from_slice(MAGIC);
        head[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        head[12..16].copy_from_slice(&number.to_le_bytes());
        head[16..32].copy_from_slice(store.as_uuid().as_bytes());
        head[32..40].copy_from_slice(&log_len.to_le_bytes());
        head[40..48].copy_from_slice(&length.to_le_bytes());
        head[48..52].copy_from_slice(&short(index.offsets.len()).to_le_bytes());
        head[52..56].copy_from_slice(&body.to_le_bytes());
        head[56..64].copy_from_slice(&index.id_hint.to_bits().to_le_bytes());
        for (index, (start, length)) in self.table.iter().enumerate() {
            let at = 64 + 16 * index;
            head[at..at + 8].copy_from_slice(&start.to_le_bytes());
            head[at + 8..at + 16].copy_from_slice(&length.to_le_bytes());
        }
        let checksum = crc32c::crc32c(&head[..HEAD - 4]);
        head[HEAD - 4..].copy_from_slice(&checksum.to_le_bytes());
        self.bytes
    }
}
