//! What the targets begin with: the files of real stores, whole and in pieces.

use std::{collections::BTreeSet, fs, io, path::Path};

use crate::format::{frame::FRAME_HEAD, record::Record, segment::SEGMENT_HEAD, u32_at};

/// The name of a target, and bytes for it.
pub type Seed = (&'static str, Vec<u8>);

/// Pieces of at most so many bytes: a fuzzer is quick with small ones.
const LARGEST: usize = 4096;

/// So many of each kind are enough.
const ENOUGH: usize = 12;

/// The seeds that the store in `directory` gives.
///
/// # Errors
/// What the machine says.
pub fn seeds(directory: &Path) -> io::Result<Vec<Seed>> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let (name, content) = (entry.file_name(), fs::read(entry.path())?);
        match name.to_str() {
            Some("MANIFEST") => drop(found.insert(("manifest", content))),
            Some("SYNCED") => drop(found.insert(("watermark", content))),
            Some(name) if name.ends_with(".idx") => drop(found.insert(("index", content))),
            Some(name) if name.ends_with(".log") => pieces(&content, &mut found),
            _ => {}
        }
    }
    found.retain(|(_, bytes)| bytes.len() <= LARGEST);
    let mut counts = std::collections::HashMap::new();
    let first = found.into_iter().filter(|(target, _)| {
        let count = counts.entry(*target).or_insert(0);
        *count += 1;
        *count <= ENOUGH
    });
    Ok(first.collect())
}

/// A segment, cut into its parts.
fn pieces(log: &[u8], found: &mut BTreeSet<Seed>) {
    let Some((head, mut rest)) = log.split_at_checked(SEGMENT_HEAD as usize) else { return };
    found.insert(("segment_head", head.to_vec()));
    found.insert(("scan", log.to_vec()));
    let mut whole = head.len();
    while rest.len() >= FRAME_HEAD && rest.starts_with(b"FRAM") {
        let (length, names, changes) = (u32_at(rest, 8), u32_at(rest, 48) as usize, u32_at(rest, 52) as usize);
        let Some((frame, behind)) = rest.split_at_checked(length as usize) else { return };
        let (head, body) = frame.split_at(FRAME_HEAD);
        let (names, body) = body.split_at(names);
        let (changes, mut records) = body.split_at(changes);
        found.extend([head, names, changes].map(|part| ("frame", part.to_vec())));
        while let Some(record) = Record::verify(records) {
            let (bytes, others) = records.split_at(record.len());
            found.insert(("record", bytes.to_vec()));
            found.insert(("metadata", record.metadata().to_vec()));
            records = others;
        }
        rest = behind;
        whole += frame.len();
        found.insert(("scan", log[..whole].to_vec()));
    }
}
