//! Any bytes as a run of the directory, for fuzzing: whatever they are, opening, verifying and asking them ends.

use std::sync::Arc;

use super::{
    filter::LINE,
    hash::{Key, Topic},
    run::{ENTRY, HEAD, MAGIC, PAGE_ENTRIES, Run, TABLE, TABLE_ENTRY, section_len},
};
use crate::format::{FORMAT, u64_at};

/// Asks a run for everything that it holds, and for what lies between.
pub(crate) fn ask_run(bytes: &[u8], is_written: bool) {
    let Ok(run) = Run::open(bytes.to_vec().into(), "a run".to_owned(), Arc::default()) else { return };
    let whole = run.verify().is_ok();
    for topic in Topic::ALL {
        let mut found = 0;
        for entry in run.entries(topic) {
            let Ok((hash, number)) = entry else { continue };
            found += 1;
            for hash in [hash, hash.wrapping_sub(1), hash.wrapping_add(1)] {
                let mut numbers = Vec::new();
                std::hint::black_box(run.find(Key { topic, hash }, &mut numbers).is_ok());
                assert!(numbers.len() <= run.len(topic), "each entry is found once");
            }
            let mut numbers = Vec::new();
            let answer = run.find(Key { topic, hash }, &mut numbers);
            // Where only the checksums are right, entries may be out of order.
            assert!(!(whole && is_written) || (answer.is_ok() && numbers.contains(&number)), "what is there is found");
        }
        assert!(found <= run.len(topic));
        for hash in [0, u64::MAX] {
            std::hint::black_box(run.find(Key { topic, hash }, &mut Vec::new()).is_ok());
        }
    }
}

/// The level of a run: how often it was merged.
#[cfg(test)]
pub(crate) fn level_of_run(bytes: &[u8]) -> Option<u32> {
    let run = Run::open(bytes.to_vec().into(), "a run".to_owned(), Arc::default()).ok()?;
    run.verify().ok().map(|()| run.identity.level)
}

/// The same bytes with the magic word, the length and every checksum made right, as far as the table of sections can be used.
pub(crate) fn repair_run(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if bytes.len() < HEAD {
        return bytes;
    }
    bytes[..8].copy_from_slice(MAGIC);
    put(&mut bytes, 8, FORMAT);
    let len = bytes.len() as u64;
    bytes[56..64].copy_from_slice(&len.to_le_bytes());
    for topic in 0..Topic::ALL.len() {
        let at = TABLE + TABLE_ENTRY * topic;
        let number = |at| usize::try_from(u64_at(&bytes, at)).unwrap_or(usize::MAX);
        let (filter, entries, lines) = (number(at), number(at + 8), number(at + 16));
        let start = lines.checked_mul(LINE).and_then(|len| filter.checked_add(len));
        let end = start.zip(section_len(entries)).and_then(|(start, len)| start.checked_add(len));
        let Some((start, end)) = start.zip(end).filter(|(_, end)| *end <= bytes.len()) else { continue };
        bytes[filter..start].chunks_exact_mut(LINE).for_each(seal);
        bytes[start..end].chunks_mut(PAGE_ENTRIES * ENTRY + 4).for_each(seal);
    }
    seal(&mut bytes[..HEAD]);
    bytes
}

/// Ends some bytes with the checksum of all before its place.
fn seal(bytes: &mut [u8]) {
    let end = bytes.len() - 4;
    let checksum = crc32c::crc32c(&bytes[..end]);
    put(bytes, end, checksum);
}

fn put(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}
