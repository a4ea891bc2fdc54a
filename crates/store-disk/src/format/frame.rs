//! A frame: one commit in the log. It becomes visible whole or not at all.
//!
//! Header, then new names of the segment's dictionary, stream changes, records, and zeros up to a multiple of eight.

use bytes::BufMut;

use super::{array_at, u32_at, u64_at};

/// Length of a frame's header.
pub(crate) const FRAME_HEAD: usize = 64;

/// Frames begin at multiples of this many bytes, so that looking for one behind damage is quick.
pub(crate) const ALIGN: usize = 8;

const MAGIC: u32 = u32::from_le_bytes(*b"FRAM");

/// What the header of a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHead {
    /// Length of the whole frame.
    pub(crate) length: u32,
    /// How many events it holds.
    pub(crate) events: u32,
    /// Where it is in the log. A copy of a frame elsewhere, in a payload say, is not a frame.
    pub(crate) lsn: u64,
    /// Position of its first event, or of the next one where it has none.
    pub(crate) first_position: u64,
    /// Everything in the log below here was synced when this frame was written.
    pub(crate) synced: u64,
    /// How often the store had been opened for writing.
    pub(crate) epoch: u32,
    /// Checksum of the header before this one in the log.
    pub(crate) previous: u32,
    /// Length of the dictionary entries that follow the header.
    pub(crate) names: u32,
    /// Length of the stream changes that follow them.
    pub(crate) changes: u32,
    /// Checksum of names, changes, and the checksums of the records.
    pub(crate) body: u32,
    /// The last four bytes of the store's id.
    pub(crate) store: u32,
}

impl FrameHead {
    /// Fills in the first bytes of a frame; answers the header's checksum, which the next frame names.
    pub(crate) fn encode(&self, into: &mut [u8]) -> u32 {
        into[..4].copy_from_slice(&MAGIC.to_le_bytes());
        into[8..12].copy_from_slice(&self.length.to_le_bytes());
        into[12..16].copy_from_slice(&self.events.to_le_bytes());
        into[16..24].copy_from_slice(&self.lsn.to_le_bytes());
        into[24..32].copy_from_slice(&self.first_position.to_le_bytes());
        into[32..40].copy_from_slice(&self.synced.to_le_bytes());
        into[40..44].copy_from_slice(&self.epoch.to_le_bytes());
        into[44..48].copy_from_slice(&self.previous.to_le_bytes());
        into[48..52].copy_from_slice(&self.names.to_le_bytes());
        into[52..56].copy_from_slice(&self.changes.to_le_bytes());
        into[56..60].copy_from_slice(&self.body.to_le_bytes());
        into[60..64].copy_from_slice(&self.store.to_le_bytes());
        let checksum = crc32c::crc32c(&into[8..FRAME_HEAD]);
        into[4..8].copy_from_slice(&checksum.to_le_bytes());
        checksum
    }

    /// The header in these bytes with its checksum; `None` unless it is whole and unharmed.
    pub(crate) fn decode(bytes: &[u8]) -> Option<(Self, u32)> {
        let bytes = bytes.get(..FRAME_HEAD)?;
        let checksum = u32_at(bytes, 4);
        if u32_at(bytes, 0) != MAGIC || crc32c::crc32c(&bytes[8..]) != checksum {
            return None;
        }
        let head = Self {
            length: u32_at(bytes, 8),
            events: u32_at(bytes, 12),
            lsn: u64_at(bytes, 16),
            first_position: u64_at(bytes, 24),
            synced: u64_at(bytes, 32),
            epoch: u32_at(bytes, 40),
            previous: u32_at(bytes, 44),
            names: u32_at(bytes, 48),
            changes: u32_at(bytes, 52),
            body: u32_at(bytes, 56),
            store: u32_at(bytes, 60),
        };
        Some((head, checksum))
    }
}

/// Which dictionary a name belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Stream = 0,
    Type = 1,
    Source = 2,
    ContentType = 3,
    Tag = 4,
}

/// How many dictionaries there are.
pub(crate) const KINDS: usize = 5;

impl Kind {
    pub(crate) const ALL: [Self; KINDS] = [Self::Stream, Self::Type, Self::Source, Self::ContentType, Self::Tag];
}

/// Appends one dictionary entry; its code is the number of entries of its kind before it in the segment.
pub(crate) fn put_name(out: &mut impl BufMut, kind: Kind, name: &str) {
    let length = u16::try_from(name.len()).expect("names have at most 255 bytes");
    out.put_u8(kind as u8);
    out.put_u16_le(length);
    out.put_slice(name.as_bytes());
}

/// Appends the dictionary entry of a stream of which nothing is left here, and the version it stood at.
pub(crate) fn put_emptied(out: &mut Vec<u8>, stream: &str, head: u64) {
    let start = out.len();
    put_name(out, Kind::Stream, stream);
    out[start] = EMPTIED;
    out.extend_from_slice(&head.to_le_bytes());
}

/// What stands in place of the kind for a stream whose events were removed.
const EMPTIED: u8 = KINDS as u8;

/// One dictionary entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Name<'a> {
    pub(crate) kind: Kind,
    pub(crate) text: &'a str,
    /// The version of a stream of which nothing is left here.
    pub(crate) emptied_at: Option<u64>,
}

/// The dictionary entries in these bytes; `None` in place of the first that cannot be read.
pub(crate) fn names(mut bytes: &[u8]) -> impl Iterator<Item = Option<Name<'_>>> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let entry = name(bytes);
        bytes = entry.map_or(&[], |(_, rest)| rest);
        Some(entry.map(|(name, _)| name))
    })
}

/// The entry at the beginning of these bytes, and what follows it.
fn name(bytes: &[u8]) -> Option<(Name<'_>, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<3>()?;
    let (text, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(array_at(head, 1))))?;
    let text = std::str::from_utf8(text).ok()?;
    if head[0] == EMPTIED {
        let (version, rest) = rest.split_first_chunk::<8>()?;
        let emptied_at = Some(u64::from_le_bytes(*version));
        return Some((Name { kind: Kind::Stream, text, emptied_at }, rest));
    }
    let kind = *Kind::ALL.get(usize::from(head[0]))?;
    Some((Name { kind, text, emptied_at: None }, rest))
}

#[cfg(test)]
mod tests;
