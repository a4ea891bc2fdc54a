//! Writes what is kept of some segments as one new file with its index, frame by frame.

use std::{io, ops::Range, sync::Arc};

use bytes::Bytes;

use super::{ScavengeError, leftover::Leftover, pace::Pace, pieces::Pieces, survey::Survey};
use crate::{
    core::Core,
    format::{
        frame::{ALIGN, FRAME_HEAD, FrameHead, KINDS, Kind, put_emptied, put_name},
        record::{Place, Record, finish, tail_len},
        segment::{SEGMENT_HEAD, SegmentHead, compacted_index_name, compacted_log_name},
        short,
    },
    index::{Entry, Index, MappedIndex, MemoryIndex, encode},
    names::Names,
    scan::{Continuation, Frame, Scanner, store_tag},
    segment::{Segment, SegmentPlace},
};

/// Frames without events are ended when they reach this length, or so many changes.
const NOTES_BYTES: usize = 256 << 10;
const NOTES_CHANGES: usize = 256;

/// A new file and its index, synced and under their final names, but not yet named by the manifest.
pub(super) struct NewFile {
    pub(super) segment: Segment,
    pub(super) bytes: u64,
}

/// What came of writing some segments again.
pub(super) struct Rewritten {
    /// Nothing where nothing is left.
    pub(super) file: Option<NewFile>,
    pub(super) removed: u64,
    /// The highest position of an event with tags among those; 0 where there is none.
    pub(super) removed_tagged: u64,
}

/// Writes what is kept of `group`. A failure leaves no file behind.
pub(super) fn rewrite(
    core: &Core,
    group: &[Survey],
    leftover: &Leftover,
    generation: u32,
    pace: &mut Pace<'_>,
) -> Result<Rewritten, ScavengeError> {
    let first = &group[0].segment;
    let head = SegmentHead { generation, ..head_of(first)? };
    let (log, index) = (compacted_log_name(first.number, generation), compacted_index_name(first.number, generation));
    let written = write_files(core, group, leftover, head, (&log, &index), pace);
    if !matches!(written, Ok(Rewritten { file: Some(_), .. })) {
        remove(core, [format!("{log}.new"), format!("{index}.new"), log, index]);
    }
    written
}

/// Removes files that were never named; opening would remove them too.
pub(super) fn remove(core: &Core, names: impl IntoIterator<Item = String>) {
    for name in names {
        match core.disk.remove(&name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(%error, file = %core.disk.describe(&name), "a file could not be removed; opening will");
            }
            _ => {}
        }
    }
}

/// The head of the file of a segment.
pub(super) fn head_of(segment: &Segment) -> Result<SegmentHead, ScavengeError> {
    let head = SegmentHead::decode(&segment.content());
    Ok(head.map_err(|_| segment.damage(0, "the head of the segment cannot be read"))?)
}

fn write_files(
    core: &Core,
    group: &[Survey],
    leftover: &Leftover,
    head: SegmentHead,
    (log, index): (&str, &str),
    pace: &mut Pace<'_>,
) -> Result<Rewritten, ScavengeError> {
    let disk = &*core.disk;
    let mut output = Output::new(core, &head, &format!("{log}.new"))?;
    output.write_notes(leftover, head.first_position, pace)?;
    let (mut removed, mut removed_tagged) = (0, 0);
    for survey in group {
        let gone = output.write_kept(core, survey, pace)?;
        removed += gone.events;
        removed_tagged = removed_tagged.max(gone.tagged);
    }
    if output.is_empty() {
        return Ok(Rewritten { file: None, removed, removed_tagged });
    }
    let Output { index: memory, mut file, .. } = output;
    file.end(pace)?;
    let bytes = encode(&memory, core.store, head.number, file.written);
    let mut index_file = Pieces::new(core, &format!("{index}.new"))?;
    index_file.put(&bytes, pace)?;
    index_file.end(pace)?;
    for name in [log, index] {
        disk.rename(&format!("{name}.new"), name)?;
    }
    disk.sync_entries()?;
    let content = file.file.map(file.written)?;
    let place = SegmentPlace {
        generation: head.generation,
        number: head.number,
        base: head.base,
        first_position: head.first_position,
        file_name: disk.describe(log),
    };
    read_back(core, &place, &head, &content, memory.events())?;
    let mapped = index_file.file.map(index_file.written)?;
    let mapped = MappedIndex::open(mapped, core.store, head.number, file.written).map_err(io::Error::other)?;
    let segment = Segment::sealed(place, content, mapped);
    let bytes = file.written + index_file.written;
    Ok(Rewritten { file: Some(NewFile { segment, bytes }), removed, removed_tagged })
}

