//! What an index of one segment answers. It is derived from the log and can always be built again.
//!
//! Events of a segment are numbered from 0 in the order of the log: their ordinals.

mod ids;
mod layout;
mod lists;
mod mapped;
mod memory;
mod write;

use std::ops::Range;

use mainspring_event::EventId;

use crate::format::{frame::Kind, u32_at};

pub(crate) use mapped::{BadIndex, MappedIndex};
pub(crate) use memory::{Entry, MemoryIndex};
pub(crate) use write::encode;

/// A list of ordinals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum List {
    Stream(u32),
    Type(u32),
    Category(u32),
    Tag(u32),
}

/// Looks things up in one segment.
pub(crate) trait Index {
    /// How many events the segment holds.
    fn events(&self) -> u32;

    /// The code of a name, if the segment has it.
    fn find(&self, kind: Kind, name: &str) -> Option<u32>;

    /// How many names of a kind the segment has.
    fn names_of(&self, kind: Kind) -> u32;

    /// The code of a category, if the segment has a stream of it.
    fn find_category(&self, name: &str) -> Option<u32>;

    /// The code of a stream's category.
    fn category_of(&self, stream: u32) -> u32;

    /// The name of a category.
    fn category_name(&self, category: u32) -> &str;

    /// How many categories the segment has.
    fn categories(&self) -> u32;

    /// The code of the stream of an event.
    fn stream_of(&self, ordinal: u32) -> u32;

    /// The code of the type of an event.
    fn type_of(&self, ordinal: u32) -> u32;

    /// Where the record of an event begins in the file.
    fn offset(&self, ordinal: u32) -> u32;

    /// The ordinals of a list, increasing.
    fn postings(&self, list: List) -> Postings<'_>;

    /// The highest version of a stream in this segment.
    fn head(&self, stream: u32) -> u64;

    /// The event with this id.
    fn find_id(&self, id: EventId) -> Option<u32>;

    /// What can be told of all its event ids at a glance.
    fn id_hint(&self) -> IdHint;

    /// How many frames with events the segment has. Where scavenging has made a hole in a frame, what lies behind the hole
    /// counts as another one.
    fn frames(&self) -> usize;

    /// The `index`th of them.
    fn frame(&self, index: usize) -> FrameEntry;

    /// The frame that holds an event.
    fn frame_of(&self, ordinal: u32) -> usize {
        partition_point(self.frames(), |index| self.frame(index).first_ordinal <= ordinal).saturating_sub(1)
    }

    /// The ordinals of the commit that holds an event.
    fn commit_of(&self, ordinal: u32) -> Range<u32> {
        let mut first = self.frame_of(ordinal);
        let mut last = first;
        while first > 0 && self.frame(first).continues {
            first -= 1;
        }
        while last + 1 < self.frames() && self.frame(last + 1).continues {
            last += 1;
        }
        self.ordinals(first).start..self.ordinals(last).end
    }

    /// The ordinals of a frame.
    fn ordinals(&self, frame: usize) -> Range<u32> {
        let end = if frame + 1 < self.frames() { self.frame(frame + 1).first_ordinal } else { self.events() };
        self.frame(frame).first_ordinal..end
    }

    /// The position of an event.
    fn position(&self, ordinal: u32) -> u64 {
        let frame = self.frame(self.frame_of(ordinal));
        frame.first_position.saturating_add(u64::from(ordinal.saturating_sub(frame.first_ordinal)))
    }

    /// The first event above a position; the number of events where there is none.
    fn ordinal_after(&self, position: u64) -> u32 {
        let later = partition_point(self.frames(), |index| self.frame(index).first_position <= position);
        let Some(frame) = later.checked_sub(1) else { return 0 };
        let ordinals = self.ordinals(frame);
        let within = position.saturating_sub(self.frame(frame).first_position).saturating_add(1);
        let within = u32::try_from(within).unwrap_or(u32::MAX).min(ordinals.end.saturating_sub(ordinals.start));
        ordinals.start + within
    }

