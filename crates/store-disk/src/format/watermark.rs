//! The watermark: how far the log is known to be synced, in a file of its own.
//!
//! It is written after each sync and never synced itself, so it can lag behind but never lead. Other processes read as far
//! as it says; recovery takes a bad frame below it as damage.

use super::{u32_at, u64_at};

/// The name of the file.
pub(crate) const WATERMARK: &str = "SYNCED";

/// Its length.
pub(crate) const WATERMARK_LEN: usize = 12;

pub(crate) fn encode(synced: u64) -> [u8; WATERMARK_LEN] {
    let mut bytes = [0; WATERMARK_LEN];
    bytes[..8].copy_from_slice(&synced.to_le_bytes());
    let checksum = crc32c::crc32c(&bytes[..8]);
    bytes[8..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// The log position in these bytes, or 0 where they are torn or missing: knowing less is always safe.
pub(crate) fn decode(bytes: &[u8]) -> u64 {
    let whole = bytes.len() == WATERMARK_LEN && crc32c::crc32c(&bytes[..8]) == u32_at(bytes, 8);
    if whole { u64_at(bytes, 0) } else { 0 }
}

#[cfg(test)]
mod tests;
