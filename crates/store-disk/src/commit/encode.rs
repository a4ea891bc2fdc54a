//! Writes the frame of an append behind those that wait.

use std::{ops::Range, sync::PoisonError};

use mainspring_event::{NewEvent, Position, StoredEvent, Version};
use mainspring_store::{Append, AppendError, Appended, StreamChange, Written};

use super::{Committer, decide::head_in};
use crate::{
    damage::Damage,
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
    /// The stream of each event.
    streams: &'a [KnownStream],
    /// The version of each event, if they do not just follow those.
    versions: Option<&'a [Version]>,
}

/// A stream as the growing segment knows it before the frame.
#[derive(Clone, Copy)]
enum KnownStream {
    /// By this code.
    Code(u32),
    /// Not at all; it stands at this version.
    Head(u64),
}

/// An event whose names have codes and whose place is known.
struct Placed {
    place: Place,
    /// Where in the frame's list the codes of its tags are.
    tags: Range<usize>,
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
        let streams = self.streams_of(&append.events)?;
        let frame = Frame { first, recorded: self.recorded, streams: &streams, versions: None };
        let written = self.write_frame(prepared, &changes, &frame);
        self.waiting.changes.extend(changes);
        Ok(Appended { position: Position(self.next_position - 1), written })
    }

    /// Encodes one frame of a copied history.
    pub(super) fn write_copied(&mut self, prepared: &Prepared, events: &[StoredEvent]) -> Result<(), AppendError> {
        let Some(first) = events.first() else { return Ok(()) };
        let recorded = i64::try_from(first.recorded.as_nanosecond()).unwrap_or(i64::MAX);
        self.recorded = self.recorded.max(recorded);
        let streams = self.streams_of(&prepared.append.events)?;
        let versions: Vec<Version> = events.iter().map(|event| event.version).collect();
        let frame =
            Frame { first: first.position.0, recorded: self.recorded, streams: &streams, versions: Some(&versions) };
        self.write_frame(prepared, &prepared.append.changes, &frame);
        self.waiting.changes.extend_from_slice(&prepared.append.changes);
        Ok(())
    }

    /// An empty frame: its sync mark covers what was written before.
    pub(super) fn encode_mark(&mut self) {
        let start = self.begin_frame();
        self.end_frame(start, FrameHead { first_position: self.next_position, ..self.head_template() });
    }

    /// Looks up the streams of these events, those new to the growing segment in the sealed ones.
    fn streams_of(&self, events: &[NewEvent]) -> Result<Vec<KnownStream>, AppendError> {
        let view = self.core.view();
        let (_, sealed) = view.split_last().expect("a log has a segment that grows");
        let known = self.segment.with_index(|index| {
            let code = |event: &NewEvent| index.find(Kind::Stream, event.stream.as_str());
            events.iter().map(code).collect::<Vec<_>>()
        });
        let failed = |damage: Damage| AppendError::Failed(damage.into());
        let head = |event: &NewEvent| head_in(sealed, event.stream.as_str()).map(KnownStream::Head);
        let known = known.map_err(failed)?;
        let streams = known.into_iter().zip(events);
        streams
            .map(|(code, event)| code.map_or_else(|| head(event), |code| Ok(KnownStream::Code(code))))
            .collect::<Result<_, _>>()
            .map_err(failed)
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
        let Frame { first, recorded, streams, versions } = *frame;
        let segment = self.segment.clone();
        let index = segment.memory_index().expect("the growing segment has its index in memory");
        let mut index = index.write().unwrap_or_else(PoisonError::into_inner);
        let start = self.begin_frame();
        let events = &prepared.append.events;
        let mut placed: Vec<Placed> = Vec::with_capacity(events.len());
        let mut tags = Vec::new();
        for (at, event) in events.iter().enumerate() {
            let like = at.checked_sub(1).map(|before| (&events[before], &placed[before]));
            let (stream, head) = self.stream(&mut index, event, streams[at]);
            let version = versions.map_or(head + 1, |versions| versions[at].0);
            index.set_head(stream, version);
            let place = Place { position: first + at as u64, version, recorded, stream, ..Place::default() };
            let next = self.place(&mut index, event, like, place, &mut tags);
            placed.push(next);
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
        for ((event, encoded), Placed { place, tags: codes }) in events.iter().zip(&prepared.bodies).zip(&placed) {
            let tags = &tags[codes.clone()];
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

    /// The code of an event's stream, and the version it stands at.
    fn stream(&mut self, index: &mut MemoryIndex, event: &NewEvent, known: KnownStream) -> (u32, u64) {
        match known {
            KnownStream::Code(code) => (code, index.head(code)),
            KnownStream::Head(head) => match self.code(index, Kind::Stream, event.stream.as_str()) {
                (code, true) => (code, head),
                // An earlier event of the frame has made it known.
                (code, false) => (code, index.head(code)),
            },
        }
    }

    /// Gives an event's names their codes. Most are those of the event before, which saves looking them up.
    fn place(
        &mut self,
        index: &mut MemoryIndex,
        event: &NewEvent,
        like: Option<(&NewEvent, &Placed)>,
        place: Place,
        tags: &mut Vec<u32>,
    ) -> Placed {
        let event_type = match like {
            Some((before, placed)) if before.event_type == event.event_type => placed.place.event_type,
            _ => self.code(index, Kind::Type, event.event_type.as_str()).0,
        };
        let source = match like {
            Some((before, placed)) if before.source == event.source => placed.place.source,
            _ => self.code(index, Kind::Source, event.source.as_str()).0,
        };
        let content_type = match like {
            Some((before, placed)) if before.content_type == event.content_type => placed.place.content_type,
            _ => self.code(index, Kind::ContentType, &event.content_type).0,
        };
        let start = tags.len();
        for (number, tag) in event.tags.iter().enumerate() {
            let code = match like {
                Some((before, placed)) if before.tags.get(number) == Some(tag) => tags[placed.tags.start + number],
                _ => self.code(index, Kind::Tag, tag.as_str()).0,
            };
            tags.push(code);
        }
        Placed { place: Place { event_type, source, content_type, ..place }, tags: start..tags.len() }
    }

    /// The code of a name, written to the frame if it is new to the segment; and whether it is.
    fn code(&mut self, index: &mut MemoryIndex, kind: Kind, name: &str) -> (u32, bool) {
        let (code, new) = index.intern(kind, name);
        if new {
            put_name(&mut self.waiting.frames, kind, name);
        }
        (code, new)
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
            epoch: self.epoch,
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
