//! Going on in the next segment, and indexing the one that is full.

use std::{
    io,
    sync::{Arc, PoisonError},
    thread,
};

use mainspring_store::AppendError;

use super::{Committer, ahead::Ahead, write::write_image};
use crate::{
    core::{Core, about},
    directory::Keeper,
    disk::{Access, DiskFile},
    format::{
        manifest::SegmentEntry,
        segment::{SEGMENT_HEAD, SegmentHead, log_name},
    },
    image::{ImageWriter, PAGE},
    index::{BadIndex, MappedIndex, MemoryIndex, encode},
    segment::{Segment, SegmentPlace},
};

impl Committer {
    /// Whether a frame of this length fits into the segment. An empty segment takes any.
    pub(super) fn has_room(&self, frame: u64) -> bool {
        let tip = self.tip as u64;
        tip == SEGMENT_HEAD || tip + frame <= self.segment_bytes
    }

    /// Makes sure that the image takes a frame of this length: one that is larger than a segment has one of its own.
    pub(super) fn make_room(&mut self, frame: u64) -> io::Result<()> {
        let needed = self.tip + usize::try_from(frame).map_err(io::Error::other)?;
        if needed <= self.image.capacity() {
            return Ok(());
        }
        let mut image = ImageWriter::new(image_bytes(needed as u64)?)?;
        let head = self.image.read(0..self.end);
        image.write(0..self.end).copy_from_slice(head);
        image.freeze(self.end);
        self.core.replace(self.segment.with_image(image.image().clone()));
        self.image = image;
        self.take_segment();
        Ok(())
    }

    /// Goes on in the next segment, once what waits is flushed.
    pub(super) fn go_on(&mut self) -> Result<(), AppendError> {
        self.answer();
        self.check_open().map_err(|refused| AppendError::Failed(refused.into()))?;
        self.roll().map_err(|error| AppendError::Failed(error.into()))
    }

    /// Seals the segment and begins the next one. Nothing waits.
    fn roll(&mut self) -> io::Result<()> {
        let head = SegmentHead {
            store: self.core.store,
            number: self.segment.number + 1,
            base: self.segment.base + self.end as u64,
            first_position: self.next_position,
            previous: self.previous,
            generation: 0,
        };
        let name = log_name(head.number);
        let disk = self.core.disk.clone();
        let explain = |error: &io::Error| about(&*disk, &name, error);
        let file = match self.take_ahead(&name) {
            Some(file) => file,
            None => disk.create_log(&name).map_err(|error| explain(&error))?,
        };
        let mut image = self.next_image()?;
        image.write(0..SEGMENT_HEAD as usize).copy_from_slice(&head.encode());
        let begun = write_image(&*file, &mut image, 0, SEGMENT_HEAD as usize)
            .and_then(|_| file.sync())
            .and_then(|()| file.size());
        let allocated = begun.map_err(|error| explain(&error))?;
        image.freeze(SEGMENT_HEAD as usize);

        let catalog = self.catalog.clone();
        let mut change = catalog.begin();
        if let Some(last) = change.manifest.segments.last_mut() {
            last.sealed = Some(self.end as u64);
        }
        change.manifest.segments.push(SegmentEntry::active(head.number, head.base));
        let next = change.prepare(&*disk)?;
        if let Err(error) = change.publish(&*disk, next) {
            self.poison(format!("the manifest could not be replaced: {error}"));
            return Err(error);
        }

        let log = self.log_here();
        log.allocated = allocated;
        let full = std::mem::replace(&mut log.file, file);
        // The zeros behind the last frame are not needed any more; keeping them would be harmless.
        if let Err(error) = full.set_len(self.end as u64) {
            tracing::warn!(%error, "the unused end of a segment could not be freed");
        }
        let full = std::mem::replace(&mut self.image, image);
        self.previous = head.chain();
        (self.end, self.tip) = (SEGMENT_HEAD as usize, SEGMENT_HEAD as usize);
        let sealed = self.segment.seal(full.image().frozen());
        self.retired = Some(full.image().clone());
        let number = sealed.number;
        let empty = self.segment.memory_index().map_or_else(MemoryIndex::default, |full| {
            MemoryIndex::like(&full.read().unwrap_or_else(PoisonError::into_inner))
        });
        self.core.replace(sealed);
        let place = SegmentPlace {
            number: head.number,
            generation: 0,
            base: head.base,
            first_position: head.first_position,
            file_name: self.core.disk.describe(&name),
        };
        let segment = Segment::growing(place, self.image.image().clone(), empty);
        self.core.change_view(|segments| segments.push(Arc::new(segment)));
        self.take_segment();
        self.log_here().note_synced(head.base + SEGMENT_HEAD);
        if self.replayable {
            index(&self.core, number);
        } else {
            self.index_in_background(number);
        }
        Ok(())
    }

