//! The index of a sealed segment: a file, mapped and searched in place.

use std::{ops::Range, sync::OnceLock};

use bytes::Bytes;
use mainspring_event::{EventId, TagTable};
use mainspring_store::{StoreId, StreamChange};

use super::{FrameEntry, IdHint, Index, List, Postings, partition_point};
use crate::{
    format::{FORMAT, array_at, frame::Kind, i64_at, u32_at, u64_at},
    names::Names,
};

pub(super) const MAGIC: &[u8; 8] = b"MAINSPIX";

/// Set in the first ordinal of a frame that continues the commit of the one before. A segment is smaller than 4 GiB and a
/// record longer than two bytes, so no ordinal needs this bit.
pub(super) const CONTINUES: u32 = 1 << 31;

/// How many sections an index file has.
pub(super) const SECTIONS: usize = Section::Changes as usize + 1;

/// Length of the header: 64 bytes, the table of sections, and the header's checksum at the end.
pub(super) const HEAD: usize = 64 + 16 * SECTIONS + 16;

/// The parts of an index file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(super) enum Section {
    StreamNameStarts,
    StreamNames,
    TypeNameStarts,
    TypeNames,
    SourceNameStarts,
    SourceNames,
    ContentTypeNameStarts,
    ContentTypeNames,
    TagNameStarts,
    TagNames,
    CategoryStarts,
    CategoryNames,
    StreamLookup,
    TypeLookup,
    TagLookup,
    CategoryLookup,
    Offsets,
    StreamOf,
    TypeOf,
    Heads,
    CategoryOf,
    StreamStarts,
    StreamPostings,
    TypeStarts,
    TypePostings,
    CategoryPostingStarts,
    CategoryPostings,
    TagStarts,
    TagPostings,
    FrameOrdinals,
    FramePositions,
    FrameRecorded,
    Ids,
    IdOrdinals,
    Changes,
}

impl Section {
    /// Where the names of a kind start, and their bytes.
    pub(super) fn of_names(kind: Kind) -> (Self, Self) {
        match kind {
            Kind::Stream => (Self::StreamNameStarts, Self::StreamNames),
            Kind::Type => (Self::TypeNameStarts, Self::TypeNames),
            Kind::Source => (Self::SourceNameStarts, Self::SourceNames),
            Kind::ContentType => (Self::ContentTypeNameStarts, Self::ContentTypeNames),
            Kind::Tag => (Self::TagNameStarts, Self::TagNames),
        }
    }

    /// The codes of a kind by hash; only for kinds that queries name.
    pub(super) fn of_lookup(kind: Kind) -> Option<Self> {
        match kind {
            Kind::Stream => Some(Self::StreamLookup),
            Kind::Type => Some(Self::TypeLookup),
            Kind::Tag => Some(Self::TagLookup),
            Kind::Source | Kind::ContentType => None,
        }
    }
}

/// The hash by which names are found; part of the format.
pub(super) fn name_hash(name: &str) -> u32 {
    crc32c::crc32c(name.as_bytes())
}

/// Why an index file cannot be used. It is built again from the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadIndex {
    #[error("it belongs to another segment or another version of the log")]
    Other,
    #[error("its checksum does not match")]
    Damaged,
}

/// An index file. Its header is verified on opening, its content on first use.
pub(crate) struct MappedIndex {
    bytes: Bytes,
    table: [(usize, usize); SECTIONS],
    events: u32,
    verified: OnceLock<Result<(), BadIndex>>,
}

impl MappedIndex {
    /// The index of segment `number` whose log has `log_len` bytes.
    pub(crate) fn open(bytes: Bytes, store: StoreId, number: u32, log_len: u64) -> Result<Self, BadIndex> {
        let head = bytes.get(..HEAD).ok_or(BadIndex::Damaged)?;
        if &head[..8] != MAGIC || crc32c::crc32c(&head[..HEAD - 4]) != u32_at(head, HEAD - 4) {
            return Err(BadIndex::Damaged);
        }
        let same = u32_at(head, 8) == FORMAT
            && u32_at(head, 12) == number
            && StoreId::from_bytes(array_at(head, 16)) == store
            && u64_at(head, 32) == log_len;
        if !same {
            return Err(BadIndex::Other);
        }
        if u64_at(head, 40) != bytes.len() as u64 {
            return Err(BadIndex::Damaged);
        }
        let mut table = [(0, 0); SECTIONS];
        for (index, entry) in table.iter_mut().enumerate() {
            let at = 64 + 16 * index;
            let number = |at| usize::try_from(u64_at(head, at)).map_err(|_| BadIndex::Damaged);
            *entry = (number(at)?, number(at + 8)?);
            bytes.get(entry.0..entry.0.saturating_add(entry.1)).ok_or(BadIndex::Damaged)?;
        }
        let events = u32_at(head, 48);
        Ok(Self { bytes, table, events, verified: OnceLock::new() })
    }

    /// Verifies the checksum of the whole file, once; every other call relies on it.
    pub(crate) fn verify(&self) -> Result<(), BadIndex> {
        *self.verified.get_or_init(|| {
            let intact = crc32c::crc32c(&self.bytes[HEAD..]) == u32_at(&self.bytes, 52);
            let text = Kind::ALL.iter().map(|kind| Section::of_names(*kind).1).chain([Section::CategoryNames]);
            let readable = text.into_iter().all(|section| std::str::from_utf8(self.section(section)).is_ok());
            if intact && readable { Ok(()) } else { Err(BadIndex::Damaged) }
        })
    }

