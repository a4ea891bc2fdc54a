//! The index of a sealed segment: a file, mapped and searched in place.
//!
//! Nothing of it is trusted. The header is verified on opening; each section, by its own checksum, when it is first asked
//! for, so that looking up one stream does not read the ids and tags of the whole segment. A section that proves bad
//! answers as if it were empty and marks the index as damaged: whoever asked looks at the mark and drops the answer.

mod names;

use std::{
    ops::Range,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
};

use bytes::Bytes;
use mainspring_event::{EventId, TagTable};
use mainspring_store::{StoreId, StreamChange};

use super::{
    FrameEntry, IdHint, Index, List, Postings,
    layout::{CATEGORIES, CONTINUES, HEAD, MAGIC, NAMES, SECTIONS, Section, TABLE, TABLE_ENTRY, name_hash},
    partition_point,
};
use crate::{
    format::{FORMAT, array_at, frame::Kind, i64_at, u32_at, u64_at},
    names::Names,
};

pub(crate) use names::MappedNames;

/// Why an index file cannot be used. It is built again from the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadIndex {
    #[error("it belongs to another segment or another version of the log")]
    Other,
    #[error("its checksum does not match")]
    Damaged,
}

/// An index file.
pub(crate) struct MappedIndex {
    bytes: Bytes,
    table: [Place; SECTIONS],
    events: u32,
    ids: IdHint,
    recorded: i64,
    sections: [Verified; SECTIONS],
    names: [Verified; NAMES.len()],
    /// The names that records refer to, without and with those of tags.
    readable: [OnceLock<Arc<MappedNames>>; 2],
    damaged: AtomicBool,
}

/// Where a section is, and what its checksum should be.
#[derive(Clone, Copy, Default)]
struct Place {
    start: usize,
    len: usize,
    checksum: u32,
}

/// Whether something was found intact: unknown, yes, or no.
#[derive(Default)]
struct Verified(AtomicU8);

impl Verified {
    const INTACT: u8 = 1;
    const BAD: u8 = 2;

    /// What `verify` found, the first time or now. Several threads may look at once and find the same.
    fn get(&self, verify: impl FnOnce() -> bool) -> bool {
        match self.0.load(Ordering::Acquire) {
            Self::INTACT => true,
            Self::BAD => false,
            _ => {
                let intact = verify();
                self.0.store(if intact { Self::INTACT } else { Self::BAD }, Ordering::Release);
                intact
            }
        }
    }
}

impl MappedIndex {
    /// The index of segment `number` whose log has `log_len` bytes. Reads the header and nothing else.
    pub(crate) fn open(bytes: Bytes, store: StoreId, number: u32, log_len: u64) -> Result<Self, BadIndex> {
        let head = bytes.get(..HEAD).ok_or(BadIndex::Damaged)?;
        if &head[..8] != MAGIC || crc32c::crc32c(&head[..HEAD - 4]) != u32_at(head, HEAD - 4) {
            return Err(BadIndex::Damaged);
        }
        let same = u32_at(head, 8) == FORMAT
            && u32_at(head, 12) == number
            && StoreId::from_bytes(array_at(head, 16)) == store
            && u64_at(head, 32) == log_len
            && u32_at(head, 52) as usize == SECTIONS;
        if !same {
            return Err(BadIndex::Other);
        }
        if u64_at(head, 40) != bytes.len() as u64 {
            return Err(BadIndex::Damaged);
        }
        let mut table = [Place::default(); SECTIONS];
        for (index, place) in table.iter_mut().enumerate() {
            let at = TABLE + TABLE_ENTRY * index;
            let number = |at| usize::try_from(u64_at(head, at)).map_err(|_| BadIndex::Damaged);
            *place = Place { start: number(at)?, len: number(at + 8)?, checksum: u32_at(head, at + 16) };
            bytes.get(place.start..place.start.saturating_add(place.len)).ok_or(BadIndex::Damaged)?;
        }
        let events = u32_at(head, 48);
        let one_for_each = [Section::Offsets, Section::StreamOf, Section::TypeOf];
        if one_for_each.iter().any(|section| table[*section as usize].len != 4 * events as usize) {
            return Err(BadIndex::Damaged);
        }
        let ids = IdHint::from_numbers([u64_at(head, 64), u64_at(head, 56)]);
        let recorded = i64_at(head, 72);
        let (sections, names) = (std::array::from_fn(|_| Verified::default()), Default::default());
        let (readable, damaged) = (Default::default(), AtomicBool::new(false));
        Ok(Self { bytes, table, events, ids, recorded, sections, names, readable, damaged })
    }

