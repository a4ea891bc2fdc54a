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

/// The right to write an image behind what is frozen or lent.
pub(crate) struct ImageWriter {
    image: Arc<Image>,
    /// Everything below here is frozen or lent.
    kept: usize,
}

/// The beginning of an image, up to what is on its way to the disk: nobody writes it meanwhile.
pub(crate) struct Lent {
    image: Arc<Image>,
    end: usize,
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
        // SAFETY: the range lies within the memory, which lives as long as the image. Callers ask for frozen or lent bytes,
        // which do not change meanwhile, or are the writer, which does not write while it borrows itself.
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
        let frozen = AtomicUsize::new(0);
        Ok(Self { image: Arc::new(Image { start, capacity, frozen, _memory: memory }), kept: 0 })
    }

    /// The same memory for another segment, if nobody reads the image any more and it has room for so many bytes.
    pub(crate) fn reuse(image: Arc<Image>, capacity: usize) -> Result<Self, Arc<Image>> {
        if image.capacity < capacity {
            return Err(image);
        }
        let image = Arc::try_unwrap(image)?;
        image.frozen.store(0, Ordering::Release);
        Ok(Self { image: Arc::new(image), kept: 0 })
    }

    pub(crate) fn image(&self) -> &Arc<Image> {
        &self.image
    }

    pub(crate) fn capacity(&self) -> usize {
        self.image.capacity
    }

    /// From where on it can be written.
    pub(crate) fn kept(&self) -> usize {
        self.kept
    }

    /// What was written, frozen or not.
    pub(crate) fn read(&self, range: Range<usize>) -> &[u8] {
        self.image.slice(range)
    }

    /// The bytes of a range, to be written; they are neither frozen nor lent.
    pub(crate) fn write(&mut self, range: Range<usize>) -> &mut [u8] {
        assert!(
            self.kept <= range.start && range.start <= range.end && range.end <= self.image.capacity,
            "neither frozen nor lent"
        );
        // SAFETY: the range lies within the memory and behind everything that others can borrow, and the writer, of which
        // there is one, is borrowed exclusively.
        #[expect(unsafe_code, reason = "writing behind what readers borrow")]
        unsafe {
            slice::from_raw_parts_mut(self.image.start.as_ptr().add(range.start), range.len())
        }
    }

    /// Gives everything below `end` to readers. It never changes again.
    pub(crate) fn freeze(&mut self, end: usize) {
        assert!(self.image.frozen.load(Ordering::Relaxed) <= end && end <= self.image.capacity, "images only grow");
        self.kept = self.kept.max(end);
        self.image.frozen.store(end, Ordering::Release);
    }

    /// Lends everything below `end`, to be read by somebody else while more is written behind it. It is frozen, or taken
    /// back, before anything is lent again.
    pub(crate) fn lend(&mut self, end: usize) -> Lent {
        assert!(self.kept == self.image.len() && self.kept <= end && end <= self.image.capacity, "lent once");
        self.kept = end;
        Lent { image: self.image.clone(), end }
    }

    /// Takes back what was lent: it may be written again.
    pub(crate) fn take_back(&mut self, lent: Lent) {
        drop(lent);
        self.kept = self.image.len();
    }
}

impl Lent {
    /// Where it ends.
    pub(crate) fn end(&self) -> usize {
        self.end
    }

    pub(crate) fn read(&self, range: Range<usize>) -> &[u8] {
        assert!(range.end <= self.end, "lent");
        self.image.slice(range)
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
