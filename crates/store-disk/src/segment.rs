//! One segment of the log with its index, as readers and the committer see it.

use std::{
    io,
    sync::{
        Arc, Mutex, OnceLock, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;

use crate::{
    bell::Bell,
    damage::Damage,
    disk::DiskFile,
    index::{IdHint, Index, MappedIndex, MemoryIndex},
    names::Names,
    scan::index_sealed,
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
    /// What is known of a sealed segment without asking its index.
    summary: Option<Summary>,
    /// Calls whoever keeps the derived files when one proves damaged.
    bell: OnceLock<Arc<Bell>>,
}

/// What is known of a sealed segment at a glance.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Summary {
    pub(crate) ids: IdHint,
    /// When its last event was recorded; the least number where there is none.
    pub(crate) recorded: i64,
}

enum Data {
    /// Still written: read from the file up to the end of what was written.
    Growing {
        file: Arc<dyn DiskFile>,
        end: AtomicU64,
    },
    Sealed(Bytes),
}

/// An index in memory. It changes only while its segment grows.
type Shared = Arc<RwLock<MemoryIndex>>;

enum IndexForm {
    Memory(Shared),
    Mapped(Box<IndexFile>),
}

/// The index file of a sealed segment and, if that proved damaged, what the log says instead.
struct IndexFile {
    file: Arc<MappedIndex>,
    rebuilt: OnceLock<Shared>,
    rebuilding: Mutex<()>,
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
        let summary = Summary { ids: index.id_hint(), recorded: index.last_recorded() };
        let file = IndexFile { file: Arc::new(index), rebuilt: OnceLock::new(), rebuilding: Mutex::default() };
        Self::new(place, Data::Sealed(log), IndexForm::Mapped(Box::new(file)), Some(summary))
    }

    /// A sealed segment whose index file is yet to be written.
    pub(crate) fn sealed_in_memory(place: SegmentPlace, log: Bytes, index: MemoryIndex) -> Self {
        Self::in_memory(place, log, Arc::new(RwLock::new(index)))
    }

    fn in_memory(place: SegmentPlace, log: Bytes, index: Shared) -> Self {
        let summary = {
            let index = index.read().unwrap_or_else(PoisonError::into_inner);
            let last = index.frames().checked_sub(1).map(|last| index.frame(last).recorded);
            Summary { ids: index.id_hint(), recorded: last.unwrap_or(i64::MIN) }
        };
        Self::new(place, Data::Sealed(log), IndexForm::Memory(index), Some(summary))
    }

    fn new(place: SegmentPlace, data: Data, index: IndexForm, summary: Option<Summary>) -> Self {
        let SegmentPlace { number, base, first_position, file_name } = place;
        Self { number, base, first_position, file_name, data, index, summary, bell: OnceLock::new() }
    }

    /// The same segment after its last write, its `log` mapped.
    pub(crate) fn seal(&self, log: Bytes) -> Self {
        let index = self.memory_index().expect("a segment that grows has its index in memory");
        Self::in_memory(self.place(), log, index.clone())
    }

    /// The same segment with its index file.
    pub(crate) fn with_index_file(&self, log: Bytes, index: MappedIndex) -> Self {
        Self::sealed(self.place(), log, index)
    }

    /// Tells it whom to call when its index file proves damaged.
    pub(crate) fn attach(&self, bell: &Arc<Bell>) {
        self.bell.get_or_init(|| bell.clone());
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
    /// Where the index file proves damaged, what it said is dropped, the index is built again from the log, and that is asked.
    ///
    /// # Errors
    /// [`Damage`] when the index has to be built again and the log cannot be read either.
    pub(crate) fn with_index<R>(&self, ask: impl Fn(&dyn Index) -> R) -> Result<R, Damage> {
        let index = match &self.index {
            IndexForm::Memory(index) => index,
            IndexForm::Mapped(index) => match index.rebuilt.get() {
                Some(rebuilt) => rebuilt,
                None => {
                    let answer = ask(&*index.file);
                    if !index.file.is_damaged() {
                        return Ok(answer);
                    }
                    self.rebuild(index)?
                }
            },
        };
        Ok(ask(&*index.read().unwrap_or_else(PoisonError::into_inner)))
    }

    /// The index in memory, built again from the log because its file is damaged.
    fn rebuild<'a>(&self, index: &'a IndexFile) -> Result<&'a Shared, Damage> {
        let _alone = index.rebuilding.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(rebuilt) = index.rebuilt.get() {
            return Ok(rebuilt);
        }
        tracing::warn!(segment = %self.file_name, "the index of a segment is damaged; it is built again from the log");
        let log = self.sealed_bytes().expect("only a sealed segment has an index file");
        let rebuilt = Arc::new(RwLock::new(index_sealed(&self.place(), log)?));
        if let Some(bell) = self.bell.get() {
            bell.ring();
        }
        Ok(index.rebuilt.get_or_init(|| rebuilt))
    }

    /// What is known of it at a glance, once it is sealed.
    pub(crate) fn summary(&self) -> Option<Summary> {
        self.summary
    }

    /// The index in memory, unless it is in a file that is not known to be damaged.
    pub(crate) fn memory_index(&self) -> Option<&Arc<RwLock<MemoryIndex>>> {
        match &self.index {
            IndexForm::Memory(index) => Some(index),
            IndexForm::Mapped(index) => index.rebuilt.get(),
        }
    }

    /// The index file, unless there is none or it is known to be damaged.
    pub(crate) fn index_file(&self) -> Option<&Arc<MappedIndex>> {
        match &self.index {
            IndexForm::Memory(_) => None,
            IndexForm::Mapped(index) => index.rebuilt.get().is_none().then_some(&index.file),
        }
    }

    /// The dictionary, to keep with records of this segment; `tags` says whether those of tags will be asked for.
    ///
    /// # Errors
    /// As [`with_index`](Self::with_index).
    pub(crate) fn names(&self, tags: bool) -> Result<Arc<dyn Names>, Damage> {
        let index = match &self.index {
            IndexForm::Memory(index) => index,
            IndexForm::Mapped(index) => match index.rebuilt.get() {
                Some(rebuilt) => rebuilt,
                None if index.file.verify_names(tags).is_ok() => return Ok(index.file.clone()),
                None => self.rebuild(index)?,
            },
        };
        Ok(index.read().unwrap_or_else(PoisonError::into_inner).names().clone())
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

impl SegmentPlace {
    pub(crate) fn damage(&self, offset: u64, what: &str) -> Damage {
        Damage { file: self.file_name.clone(), offset, what: what.to_owned() }
    }
}
