//! The head of a segment: 64 bytes that say which file of which store this is.

use mainspring_store::StoreId;

use super::{FORMAT, array_at, u32_at, u64_at};

/// Length of a segment's head.
pub(crate) const SEGMENT_HEAD: u64 = 64;

const MAGIC: &[u8; 8] = b"MAINSPRG";

/// What the head of a segment says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHead {
    pub(crate) store: StoreId,
    pub(crate) number: u32,
    /// Log position of the first byte of this file.
    pub(crate) base: u64,
    /// Position of the first event that this segment can hold.
    pub(crate) first_position: u64,
    /// Checksum of the last frame of the segment before, continuing the chain; 0 in the first.
    pub(crate) previous: u32,
    /// 0 as it was first written. A file that scavenging wrote has another number than every file before it.
    pub(crate) generation: u32,
}

/// Why a head cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadHead {
    /// It was written by a newer version.
    Newer(u32),
    /// It is not the head of a segment, or it is damaged.
    Damaged,
}

impl SegmentHead {
    pub(crate) fn encode(&self) -> [u8; SEGMENT_HEAD as usize] {
        let mut bytes = [0; SEGMENT_HEAD as usize];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.number.to_le_bytes());
        bytes[16..32].copy_from_slice(self.store.as_uuid().as_bytes());
        bytes[32..40].copy_from_slice(&self.base.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.first_position.to_le_bytes());
        bytes[48..52].copy_from_slice(&self.previous.to_le_bytes());
        bytes[52..56].copy_from_slice(&self.generation.to_le_bytes());
        let checksum = crc32c::crc32c(&bytes[..60]);
        bytes[60..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, BadHead> {
        if bytes.len() < SEGMENT_HEAD as usize || &bytes[..8] != MAGIC {
            return Err(BadHead::Damaged);
        }
        if crc32c::crc32c(&bytes[..60]) != u32_at(bytes, 60) {
            return Err(BadHead::Damaged);
        }
        if u32_at(bytes, 8) > FORMAT {
            return Err(BadHead::Newer(u32_at(bytes, 8)));
        }
        Ok(Self {
            number: u32_at(bytes, 12),
            store: StoreId::from_bytes(array_at(bytes, 16)),
            base: u64_at(bytes, 32),
            first_position: u64_at(bytes, 40),
            previous: u32_at(bytes, 48),
            generation: u32_at(bytes, 52),
        })
    }

    /// What the first frame of this segment names as the frame before.
    pub(crate) fn chain(&self) -> u32 {
        u32_at(&self.encode(), 60)
    }
}

/// The name of the file with the events of segment `number`.
pub(crate) fn log_name(number: u32) -> String {
    format!("{number:08}.log")
}

/// The name of the file with the index of segment `number`.
pub(crate) fn index_name(number: u32) -> String {
    format!("{number:08}.idx")
}

/// The name of the file that scavenging wrote for segment `number` and perhaps those behind it.
pub(crate) fn compacted_log_name(number: u32, generation: u32) -> String {
    format!("{number:08}-{generation}.log")
}

/// The name of the file with the index of that file.
pub(crate) fn compacted_index_name(number: u32, generation: u32) -> String {
    format!("{number:08}-{generation}.idx")
}

/// Whether a file of this name is a segment or the index of one.
pub(crate) fn is_segment_name(name: &str) -> bool {
    let Some((stem, _)) = name.rsplit_once('.') else { return false };
    let (number, generation) = stem.split_once('-').map_or((stem, None), |(number, rest)| (number, Some(rest)));
    let (Ok(number), Ok(generation)) = (number.parse(), generation.map(str::parse).transpose()) else { return false };
    let names = match generation {
        None => [log_name(number), index_name(number)],
        Some(generation) => [compacted_log_name(number, generation), compacted_index_name(number, generation)],
    };
    names.iter().any(|one| one == name)
}

#[cfg(test)]
mod tests;
