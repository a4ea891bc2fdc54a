//! The store: the contract on top of reading and committing.

use std::{path::Path, sync::Arc};

use async_trait::async_trait;
use futures_util::StreamExt;
use mainspring_event::{Position, StoredEvent};
use mainspring_store::{
    Append, AppendError, Appended, BatchStream, Capabilities, Clock, EventStore, Info, Limits, Lineage, Read,
    ReadError, Restore, RestoreError, StoreId, SystemClock,
};

use crate::{
    commit::Committer,
    core::Core,
    disk::{Disk, OsDisk},
    error::OpenError,
    open,
    prepare::Prepared,
    queue::Queue,
    reading,
    segment::SegmentError,
    tail::Tail,
};

/// How a store is opened.
#[derive(Clone)]
pub struct Options {
    segment_bytes: u64,
    clock: Arc<dyn Clock>,
    replayable: bool,
    identity: Option<(StoreId, Lineage)>,
}

impl Default for Options {
    fn default() -> Self {
        Self { segment_bytes: 64 << 20, clock: Arc::new(SystemClock), replayable: false, identity: None }
    }
}

impl Options {
    /// Closes segments when they would exceed so many bytes; 64 MiB unless said otherwise, at most 2 GiB. One append
    /// always fits, whatever this says.
    pub fn segment_bytes(mut self, bytes: u64) -> Self {
        self.segment_bytes = bytes.min(2 << 30);
        self
    }

    /// Takes the time that is stamped on events from `clock`.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// For simulations: on a runtime of one thread, the same calls on the same disk do the same in the same order.
    ///
    /// Concurrent appends are always gathered, the index of a full segment is written before the next append, and no
    /// decision rests on how long something took. Otherwise slower.
    pub fn replayable(mut self) -> Self {
        self.replayable = true;
        self
    }

    /// For simulations: a store that does not exist yet gets this identity when it is created, and not a random one, so
    /// that the bytes on disk are the same each time.
    pub fn identity(mut self, store: StoreId, lineage: Lineage) -> Self {
        self.identity = Some((store, lineage));
        self
    }

    /// Opens the store in `directory` for writing, creating both where they do not exist. It takes a lock: one process
    /// at a time can do so.
    ///
    /// # Errors
    /// [`OpenError`]; it says what to do.
    pub fn open(self, directory: impl AsRef<Path>) -> Result<DiskStore, OpenError> {
        self.open_on(Arc::new(OsDisk::create(directory)?))
    }

    /// Opens the store in `directory` to read only, while another process may write. It sees what that process has
    /// synced.
    ///
    /// # Errors
    /// [`OpenError`]; it says what to do.
    pub fn open_read_only(self, directory: impl AsRef<Path>) -> Result<DiskStore, OpenError> {
        let disk = OsDisk::existing(&directory).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => OpenError::Missing { directory: directory.as_ref().display().to_string() },
            _ => error.into(),
        })?;
        self.open_read_only_on(Arc::new(disk))
    }

    /// As [`open`](Self::open), on any disk.
    ///
    /// # Errors
    /// [`OpenError`]; it says what to do.
    pub fn open_on(self, disk: Arc<dyn Disk>) -> Result<DiskStore, OpenError> {
        let guard = open::lock(&*disk)?;
        let (core, end) = open::for_writing(disk, self.clock, self.identity)?;
        let committer = Committer::new(core.clone(), self.segment_bytes, self.replayable, end, guard)?;
        Ok(DiskStore { core, limits: Limits::default(), role: Role::Writer(Arc::new(Queue::new(committer))) })
    }

    /// As [`open_read_only`](Self::open_read_only), on any disk.
    ///
    /// # Errors
    /// [`OpenError`]; it says what to do.
    pub fn open_read_only_on(self, disk: Arc<dyn Disk>) -> Result<DiskStore, OpenError> {
        let opened = open::for_reading(disk, self.clock)?;
        let tail = Arc::new(Tail::new(&opened));
        Ok(DiskStore { core: opened.core, limits: Limits::default(), role: Role::Reader(tail) })
    }
}

