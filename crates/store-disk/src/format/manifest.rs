//! The manifest: which files make up the store. Whatever it does not name is garbage.
//!
//! One line of JSON, then one line with its checksum, so that an operator can read it. It is replaced by rename.

use std::io;

use mainspring_store::{Lineage, StoreId};
use serde::{Deserialize, Serialize};

use super::{
    FORMAT,
    segment::{compacted_index_name, compacted_log_name, index_name, log_name},
};
use crate::disk::{Access, Disk};

/// The name of the file.
pub(crate) const MANIFEST: &str = "MANIFEST";

/// The name under which a new one is written before it takes the old one's place.
pub(crate) const NEXT: &str = "MANIFEST.new";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) format: u32,
    pub(crate) store: StoreId,
    pub(crate) lineage: Lineage,
    /// How often the store was opened for writing.
    pub(crate) epoch: u32,
    /// The highest position of an event with tags that scavenging removed; 0 where there is none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) removed_tagged: u64,
    /// When the newest event was recorded, in nanoseconds since 1970, of the files that scavenging has replaced: what is
    /// recorded later never has an earlier time, though that event may be gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) replaced_recorded: Option<i64>,
    /// The segments in the order of the log; the last one is being written.
    pub(crate) segments: Vec<SegmentEntry>,
    /// What makes the directory a backup, which is read and restored but never written as a store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) backup: Option<BackupMark>,
}

/// Says that a directory is a copy. It names no segment until it is complete for the first time; all it names have a
/// length, the last one too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BackupMark {
    /// Position of the last event that was copied.
    pub(crate) position: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SegmentEntry {
    pub(crate) number: u32,
    /// Log position of the first byte of the file.
    pub(crate) base: u64,
    /// Length of the file if it is sealed; the active segment has none.
    pub(crate) sealed: Option<u64>,
    /// What scavenging made of it; nothing where it is as it was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) compacted: Option<Compacted>,
}

/// What stands in place of one segment or several that follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Compacted {
    /// Which file; none where nothing is left.
    pub(crate) generation: Option<u32>,
    /// The number of the last segment whose place it takes.
    pub(crate) last: u32,
    /// Log position of the end of that segment.
    pub(crate) end: u64,
    /// Checksum of the last frame of that segment, which the segment behind it names.
    pub(crate) chain: u32,
}

impl SegmentEntry {
    /// The segment at the end of the log.
    pub(crate) fn active(number: u32, base: u64) -> Self {
        Self { number, base, sealed: None, compacted: None }
    }

    /// Whether there is a file; everything may have been removed.
    pub(crate) fn has_file(&self) -> bool {
        self.compacted.is_none_or(|compacted| compacted.generation.is_some())
    }

    /// Which file it is: 0 as it was first written.
    pub(crate) fn generation(&self) -> u32 {
        self.compacted.and_then(|compacted| compacted.generation).unwrap_or_default()
    }

    /// The file with its events.
    pub(crate) fn log_name(&self) -> String {
        match self.generation() {
            0 => log_name(self.number),
            generation => compacted_log_name(self.number, generation),
        }
    }

