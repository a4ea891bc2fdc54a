//! The index of a segment that still grows.
//!
//! Adding an event appends to a few flat tables. The lists of events by stream, type, category and tag are brought up to
//! date when somebody asks for them: a segment that is only written never needs them, its file is sorted from the tables.

use std::sync::Arc;

use hashbrown::HashMap;
use mainspring_event::EventId;
use mainspring_store::StreamChange;

use super::{FrameEntry, IdHint, Index, List, Postings, ids::Ids, lists::Lists};
use crate::{
    format::{frame::Kind, short},
    names::{GrowingNames, NameHash},
};

/// The index of the active segment, and of a sealed one until its file is written.
#[derive(Default)]
pub(crate) struct MemoryIndex {
    pub(super) names: Arc<GrowingNames>,
    pub(super) categories: Vec<Box<str>>,
    category_codes: HashMap<Box<str>, u32>,
    pub(super) streams: Vec<StreamEntry>,
    pub(super) offsets: Vec<u32>,
    pub(super) stream_of: Vec<u32>,
    pub(super) type_of: Vec<u32>,
    /// The codes of the tags of all events, and where those of each event end.
    pub(super) tags: Vec<u32>,
    pub(super) tag_ends: Vec<u32>,
    pub(super) ids: Ids,
    pub(super) id_hint: IdHint,
    pub(super) frames: Vec<FrameEntry>,
    pub(super) changes: Vec<StreamChange>,
    lists: Lists,
}

/// One stream of the segment.
#[derive(Clone, Copy)]
pub(super) struct StreamEntry {
    pub(super) head: u64,
    pub(super) category: u32,
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
    /// An empty index for a segment that is likely to hold as much as the one before it.
    pub(crate) fn like(before: &Self) -> Self {
        let events = before.offsets.len();
        Self {
            names: Arc::new(GrowingNames::like(&before.names)),
            offsets: Vec::with_capacity(events),
            stream_of: Vec::with_capacity(events),
            type_of: Vec::with_capacity(events),
            tags: Vec::with_capacity(before.tags.len()),
            tag_ends: Vec::with_capacity(events),
            ids: Ids::with_capacity(events),
            ..Self::default()
        }
    }

    pub(crate) fn names(&self) -> &Arc<GrowingNames> {
        &self.names
    }

    /// The code of a name, which is added if the segment does not have it; and whether it was added.
    pub(crate) fn intern(&mut self, kind: Kind, name: &str) -> (u32, bool) {
        self.intern_hashed(kind, NameHash::of(name), name)
    }

    /// As [`intern`](Self::intern), for a name whose hash is known.
    pub(crate) fn intern_hashed(&mut self, kind: Kind, hash: NameHash, name: &str) -> (u32, bool) {
        if let Some(code) = self.names.find(kind, hash, name) {
            return (code, false);
        }
        let code = self.names.push(kind, hash, name);
        if kind == Kind::Stream {
            self.add_stream(name);
        }
        (code, true)
    }

    fn add_stream(&mut self, name: &str) {
        let name = name.split_once('-').map_or(name, |(category, _)| category);
        let category = self.category_codes.get(name).copied().unwrap_or_else(|| {
            let code = u32::try_from(self.categories.len()).expect("fewer categories than streams");
            self.categories.push(name.into());
            self.category_codes.insert(name.into(), code);
            code
        });
        self.streams.push(StreamEntry { head: 0, category });
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
        self.offsets.push(entry.offset);
        self.stream_of.push(entry.stream);
        self.type_of.push(entry.event_type);
        self.tags.extend_from_slice(entry.tags);
        self.tag_ends.push(short(self.tags.len()));
        self.ids.push(entry.id);
        self.id_hint.add(entry.id);
        self.streams[entry.stream as usize].head = entry.version;
    }

    /// Whether any of these ids is known.
    pub(crate) fn knows_any(&self, ids: impl Iterator<Item = EventId>) -> bool {
        self.ids.have_any(ids)
    }

    pub(crate) fn add_changes(&mut self, changes: &[StreamChange]) {
        self.changes.extend_from_slice(changes);
    }

    /// Whether the lists have every event.
    pub(crate) fn is_listed(&self) -> bool {
        self.lists.events() == self.events()
    }

    /// Brings the lists up to date.
    pub(crate) fn list(&mut self) {
        let Self { lists, names, stream_of, type_of, streams, categories, tags, tag_ends, .. } = self;
        lists.make_room(streams.len(), names.len(Kind::Type), categories.len(), names.len(Kind::Tag));
        for ordinal in lists.events() as usize..stream_of.len() {
            let stream = stream_of[ordinal];
            let first_tag = ordinal.checked_sub(1).map_or(0, |before| tag_ends[before]);
            let tags = &tags[first_tag as usize..tag_ends[ordinal] as usize];
            lists.push(stream, type_of[ordinal], streams[stream as usize].category, tags);
        }
    }

    /// Every event id with its ordinal, in the order of the events.
    pub(crate) fn ids(&self) -> impl Iterator<Item = (EventId, u32)> {
        self.ids.as_slice().iter().copied().zip(0..)
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
        self.names.find(kind, NameHash::of(name), name)
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
        debug_assert!(self.is_listed(), "whoever asks for lists brings them up to date first");
        Postings::Memory(self.lists.get(list))
    }

    fn head(&self, stream: u32) -> u64 {
        self.streams[stream as usize].head
    }

    fn find_id(&self, id: EventId) -> Option<u32> {
        self.ids.find(id)
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
