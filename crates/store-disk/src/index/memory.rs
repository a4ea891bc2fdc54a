//! The index of a segment that still grows.

use std::{hash::BuildHasher, sync::Arc};

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use mainspring_event::EventId;
use mainspring_store::StreamChange;

use super::{FrameEntry, IdHint, Index, List, Postings};
use crate::{
    format::frame::{KINDS, Kind},
    names::{GrowingNames, Names},
};

/// The index of the active segment, and of a sealed one until its file is written.
#[derive(Default)]
pub(crate) struct MemoryIndex {
    pub(super) names: Arc<GrowingNames>,
    codes: [HashTable<u32>; KINDS],
    hasher: DefaultHashBuilder,
    pub(super) categories: Vec<Box<str>>,
    category_codes: HashMap<Box<str>, u32>,
    pub(super) streams: Vec<StreamEntry>,
    pub(super) type_postings: Vec<Vec<u32>>,
    pub(super) category_postings: Vec<Vec<u32>>,
    pub(super) tag_postings: Vec<Vec<u32>>,
    pub(super) offsets: Vec<u32>,
    pub(super) stream_of: Vec<u32>,
    pub(super) type_of: Vec<u32>,
    pub(super) ids: HashMap<EventId, u32>,
    pub(super) id_hint: IdHint,
    pub(super) frames: Vec<FrameEntry>,
    pub(super) changes: Vec<StreamChange>,
}

/// One stream of the segment.
pub(super) struct StreamEntry {
    pub(super) head: u64,
    pub(super) category: u32,
    pub(super) postings: Vec<u32>,
}

/// One event to be indexed.
pub(crate) struct Entry<'a> {
    pub(crate) id: EventId,
    pub(crate) offset: u32,
    pub(crate) stream: u32,
    pub(crate) event_type: u32,
    pub(crate) version: u64,
    pub(crate) tags: &'a [u32],
}

impl MemoryIndex {
    pub(crate) fn names(&self) -> &Arc<GrowingNames> {
        &self.names
    }

    /// The code of a name, which is added if the segment does not have it; and whether it was added.
    pub(crate) fn intern(&mut self, kind: Kind, name: &str) -> (u32, bool) {
        let hash = self.hasher.hash_one(name);
        let names = &self.names;
        let found = self.codes[kind as usize].find(hash, |code| names.name(kind, *code) == name);
        if let Some(code) = found {
            return (*code, false);
        }
        let code = self.names.push(kind, name);
        let (names, hasher) = (&self.names, &self.hasher);
        self.codes[kind as usize].insert_unique(hash, code, |code| hasher.hash_one(names.name(kind, *code)));
        match kind {
            Kind::Stream => self.add_stream(name),
            Kind::Type => self.type_postings.push(Vec::new()),
            Kind::Tag => self.tag_postings.push(Vec::new()),
            Kind::Source | Kind::ContentType => {}
        }
        (code, true)
    }

    fn add_stream(&mut self, name: &str) {
        let name = name.split_once('-').map_or(name, |(category, _)| category);
        let category = self.category_codes.get(name).copied().unwrap_or_else(|| {
            let code = u32::try_from(self.categories.len()).expect("fewer categories than streams");
            self.categories.push(name.into());
            self.category_codes.insert(name.into(), code);
            self.category_postings.push(Vec::new());
            code
        });
        self.streams.push(StreamEntry { head: 0, category, postings: Vec::new() });
    }

    /// Begins a frame; the events that follow belong to it.
    pub(crate) fn begin_frame(&mut self, first_position: u64, recorded: i64) {
        let first_ordinal = self.events();
        self.frames.push(FrameEntry { first_ordinal, first_position, recorded, continues: false });
    }

    /// Goes on in the same frame behind a hole that scavenging has left.
    pub(crate) fn continue_frame(&mut self, first_position: u64, recorded: i64) {
        let first_ordinal = self.events();
        self.frames.push(FrameEntry { first_ordinal, first_position, recorded, continues: true });
    }