    /// The first event recorded at this moment or later; the number of events where there is none.
    fn ordinal_at(&self, recorded: i64) -> u32 {
        let frame = partition_point(self.frames(), |index| self.frame(index).recorded < recorded);
        if frame < self.frames() { self.frame(frame).first_ordinal } else { self.events() }
    }
}

/// What can be told of all event ids of a segment at a glance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IdHint {
    /// The oldest time in a time-ordered id (UUIDv7), in milliseconds since 1970; the greatest number where there is none.
    oldest: u64,
    /// The newest time in a time-ordered id.
    newest: u64,
    /// Whether there are ids of other kinds.
    others: bool,
}

impl Default for IdHint {
    fn default() -> Self {
        Self { oldest: u64::MAX, newest: 0, others: false }
    }
}

impl IdHint {
    pub(crate) fn add(&mut self, id: EventId) {
        match milliseconds(id) {
            Some(time) => {
                self.oldest = self.oldest.min(time);
                self.newest = self.newest.max(time);
            }
            None => self.others = true,
        }
    }

    /// Whether the segment may have this id. New ids are newer than old segments, so most need not be looked up.
    pub(crate) fn may_have(self, id: EventId) -> bool {
        milliseconds(id).map_or(self.others, |time| (self.oldest..=self.newest).contains(&time))
    }

    /// Whether there are ids that are not time-ordered.
    pub(crate) fn has_others(self) -> bool {
        self.others
    }

    /// The newest time in a time-ordered id.
    pub(crate) fn newest(self) -> u64 {
        self.newest
    }

    /// The oldest and the newest time, the latter shifted left by one to make room for whether there are other ids.
    fn to_numbers(self) -> [u64; 2] {
        [self.oldest, self.newest << 1 | u64::from(self.others)]
    }

    fn from_numbers([oldest, newest]: [u64; 2]) -> Self {
        Self { oldest, newest: newest >> 1, others: newest & 1 == 1 }
    }
}

/// The time in a time-ordered id.
pub(crate) fn milliseconds(id: EventId) -> Option<u64> {
    let ordered = id.as_uuid().get_version_num() == 7;
    ordered.then(|| id.to_bytes()[..6].iter().fold(0, |time, byte| time << 8 | u64::from(*byte)))
}

/// One commit of a segment, or a part of one between holes: its events have consecutive positions and one recorded time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameEntry {
    pub(crate) first_ordinal: u32,
    pub(crate) first_position: u64,
    pub(crate) recorded: i64,
    /// Whether it belongs to the commit of the one before it.
    pub(crate) continues: bool,
}

/// Increasing ordinals, in memory or in a mapped file.
#[derive(Clone, Copy)]
pub(crate) enum Postings<'a> {
    Memory(&'a [u32]),
    Mapped(&'a [u8]),
}

impl Postings<'_> {
    pub(crate) fn len(self) -> usize {
        match self {
            Self::Memory(list) => list.len(),
            Self::Mapped(bytes) => bytes.len() / 4,
        }
    }

    pub(crate) fn get(self, index: usize) -> u32 {
        match self {
            Self::Memory(list) => list[index],
            Self::Mapped(bytes) => u32_at(bytes, 4 * index),
        }
    }

    pub(crate) fn last(self) -> Option<u32> {
        self.len().checked_sub(1).map(|last| self.get(last))
    }

    /// How many of them are below `ordinal`.
    pub(crate) fn below(self, ordinal: u32) -> usize {
        partition_point(self.len(), |index| self.get(index) < ordinal)
    }

    pub(crate) fn contains(self, ordinal: u32) -> bool {
        let index = self.below(ordinal);
        index < self.len() && self.get(index) == ordinal
    }
}

/// How many of `0..len` come before the first for which `before` does not hold.
pub(crate) fn partition_point(len: usize, before: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, len);
    while low < high {
        let middle = low + (high - low) / 2;
        if before(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}
