//! The manifest: which files make up the store. Whatever it does not name is garbage.
//!
//! One line of JSON, then one line with its checksum, so that an operator can read it. It is replaced by rename.

use std::io;

use mainspring_store::{Lineage, StoreId};
use serde::{Deserialize, Serialize};

use super::FORMAT;
use crate::disk::{Access, Disk};

/// The name of the file.
pub(crate) const MANIFEST: &str = "MANIFEST";

/// The name under which a new one is written before it takes the old one's place.
const NEXT: &str = "MANIFEST.new";

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) format: u32,
    pub(crate) store: StoreId,
    pub(crate) lineage: Lineage,
    /// How often the store was opened for writing.
    pub(crate) epoch: u32,
    /// The segments in the order of the log; the last one is being written.
    pub(crate) segments: Vec<SegmentEntry>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SegmentEntry {
    pub(crate) number: u32,
    /// Log position of the first byte of the file.
    pub(crate) base: u64,
    /// Length of the file if it is sealed; the active segment has none.
    pub(crate) sealed: Option<u64>,
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
    pub(crate) fn new() -> Self {
        Self { format: FORMAT, store: StoreId::new(), lineage: Lineage::new(), epoch: 0, segments: Vec::new() }
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

    /// Writes the manifest beside the old one. A failure has changed nothing.
    pub(crate) fn prepare(&self, disk: &dyn Disk) -> io::Result<Prepared> {
        let file = disk.create(NEXT)?;
        file.write_all_at(0, &self.encode())?;
        file.sync()?;
        Ok(Prepared)
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