    /// Memory for the next segment: that of the one before the present one, if nobody reads it any more.
    fn next_image(&mut self) -> io::Result<ImageWriter> {
        let capacity = image_bytes(self.segment_bytes)?;
        let free = self.retired.take().and_then(|image| ImageWriter::reuse(image, capacity).ok());
        free.map_or_else(|| ImageWriter::new(capacity), Ok)
    }

    /// Begins to prepare the next segment: at once in a store that has several, and in the first when it is half full, so
    /// that small stores never pay for one.
    pub(super) fn prepare_next(&mut self) {
        let small = self.view.len() == 1 && (self.end as u64) < self.segment_bytes / 2;
        if self.replayable || self.ahead.is_some() || small {
            return;
        }
        match Ahead::begin(self.core.disk.clone(), self.segment_bytes) {
            Ok(ahead) => self.ahead = Some(ahead),
            Err(error) => tracing::warn!(%error, "no thread to prepare the next segment"),
        }
    }

    fn take_ahead(&mut self, name: &str) -> Option<Arc<dyn DiskFile>> {
        let taken = self.ahead.take()?.take(&*self.core.disk, name);
        taken.inspect_err(|error| tracing::warn!(%error, "the next segment could not be prepared")).ok()
    }

    /// Writes the index of a sealed segment while appends go on; at most one at a time, so that a slow disk slows appends
    /// down and memory stays bounded.
    fn index_in_background(&mut self, number: u32) {
        if let Some(sealing) = self.sealing.take()
            && sealing.join().is_err()
        {
            tracing::warn!("building an index panicked; opening builds it again");
        }
        let core = self.core.clone();
        let builder = thread::Builder::new().name("mainspring-index".to_owned());
        match builder.spawn(move || index(&core, number)) {
            Ok(sealing) => self.sealing = Some(sealing),
            Err(error) => tracing::warn!(%error, number, "no thread to build the index of a segment"),
        }
    }
}

/// How large an image is whose segment is closed when it would exceed so many bytes: the mark of a clean close, which is
/// never held back, comes behind them.
pub(crate) fn image_bytes(segment: u64) -> io::Result<usize> {
    usize::try_from(segment + PAGE as u64).map_err(io::Error::other)
}

/// Writes the index of a sealed segment, without which the store works too.
fn index(core: &Core, number: u32) {
    if let Err(error) = write_index(core, number) {
        tracing::warn!(%error, number, "the index of a segment could not be written; opening builds it again");
    }
    Keeper::wake(core);
}

/// Writes the index file of a sealed segment and replaces its index in memory.
pub(crate) fn write_index(core: &Core, number: u32) -> io::Result<()> {
    let _alone = core.indexing.lock().unwrap_or_else(PoisonError::into_inner);
    let view = core.view();
    let Some(segment) = view.iter().find(|segment| segment.number == number) else { return Ok(()) };
    let Some(index) = segment.memory_index().filter(|_| segment.is_sealed()) else { return Ok(()) };
    let bytes = {
        let index = index.read().map_err(|_| io::Error::other("its index was left half-changed by a panic"))?;
        encode(&index, core.store, number, segment.end())
    };
    let log = core.disk.open(&segment.log_name(), Access::Read)?.map(segment.end())?;
    let mapped = store_index(core, segment, &bytes)?;
    if !core.replace(segment.with_index_file(log, mapped)) {
        // Scavenging has put another file in the place of the segment, and nobody needs this index any more.
        core.disk.remove(&segment.index_name())?;
    }
    Ok(())
}

fn store_index(core: &Core, segment: &Segment, bytes: &[u8]) -> io::Result<MappedIndex> {
    let disk = &*core.disk;
    let name = segment.index_name();
    let next = format!("{name}.new");
    let file = disk.create(&next)?;
    file.write_all_at(0, bytes)?;
    file.sync()?;
    disk.rename(&next, &name)?;
    disk.sync_entries()?;
    open_index(core, &name, segment.number, segment.end())?.map_err(io::Error::other)
}

/// Opens the index file `name` of a segment whose log has `log_len` bytes.
pub(crate) fn open_index(
    core: &Core,
    name: &str,
    number: u32,
    log_len: u64,
) -> io::Result<Result<MappedIndex, BadIndex>> {
    let file = core.disk.open(name, Access::Read)?;
    let bytes = file.map(file.size()?)?;
    Ok(MappedIndex::open(bytes, core.store, number, log_len))
}
