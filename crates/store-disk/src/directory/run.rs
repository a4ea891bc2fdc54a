//! A run: one file of the directory, mapped and searched in place.
//!
//! Each section is a filter and a sequence of pages with a checksum each, so that a look-up reads and verifies a line of the
//! one and a page or two of the other, in a file that may be as large as the store has names. A page is verified when it is
//! first used.

use std::{
    ops::RangeInclusive,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use mainspring_store::{Lineage, StoreId};

use super::{
    filter::{LINE, line_of, may_have},
    hash::{Key, Topic},
};
use crate::{
    bell::Bell,
    format::{FORMAT, array_at, u32_at, u64_at},
};

pub(super) const MAGIC: &[u8; 8] = b"MAINSPDR";

/// Length of the header.
pub(super) const HEAD: usize = 192;

/// Where in it the table of sections begins: where each starts, how many entries and how many lines of its filter it has, 8
/// bytes each.
pub(super) const TABLE: usize = 64;

/// Length of an entry of the table.
pub(super) const TABLE_ENTRY: usize = 24;

/// Length of an entry: a hash and the number of a segment.
pub(super) const ENTRY: usize = 12;

/// How many entries a page has, unless it is the last of its section.
pub(super) const PAGE_ENTRIES: usize = 341;

/// Length of a full page: its entries and their checksum.
pub(super) const PAGE: usize = PAGE_ENTRIES * ENTRY + 4;

/// So many guesses are made from how hashes are spread before pages are halved.
const GUESSES: usize = 4;

/// A file of the directory.
pub(crate) struct Run {
    bytes: Bytes,
    name: String,
    pub(super) identity: Identity,
    sections: [Section; Topic::ALL.len()],
    bad: AtomicBool,
    bell: Arc<Bell>,
}

/// What a run is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) store: StoreId,
    pub(super) lineage: Lineage,
    /// The numbers of the segments it is about. Where one segment covers several, all of them.
    pub(super) first: u32,
    pub(super) last: u32,
    /// How often runs were merged to make it.
    pub(super) level: u32,
}

struct Section {
    /// Where its filter begins.
    filter: usize,
    lines: usize,
    /// Where its pages begin.
    start: usize,
    entries: usize,
    /// A bit for each page that was verified.
    verified: Box<[AtomicU64]>,
}

/// A run is not what was written: it is written again from the segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a run of the directory is not what was written")]
pub(crate) struct BadRun;

/// Length of a section.
pub(super) fn section_len(entries: usize) -> Option<usize> {
    entries.checked_mul(ENTRY)?.checked_add(entries.div_ceil(PAGE_ENTRIES).checked_mul(4)?)
}

impl Run {
    /// The run in a file of this name. Reads the header and nothing else.
    pub(super) fn open(bytes: Bytes, name: String, bell: Arc<Bell>) -> Result<Self, BadRun> {
        let head = bytes.get(..HEAD).ok_or(BadRun)?;
        let intact = &head[..8] == MAGIC
            && crc32c::crc32c(&head[..HEAD - 4]) == u32_at(head, HEAD - 4)
            && u32_at(head, 8) == FORMAT
            && u64_at(head, 56) == bytes.len() as u64;
        let identity = Identity {
            level: u32_at(head, 12),
            first: u32_at(head, 16),
            last: u32_at(head, 20),
            store: StoreId::from_bytes(array_at(head, 24)),
            lineage: Lineage::from_bytes(array_at(head, 40)),
        };
        if !intact || identity.first > identity.last {
            return Err(BadRun);
        }
        let section = |topic: Topic| {
            let at = TABLE + TABLE_ENTRY * topic as usize;
            let number = |at| usize::try_from(u64_at(head, at)).map_err(|_| BadRun);
            let (filter, entries, lines) = (number(at)?, number(at + 8)?, number(at + 16)?);
            let start = lines.checked_mul(LINE).and_then(|len| filter.checked_add(len)).ok_or(BadRun)?;
            let end = section_len(entries).and_then(|len| start.checked_add(len)).ok_or(BadRun)?;
            bytes.get(filter..end).ok_or(BadRun)?;
            if (lines == 0) != (entries == 0) {
                return Err(BadRun);
            }
            let words = entries.div_ceil(PAGE_ENTRIES).div_ceil(64);
            let verified = (0..words).map(|_| AtomicU64::new(0)).collect();
            Ok(Section { filter, lines, start, entries, verified })
        };
        let sections = [section(Topic::Stream)?, section(Topic::Tag)?, section(Topic::Id)?];
        Ok(Self { bytes, name, identity, sections, bad: AtomicBool::new(false), bell })
    }

    /// The name of its file.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The numbers of the segments it is about.
    pub(crate) fn range(&self) -> RangeInclusive<u32> {
        self.identity.first..=self.identity.last
    }

    /// Whether it is known not to be what was written.
    pub(crate) fn is_bad(&self) -> bool {
        self.bad.load(Ordering::Relaxed)
    }