    /// Verifies all of it.
    pub(crate) fn verify(&self) -> Result<(), BadIndex> {
        let sections = (0..SECTIONS).all(|section| self.is_intact(section));
        let names = (0..NAMES.len()).all(|table| self.is_readable(table));
        if sections && names && !self.is_damaged() { Ok(()) } else { Err(BadIndex::Damaged) }
    }

    /// The names that records of the segment refer to, verified; those of tags only where they are asked for.
    pub(crate) fn names(&self, tags: bool) -> Result<Arc<MappedNames>, BadIndex> {
        let readable = &self.readable[usize::from(tags)];
        if let Some(names) = readable.get() {
            return Ok(names.clone());
        }
        let wanted = |kind: Kind| kind != Kind::Tag || tags;
        if !Kind::ALL.into_iter().filter(|kind| wanted(*kind)).all(|kind| self.is_readable(kind as usize)) {
            return Err(BadIndex::Damaged);
        }
        let part = |section: Section| {
            let Place { start, len, .. } = self.table[section as usize];
            self.bytes.slice(start..start + len)
        };
        let table = |kind: Kind| {
            let (starts, text) = Section::of_names(kind);
            if wanted(kind) { (part(starts), part(text)) } else { Default::default() }
        };
        Ok(readable.get_or_init(|| Arc::new(MappedNames { tables: Kind::ALL.map(table) })).clone())
    }

    /// Whether anything that was asked for proved to be other than it was written. Answers given until then are void.
    pub(crate) fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Acquire)
    }

    /// When the last event of the segment was recorded; the least number where there is none.
    pub(crate) fn last_recorded(&self) -> i64 {
        self.recorded
    }

    /// The stream changes that the segment holds.
    pub(crate) fn changes(&self) -> Result<Vec<StreamChange>, BadIndex> {
        let bytes = self.section(Section::Changes);
        if self.is_damaged() {
            return Err(BadIndex::Damaged);
        }
        if bytes.is_empty() { Ok(Vec::new()) } else { serde_json::from_slice(bytes).map_err(|_| BadIndex::Damaged) }
    }

    /// Every event id, in order.
    pub(crate) fn ids(&self) -> impl Iterator<Item = EventId> {
        self.section(Section::Ids).chunks_exact(16).map(|id| EventId::from_bytes(array_at(id, 0)))
    }

    fn damage(&self) {
        self.damaged.store(true, Ordering::Release);
    }

    fn raw(&self, section: usize) -> &[u8] {
        let Place { start, len, .. } = self.table[section];
        &self.bytes[start..start + len]
    }

    fn is_intact(&self, section: usize) -> bool {
        self.sections[section].get(|| {
            let intact = crc32c::crc32c(self.raw(section)) == self.table[section].checksum;
            if !intact {
                self.damage();
            }
            intact
        })
    }

    /// A section, verified; empty if it is damaged.
    fn section(&self, section: Section) -> &[u8] {
        if self.is_intact(section as usize) { self.raw(section as usize) } else { &[] }
    }

    /// The `N` bytes at `at`; zeros if the section does not have them.
    fn array<const N: usize>(&self, section: Section, at: usize) -> [u8; N] {
        match self.section(section).get(at..).and_then(<[u8]>::first_chunk) {
            Some(array) => *array,
            None => {
                self.damage();
                [0; N]
            }
        }
    }

    fn number(&self, section: Section, index: u32) -> u32 {
        u32::from_le_bytes(self.array(section, 4 * index as usize))
    }

    fn span(&self, starts: Section, code: u32) -> Range<usize> {
        self.number(starts, code) as usize..self.number(starts, code.saturating_add(1)) as usize
    }

    /// Whether a table of names is text, and every name in it begins and ends where a character does.
    fn is_readable(&self, table: usize) -> bool {
        self.names[table].get(|| {
            let (starts, names) = NAMES[table];
            let (starts, text) = (self.section(starts), std::str::from_utf8(self.section(names)));
            let starts = || starts.chunks_exact(4).map(|start| u32_at(start, 0) as usize);
            let readable = text.is_ok_and(|text| {
                starts().is_sorted() && starts().all(|start| text.is_char_boundary(start)) && starts().next() == Some(0)
            });
            if !readable {
                self.damage();
            }
            readable
        })
    }

    fn text(&self, table: usize, code: u32) -> &str {
        if !self.is_readable(table) {
            return "";
        }
        let (starts, names) = NAMES[table];
        let bytes = self.section(names).get(self.span(starts, code)).unwrap_or_default();
        #[expect(unsafe_code, reason = "checking names again on every event would cost more than reading it")]
        // SAFETY: `is_readable` found that the section is valid UTF-8 and that every start lies between two characters of
        // it, in order; `bytes` lies between two starts or is empty. What is mapped does not change.
        unsafe {
            std::str::from_utf8_unchecked(bytes)
        }
    }

    fn look_up(&self, lookup: Section, table: usize, name: &str) -> Option<u32> {
        let pairs = self.section(lookup);
        let hash = name_hash(name);
        let len = pairs.len() / 8;
        let mut index = partition_point(len, |index| u32_at(pairs, 8 * index) < hash);
        while index < len && u32_at(pairs, 8 * index) == hash {
            let code = u32_at(pairs, 8 * index + 4);
            if self.text(table, code) == name {
                return Some(code);
            }
            index += 1;
        }
        None
    }

    fn list(&self, starts: Section, entries: Section, code: u32) -> Postings<'_> {
        let Range { start, end } = self.span(starts, code);
        let list = self.section(entries).get(4 * start..4 * end);
        if list.is_none() {
            self.damage();
        }
        Postings::Mapped(list.unwrap_or_default())
    }
}

