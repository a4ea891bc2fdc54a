//! Writes the frame of an append behind those that wait.

use std::sync::PoisonError;

use mainspring_event::{NewEvent, Position, StoredEvent, Version};
use mainspring_store::{Append, AppendError, Appended, StreamChange, Written};

use super::Committer;
use crate::{
    format::{
        frame::{ALIGN, FRAME_HEAD, FrameHead, Kind, put_name},
        record::{Place, finish},
        short,
    },
    index::{Entry, Index, MemoryIndex},
    prepare::Prepared,
    scan::store_tag,
};

/// What a frame holds besides what its author says.
struct Frame<'a> {
    /// Position of the first event.
    first: u64,
    /// Nanoseconds since 1970.
    recorded: i64,
    /// Where the stream of each event stood before the frame.
    heads: &'a [u64],
    /// The version of each event, if they do not just follow those.
    versions: Option<&'a [Version]>,
}

/// An event whose names have codes and whose place is known.
struct Placed {
    place: Place,
    tags: Vec<u32>,
}

impl Committer {
    /// Encodes the frame of an append that was decided, and indexes it.
    pub(super) fn write(&mut self, prepared: &Prepared) -> Result<Appended, AppendError> {
        let append = &prepared.append;
        let first = self.next_position;
        let changes = self.effective(append)?;
        if append.events.is_empty() && changes.is_empty() {
            return Ok(Appended { position: Position(first - 1), written: Vec::new() });
        }
        let now = i64::try_from(self.core.clock.now().as_nanosecond()).unwrap_or(i64::MAX);
        self.recorded = self.recorded.max(now);
        let heads = self.heads_of(&append.events)?;
        let frame = Frame { first, recorded: self.recorded, heads: &heads, versions: None };
        let written = self.write_frame(prepared, &changes, &frame);
        self.waiting.changes.extend(changes);
        Ok(Appended { position: Position(self.next_position - 1), written })
    }

    /// Encodes one frame of a copied history.
    pub(super) fn write_copied(&mut self, prepared: &Prepared, events: &[StoredEvent]) -> Result<(), AppendError> {
        let Some(first) = events.first() else { return Ok(()) };
        let recorded = i64::try_from(first.recorded.as_nanosecond()).unwrap_or(i64::MAX);
        self.recorded = self.recorded.max(recorded);
        let heads = self.heads_of(&prepared.append.events)?;
        let versions: Vec<Version> = events.iter().map(|event| event.version).collect();
        let frame =
            Frame { first: first.position.0, recorded: self.recorded, heads: &heads, versions: Some(&versions) };
        self.write_frame(prepared, &prepared.append.changes, &frame);
        self.waiting.changes.extend_from_slice(&prepared.append.changes);
        Ok(())
    }

    /// An empty frame: its sync mark covers what was written before.
    pub(super) fn encode_mark(&mut self) {
        let start = self.begin_frame();
        self.end_frame(start, FrameHead { first_position: self.next_position, ..self.head_template() });
    }

    /// The heads of the streams of these events as far as the growing segment does not know them.
    fn heads_of(&self, events: &[NewEvent]) -> Result<Vec<u64>, AppendError> {
        let mut heads = Vec::with_capacity(events.len());
        for (at, event) in events.iter().enumerate() {
            let same = at > 0 && events[at - 1].stream == event.stream;
            let head = if same { Ok(heads[at - 1]) } else { self.head_of(event.stream.as_str()) };
            heads.push(head.map_err(|damage| AppendError::Failed(damage.into()))?);
        }
        Ok(heads)
    }

    /// The changes of an append that change something, as they are kept: a truncation does not reach beyond the head of its
    /// stream.
    fn effective(&self, append: &Append) -> Result<Vec<StreamChange>, AppendError> {
        let mut changes = append.changes.clone();
        for change in &mut changes {
            if let StreamChange::TruncateBefore { stream, version } = change {
                let head = self.head_of(stream.as_str()).map_err(|damage| AppendError::Failed(damage.into()))?;
                let added = append.events.iter().filter(|event| event.stream == *stream).count() as u64;
                *version = Version(version.0.min(head + added + 1));
            }
        }
        let rules = self.core.rules();
        changes.retain(|change| !rules.has(change));
        Ok(changes)
    }