    /// Whether all codes of an event are defined.
    pub(crate) fn knows(&self, entry: &Entry<'_>, source: u32, content_type: u32) -> bool {
        let defined = |kind: Kind, code: u32| code < self.names.len(kind);
        defined(Kind::Stream, entry.stream)
            && defined(Kind::Type, entry.event_type)
            && defined(Kind::Source, source)
            && defined(Kind::ContentType, content_type)
            && entry.tags.iter().all(|tag| defined(Kind::Tag, *tag))
    }

    /// Tells the head of a stream that was just added and has events in earlier segments.
    pub(crate) fn set_head(&mut self, stream: u32, head: u64) {
        self.streams[stream as usize].head = head;
    }

    pub(crate) fn add(&mut self, entry: &Entry<'_>) {
        let ordinal = self.events();
        self.offsets.push(entry.offset);
        self.stream_of.push(entry.stream);
        self.type_of.push(entry.event_type);
        self.ids.insert(entry.id, ordinal);
        self.id_hint.add(entry.id);
        let stream = &mut self.streams[entry.stream as usize];
        stream.head = entry.version;
        stream.postings.push(ordinal);
        self.category_postings[stream.category as usize].push(ordinal);
        self.type_postings[entry.event_type as usize].push(ordinal);
        for tag in entry.tags {
            let postings = &mut self.tag_postings[*tag as usize];
            if postings.last() != Some(&ordinal) {
                postings.push(ordinal);
            }
        }
    }

    pub(crate) fn add_changes(&mut self, changes: &[StreamChange]) {
        self.changes.extend_from_slice(changes);
    }

    /// Every event id with its ordinal, in no order.
    pub(crate) fn ids(&self) -> impl Iterator<Item = (EventId, u32)> {
        self.ids.iter().map(|(id, ordinal)| (*id, *ordinal))
    }

    pub(crate) fn changes(&self) -> &[StreamChange] {
        &self.changes
    }
}

impl Index for MemoryIndex {
    fn events(&self) -> u32 {
        u32::try_from(self.offsets.len()).expect("a segment holds fewer than 4 Gi events")
    }

    fn find(&self, kind: Kind, name: &str) -> Option<u32> {
        let hash = self.hasher.hash_one(name);
        self.codes[kind as usize].find(hash, |code| self.names.name(kind, *code) == name).copied()
    }

    fn names_of(&self, kind: Kind) -> u32 {
        self.names.len(kind)
    }

    fn find_category(&self, name: &str) -> Option<u32> {
        self.category_codes.get(name).copied()
    }

    fn category_of(&self, stream: u32) -> u32 {
        self.streams[stream as usize].category
    }

    fn category_name(&self, category: u32) -> &str {
        &self.categories[category as usize]
    }

    fn categories(&self) -> u32 {
        u32::try_from(self.categories.len()).expect("fewer categories than streams")
    }

    fn stream_of(&self, ordinal: u32) -> u32 {
        self.stream_of[ordinal as usize]
    }

    fn type_of(&self, ordinal: u32) -> u32 {
        self.type_of[ordinal as usize]
    }

    fn offset(&self, ordinal: u32) -> u32 {
        self.offsets[ordinal as usize]
    }

    fn postings(&self, list: List) -> Postings<'_> {
        Postings::Memory(match list {
            List::Stream(code) => &self.streams[code as usize].postings,
            List::Type(code) => &self.type_postings[code as usize],
            List::Category(code) => &self.category_postings[code as usize],
            List::Tag(code) => &self.tag_postings[code as usize],
        })
    }

    fn head(&self, stream: u32) -> u64 {
        self.streams[stream as usize].head
    }

    fn find_id(&self, id: EventId) -> Option<u32> {
        self.ids.get(&id).copied()
    }

    fn id_hint(&self) -> IdHint {
        self.id_hint
    }

    fn frames(&self) -> usize {
        self.frames.len()
    }

    fn frame(&self, index: usize) -> FrameEntry {
        self.frames[index]
    }
}