/// Reads the new file as opening would. The old ones are removed on its account.
fn read_back(
    core: &Core,
    place: &SegmentPlace,
    head: &SegmentHead,
    content: &Bytes,
    events: u32,
) -> Result<(), ScavengeError> {
    let from = Continuation { offset: SEGMENT_HEAD, previous: head.chain(), next_position: head.first_position };
    let mut scanner = Scanner::new(&content[SEGMENT_HEAD as usize..], place.base, from, core.store).sparse(true);
    let mut found = 0;
    while let Some(frame) = scanner.next_frame() {
        found += frame.head.events;
    }
    if (scanner.continuation().offset, found) != (content.len() as u64, events) {
        let what = format!("{} does not read back as it was written", place.file_name);
        return Err(io::Error::other(what).into());
    }
    Ok(())
}

/// The new log file, and its index as it grows.
struct Output {
    file: Pieces,
    index: MemoryIndex,
    base: u64,
    store: u32,
    /// Checksum of the last frame.
    previous: u32,
}

/// What was left out of one segment.
#[derive(Default)]
struct Gone {
    events: u64,
    tagged: u64,
}

/// A record that is kept, with the codes that its names have in the new file.
struct Kept<'a> {
    record: Record<'a>,
    place: Place,
    /// Where in the frame's list the codes of its tags are.
    tags: Range<usize>,
}

impl Output {
    fn new(core: &Core, head: &SegmentHead, name: &str) -> io::Result<Self> {
        let mut file = Pieces::new(core, name)?;
        file.buffer.extend_from_slice(&head.encode());
        let index = MemoryIndex::default();
        Ok(Self { file, index, base: head.base, store: store_tag(core.store), previous: head.chain() })
    }

    /// Whether there is no frame.
    fn is_empty(&self) -> bool {
        self.file.written + self.file.buffer.len() as u64 == SEGMENT_HEAD
    }

    /// Writes what must outlive the events, in frames without events.
    fn write_notes(
        &mut self,
        leftover: &Leftover,
        first_position: u64,
        pace: &mut Pace<'_>,
    ) -> Result<(), ScavengeError> {
        let (mut emptied, mut changes) = (leftover.emptied.iter().peekable(), leftover.changes.chunks(NOTES_CHANGES));
        let mut part = changes.next();
        while emptied.peek().is_some() || part.is_some() {
            let start = self.begin_frame();
            while self.file.buffer.len() - start < NOTES_BYTES
                && let Some((stream, head)) = emptied.next()
            {
                let (code, _) = self.index.intern(Kind::Stream, stream);
                self.index.set_head(code, *head);
                put_emptied(&mut self.file.buffer, stream, *head);
            }
            let names = self.file.buffer.len() - start - FRAME_HEAD;
            let written = part.unwrap_or_default();
            if !written.is_empty() {
                serde_json::to_writer(&mut self.file.buffer, written).expect("changes always make JSON");
            }
            self.index.add_changes(written);
            let body = crc32c::crc32c(&self.file.buffer[start + FRAME_HEAD..]);
            let changes_len = self.file.buffer.len() - start - FRAME_HEAD - names;
            let head =
                FrameHead { first_position, names: short(names), changes: short(changes_len), body, ..self.template() };
            self.end_frame(start, head);
            self.file.relieve(pace)?;
            part = changes.next();
        }
        Ok(())
    }

    /// Writes the frames of one segment without what can be removed.
    fn write_kept(&mut self, core: &Core, survey: &Survey, pace: &mut Pace<'_>) -> Result<Gone, ScavengeError> {
        let segment = &survey.segment;
        let head = head_of(segment)?;
        let content = segment.content().slice(SEGMENT_HEAD as usize..);
        let from = Continuation { offset: SEGMENT_HEAD, previous: head.chain(), next_position: head.first_position };
        let mut scanner = Scanner::new(&content, segment.base, from, core.store).sparse(segment.generation > 0);
        let mut codes = Codes { names: segment.names(true)?, known: Default::default() };
        let mut gone = Gone::default();
        while let Some(frame) = scanner.next_frame() {
            let mut kept = Vec::with_capacity(frame.head.events as usize);
            for (_, record) in frame.records() {
                let place = record.place();
                if survey.streams.get(&place.stream).is_some_and(|removal| place.version <= removal.through) {
                    gone.events += 1;
                    if !record.tags().is_empty() {
                        gone.tagged = place.position;
                    }
                } else {
                    kept.push(record);
                }
            }
            if !kept.is_empty() {
                self.write_frame(&frame, &kept, &mut codes);
                self.file.relieve(pace)?;
            }
            pace.moved(u64::from(frame.head.length))?;
        }
        if scanner.continuation().offset != segment.end() {
            return Err(segment.damage(scanner.continuation().offset, "a frame cannot be read").into());
        }
        Ok(gone)
    }

