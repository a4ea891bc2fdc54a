//! One segment of the log with its index, as readers and the committer see it.

use std::{
    io,
    sync::{
        Arc, Mutex, OnceLock, PoisonError, RwLock, RwLockWriteGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use mainspring_store::StreamChange;

use crate::{
    bell::Bell,
    damage::Damage,
    disk::DiskFile,
    format::segment::{compacted_index_name, compacted_log_name, index_name, log_name},
    image::Image,
    index::{IdHint, Index, MappedIndex, MemoryIndex},
    names::{GrowingNames, Names},
    scan::index_sealed,
};

/// A segment. Its content never changes once written; a sealed one is replaced in the view by cheaper forms of itself.
pub(crate) struct Segment {
    pub(crate) number: u32,
    /// 0 as it was written; another number for each file that scavenging put in its place.
    pub(crate) generation: u32,
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
    /// Still written, by this process.
    Growing {
        image: Arc<Image>,
        /// As the index has them, to be used without waiting for that.
        names: Arc<GrowingNames>,
    },
    /// Still written, by another process: read from the file up to the end of what it has synced.
    Followed {
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
    /// A segment that is being written; what is frozen of its image can be read.
    pub(crate) fn growing(place: SegmentPlace, image: Arc<Image>, index: MemoryIndex) -> Self {
        let data = Data::Growing { image, names: index.names().clone() };
        Self::new(place, data, IndexForm::Memory(Arc::new(RwLock::new(index))), None)
    }

    /// A segment that another process writes and that ends at `end` for now.
    pub(crate) fn followed(place: SegmentPlace, file: Arc<dyn DiskFile>, end: u64, index: MemoryIndex) -> Self {
        let index = IndexForm::Memory(Arc::new(RwLock::new(index)));
        Self::new(place, Data::Followed { file, end: AtomicU64::new(end) }, index, None)
    }

    /// The same segment, of which nothing is written yet, with another image.
    pub(crate) fn with_image(&self, image: Arc<Image>) -> Self {
        let index = self.memory_index().expect("a segment that grows has its index in memory");
        let names = index.read().unwrap_or_else(PoisonError::into_inner).names().clone();
        Self::new(self.place(), Data::Growing { image, names }, IndexForm::Memory(index.clone()), None)
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
        let SegmentPlace { number, generation, base, first_position, file_name } = place;
        Self { number, generation, base, first_position, file_name, data, index, summary, bell: OnceLock::new() }
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

    /// Tells it whom to call when its index file proves damaged.
    pub(crate) fn attach(&self, bell: &Arc<Bell>) {
        self.bell.get_or_init(|| bell.clone());
    }

    /// Where it stands in the log and on disk.
    pub(crate) fn place(&self) -> SegmentPlace {
        SegmentPlace {
            number: self.number,
            generation: self.generation,
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
            Data::Growing { image, .. } => image.len() as u64,
            Data::Followed { end, .. } => end.load(Ordering::Acquire),
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
        let index = match self.ask_file(&ask)? {
            Asked::Answer(answer) => return Ok(answer),
            Asked::Memory(index) => index,
        };
        let listed = index.read().unwrap_or_else(PoisonError::into_inner);
        if listed.is_listed() {
            return Ok(ask(&*listed));
        }
        drop(listed);
        let mut unlisted = index.write().unwrap_or_else(PoisonError::into_inner);
        unlisted.list();
        Ok(ask(&*RwLockWriteGuard::downgrade(unlisted)))
    }

    /// As [`with_index`](Self::with_index), for anything but lists, which may lack the newest events.
    ///
    /// # Errors
    /// As [`with_index`](Self::with_index).
    pub(crate) fn with_unlisted_index<R>(&self, ask: impl Fn(&dyn Index) -> R) -> Result<R, Damage> {
        match self.ask_file(&ask)? {
            Asked::Answer(answer) => Ok(answer),
            Asked::Memory(index) => Ok(ask(&*index.read().unwrap_or_else(PoisonError::into_inner))),
        }
    }

    /// Asks the index file, if there is one that can be trusted.
    fn ask_file<R>(&self, ask: &impl Fn(&dyn Index) -> R) -> Result<Asked<'_, R>, Damage> {
        let index = match &self.index {
            IndexForm::Memory(index) => return Ok(Asked::Memory(index)),
            IndexForm::Mapped(index) => index,
        };
        if let Some(rebuilt) = index.rebuilt.get() {
            return Ok(Asked::Memory(rebuilt));
        }
        let answer = ask(&*index.file);
        if index.file.is_damaged() { self.rebuild(index).map(Asked::Memory) } else { Ok(Asked::Answer(answer)) }
    }

    /// The index in memory, built again from the log because its file is damaged.
    fn rebuild<'a>(&self, index: &'a IndexFile) -> Result<&'a Shared, Damage> {
        let _alone = index.rebuilding.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(rebuilt) = index.rebuilt.get() {
            return Ok(rebuilt);
        }
        tracing::warn!(segment = %self.file_name, "the index of a segment is damaged; it is built again from the log");
        let Data::Sealed(log) = &self.data else { unreachable!("only a sealed segment has an index file") };
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

    /// The stream changes that it holds.
    ///
    /// # Errors
    /// As [`with_index`](Self::with_index).
    pub(crate) fn changes(&self) -> Result<Vec<StreamChange>, Damage> {
        let index = match &self.index {
            IndexForm::Memory(index) => index,
            IndexForm::Mapped(index) => match (index.rebuilt.get(), index.file.changes()) {
                (Some(rebuilt), _) => rebuilt,
                (None, Ok(changes)) => return Ok(changes),
                (None, Err(_)) => self.rebuild(index)?,
            },
        };
        Ok(index.read().unwrap_or_else(PoisonError::into_inner).changes().to_vec())
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
                None => match index.file.names(tags) {
                    Ok(names) => return Ok(names),
                    Err(_) => self.rebuild(index)?,
                },
            },
        };
        Ok(index.read().unwrap_or_else(PoisonError::into_inner).names().clone())
    }

    /// The dictionary of a segment that this process writes.
    pub(crate) fn growing_names(&self) -> Option<&GrowingNames> {
        match &self.data {
            Data::Growing { names, .. } => Some(names),
            Data::Followed { .. } | Data::Sealed(_) => None,
        }
    }

    /// What can be read of the log file.
    pub(crate) fn log(&self) -> Log<'_> {
        match &self.data {
            Data::Growing { image, .. } => Log::Memory(image.frozen()),
            Data::Followed { file, .. } => Log::File(&**file),
            Data::Sealed(bytes) => Log::Memory(bytes.clone()),
        }
    }

    /// What a full segment holds; nothing of one that another process writes.
    pub(crate) fn content(&self) -> Bytes {
        match self.log() {
            Log::Memory(bytes) => bytes,
            Log::File(_) => Bytes::new(),
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

/// What came of asking an index file.
enum Asked<'a, R> {
    Answer(R),
    /// There is none, or it is damaged: the index in memory is to be asked.
    Memory(&'a Shared),
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
    /// 0 as it was written; another number for each file that scavenging put in its place.
    pub(crate) generation: u32,
    pub(crate) base: u64,
    pub(crate) first_position: u64,
    pub(crate) file_name: String,
}

impl SegmentPlace {
    pub(crate) fn damage(&self, offset: u64, what: &str) -> Damage {
        Damage { file: self.file_name.clone(), offset, what: what.to_owned() }
    }
}