    /// Adds the numbers of the segments that may hold `key`, increasing.
    pub(crate) fn find(&self, key: Key, numbers: &mut Vec<u32>) -> Result<(), BadRun> {
        let section = &self.sections[key.topic as usize];
        if section.entries == 0 || !self.may_have(section, key.hash)? {
            return Ok(());
        }
        let mut page = self.page_of(section, key.hash)?;
        loop {
            let entries = self.page(section, page)?;
            let len = entries.len() / ENTRY;
            for index in lower_bound(entries, key.hash)..len {
                let (hash, number) = entry(entries, index);
                if hash != key.hash {
                    return Ok(());
                }
                numbers.push(number);
            }
            page += 1;
            if page == section.pages() {
                return Ok(());
            }
        }
    }

    /// Checks every byte.
    pub(super) fn verify(&self) -> Result<(), BadRun> {
        let mut checked = HEAD;
        for section in &self.sections {
            let lines = self.bytes[section.filter..section.start].chunks_exact(LINE);
            let intact = self.bytes.get(checked..section.filter).is_some_and(|gap| gap.iter().all(|byte| *byte == 0))
                && lines.map(|line| may_have(line, 0)).all(|read| read.is_some());
            if !intact {
                return Err(self.damage());
            }
            (0..section.pages()).try_for_each(|page| self.page(section, page).map(drop))?;
            checked = section.start + section_len(section.entries).ok_or(BadRun)?;
        }
        if checked == self.bytes.len() { Ok(()) } else { Err(self.damage()) }
    }

    /// What the filter says of a hash.
    fn may_have(&self, section: &Section, hash: u64) -> Result<bool, BadRun> {
        let at = section.filter + LINE * line_of(hash, section.lines);
        may_have(&self.bytes[at..at + LINE], hash).ok_or_else(|| self.damage())
    }

    /// How many entries there are about a topic.
    pub(super) fn len(&self, topic: Topic) -> usize {
        self.sections[topic as usize].entries
    }

    /// Every entry about a topic, in order.
    pub(super) fn entries(&self, topic: Topic) -> impl Iterator<Item = Result<(u64, u32), BadRun>> {
        let section = &self.sections[topic as usize];
        (0..section.entries).map(|index| {
            let entries = self.page(section, index / PAGE_ENTRIES)?;
            Ok(entry(entries, index % PAGE_ENTRIES))
        })
    }

    /// The last page that begins before a hash; the first page if none does.
    fn page_of(&self, section: &Section, hash: u64) -> Result<usize, BadRun> {
        let (mut low, mut high) = (0, section.pages());
        let first = |page| self.page(section, page).map(|entries| entry(entries, 0).0);
        // Hashes are spread evenly, so the distance of two tells how many pages lie between them.
        let between =
            |hashes: u64| usize::try_from((u128::from(hashes) * section.pages() as u128) >> 64).unwrap_or(usize::MAX);
        let mut guess = between(hash);
        let mut guesses = 0;
        while high - low > 1 {
            let page = if guesses < GUESSES { guess.clamp(low + 1, high - 1) } else { low + (high - low) / 2 };
            guesses += 1;
            let begins = first(page)?;
            if begins < hash {
                low = page;
                let entries = self.page(section, page)?;
                if entry(entries, entries.len() / ENTRY - 1).0 >= hash {
                    return Ok(page);
                }
                guess = page.saturating_add(between(hash - begins));
            } else {
                high = page;
                guess = page.saturating_sub(between(begins - hash)).saturating_sub(1);
            }
        }
        Ok(low)
    }

    /// The entries of a page, verified.
    fn page(&self, section: &Section, page: usize) -> Result<&[u8], BadRun> {
        let start = section.start + page * PAGE;
        let entries = PAGE_ENTRIES.min(section.entries.saturating_sub(page * PAGE_ENTRIES));
        let end = start + entries * ENTRY;
        let (word, bit) = (&section.verified[page / 64], 1 << (page % 64));
        if word.load(Ordering::Relaxed) & bit == 0 {
            if self.is_bad() || crc32c::crc32c(&self.bytes[start..end]) != u32_at(&self.bytes, end) {
                return Err(self.damage());
            }
            word.fetch_or(bit, Ordering::Relaxed);
        }
        Ok(&self.bytes[start..end])
    }

    /// Remembers that it is not what was written, and has it written again.
    fn damage(&self) -> BadRun {
        self.bad.store(true, Ordering::Relaxed);
        self.bell.ring();
        BadRun
    }
}

impl Section {
    fn pages(&self) -> usize {
        self.entries.div_ceil(PAGE_ENTRIES)
    }
}

fn entry(entries: &[u8], index: usize) -> (u64, u32) {
    let at = index * ENTRY;
    (u64_at(entries, at), u32_at(entries, at + 8))
}

/// How many entries of a page come before those of a hash.
fn lower_bound(entries: &[u8], hash: u64) -> usize {
    let len = entries.len() / ENTRY;
    let (first, last) = (entry(entries, 0).0, entry(entries, len - 1).0);
    if hash <= first {
        return 0;
    }
    if hash > last {
        return len;
    }
    let guess = u128::from(hash - first) * (len - 1) as u128 / u128::from(last - first);
    let mut index = usize::try_from(guess).unwrap_or(len).min(len);
    while index > 0 && entry(entries, index - 1).0 >= hash {
        index -= 1;
    }
    while index < len && entry(entries, index).0 < hash {
        index += 1;
    }
    index
}

#[cfg(test)]
mod tests;
