//! Encodes the frame of an append into the image, behind those that wait.

use std::{ops::Range, sync::PoisonError};

use bytes::BufMut;
use mainspring_event::{Position, StoredEvent, Version};
use mainspring_store::{Append, AppendError, Appended, StreamChange, Written};

use super::Committer;
use crate::{
    damage::Damage,
    format::{
        frame::{ALIGN, FRAME_HEAD, FrameHead, Kind, put_name},
        record::{Place, finish, tail_len},
        short,
    },
    index::{Entry, Index, MemoryIndex},
    prepare::{KnownName, Prepared, PreparedEvent},
    scan::store_tag,
};

/// What a frame holds besides what its author says.
struct Frame<'a> {
    /// Position of the first event.
    first: u64,
    /// Nanoseconds since 1970.
    recorded: i64,
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

/// Lists that are filled for one frame, and kept for the next.
#[derive(Default)]
pub(super) struct Scratch {
    /// The stream of each event.
    streams: Vec<KnownStream>,
    placed: Vec<Placed>,
    /// The codes of all tags.
    tags: Vec<u32>,
    /// The checksums of the records, one after the other.
    checksums: Vec<u8>,
}

/// Gives names their codes, and writes those that are new to the segment.
struct Coder<'a, 'b> {
    index: &'a mut MemoryIndex,
    out: &'a mut &'b mut [u8],
}