impl Index for MappedIndex {
    fn events(&self) -> u32 {
        self.events
    }

    fn find(&self, kind: Kind, name: &str) -> Option<u32> {
        self.look_up(Section::of_lookup(kind)?, kind as usize, name)
    }

    fn names_of(&self, kind: Kind) -> u32 {
        let starts = self.section(Section::of_names(kind).0);
        u32::try_from((starts.len() / 4).saturating_sub(1)).expect("a segment holds fewer than 4 Gi names")
    }

    fn find_category(&self, name: &str) -> Option<u32> {
        self.look_up(Section::CategoryLookup, CATEGORIES, name)
    }

    fn category_of(&self, stream: u32) -> u32 {
        self.number(Section::CategoryOf, stream)
    }

    fn category_name(&self, category: u32) -> &str {
        self.text(CATEGORIES, category)
    }

    fn categories(&self) -> u32 {
        let starts = self.section(Section::CategoryStarts);
        u32::try_from((starts.len() / 4).saturating_sub(1)).expect("fewer categories than streams")
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
        u64::from_le_bytes(self.array(Section::Heads, 8 * stream as usize))
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
        (index < len && at(index) == id).then(|| u32::from_le_bytes(self.array(Section::IdOrdinals, 4 * index)))
    }

    fn id_hint(&self) -> IdHint {
        self.ids
    }

    fn frames(&self) -> usize {
        self.section(Section::FrameOrdinals).len() / 4
    }

    fn frame(&self, index: usize) -> FrameEntry {
        let ordinal = u32::from_le_bytes(self.array(Section::FrameOrdinals, 4 * index));
        FrameEntry {
            first_ordinal: ordinal & !CONTINUES,
            continues: ordinal & CONTINUES != 0,
            first_position: u64::from_le_bytes(self.array(Section::FramePositions, 8 * index)),
            recorded: i64::from_le_bytes(self.array(Section::FrameRecorded, 8 * index)),
        }
    }
}

impl Names for MappedIndex {
    fn name(&self, kind: Kind, code: u32) -> &str {
        self.text(kind as usize, code)
    }
}

impl TagTable for MappedIndex {
    fn tag(&self, code: u32) -> &str {
        self.name(Kind::Tag, code)
    }
}

#[cfg(test)]
mod tests;
