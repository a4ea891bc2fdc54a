//! The segment that grows, in memory: the committer encodes into its image and writes the disk from it, and readers borrow
//! what is durable without copying.
//!
//! It begins at the beginning of a page, so that any part of it can be written past the cache of the machine.

use std::{
    io,
    ops::Range,
    ptr::NonNull,
    slice,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use memmap2::MmapMut;

/// Images begin at multiples of this address and are multiples of it long: the largest alignment that a disk may ask for.
pub(crate) const PAGE: usize = 4096;

/// Memory for one segment. Bytes that are frozen never change again, those behind belong to its one writer.
pub(crate) struct Image {
    start: NonNull<u8>,
    capacity: usize,
    frozen: AtomicUsize,
    /// Keeps the memory.
    _memory: MmapMut,
}

// SAFETY: the memory belongs to the image alone. What is frozen is only read; the rest is touched through `ImageWriter`
// only, of which there is one.
#[expect(unsafe_code, reason = "one writer and many readers share memory without copying")]
unsafe impl Send for Image {}
// SAFETY: as above.
#[expect(unsafe_code, reason = "one writer and many readers share memory without copying")]
unsafe impl Sync for Image {}

/// The right to write an image behind what is frozen.
pub(crate) struct ImageWriter {
    image: Arc<Image>,
}

impl Image {
    /// How many bytes are frozen.
    pub(crate) fn len(&self) -> usize {
        self.frozen.load(Ordering::Acquire)
    }

    /// The bytes that are frozen.
    pub(crate) fn frozen(self: &Arc<Self>) -> Bytes {
        Bytes::from_owner(Frozen { image: self.clone(), len: self.len() })
    }

    fn slice(&self, range: Range<usize>) -> &[u8] {
        assert!(range.start <= range.end && range.end <= self.capacity, "a part of the image");
        // SAFETY: the range lies within the memory, which lives as long as the image. Callers ask for frozen bytes, which
        // do not change, or are the writer, which does not write while it borrows itself.
        #[expect(unsafe_code, reason = "reading without copying what a writer is still adding to")]
        unsafe {
            slice::from_raw_parts(self.start.as_ptr().add(range.start), range.len())
        }
    }
}

impl ImageWriter {
    /// Memory for at least so many bytes. It is taken from the machine only as it is used.
    ///
    /// # Errors
    /// What the machine says when it has no memory.
    pub(crate) fn new(capacity: usize) -> io::Result<Self> {
        let capacity = capacity.max(1).next_multiple_of(PAGE);
        let mut memory = MmapMut::map_anon(capacity)?;
        let start = NonNull::new(memory.as_mut_ptr()).ok_or_else(|| io::Error::other("no memory was mapped"))?;
        Ok(Self { image: Arc::new(Image { start, capacity, frozen: AtomicUsize::new(0), _memory: memory }) })
    }

    /// The same memory for another segment, if nobody reads the image any more and it has room for so many bytes.
    pub(crate) fn reuse(image: Arc<Image>, capacity: usize) -> Result<Self, Arc<Image>> {
        if image.capacity < capacity {
            return Err(image);
        }
        let image = Arc::try_unwrap(image)?;
        image.frozen.store(0, Ordering::Release);
        Ok(Self { image: Arc::new(image) })
    }

    pub(crate) fn image(&self) -> &Arc<Image> {
        &self.image
    }

    pub(crate) fn capacity(&self) -> usize {
        self.image.capacity
    }

    /// What was written, frozen or not.
    pub(crate) fn read(&self, range: Range<usize>) -> &[u8] {
        self.image.slice(range)
    }

    /// The bytes of a range, to be written; they are not frozen.
    pub(crate) fn write(&mut self, range: Range<usize>) -> &mut [u8] {
        let frozen = self.image.frozen.load(Ordering::Relaxed);
        assert!(frozen <= range.start && range.start <= range.end && range.end <= self.image.capacity, "not frozen");
        // SAFETY: the range lies within the memory and behind everything that readers can borrow, and the writer, of which
        // there is one, is borrowed exclusively.
        #[expect(unsafe_code, reason = "writing behind what readers borrow")]
        unsafe {
            slice::from_raw_parts_mut(self.image.start.as_ptr().add(range.start), range.len())
        }
    }

    /// Gives everything below `end` to readers. It never changes again.
    pub(crate) fn freeze(&mut self, end: usize) {
        assert!(self.image.frozen.load(Ordering::Relaxed) <= end && end <= self.image.capacity, "images only grow");
        self.image.frozen.store(end, Ordering::Release);
    }
}

/// What was frozen at some moment.
struct Frozen {
    image: Arc<Image>,
    len: usize,
}

impl AsRef<[u8]> for Frozen {
    fn as_ref(&self) -> &[u8] {
        self.image.slice(0..self.len)
    }
}

#[cfg(test)]
mod tests;
