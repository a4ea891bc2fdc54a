//! Makes the checksums, the magic words and the chain of any bytes right, so that what lies behind them is reached.

use crate::format::{
    FORMAT,
    frame::{ALIGN, FRAME_HEAD},
    record::Record,
    segment::SEGMENT_HEAD,
    u32_at, u64_at,
};

fn put(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

/// A manifest of this JSON, or of the JSON of this manifest.
pub(super) fn manifest(bytes: &[u8]) -> Vec<u8> {
    let json = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let mut repaired = json.to_vec();
    repaired.extend_from_slice(format!("\ncrc32c {:08x}\n", crc32c::crc32c(json)).as_bytes());
    repaired
}

pub(super) fn segment_head(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if bytes.len() >= SEGMENT_HEAD as usize {
        bytes[..8].copy_from_slice(b"MAINSPRG");
        put(&mut bytes, 8, FORMAT);
        let checksum = crc32c::crc32c(&bytes[..60]);
        put(&mut bytes, 60, checksum);
    }
    bytes
}

/// A segment whose frames follow each other as far as their lengths allow.
pub(super) fn segment(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = segment_head(bytes);
    let mut at = SEGMENT_HEAD as usize;
    if bytes.len() < at {
        return bytes;
    }
    let (store, base) = (u32_at(&bytes, 28), u64_at(&bytes, 32));
    let mut previous = u32_at(&bytes, 60);
    while at + FRAME_HEAD <= bytes.len() {
        let length = (u32_at(&bytes, at + 8) as usize).next_multiple_of(ALIGN);
        if length < FRAME_HEAD || length > bytes.len() - at {
            break;
        }
        let frame = &mut bytes[at..at + length];
        frame[..4].copy_from_slice(b"FRAM");
        put(frame, 8, u32::try_from(length).unwrap_or(u32::MAX));
        frame[16..24].copy_from_slice(&base.wrapping_add(at as u64).to_le_bytes());
        put(frame, 44, previous);
        put(frame, 60, store);
        let body = body(frame);
        put(frame, 56, body);
        previous = crc32c::crc32c(&frame[8..FRAME_HEAD]);
        put(frame, 4, previous);
        at += length;
    }
    bytes
}

/// Makes the checksums of the records right; answers that of the body.
fn body(frame: &mut [u8]) -> u32 {
    let end = (FRAME_HEAD as u64 + u64::from(u32_at(frame, 48)) + u64::from(u32_at(frame, 52))).min(frame.len() as u64);
    let mut at = usize::try_from(end).unwrap_or(frame.len());
    let mut checksum = crc32c::crc32c(&frame[FRAME_HEAD..at]);
    for _ in 0..u32_at(frame, 12) {
        let Some(length) = Record::trusted(&frame[at..]).map(Record::len) else { break };
        let own = crc32c::crc32c(&frame[at..at + length - 4]);
        put(frame, at + length - 4, own);
        checksum = crc32c::crc32c_append(checksum, &own.to_le_bytes());
        at += length;
    }
    checksum
}
