//! The file of a segment that the manifest names, and whether it is that segment.

use std::{io, sync::Arc};

use crate::{
    core::{Core, about},
    damage::Damage,
    disk::{Access, DiskFile},
    error::OpenError,
    format::{
        FORMAT,
        manifest::SegmentEntry,
        segment::{BadHead, SEGMENT_HEAD, SegmentHead},
    },
    segment::SegmentPlace,
};

/// The head of a segment, checked against what the manifest says of it.
pub(super) fn read_head(
    core: &Core,
    entry: &SegmentEntry,
    file: &Arc<dyn DiskFile>,
) -> Result<(SegmentHead, SegmentPlace), OpenError> {
    let name = entry.log_name();
    let file_name = core.disk.describe(&name);
    let size = file.size().map_err(|error| about(&*core.disk, &name, &error))?;
    if size < SEGMENT_HEAD {
        return Err(damaged(&file_name, size, "the file ends before the end of its head").into());
    }
    let bytes = file.read_exact_at(0, SEGMENT_HEAD as usize).map_err(|error| about(&*core.disk, &name, &error))?;
    let head = SegmentHead::decode(&bytes).map_err(|bad| match bad {
        BadHead::Newer(found) => OpenError::Newer { file: file_name.clone(), found, supported: FORMAT },
        BadHead::Damaged => damaged(&file_name, 0, "the head of the segment cannot be read").into(),
    })?;
    let named = (core.store, entry.number, entry.base, entry.generation());
    if (head.store, head.number, head.base, head.generation) != named {
        return Err(damaged(&file_name, 0, "it is not the segment that the manifest names").into());
    }
    let (number, base, first_position) = (head.number, head.base, head.first_position);
    Ok((head, SegmentPlace { number, generation: head.generation, base, first_position, file_name }))
}

/// Opens the file of a segment that the manifest names.
pub(super) fn open_log(core: &Core, entry: &SegmentEntry, access: Access) -> Result<Arc<dyn DiskFile>, OpenError> {
    let name = entry.log_name();
    let file = match access {
        Access::Read => core.disk.open(&name, access),
        Access::Write => core.disk.open_log(&name),
    };
    file.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => damaged(&core.disk.describe(&name), 0, "the file is missing").into(),
        _ => about(&*core.disk, &name, &error).into(),
    })
}

pub(super) fn damaged(file: &str, offset: u64, what: &str) -> Damage {
    Damage { file: file.to_owned(), offset, what: what.to_owned() }
}