    /// The file that is derived from that one and can be missing.
    pub(crate) fn index_name(&self) -> String {
        match self.generation() {
            0 => index_name(self.number),
            generation => compacted_index_name(self.number, generation),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// A manifest that is durable and yet to take the old one's place.
#[must_use = "the old manifest holds until the new one is published"]
pub(crate) struct Prepared;

impl Prepared {
    /// Takes the old one's place. After a failure either may hold.
    pub(crate) fn publish(self, disk: &dyn Disk) -> io::Result<()> {
        disk.rename(NEXT, MANIFEST)?;
        disk.sync_entries()
    }
}

/// Why a manifest cannot be used.
#[derive(Debug)]
pub(crate) enum BadManifest {
    Missing,
    Newer(u32),
    Damaged(String),
    Io(io::Error),
}

impl Manifest {
    pub(crate) fn new(store: StoreId, lineage: Lineage) -> Self {
        Self {
            format: FORMAT,
            store,
            lineage,
            epoch: 0,
            removed_tagged: 0,
            replaced_recorded: None,
            segments: Vec::new(),
            backup: None,
        }
    }

    /// Names a file of this generation and length, or none, in the place of the segments from number `first` to number
    /// `last`. `chain` is the checksum that the segment behind them names, needed where the last of them is as it was
    /// written.
    pub(crate) fn compact(&mut self, (first, last): (u32, u32), chain: u32, file: Option<(u32, u64)>) {
        let place = |number| self.segments.iter().position(|entry: &SegmentEntry| entry.number == number);
        let (Some(mut start), Some(mut end)) = (place(first), place(last)) else { return };
        let gone = |place: usize| self.segments.get(place).is_some_and(|entry| !entry.has_file());
        while gone(end + 1) {
            end += 1;
        }
        while file.is_none() && start > 0 && gone(start - 1) {
            start -= 1;
        }
        let (from, to) = (&self.segments[start], &self.segments[end]);
        let behind = to.compacted.map_or_else(
            || (to.number, to.base + to.sealed.unwrap_or_default(), chain),
            |compacted| (compacted.last, compacted.end, compacted.chain),
        );
        let (last, end_of_range, chain) = behind;
        let entry = SegmentEntry {
            number: from.number,
            base: from.base,
            sealed: Some(file.map_or(0, |(_, length)| length)),
            compacted: Some(Compacted {
                generation: file.map(|(generation, _)| generation),
                last,
                end: end_of_range,
                chain,
            }),
        };
        self.segments.splice(start..=end, [entry]);
    }

    pub(crate) fn load(disk: &dyn Disk) -> Result<Self, BadManifest> {
        let file = match disk.open(MANIFEST, Access::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(BadManifest::Missing),
            Err(error) => return Err(BadManifest::Io(error)),
        };
        let length = file.size().map_err(BadManifest::Io)?;
        let length = usize::try_from(length).map_err(|_| BadManifest::Damaged("it is too long".to_owned()))?;
        let bytes = file.read_exact_at(0, length).map_err(BadManifest::Io)?;
        Self::decode(&bytes)
    }

    /// Makes this the manifest; durable when it returns.
    pub(crate) fn store(&self, disk: &dyn Disk) -> io::Result<()> {
        self.prepare(disk)?.publish(disk)
    }

    /// Writes the manifest beside the old one. A failure has changed nothing and leaves nothing behind.
    pub(crate) fn prepare(&self, disk: &dyn Disk) -> io::Result<Prepared> {
        let file = disk.create(NEXT)?;
        let written = file.write_all_at(0, &self.encode()).and_then(|()| file.sync());
        written.map(|()| Prepared).inspect_err(|_| {
            // It names files that may never come to be; opening would remove it too.
            drop(disk.remove(NEXT));
        })
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec(self).expect("numbers and ids always make JSON");
        let checksum = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(format!("\ncrc32c {checksum:08x}\n").as_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, BadManifest> {
        /// The one field that every version has.
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let damaged = |reason: &str| BadManifest::Damaged(reason.to_owned());
        let end = bytes.iter().position(|byte| *byte == b'\n').ok_or_else(|| damaged("it is cut off"))?;
        let (json, checksum) = bytes.split_at(end);
        if format!("\ncrc32c {:08x}\n", crc32c::crc32c(json)).as_bytes() != checksum {
            return Err(damaged("its checksum does not match"));
        }
        let unreadable = |error: serde_json::Error| BadManifest::Damaged(error.to_string());
        let Version { format } = serde_json::from_slice(json).map_err(unreadable)?;
        if format > FORMAT {
            return Err(BadManifest::Newer(format));
        }
        serde_json::from_slice(json).map_err(unreadable)
    }
}

#[cfg(test)]
mod tests;