/// An event store in a directory. Cloning shares it; it is closed when the last clone is dropped.
///
/// Appending needs a tokio runtime: the caller that finds the store idle commits in place for all that queue up
/// meanwhile, and where syncs are slow it does so on a blocking thread. Reading maps files, so a page that is not in
/// memory blocks the reading task while it is fetched.
#[derive(Clone)]
pub struct DiskStore {
    pub(crate) core: Arc<Core>,
    limits: Limits,
    role: Role,
}

#[derive(Clone)]
enum Role {
    Writer(Arc<Queue>),
    Reader(Arc<Tail>),
}

/// A store opened to read only was asked to write.
#[derive(Debug, thiserror::Error)]
#[error("the store was opened read-only")]
struct ReadOnly;

impl DiskStore {
    /// Opens the store in `directory` for writing, creating both where they do not exist; see [`Options`].
    ///
    /// # Errors
    /// [`OpenError`]; it says what to do.
    pub fn open(directory: impl AsRef<Path>) -> Result<Self, OpenError> {
        Options::default().open(directory)
    }

    /// Opens the store in `directory` to read only, while another process may write.
    ///
    /// # Errors
    /// [`OpenError`]; it says what to do.
    pub fn open_read_only(directory: impl AsRef<Path>) -> Result<Self, OpenError> {
        Options::default().open_read_only(directory)
    }

    /// Marks the end of the log as synced, takes no more events and gives the directory free for another writer; followers
    /// end with an error. Dropping the last clone does the same, but cannot say when it failed.
    ///
    /// # Errors
    /// What the machine said; nothing that was acknowledged is lost.
    pub fn close(&self) -> std::io::Result<()> {
        match &self.role {
            Role::Writer(queue) => queue.committer().close(),
            Role::Reader(_) => Ok(()),
        }
    }

    fn tail(&self) -> Option<&Arc<Tail>> {
        match &self.role {
            Role::Writer(_) => None,
            Role::Reader(tail) => Some(tail),
        }
    }
}

#[async_trait]
impl EventStore for DiskStore {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let Role::Writer(queue) = &self.role else { return Err(AppendError::Failed(ReadOnly.into())) };
        queue.append(Prepared::new(append, &self.limits)?).await
    }

    fn read(&self, read: Read) -> BatchStream {
        reading::stream(self.core.clone(), self.tail().cloned(), read).boxed()
    }

    async fn info(&self) -> Result<Info, ReadError> {
        self.refresh()?;
        let head = self.core.durable();
        let first = self.first(head)?;
        Ok(Info { store: self.core.store, lineage: self.core.lineage, first, head })
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            durable: true,
            multi_process: false,
            transactional: false,
            physical_retention: false,
            limits: self.limits,
        }
    }
}

#[async_trait]
impl Restore for DiskStore {
    async fn restore(&self, events: Vec<StoredEvent>) -> Result<(), RestoreError> {
        let Role::Writer(queue) = &self.role else { return Err(RestoreError::Failed(ReadOnly.into())) };
        queue.committer().restore(&events, &self.limits)
    }
}

impl DiskStore {
    /// Reads what a writer in another process has synced since.
    pub(crate) fn refresh(&self) -> Result<(), SegmentError> {
        self.tail().map_or(Ok(()), |tail| tail.refresh(&self.core))
    }

    /// The position of the oldest event in the log.
    fn first(&self, head: Position) -> Result<Position, SegmentError> {
        for segment in self.core.view().iter() {
            let first = segment.with_index(|index| (index.events() > 0).then(|| index.position(0)))?;
            if let Some(first) = first.filter(|first| *first <= head.0) {
                return Ok(Position(first));
            }
        }
        Ok(Position(head.0 + 1))
    }
}