    fn write_frame(&mut self, source: &Frame<'_>, records: &[Record<'_>], codes: &mut Codes) {
        let start = self.begin_frame();
        let mut tags = Vec::new();
        let kept: Vec<Kept<'_>> = records.iter().map(|record| self.keep(*record, codes, &mut tags)).collect();
        let names = self.file.buffer.len() - start - FRAME_HEAD;
        let mut body = crc32c::crc32c(&self.file.buffer[start + FRAME_HEAD..]);
        let first_position = kept[0].place.position;
        let mut next = first_position;
        for (number, Kept { record, place, tags: span }) in kept.iter().enumerate() {
            let tags = &tags[span.clone()];
            if number == 0 {
                self.index.begin_frame(place.position, place.recorded);
            } else if place.position != next {
                self.index.continue_frame(place.position, place.recorded);
            }
            next = place.position + 1;
            let offset = self.file.written + self.file.buffer.len() as u64;
            self.file.buffer.extend_from_slice(record.body());
            let rest = self.file.buffer.len();
            self.file.buffer.resize(rest + tail_len(tags.len()), 0);
            let checksum = finish(&mut self.file.buffer[rest..], crc32c::crc32c(record.body()), tags, place);
            body = crc32c::crc32c_append(body, &checksum.to_le_bytes());
            self.index.add(&Entry {
                id: record.id(),
                offset: u32::try_from(offset).expect("a segment is smaller than 4 GiB"),
                stream: place.stream,
                event_type: place.event_type,
                version: place.version,
                tags,
            });
        }
        let head = FrameHead {
            events: short(kept.len()),
            first_position,
            synced: source.head.synced,
            epoch: source.head.epoch,
            names: short(names),
            body,
            ..self.template()
        };
        self.end_frame(start, head);
    }

    /// Gives the names of a record their codes in the new file.
    fn keep<'a>(&mut self, record: Record<'a>, codes: &mut Codes, tags: &mut Vec<u32>) -> Kept<'a> {
        let place = record.place();
        let mut code = |kind, old| codes.translate(kind, old, &mut self.index, &mut self.file.buffer);
        let place = Place {
            stream: code(Kind::Stream, place.stream),
            event_type: code(Kind::Type, place.event_type),
            source: code(Kind::Source, place.source),
            content_type: code(Kind::ContentType, place.content_type),
            ..place
        };
        let start = tags.len();
        tags.extend(record.tag_codes().map(|tag| code(Kind::Tag, tag)));
        Kept { record, place, tags: start..tags.len() }
    }

    fn begin_frame(&mut self) -> usize {
        let start = self.file.buffer.len();
        self.file.buffer.resize(start + FRAME_HEAD, 0);
        start
    }

    fn template(&self) -> FrameHead {
        FrameHead {
            length: 0,
            events: 0,
            lsn: 0,
            first_position: 0,
            synced: 0,
            epoch: 0,
            previous: self.previous,
            names: 0,
            changes: 0,
            body: 0,
            store: self.store,
        }
    }

    /// Pads the frame that began at `start` and fills in its header.
    fn end_frame(&mut self, start: usize, head: FrameHead) {
        let buffer = &mut self.file.buffer;
        buffer.resize(buffer.len().next_multiple_of(ALIGN), 0);
        let length = short(buffer.len() - start);
        let lsn = self.base + self.file.written + start as u64;
        self.previous = FrameHead { length, lsn, ..head }.encode(&mut buffer[start..]);
    }
}

/// What the codes of one segment are in the new file.
struct Codes {
    names: Arc<dyn Names>,
    /// By kind and old code.
    known: [Vec<Option<u32>>; KINDS],
}

impl Codes {
    /// The new code of a name, which is written to the frame if the file does not have it.
    fn translate(&mut self, kind: Kind, old: u32, index: &mut MemoryIndex, frame: &mut Vec<u8>) -> u32 {
        let known = &mut self.known[kind as usize];
        let place = old as usize;
        if known.len() <= place {
            known.resize(place + 1, None);
        }
        *known[place].get_or_insert_with(|| {
            let name = self.names.name(kind, old);
            let (code, new) = index.intern(kind, name);
            if new {
                put_name(frame, kind, name);
            }
            code
        })
    }
}
