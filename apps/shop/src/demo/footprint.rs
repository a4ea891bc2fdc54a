//! How much of the disk a run has taken.

use std::{fs, os::unix::fs::MetadataExt, path::Path};

use anyhow::{Context, Result};

use super::shop::SERVICES;
use crate::projections::VIEWS;

/// What lies in the directory of a shop, in bytes on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Footprint {
    pub(super) store: u64,
    pub(super) views: u64,
}

/// Adds up the files in `data`, but for those of services that are not the shop's. What a file has been given on disk counts, not what it says its length is.
pub(super) fn footprint(data: &Path) -> Result<Footprint> {
    let mut footprint = Footprint::default();
    let (views, services) = (data.join(VIEWS), data.join(SERVICES));
    for entry in fs::read_dir(data).with_context(|| format!("`{}` cannot be listed", data.display()))? {
        let path = entry?.path();
        if path == views {
            footprint.views = bytes(&path)?;
        } else if path != services {
            footprint.store += bytes(&path)?;
        }
    }
    Ok(footprint)
}

/// A file, or everything below a directory. What goes away meanwhile takes no room.
fn bytes(path: &Path) -> Result<u64> {
    let about = || format!("`{}` cannot be measured", path.display());
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        metadata => metadata.with_context(about)?,
    };
    // The operating system counts blocks of 512 bytes, whatever the blocks of the disk are.
    let mut total = metadata.blocks() * 512;
    if metadata.is_dir() {
        for entry in fs::read_dir(path).with_context(about)? {
            total += bytes(&entry?.path())?;
        }
    }
    Ok(total)
}
