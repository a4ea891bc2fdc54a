//! One segment of the log with its index, as readers and the committer see it.

use std::{
    io,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use mainspring_event::EventId;
use mainspring_store::StreamChange;

use crate::{
    damage::Damage,
    disk::DiskFile,
    format::segment::{compacted_index_name, compacted_log_name, index_name, log_name},
    index::{BadIndex, IdHint, Index, MappedIndex, MemoryIndex},
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
    /// 0 as it was written; another number for each file that scavenging put in its place.
    pub(crate) generation: u32,
    data: Data,
    index: IndexForm,
    /// What is known of the event ids of a sealed segment without asking its index.
    ids: Option<IdHint>,
}

enum Data {
    /// Still written: read from the file up to the end of what was written.
    Growing {
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
    /// A segment that is being written and ends at `end` for now.
    pub(crate) fn growing(place: SegmentPlace, file: Arc<dyn DiskFile>, end: u64, index: MemoryIndex) -> Self {
        let index = IndexForm::Memory(Arc::new(RwLock::new(index)));
        Self::new(place, Data::Growing { file, end: AtomicU64::new(end) }, index, None)
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
        Self { number, base, first_position, file_name, generation: 0, data, index, ids }
    }

    /// The same segment after its last write, its `log` mapped.
    pub(crate) fn seal(&self, log: Bytes) -> Self {
        let ids = self.memory_index().map(|index| index.read().unwrap_or_else(PoisonError::into_inner).id_hint());
        Self::new(self.place(), Data::Sealed(log), self.index.clone(), ids)
    }

    /// The same segment with its index file.
    pub(crate) fn with_index_file(&self, log: Bytes, index: MappedIndex) -> Self {
        Self::sealed(self.place(), log, index).of_generation(self.generation)
    }

    /// The segment as scavenging wrote it.
    pub(crate) fn of_generation(self, generation: u32) -> Self {
        Self { generation, ..self }
    }

    /// The name of its file.
    pub(crate) fn log_name(&self) -> String {
        match self.generation {
            0 => log_name(self.number),
            generation => compacted_log_name(self.number, generation),
        }
    }

    /// The name of its index file.
    pub(crate) fn index_name(&self) -> String {
        match self.generation {
            0 => index_name(self.number),
            generation => compacted_index_name(self.number, generation),
        }
    }

    fn place(&self) -> SegmentPlace {
        SegmentPlace {
            number: self.number,
            base: self.base,
            first_position: self.first_position,
            file_name: self.file_name.clone(),
        }
    }

    /// Says that records up to `end` can be read.
    pub(crate) fn grow(&self, end: u64) {
        if let Data::Growing { end: current, .. } = &self.data {
            current.store(end, Ordering::Release);
        }
    }

    /// Length of the log file as far as it is written.
    pub(crate) fn end(&self) -> u64 {
        match &self.data {
            Data::Growing { end, .. } => end.load(Ordering::Acquire),
            Data::Sealed(bytes) => bytes.len() as u64,
        }
    }

    /// Asks the index. The index of a growing segment knows events that are not durable yet: callers bound what they use.
    ///
    /// # Errors
    /// [`Damage`] when the index file is not what was written.
    pub(crate) fn with_index<R>(&self, ask: impl FnOnce(&dyn Index) -> R) -> Result<R, Damage> {
        match &self.index {
            IndexForm::Memory(index) => Ok(ask(&*index.read().unwrap_or_else(PoisonError::into_inner))),
            IndexForm::Mapped(index) => {
                index.verify().map_err(|what| self.index_damage(what))?;
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

    /// The stream changes that it holds.
    pub(crate) fn changes(&self) -> Result<Vec<StreamChange>, Damage> {
        match &self.index {
            IndexForm::Memory(index) => Ok(index.read().unwrap_or_else(PoisonError::into_inner).changes().to_vec()),
            IndexForm::Mapped(index) => {
                let changes = index.verify().and_then(|()| index.changes());
                changes.map_err(|what| self.index_damage(what))
            }
        }
    }

    fn index_damage(&self, what: BadIndex) -> Damage {
        Damage {
            file: format!("{}.idx", self.file_name.trim_end_matches(".log")),
            offset: 0,
            what: format!("{what}; the index alone can be deleted, opening builds it again"),
        }
    }

    /// The dictionary, to keep with records of this segment.
    pub(crate) fn names(&self) -> Arc<dyn Names> {
        match &self.index {
            IndexForm::Memory(index) => index.read().unwrap_or_else(PoisonError::into_inner).names().clone(),
            IndexForm::Mapped(index) => index.clone(),
        }
    }

    /// The bytes from `start` to `end` of the file.
    pub(crate) fn bytes(&self, start: u64, end: u64) -> io::Result<Bytes> {
        let length = usize::try_from(end.saturating_sub(start)).map_err(io::Error::other)?;
        match &self.data {
            Data::Growing { file, .. } => Ok(file.read_exact_at(start, length)?.into()),
            Data::Sealed(bytes) => {
                let start = usize::try_from(start).map_err(io::Error::other)?;
                if start + length > bytes.len() {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                Ok(bytes.slice(start..start + length))
            }
        }
    }

    /// The whole file of a sealed segment, without copying.
    pub(crate) fn sealed_bytes(&self) -> Option<&Bytes> {
        match &self.data {
            Data::Growing { .. } => None,
            Data::Sealed(bytes) => Some(bytes),
        }
    }

    pub(crate) fn damage(&self, offset: u64, what: impl Into<String>) -> Damage {
        Damage { file: self.file_name.clone(), offset, what: what.into() }
    }
}

/// Where a segment stands in the log and on disk.
pub(crate) struct SegmentPlace {
    pub(crate) number: u32,
    pub(crate) base: u64,
    pub(crate) first_position: u64,
    pub(crate) file_name: String,
}
