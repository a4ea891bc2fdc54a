//! A record: one event in a frame, verifiable alone.
//!
//! What the author says comes first, so that it can be encoded and checksummed before the event's place is known; the
//! committer only continues the checksum over the tail with codes, position, version and recorded time.

use jiff::Timestamp;
use mainspring_event::{EventId, NewEvent};

use super::{array_at, i64_at, short, u32_at, u64_at};

/// Length of the fixed part before metadata and payload.
const HEAD: usize = 48;

/// Length of the fixed part behind the tag codes, checksum included.
const TAIL: usize = 44;

/// Lengths of the parts of one record.
fn total(metadata: usize, payload: usize, tags: usize) -> usize {
    HEAD + metadata + payload + 4 * tags + TAIL
}

/// An event encoded up to where its place must be known.
#[derive(Clone, Debug)]
pub(crate) struct Body {
    pub(crate) id: EventId,
    /// Bytes of the encoding in its append's buffer.
    pub(crate) range: std::ops::Range<usize>,
    /// Their checksum, to be continued.
    pub(crate) checksum: u32,
    /// Length of the whole record.
    pub(crate) length: usize,
    /// How many tags the event has.
    pub(crate) tags: usize,
}

/// Encodes what the author says of `event` at the end of `out`.
pub(crate) fn encode_body(event: &NewEvent, out: &mut Vec<u8>) -> Body {
    let start = out.len();
    let metadata = event.metadata.encoded_len();
    let length = total(metadata, event.payload.len(), event.tags.len());
    out.extend_from_slice(&short(length).to_le_bytes());
    out.extend_from_slice(&event.id.to_bytes());
    out.extend_from_slice(&event.time.as_second().to_le_bytes());
    out.extend_from_slice(&event.time.subsec_nanosecond().to_le_bytes());
    out.extend_from_slice(&event.schema_version.to_le_bytes());
    out.extend_from_slice(&short(metadata).to_le_bytes());
    out.extend_from_slice(&short(event.payload.len()).to_le_bytes());
    out.extend_from_slice(&short(event.tags.len()).to_le_bytes());
    event.metadata.encode(out);
    out.extend_from_slice(&event.payload);
    let range = start..out.len();
    let checksum = crc32c::crc32c(&out[range.clone()]);
    Body { id: event.id, range, checksum, length, tags: event.tags.len() }
}

/// What the committer knows of an event.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Place {
    pub(crate) stream: u32,
    pub(crate) event_type: u32,
    pub(crate) source: u32,
    pub(crate) content_type: u32,
    pub(crate) position: u64,
    pub(crate) version: u64,
    /// Nanoseconds since 1970.
    pub(crate) recorded: i64,
}

/// Length of what [`finish`] writes behind the body of an event with so many tags.
pub(crate) fn tail_len(tags: usize) -> usize {
    4 * tags + TAIL
}

/// Fills `out` with the rest of a record behind its body; answers the record's checksum.
pub(crate) fn finish(out: &mut [u8], body_checksum: u32, tags: &[u32], place: &Place) -> u32 {
    let (codes, tail) = out.split_at_mut(4 * tags.len());
    for (code, tag) in codes.chunks_exact_mut(4).zip(tags) {
        code.copy_from_slice(&tag.to_le_bytes());
    }
    tail[..4].copy_from_slice(&place.stream.to_le_bytes());
    tail[4..8].copy_from_slice(&place.event_type.to_le_bytes());
    tail[8..12].copy_from_slice(&place.source.to_le_bytes());
    tail[12..16].copy_from_slice(&place.content_type.to_le_bytes());
    tail[16..24].copy_from_slice(&place.position.to_le_bytes());
    tail[24..32].copy_from_slice(&place.version.to_le_bytes());
    tail[32..40].copy_from_slice(&place.recorded.to_le_bytes());
    let end = out.len() - 4;
    let checksum = crc32c::crc32c_append(body_checksum, &out[..end]);
    out[end..].copy_from_slice(&checksum.to_le_bytes());
    checksum
}

/// A record whose lengths and checksum were found right.
#[derive(Clone, Copy)]
pub(crate) struct Record<'a>(&'a [u8]);

impl<'a> Record<'a> {
    /// The record at the beginning of `bytes`, verified; `None` when it is damaged or cut off.
    pub(crate) fn verify(bytes: &'a [u8]) -> Option<Self> {
        let record = Self::trusted(bytes)?;
        let (content, checksum) = record.0.split_at(record.0.len() - 4);
        (crc32c::crc32c(content) == u32_at(checksum, 0)).then_some(record)
    }

    /// The record at the beginning of `bytes`, its lengths checked but not its checksum.
    pub(crate) fn trusted(bytes: &'a [u8]) -> Option<Self> {
        let length = u32_at(bytes.get(..4)?, 0) as usize;
        let record = bytes.get(..length).filter(|record| record.len() >= HEAD + TAIL)?;
        let parts = [36, 40, 44].map(|at| u64::from(u32_at(record, at)));
        let expected = (HEAD + TAIL) as u64 + parts[0] + parts[1] + 4 * parts[2];
        (expected == length as u64).then_some(Self(record))
    }

    pub(crate) fn len(self) -> usize {
        self.0.len()
    }

    pub(crate) fn checksum(self) -> u32 {
        u32_at(self.0, self.0.len() - 4)
    }

    /// What its author said, as it was encoded before its place was known.
    pub(crate) fn body(self) -> &'a [u8] {
        &self.0[..self.tail() - 4 * u32_at(self.0, 44) as usize]
    }

    pub(crate) fn id(self) -> EventId {
        EventId::from_bytes(array_at(self.0, 4))
    }

    pub(crate) fn time(self) -> Timestamp {
        let nanoseconds = i32::from_le_bytes(array_at(self.0, 28));
        // Only times that were encoded from a timestamp pass the checksum.
        Timestamp::new(i64_at(self.0, 20), nanoseconds).unwrap_or_default()
    }

    pub(crate) fn schema_version(self) -> u32 {
        u32_at(self.0, 32)
    }

    pub(crate) fn metadata(self) -> &'a [u8] {
        &self.0[HEAD..HEAD + self.metadata_len()]
    }

    pub(crate) fn payload(self) -> &'a [u8] {
        let start = HEAD + self.metadata_len();
        &self.0[start..start + u32_at(self.0, 40) as usize]
    }

    /// The codes of its tags, four bytes each.
    pub(crate) fn tags(self) -> &'a [u8] {
        let tail = self.tail();
        &self.0[tail - 4 * u32_at(self.0, 44) as usize..tail]
    }

    /// The codes of its tags.
    pub(crate) fn tag_codes(self) -> impl Iterator<Item = u32> + use<'a> {
        self.tags().chunks_exact(4).map(|code| u32_at(code, 0))
    }

    pub(crate) fn place(self) -> Place {
        let tail = self.tail();
        Place {
            stream: u32_at(self.0, tail),
            event_type: u32_at(self.0, tail + 4),
            source: u32_at(self.0, tail + 8),
            content_type: u32_at(self.0, tail + 12),
            position: u64_at(self.0, tail + 16),
            version: u64_at(self.0, tail + 24),
            recorded: i64_at(self.0, tail + 32),
        }
    }

    fn metadata_len(self) -> usize {
        u32_at(self.0, 36) as usize
    }

    fn tail(self) -> usize {
        self.0.len() - TAIL
    }
}

#[cfg(test)]
mod tests;