impl Committer {
    /// Encodes the frame of an append that was decided, and indexes it.
    pub(super) fn write(&mut self, prepared: &Prepared) -> Result<Appended, AppendError> {
        let append = &prepared.append;
        let first = self.next_position;
        let changes = if append.changes.is_empty() { Vec::new() } else { self.effective(append)? };
        if append.events.is_empty() && changes.is_empty() {
            return Ok(Appended { position: Position(first - 1), written: Vec::new() });
        }
        // Only events carry it, so without them it would be another after opening again.
        if !append.events.is_empty() {
            self.recorded = self.recorded.max(self.now);
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        let found = self.find_streams(prepared, &mut scratch.streams);
        let frame = Frame { first, recorded: self.recorded, versions: None };
        let written = found.map(|()| self.write_frame(prepared, &changes, &frame, &mut scratch));
        self.scratch = scratch;
        let written = written?;
        self.waiting.changes.extend(changes);
        Ok(Appended { position: Position(self.next_position - 1), written })
    }

    /// Encodes one frame of a copied history.
    pub(super) fn write_copied(&mut self, prepared: &Prepared, events: &[StoredEvent]) -> Result<(), AppendError> {
        let Some(first) = events.first() else { return Ok(()) };
        let recorded = i64::try_from(first.recorded.as_nanosecond()).unwrap_or(i64::MAX);
        self.recorded = self.recorded.max(recorded);
        let mut scratch = Scratch::default();
        self.find_streams(prepared, &mut scratch.streams)?;
        let versions: Vec<Version> = events.iter().map(|event| event.version).collect();
        let frame = Frame { first: first.position.0, recorded: self.recorded, versions: Some(&versions) };
        self.write_frame(prepared, &prepared.append.changes, &frame, &mut scratch);
        self.waiting.changes.extend_from_slice(&prepared.append.changes);
        Ok(())
    }

    /// An empty frame: its sync mark covers what was written before.
    pub(super) fn encode_mark(&mut self) {
        let head = FrameHead { first_position: self.next_position, ..self.head_template() };
        self.end_frame(FRAME_HEAD, head);
    }

    /// Finds where the streams of these events stand, those new to the growing segment by the sealed ones.
    fn find_streams(&self, prepared: &Prepared, streams: &mut Vec<KnownStream>) -> Result<(), AppendError> {
        let index = self.segment.memory_index().expect("the growing segment has its index in memory");
        let index = index.read().unwrap_or_else(PoisonError::into_inner);
        streams.clear();
        for PreparedEvent { event, stream, .. } in prepared.events(prepared.has_codes_of(index.names())) {
            let find = || index.names().find(Kind::Stream, stream.hash, event.stream.as_str());
            let known = match stream.code.or_else(find) {
                Some(code) => KnownStream::Code(code),
                None => {
                    let head = self.view.sealed_head(event.stream.as_str());
                    KnownStream::Head(head.map_err(|damage: Damage| AppendError::Failed(damage.into()))?)
                }
            };
            streams.push(known);
        }
        Ok(())
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
        changes.retain(|change| !self.rules.has(change));
        Ok(changes)
    }

    fn write_frame(
        &mut self,
        prepared: &Prepared,
        changes: &[StreamChange],
        frame: &Frame<'_>,
        scratch: &mut Scratch,
    ) -> Vec<Written> {
        let head = self.head_template();
        let segment = self.segment.clone();
        let index = segment.memory_index().expect("the growing segment has its index in memory");
        let mut index = index.write().unwrap_or_else(PoisonError::into_inner);
        let room = self.image.write(self.tip..self.image.capacity());
        let bytes = &mut room[FRAME_HEAD..];

        let space = bytes.len();
        let mut rest = &mut *bytes;
        place(&mut Coder { index: &mut index, out: &mut rest }, prepared, frame, scratch);
        let Scratch { placed, tags, checksums, .. } = scratch;
        checksums.clear();
        let names = space - rest.len();
        if !changes.is_empty() {
            rest.put_slice(&serde_json::to_vec(changes).expect("changes always make JSON"));
        }
        let changes_len = space - rest.len() - names;
        let mut at = names + changes_len;
        let front = crc32c::crc32c(&bytes[..at]);

        let events = placed.len();
        if events > 0 {
            index.begin_frame(frame.first, frame.recorded);
        }
        let first_record = self.tip + FRAME_HEAD;
        let mut written = Vec::with_capacity(events);
        for (encoded, Placed { place, tags: codes }) in prepared.bodies.iter().zip(&*placed) {
            let tags = &tags[codes.clone()];
            let offset = short(first_record + at);
            let author = &prepared.buffer[encoded.range.clone()];
            let end = at + author.len() + tail_len(tags.len());
            let (head, tail) = bytes[at..end].split_at_mut(author.len());
            head.copy_from_slice(author);
            let checksum = finish(tail, encoded.checksum, tags, place);
            checksums.extend_from_slice(&checksum.to_le_bytes());
            index.add(&Entry {
                id: encoded.id,
                offset,
                stream: place.stream,
                event_type: place.event_type,
                version: place.version,
                tags,
            });
            written.push(Written { position: Position(place.position), version: Version(place.version) });
            at = end;
        }
        index.add_changes(changes);
        self.next_position = frame.first + events as u64;
        let head = FrameHead {
            events: short(events),
            first_position: frame.first,
            names: short(names),
            changes: short(changes_len),
            body: crc32c::crc32c_append(front, checksums),
            ..head
        };
        self.end_frame(FRAME_HEAD + at, head);
        written
    }

    fn head_template(&self) -> FrameHead {
        FrameHead {
            length: 0,
            events: 0,
            lsn: self.segment.base + self.tip as u64,
            first_position: 0,
            // These two are filled in when the frame is given to the disk.
            synced: 0,
            previous: 0,
            epoch: self.epoch,
            names: 0,
            changes: 0,
            body: 0,
            store: store_tag(self.core.store),
        }
    }

    /// Pads the frame at the tip, of which so many bytes are used.
    fn end_frame(&mut self, used: usize, head: FrameHead) {
        let length = used.next_multiple_of(ALIGN);
        self.image.write(self.tip + used..self.tip + length).fill(0);
        self.unsealed.push((self.tip, FrameHead { length: short(length), ..head }));
        self.tip += length;
    }
}

/// Gives the events of a frame their places and codes.
fn place(coder: &mut Coder<'_, '_>, prepared: &Prepared, frame: &Frame<'_>, scratch: &mut Scratch) {
    let Scratch { streams, placed, tags, .. } = scratch;
    placed.clear();
    placed.reserve(streams.len());
    tags.clear();
    tags.reserve(prepared.tags());
    // Codes stay the same while names are added.
    let has_codes = prepared.has_codes_of(coder.index.names());
    for (at, (next, known)) in prepared.events(has_codes).zip(&*streams).enumerate() {
        let event = next.event;
        let (stream, head) = coder.stream(&next, *known);
        let version = frame.versions.map_or(head + 1, |versions| versions[at].0);
        coder.index.set_head(stream, version);
        let event_type = coder.code(Kind::Type, next.event_type, || event.event_type.as_str()).0;
        let source = coder.code(Kind::Source, next.source, || event.source.as_str()).0;
        let content_type = coder.code(Kind::ContentType, next.content_type, || &event.content_type).0;
        let start = tags.len();
        for (number, known) in next.tags().enumerate() {
            tags.push(coder.code(Kind::Tag, known, || event.tags[number].as_str()).0);
        }
        let position = frame.first + at as u64;
        let place = Place { stream, event_type, source, content_type, position, version, recorded: frame.recorded };
        placed.push(Placed { place, tags: start..tags.len() });
    }
}

impl Coder<'_, '_> {
    /// The code of an event's stream, and the version it stands at.
    fn stream(&mut self, event: &PreparedEvent<'_>, known: KnownStream) -> (u32, u64) {
        match known {
            KnownStream::Code(code) => (code, self.index.head(code)),
            KnownStream::Head(head) => match self.code(Kind::Stream, event.stream, || event.event.stream.as_str()) {
                (code, true) => (code, head),
                // An earlier event of the frame has made it known.
                (code, false) => (code, self.index.head(code)),
            },
        }
    }

    /// The code of a name, written to the frame if it is new to the segment; and whether it is.
    fn code<'n>(&mut self, kind: Kind, known: KnownName, name: impl FnOnce() -> &'n str) -> (u32, bool) {
        if let Some(code) = known.code {
            return (code, false);
        }
        let name = name();
        let (code, new) = self.index.intern_hashed(kind, known.hash, name);
        if new {
            put_name(self.out, kind, name);
        }
        (code, new)
    }
}
