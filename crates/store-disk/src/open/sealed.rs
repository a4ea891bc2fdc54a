//! Opening sealed segments: by their index files, or else by indexes that are built again from the log.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    Tail,
    head::{damaged, open_log, read_head},
};
use crate::{
    commit::{open_index, write_index},
    core::Core,
    disk::Access,
    error::OpenError,
    format::manifest::SegmentEntry,
    rules::Rules,
    scan::index_sealed,
    segment::{Segment, SegmentPlace},
};

/// Opens the sealed segments. Where the index of one is built again, it is written at once, so that memory for one of them
/// is enough; only the newest, whose index is what a crash may leave unwritten, is left to be written later.
pub(super) fn open_all_sealed(
    core: &Core,
    sealed: &[&SegmentEntry],
    tail: Tail,
    rules: &mut Rules,
) -> Result<(), OpenError> {
    let mut opened = Vec::with_capacity(sealed.len());
    for (at, entry) in sealed.iter().enumerate() {
        let segment = open_sealed(core, entry, rules)?;
        let rebuilt = segment.memory_index().is_some();
        opened.push(Arc::new(segment));
        if rebuilt && matches!(tail, Tail::Recover { .. }) && at + 1 < sealed.len() {
            core.change_view(|segments| segments.append(&mut opened));
            if let Err(error) = write_index(core, entry.number) {
                tracing::warn!(%error, number = entry.number, "the index of a segment could not be written");
            }
        }
    }
    core.change_view(|segments| segments.append(&mut opened));
    Ok(())
}

/// The log of a sealed segment.
fn open_sealed_log(core: &Core, entry: &SegmentEntry) -> Result<(SegmentPlace, Bytes), OpenError> {
    let name = entry.log_name();
    let file = open_log(core, entry, Access::Read)?;
    let length = entry.sealed.unwrap_or_default();
    if file.size()? < length {
        let what = format!("the file has {} bytes, the manifest says {length}", file.size()?);
        return Err(damaged(&core.disk.describe(&name), file.size()?, &what).into());
    }
    let (_, place) = read_head(core, entry, &file)?;
    Ok((place, file.map(length)?))
}

/// A sealed segment, with the index from its file or, where that is missing or bad, built again from the log.
fn open_sealed(core: &Core, entry: &SegmentEntry, rules: &mut Rules) -> Result<Segment, OpenError> {
    let (place, log) = open_sealed_log(core, entry)?;
    let index = match open_index(core, &entry.index_name(), entry.number, log.len() as u64) {
        Ok(Ok(index)) => {
            let changes = index.changes();
            changes.map(|changes| (index, changes)).map_err(|bad| bad.to_string())
        }
        Ok(Err(bad)) => Err(bad.to_string()),
        Err(error) => Err(error.to_string()),
    };
    match index {
        Ok((index, changes)) => {
            changes.iter().for_each(|change| rules.apply(change));
            Ok(Segment::sealed(place, log, index))
        }
        Err(reason) => {
            tracing::info!(%reason, index = %core.disk.describe(&entry.index_name()), "building an index again");
            let index = index_sealed(&place, &log)?;
            index.changes().iter().for_each(|change| rules.apply(change));
            Ok(Segment::sealed_in_memory(place, log, index))
        }
    }
}

/// A sealed segment, its index built again from the log whether there is one or not.
pub(crate) fn index_again(core: &Core, entry: &SegmentEntry) -> Result<Segment, OpenError> {
    let (place, log) = open_sealed_log(core, entry)?;
    let index = index_sealed(&place, &log)?;
    Ok(Segment::sealed_in_memory(place, log, index))
}
