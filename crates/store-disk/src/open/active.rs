//! Opening the segment at the end of the log: what of it counts, what was torn, and what is damage.

use std::{io, sync::Arc};

use super::{
    Tail,
    head::{damaged, open_log, read_head},
};
use crate::{
    commit::{image_bytes, write_image},
    core::Core,
    disk::{Access, DiskFile},
    error::OpenError,
    format::{manifest::SegmentEntry, segment::SEGMENT_HEAD},
    image::ImageWriter,
    rules::Rules,
    scan::{Continuation, Scanned, Scanner, scan},
    segment::Segment,
};

/// The segment at the end of the log.
pub(crate) struct Active {
    pub(crate) segment: Arc<Segment>,
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) continuation: Continuation,
    /// What is in the file, where it is to be written.
    pub(super) image: Option<ImageWriter>,
}

/// The segment at the end of the log.
pub(super) fn open_active(
    core: &Core,
    entry: &SegmentEntry,
    synced: u64,
    tail: Tail,
    rules: &mut Rules,
) -> Result<Active, OpenError> {
    let access = if matches!(tail, Tail::Recover { .. }) { Access::Write } else { Access::Read };
    let file = open_log(core, entry, access)?;
    let (head, place) = read_head(core, entry, &file)?;
    let mut length = file.size()?;
    match tail {
        Tail::Recover { .. } => {}
        // What is whole in the file may not be on the disk yet; it must be before anyone sees it.
        Tail::Whole => file.sync()?,
        Tail::Synced => length = length.min(synced.saturating_sub(entry.base).max(SEGMENT_HEAD)),
        Tail::Backup => {
            let copied = entry.sealed.unwrap_or_default().max(SEGMENT_HEAD);
            if length < copied {
                let what = format!("the file has {length} bytes, the manifest says {copied}");
                return Err(damaged(&place.file_name, length, &what).into());
            }
            length = copied;
        }
    }
    let length = usize::try_from(length).map_err(io::Error::other)?;
    let mut image = match tail {
        Tail::Recover { segment_bytes } => ImageWriter::new(image_bytes(segment_bytes.max(length as u64))?)?,
        _ => ImageWriter::new(length)?,
    };
    file.read_exact_into(0, image.write(0..length))?;
    let frames = image.read(SEGMENT_HEAD as usize..length);
    let from = Continuation { offset: SEGMENT_HEAD, previous: head.chain(), next_position: head.first_position };
    let scanner = Scanner::new(frames, place.base, from, core.store);
    let Scanned { index, continuation, synced: marked } = scan(scanner, &place)?;
    let end = usize::try_from(continuation.offset).map_err(io::Error::other)?;
    let behind = image.read(end..length);
    // Mostly zeros, which hold no frame and are quickly passed over.
    let torn = behind.chunks(4096).any(|piece| piece.iter().fold(0, |any, byte| any | byte) != 0);
    let marked_behind =
        if torn { Scanner::new(behind, place.base, continuation, core.store).synced_behind() } else { 0 };
    let known = marked_behind.max(synced);
    if known > place.base + continuation.offset {
        let what = "a frame cannot be read, but it had been synced: this is damage, not a torn end";
        return Err(damaged(&place.file_name, continuation.offset, what).into());
    }
    if tail == Tail::Backup && !behind.is_empty() {
        let what = "a frame of the backup cannot be read";
        return Err(damaged(&place.file_name, continuation.offset, what).into());
    }
    index.changes().iter().for_each(|change| rules.apply(change));
    if !matches!(tail, Tail::Recover { .. }) {
        let segment = Arc::new(Segment::followed(place, file.clone(), continuation.offset, index));
        return Ok(Active { segment, file, continuation, image: None });
    }
    recover_tail(&file, &mut image, synced.max(marked).saturating_sub(entry.base), end)?;
    if torn {
        tracing::info!(file = %place.file_name, offset = end, "cutting off a torn end that was never acknowledged");
        file.set_len(continuation.offset)?;
    }
    file.sync()?;
    image.freeze(end);
    let segment = Arc::new(Segment::growing(place, image.image().clone(), index));
    Ok(Active { segment, file, continuation, image: Some(image) })
}

/// Writes the frames of a segment again that are not known to be synced.
///
/// After a failed sync the machine may take pages for written that never were. They can be read, but no later sync writes
/// them unless they are written to again.
fn recover_tail(file: &Arc<dyn DiskFile>, image: &mut ImageWriter, synced: u64, end: usize) -> io::Result<()> {
    let from = usize::try_from(synced.max(SEGMENT_HEAD)).map_err(io::Error::other)?.min(end);
    write_image(&**file, image, from, end).map(drop)
}
