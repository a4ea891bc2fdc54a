//! What the targets begin with: the files of real stores, whole and in pieces.

use std::{
    collections::{BTreeSet, HashMap},
    fs, io,
    path::Path,
};

use crate::format::{
    frame::{FRAME_HEAD, names},
    record::Record,
    segment::{SEGMENT_HEAD, SegmentHead},
    u32_at,
};

/// The name of a target, and bytes for it.
pub type Seed = (&'static str, Vec<u8>);

/// Pieces of at most so many bytes: a fuzzer is quick with small ones.
const LARGEST: usize = 4096;

/// So many of each part are enough.
const ENOUGH: usize = 12;

/// A target, the part of a store that is cut out for it, and the bytes of that.
type Cut = (&'static str, &'static str, Vec<u8>);

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
            Some("MANIFEST") => drop(found.insert(("manifest", "", content))),
            Some("SYNCED") => drop(found.insert(("watermark", "", content))),
            Some(name) if name.ends_with(".idx") => drop(found.insert(("index", "", content))),
            Some(name) if name.ends_with(".dir") => {
                let part = if u32_at(&content, 12) == 0 { "of one segment" } else { "merged" };
                found.insert(("run", part, content));
            }
            Some(name) if name.ends_with(".log") => pieces(&content, &mut found),
            _ => {}
        }
    }
    found.retain(|(_, _, bytes)| bytes.len() <= LARGEST);
    let mut counts = HashMap::new();
    let first = found.into_iter().filter(|(target, part, _)| {
        let count = counts.entry((*target, *part)).or_insert(0);
        *count += 1;
        *count <= ENOUGH
    });
    Ok(first.map(|(target, _, bytes)| (target, bytes)).collect())
}

/// A segment, cut into its parts.
fn pieces(log: &[u8], found: &mut BTreeSet<Cut>) {
    let Some((head, mut rest)) = log.split_at_checked(SEGMENT_HEAD as usize) else { return };
    let written = if SegmentHead::decode(head).is_ok_and(|head| head.generation > 0) { "compacted" } else { "" };
    found.insert(("segment_head", written, head.to_vec()));
    found.insert(("scan", written, log.to_vec()));
    let mut whole = head.len();
    while rest.len() >= FRAME_HEAD && rest.starts_with(b"FRAM") {
        let (length, names_len, changes_len) = (u32_at(rest, 8), u32_at(rest, 48) as usize, u32_at(rest, 52) as usize);
        let Some((frame, behind)) = rest.split_at_checked(length as usize) else { return };
        let (head, body) = frame.split_at(FRAME_HEAD);
        let (dictionary, body) = body.split_at(names_len);
        let (changes, mut records) = body.split_at(changes_len);
        let emptied = names(dictionary).flatten().any(|name| name.emptied_at.is_some());
        let kind = if emptied { "emptied streams" } else { "names" };
        let parts = [("head", head), (kind, dictionary), ("changes", changes)];
        found.extend(parts.map(|(part, bytes)| ("frame", part, bytes.to_vec())));
        while let Some(record) = Record::verify(records) {
            let (bytes, others) = records.split_at(record.len());
            found.insert(("record", "", bytes.to_vec()));
            found.insert(("metadata", "", record.metadata().to_vec()));
            records = others;
        }
        rest = behind;
        whole += frame.len();
        found.insert(("scan", written, log[..whole].to_vec()));
    }
}