    /// The stream changes that the segment holds.
    pub(crate) fn changes(&self) -> Result<Vec<StreamChange>, BadIndex> {
        let bytes = self.section(Section::Changes);
        serde_json::from_slice(bytes).map_err(|_| BadIndex::Damaged)
    }

    fn section(&self, section: Section) -> &[u8] {
        let (start, length) = self.table[section as usize];
        &self.bytes[start..start + length]
    }

    fn number(&self, section: Section, index: u32) -> u32 {
        u32_at(self.section(section), 4 * index as usize)
    }

    fn span(&self, starts: Section, code: u32) -> Range<usize> {
        self.number(starts, code) as usize..self.number(starts, code + 1) as usize
    }

    fn text(&self, (starts, names): (Section, Section), code: u32) -> &str {
        let bytes = self.section(names).get(self.span(starts, code)).unwrap_or_default();
        #[expect(unsafe_code, reason = "checking names again on every event would cost more than reading it")]
        // SAFETY: a segment is used only after `verify` found the section valid UTF-8, its content does not change while
        // it is mapped, and names begin and end where whole names were written.
        unsafe {
            std::str::from_utf8_unchecked(bytes)
        }
    }

    fn look_up(&self, lookup: Section, names: (Section, Section), name: &str) -> Option<u32> {
        let pairs = self.section(lookup);
        let hash = name_hash(name);
        let len = pairs.len() / 8;
        let mut index = partition_point(len, |index| u32_at(pairs, 8 * index) < hash);
        while index < len && u32_at(pairs, 8 * index) == hash {
            let code = u32_at(pairs, 8 * index + 4);
            if self.text(names, code) == name {
                return Some(code);
            }
            index += 1;
        }
        None
    }

    fn list(&self, starts: Section, entries: Section, code: u32) -> Postings<'_> {
        let span = self.span(starts, code);
        Postings::Mapped(&self.section(entries)[4 * span.start..4 * span.end])
    }
}

impl Index for MappedIndex {
    fn events(&self) -> u32 {
        self.events
    }

    fn find(&self, kind: Kind, name: &str) -> Option<u32> {
        self.look_up(Section::of_lookup(kind)?, Section::of_names(kind), name)
    }

    fn names_of(&self, kind: Kind) -> u32 {
        let starts = self.section(Section::of_names(kind).0);
        u32::try_from((starts.len() / 4).saturating_sub(1)).expect("a segment holds fewer than 4 Gi names")
    }

    fn find_category(&self, name: &str) -> Option<u32> {
        self.look_up(Section::CategoryLookup, (Section::CategoryStarts, Section::CategoryNames), name)
    }

    fn category_of(&self, stream: u32) -> u32 {
        self.number(Section::CategoryOf, stream)
    }

    fn category_name(&self, category: u32) -> &str {
        self.text((Section::CategoryStarts, Section::CategoryNames), category)
    }

    fn categories(&self) -> u32 {
        u32::try_from(self.section(Section::CategoryStarts).len() / 4 - 1).expect("fewer categories than streams")
    }

    fn stream_of(&self, ordinal: u32) -> u32 {
        self.number(Section::StreamOf, ordinal)
    }

    fn type_of(&self, ordinal: u32) -> u32 {
        self.number(Section::TypeOf, ordinal)
    }

    fn offset(&self, ordinal: u32) -> u32 {
        self.number(Section::Offsets, ordinal)
    }

    fn postings(&self, list: List) -> Postings<'_> {
        match list {
            List::Stream(code) => self.list(Section::StreamStarts, Section::StreamPostings, code),
            List::Type(code) => self.list(Section::TypeStarts, Section::TypePostings, code),
            List::Category(code) => self.list(Section::CategoryPostingStarts, Section::CategoryPostings, code),
            List::Tag(code) => self.list(Section::TagStarts, Section::TagPostings, code),
        }
    }

    fn head(&self, stream: u32) -> u64 {
        u64_at(self.section(Section::Heads), 8 * stream as usize)
    }

    fn find_id(&self, id: EventId) -> Option<u32> {
        let ids = self.section(Section::Ids);
        let len = ids.len() / 16;
        let id = id.to_bytes();
        let at = |index: usize| &ids[16 * index..16 * index + 16];
        if len == 0 || id.as_slice() < at(0) || id.as_slice() > at(len - 1) {
            return None;
        }
        let index = partition_point(len, |index| at(index) < id.as_slice());
        (index < len && at(index) == id).then(|| u32_at(self.section(Section::IdOrdinals), 4 * index))
    }

    fn id_hint(&self) -> IdHint {
        IdHint::from_bits(u64_at(&self.bytes, 56))
    }

    fn frames(&self) -> usize {
        self.section(Section::FrameOrdinals).len() / 4
    }

    fn frame(&self, index: usize) -> FrameEntry {
        let ordinal = u32_at(self.section(Section::FrameOrdinals), 4 * index);
        FrameEntry {
            first_ordinal: ordinal & !CONTINUES,
            continues: ordinal & CONTINUES != 0,
            first_position: u64_at(self.section(Section::FramePositions), 8 * index),
            recorded: i64_at(self.section(Section::FrameRecorded), 8 * index),
        }
    }
}

impl Names for MappedIndex {
    fn name(&self, kind: Kind, code: u32) -> &str {
        self.text(Section::of_names(kind), code)
    }
}

impl TagTable for MappedIndex {
    fn tag(&self, code: u32) -> &str {
        self.name(Kind::Tag, code)
    }
}

#[cfg(test)]
mod tests;