    fn write_frame(&mut self, prepared: &Prepared, changes: &[StreamChange], frame: &Frame<'_>) -> Vec<Written> {
        let Frame { first, recorded, heads, versions } = *frame;
        let segment = self.segment.clone();
        let index = segment.memory_index().expect("the growing segment has its index in memory");
        let mut index = index.write().unwrap_or_else(PoisonError::into_inner);
        let start = self.begin_frame();
        let events = &prepared.append.events;
        let mut placed = Vec::with_capacity(events.len());
        for (at, event) in events.iter().enumerate() {
            let place = Place {
                stream: 0,
                event_type: 0,
                source: 0,
                content_type: 0,
                position: first + at as u64,
                version: 0,
                recorded,
            };
            placed.push(self.place(&mut index, event, heads[at], versions.map(|versions| versions[at]), place));
        }
        let names = self.waiting.frames.len() - start - FRAME_HEAD;
        if !changes.is_empty() {
            serde_json::to_writer(&mut self.waiting.frames, changes).expect("changes always make JSON");
        }
        let changes_len = self.waiting.frames.len() - start - FRAME_HEAD - names;
        let mut body = crc32c::crc32c(&self.waiting.frames[start + FRAME_HEAD..]);
        if !events.is_empty() {
            index.begin_frame(first, recorded);
        }
        let mut written = Vec::with_capacity(events.len());
        for ((event, encoded), Placed { place, tags }) in events.iter().zip(&prepared.bodies).zip(&placed) {
            let offset = self.end + self.waiting.frames.len() as u64;
            self.waiting.frames.extend_from_slice(&prepared.buffer[encoded.range.clone()]);
            let checksum = finish(&mut self.waiting.frames, encoded.checksum, tags, place);
            body = crc32c::crc32c_append(body, &checksum.to_le_bytes());
            index.add(&Entry {
                id: event.id,
                offset: u32::try_from(offset).expect("a segment is smaller than 4 GiB"),
                stream: place.stream,
                event_type: place.event_type,
                version: place.version,
                tags,
            });
            written.push(Written { position: Position(place.position), version: Version(place.version) });
        }
        index.add_changes(changes);
        self.next_position = first + events.len() as u64;
        let head = FrameHead {
            events: short(events.len()),
            first_position: first,
            names: short(names),
            changes: short(changes_len),
            body,
            ..self.head_template()
        };
        self.end_frame(start, head);
        written
    }

    /// Gives an event's names their codes, writing those that are new to the segment, and its stream the next version.
    fn place(
        &mut self,
        index: &mut MemoryIndex,
        event: &NewEvent,
        head: u64,
        version: Option<Version>,
        place: Place,
    ) -> Placed {
        let frames = &mut self.waiting.frames;
        let mut code = |index: &mut MemoryIndex, kind: Kind, name: &str| {
            let (code, new) = index.intern(kind, name);
            if new {
                put_name(frames, kind, name);
            }
            (code, new)
        };
        let (stream, new) = code(index, Kind::Stream, event.stream.as_str());
        if new {
            index.set_head(stream, head);
        }
        let version = version.map_or(index.head(stream) + 1, |version| version.0);
        index.set_head(stream, version);
        let place = Place {
            stream,
            event_type: code(index, Kind::Type, event.event_type.as_str()).0,
            source: code(index, Kind::Source, event.source.as_str()).0,
            content_type: code(index, Kind::ContentType, &event.content_type).0,
            version,
            ..place
        };
        let tags = event.tags.iter().map(|tag| code(index, Kind::Tag, tag.as_str()).0).collect();
        Placed { place, tags }
    }

    fn begin_frame(&mut self) -> usize {
        let start = self.waiting.frames.len();
        self.waiting.frames.resize(start + FRAME_HEAD, 0);
        start
    }

    fn head_template(&self) -> FrameHead {
        FrameHead {
            length: 0,
            events: 0,
            lsn: 0,
            first_position: 0,
            synced: self.synced,
            epoch: self.manifest.epoch,
            previous: self.previous,
            names: 0,
            changes: 0,
            body: 0,
            store: store_tag(self.core.store),
        }
    }

    /// Pads the frame that began at `start` and fills in its header.
    fn end_frame(&mut self, start: usize, head: FrameHead) {
        let frames = &mut self.waiting.frames;
        frames.resize(frames.len().next_multiple_of(ALIGN), 0);
        let length = short(frames.len() - start);
        let lsn = self.segment.base + self.end + start as u64;
        self.previous = FrameHead { length, lsn, ..head }.encode(&mut frames[start..]);
    }
}
