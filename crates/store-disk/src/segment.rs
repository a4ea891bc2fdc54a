//! One segment of the log with its index, as readers and the committer see it.

use std::{
    io,
    sync::{
        Arc, PoisonError, RwLock, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use mainspring_event::EventId;

use crate::{
    damage::Damage,
    disk::DiskFile,
    format::segment::{index_name, log_name},
    image::Image,
    index::{IdHint, Index, MappedIndex, MemoryIndex},
    names::Names,
};

/// A segment. Its content never changes once written; a sealed one is replaced in the view by cheaper forms of itself.
pub(crate) struct Segment {
    pub(crate) number: u32,
    /// Log position of the first byte of the file.
    pub(crate) base: u64,
    /// Position of the first event that it can hold.
    pub(crate) first_position: u64,
    /// Where the file is, for messages.
    pub(crate) file_name: String,
    data: Data,
    index: IndexForm,
    /// What is known of the event ids of a sealed segment without asking its index.
    ids: Option<IdHint>,
}

enum Data {
    /// Still written, by this process.
    Growing(Arc<Image>),
    /// Still written, by another process: read from the file up to the end of what it has synced.
    Followed {
        file: Arc<dyn DiskFile>,
        end: AtomicU64,
    },
    Sealed(Bytes),
}

#[derive(Clone)]
enum IndexForm {
    Memory(Arc<RwLock<MemoryIndex>>),
    Mapped(Arc<MappedIndex>),
}

/// Why records could not be taken from a segment.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SegmentError {
    #[error(transparent)]
    Damaged(#[from] Damage),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Segment {
    /// A segment that is being written; what is frozen of its image can be read.
    pub(crate) fn growing(place: SegmentPlace, image: Arc<Image>, index: MemoryIndex) -> Self {
        Self::new(place, Data::Growing(image), IndexForm::Memory(Arc::new(RwLock::new(index))), None)
    }

    /// A segment that another process writes and that ends at `end` for now.
    pub(crate) fn followed(place: SegmentPlace, file: Arc<dyn DiskFile>, end: u64, index: MemoryIndex) -> Self {
        let index = IndexForm::Memory(Arc::new(RwLock::new(index)));
        Self::new(place, Data::Followed { file, end: AtomicU64::new(end) }, index, None)
    }

    /// The same segment, of which nothing is written yet, with another image.
    pub(crate) fn with_image(&self, image: Arc<Image>) -> Self {
        Self::new(self.place(), Data::Growing(image), self.index.clone(), None)
    }

    /// A sealed segment with its index file.
    pub(crate) fn sealed(place: SegmentPlace, log: Bytes, index: MappedIndex) -> Self {
        let ids = Some(index.id_hint());
        Self::new(place, Data::Sealed(log), IndexForm::Mapped(Arc::new(index)), ids)
    }

    /// A sealed segment whose index file is yet to be written.
    pub(crate) fn sealed_in_memory(place: SegmentPlace, log: Bytes, index: MemoryIndex) -> Self {
        let ids = Some(index.id_hint());
        Self::new(place, Data::Sealed(log), IndexForm::Memory(Arc::new(RwLock::new(index))), ids)
    }

    fn new(place: SegmentPlace, data: Data, index: IndexForm, ids: Option<IdHint>) -> Self {
        let SegmentPlace { number, base, first_position, file_name } = place;
        Self { number, base, first_position, file_name, data, index, ids }
    }

    /// The same segment after its last write, its `log` mapped.
    pub(crate) fn seal(&self, log: Bytes) -> Self {
        let ids = self.memory_index().map(|index| index.read().unwrap_or_else(PoisonError::into_inner).id_hint());
        Self::new(self.place(), Data::Sealed(log), self.index.clone(), ids)
    }

    /// The same segment with its index file.
    pub(crate) fn with_index_file(&self, log: Bytes, index: MappedIndex) -> Self {
        Self::sealed(self.place(), log, index)
    }

    fn place(&self) -> SegmentPlace {
        SegmentPlace {
            number: self.number,
            base: self.base,
            first_position: self.first_position,
            file_name: self.file_name.clone(),
        }
    }

    /// Says that another process has synced this segment up to `end`.
    pub(crate) fn grow(&self, end: u64) {
        if let Data::Followed { end: current, .. } = &self.data {
            current.store(end, Ordering::Release);
        }
    }

    /// Length of the log file as far as it can be read.
    pub(crate) fn end(&self) -> u64 {
        match &self.data {
            Data::Growing(image) => image.len() as u64,
            Data::Followed { end, .. } => end.load(Ordering::Acquire),
            Data::Sealed(bytes) => bytes.len() as u64,
        }
    }

    /// Asks the index. The index of a growing segment knows events that are not durable yet: callers bound what they use.
    ///
    /// # Errors
    /// [`Damage`] when the index file is not what was written.
    pub(crate) fn with_index<R>(&self, ask: impl FnOnce(&dyn Index) -> R) -> Result<R, Damage> {
        let IndexForm::Memory(index) = &self.index else { return self.with_unlisted_index(ask) };
        let listed = index.read().unwrap_or_else(PoisonError::into_inner);
        if listed.is_listed() {
            return Ok(ask(&*listed));
        }
        drop(listed);
        let mut unlisted = index.write().unwrap_or_else(PoisonError::into_inner);
        unlisted.list();
        Ok(ask(&*RwLockWriteGuard::downgrade(unlisted)))
    }

    /// Asks the index for anything but lists, which may lack the newest events.
    ///
    /// # Errors
    /// [`Damage`] when the index file is not what was written.
    pub(crate) fn with_unlisted_index<R>(&self, ask: impl FnOnce(&dyn Index) -> R) -> Result<R, Damage> {
        match &self.index {
            IndexForm::Memory(index) => Ok(ask(&*index.read().unwrap_or_else(PoisonError::into_inner))),
            IndexForm::Mapped(index) => {
                index.verify().map_err(|what| Damage {
                    file: self.file_name.replace(&log_name(self.number), &index_name(self.number)),
                    offset: 0,
                    what: format!("{what}; the index alone can be deleted, opening builds it again"),
                })?;
                Ok(ask(&**index))
            }
        }
    }

    /// Whether an event with this id may be here.
    pub(crate) fn may_have(&self, id: EventId) -> bool {
        self.ids.is_none_or(|ids| ids.may_have(id))
    }

    /// The index in memory, unless it is in a file.
    pub(crate) fn memory_index(&self) -> Option<&Arc<RwLock<MemoryIndex>>> {
        match &self.index {
            IndexForm::Memory(index) => Some(index),
            IndexForm::Mapped(_) => None,
        }
    }

    /// The dictionary, to keep with records of this segment.
    pub(crate) fn names(&self) -> Arc<dyn Names> {
        match &self.index {
            IndexForm::Memory(index) => index.read().unwrap_or_else(PoisonError::into_inner).names().clone(),
            IndexForm::Mapped(index) => index.clone(),
        }
    }

    /// What can be read of the log file.
    pub(crate) fn log(&self) -> Log<'_> {
        match &self.data {
            Data::Growing(image) => Log::Memory(image.frozen()),
            Data::Followed { file, .. } => Log::File(&**file),
            Data::Sealed(bytes) => Log::Memory(bytes.clone()),
        }
    }

    /// Whether it will never be written again.
    pub(crate) fn is_sealed(&self) -> bool {
        matches!(self.data, Data::Sealed(_))
    }

    pub(crate) fn damage(&self, offset: u64, what: impl Into<String>) -> Damage {
        Damage { file: self.file_name.clone(), offset, what: what.into() }
    }
}

/// How the bytes of a segment are read.
pub(crate) enum Log<'a> {
    /// Without copying.
    Memory(Bytes),
    /// From the file.
    File(&'a dyn DiskFile),
}

/// Where a segment stands in the log and on disk.
pub(crate) struct SegmentPlace {
    pub(crate) number: u32,
    pub(crate) base: u64,
    pub(crate) first_position: u64,
    pub(crate) file_name: String,
}
