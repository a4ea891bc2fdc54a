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
    index::{Entry, Index, MemoryIndex, NameHash},
    prepare::{HashedEvent, Prepared},
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
        let streams = self.streams_of(prepared)?;
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
        let streams = self.streams_of(prepared)?;
        let versions: Vec<Version> = events.iter().map(|event| event.version).collect();
        let frame =
            Frame { first: first.position.0, recorded: self.recorded, streams: &streams, versions: Some(&versions) };
        self.write_frame(prepared, &prepared.append.changes, &frame);
        self.waiting.changes.extend_from_slice(&prepared.append.changes);
        Ok(())
    }

    /// An empty frame: its sync mark covers what was written before.
    pub(super) fn encode_mark(&mut self) {
        let head = FrameHead { first_position: self.next_position, ..self.head_template() };
        self.end_frame(FRAME_HEAD, head);
    }

    /// Looks up the streams of these events, those new to the growing segment in the sealed ones.
    fn streams_of(&self, prepared: &Prepared) -> Result<Vec<KnownStream>, AppendError> {
        let index = self.segment.memory_index().expect("the growing segment has its index in memory");
        let index = index.read().unwrap_or_else(PoisonError::into_inner);
        let known = prepared.hashed().map(|HashedEvent { event, names }| {
            let name = event.stream.as_str();
            match index.find_hashed(Kind::Stream, names.stream, name) {
                Some(code) => Ok(KnownStream::Code(code)),
                None => self.view.sealed_head(name).map(KnownStream::Head),
            }
        });
        known.collect::<Result<_, _>>().map_err(|damage: Damage| AppendError::Failed(damage.into()))
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
        let head = self.head_template();
        let segment = self.segment.clone();
        let index = segment.memory_index().expect("the growing segment has its index in memory");
        let mut index = index.write().unwrap_or_else(PoisonError::into_inner);
        let room = self.image.write(self.tip..self.image.capacity());
        let bytes = &mut room[FRAME_HEAD..];

        let space = bytes.len();
        let mut rest = &mut *bytes;
        let (placed, tags) = place(&mut Coder { index: &mut index, out: &mut rest }, prepared, frame);
        let names = space - rest.len();
        if !changes.is_empty() {
            rest.put_slice(&serde_json::to_vec(changes).expect("changes always make JSON"));
        }
        let changes_len = space - rest.len() - names;
        let mut at = names + changes_len;
        let mut body = crc32c::crc32c(&bytes[..at]);

        let events = &prepared.append.events;
        if !events.is_empty() {
            index.begin_frame(frame.first, frame.recorded);
        }
        let first_record = self.tip + FRAME_HEAD;
        let mut written = Vec::with_capacity(events.len());
        for ((event, encoded), Placed { place, tags: codes }) in events.iter().zip(&prepared.bodies).zip(&placed) {
            let tags = &tags[codes.clone()];
            let offset = short(first_record + at);
            let author = &prepared.buffer[encoded.range.clone()];
            let end = at + author.len() + tail_len(tags.len());
            let (head, tail) = bytes[at..end].split_at_mut(author.len());
            head.copy_from_slice(author);
            let checksum = finish(tail, encoded.checksum, tags, place);
            body = crc32c::crc32c_append(body, &checksum.to_le_bytes());
            index.add(&Entry {
                id: event.id,
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
        self.next_position = frame.first + events.len() as u64;
        let head = FrameHead {
            events: short(events.len()),
            first_position: frame.first,
            names: short(names),
            changes: short(changes_len),
            body,
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
            synced: self.synced,
            epoch: self.epoch,
            previous: self.previous,
            names: 0,
            changes: 0,
            body: 0,
            store: store_tag(self.core.store),
        }
    }

    /// Pads the frame at the tip, of which so many bytes are used, and fills in its header.
    fn end_frame(&mut self, used: usize, head: FrameHead) {
        let length = used.next_multiple_of(ALIGN);
        let frame = self.image.write(self.tip..self.tip + length);
        frame[used..].fill(0);
        self.previous = FrameHead { length: short(length), ..head }.encode(frame);
        self.tip += length;
    }
}

/// Gives the events of a frame their places and codes; answers them with the codes of all tags.
fn place(coder: &mut Coder<'_, '_>, prepared: &Prepared, frame: &Frame<'_>) -> (Vec<Placed>, Vec<u32>) {
    let mut placed: Vec<Placed> = Vec::with_capacity(prepared.append.events.len());
    let mut tags = Vec::with_capacity(prepared.tags());
    let mut before: Option<HashedEvent<'_>> = None;
    for (at, next) in prepared.hashed().enumerate() {
        let HashedEvent { event, names } = next;
        let (stream, head) = coder.stream(next, frame.streams[at]);
        let version = frame.versions.map_or(head + 1, |versions| versions[at].0);
        coder.index.set_head(stream, version);
        // Most names are those of the event before, which saves looking them up.
        let like = before.as_ref().zip(placed.last());
        let event_type = match like {
            Some((like, placed)) if like.event.event_type == event.event_type => placed.place.event_type,
            _ => coder.code(Kind::Type, names.event_type, event.event_type.as_str()).0,
        };
        let source = match like {
            Some((like, placed)) if like.event.source == event.source => placed.place.source,
            _ => coder.code(Kind::Source, names.source, event.source.as_str()).0,
        };
        let content_type = match like {
            Some((like, placed)) if like.event.content_type == event.content_type => placed.place.content_type,
            _ => coder.code(Kind::ContentType, names.content_type, &event.content_type).0,
        };
        let start = tags.len();
        for (number, (tag, hash)) in event.tags.iter().zip(names.tags).enumerate() {
            let code = match like {
                Some((like, placed))
                    if like.names.tags.get(number) == Some(hash) && like.event.tags[number] == *tag =>
                {
                    tags[placed.tags.start + number]
                }
                _ => coder.code(Kind::Tag, *hash, tag.as_str()).0,
            };
            tags.push(code);
        }
        let position = frame.first + at as u64;
        let recorded = frame.recorded;
        let place = Place { stream, event_type, source, content_type, position, version, recorded };
        placed.push(Placed { place, tags: start..tags.len() });
        before = Some(next);
    }
    (placed, tags)
}

impl Coder<'_, '_> {
    /// The code of an event's stream, and the version it stands at.
    fn stream(&mut self, HashedEvent { event, names }: HashedEvent<'_>, known: KnownStream) -> (u32, u64) {
        match known {
            KnownStream::Code(code) => (code, self.index.head(code)),
            KnownStream::Head(head) => match self.code(Kind::Stream, names.stream, event.stream.as_str()) {
                (code, true) => (code, head),
                // An earlier event of the frame has made it known.
                (code, false) => (code, self.index.head(code)),
            },
        }
    }

    /// The code of a name, written to the frame if it is new to the segment; and whether it is.
    fn code(&mut self, kind: Kind, hash: NameHash, name: &str) -> (u32, bool) {
        let (code, new) = self.index.intern_hashed(kind, hash, name);
        if new {
            put_name(self.out, kind, name);
        }
        (code, new)
    }
}
