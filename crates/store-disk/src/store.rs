//! The store: the contract on top of reading and committing.

use std::{path::Path, sync::Arc, time::Duration};

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
    directory::Keeper,
    disk::{Disk, OsDisk},
    error::OpenError,
    open,
    prepare::Prepared,
    queue::Queue,
    reading,
    scavenge::{ScavengeError, Scavenged, Scavenger, Terms},
    segment::SegmentError,
    tail::Tail,
};

/// So often, unless said otherwise, what retention hides by age is looked for.
const SCAVENGE_EVERY: Duration = Duration::from_secs(600);

/// How a store is opened.
#[derive(Clone)]
pub struct Options {
    segment_bytes: u64,
    clock: Arc<dyn Clock>,
    replayable: bool,
    scavenge_every: Option<Duration>,
    identity: Option<(StoreId, Lineage)>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            clock: Arc::new(SystemClock),
            replayable: false,
            scavenge_every: Some(SCAVENGE_EVERY),
            identity: None,
        }
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

    /// Frees the space of what retention has removed whenever a segment is full, and so often besides; every ten minutes
    /// unless said otherwise. It happens in a thread of its own and takes its time.
    pub fn scavenge_every(mut self, interval: Duration) -> Self {
        self.scavenge_every = Some(interval);
        self
    }

    /// Frees no space but when [`DiskStore::scavenge`] is called.
    pub fn scavenge_when_called(mut self) -> Self {
        self.scavenge_every = None;
        self
    }

    /// For simulations: on a runtime of one thread, the same calls on the same disk do the same in the same order.
    ///
    /// Concurrent appends are always gathered, the index of a full segment is written before the next append, space is
    /// freed only when called for, and no decision rests on how long something took. Otherwise slower.
    pub fn replayable(mut self) -> Self {
        self.replayable = true;
        self.scavenge_every = None;
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
        let (core, end) = open::for_writing(disk, self.clock, self.identity, self.segment_bytes)?;
        let terms = Terms { segment_bytes: self.segment_bytes, in_place: self.replayable };
        let scavenger = Scavenger::new(core.clone(), end.catalog.clone(), terms);
        let committer = Committer::new(core.clone(), self.segment_bytes, self.replayable, end, guard)?;
        Keeper::start(&core, self.replayable)?;
        if let Some(interval) = self.scavenge_every {
            scavenger.run_every(interval)?;
        }
        let writer = Writer { scavenger, queue: Arc::new(Queue::new(committer)) };
        Ok(DiskStore { core, limits: Limits::default(), role: Role::Writer(Arc::new(writer)) })
    }

    /// As [`open_read_only`](Self::open_read_only), on any disk.
    ///
    /// # Errors
    /// [`OpenError`]; it says what to do.
    pub fn open_read_only_on(self, disk: Arc<dyn Disk>) -> Result<DiskStore, OpenError> {
        let opened = open::for_reading(&disk, &self.clock)?;
        let tail = Arc::new(Tail::new(&opened));
        Ok(DiskStore { core: opened.core, limits: Limits::default(), role: Role::Reader(tail) })
    }
}

/// An event store in a directory. Cloning shares it; it is closed when the last clone is dropped.
///
/// Appending needs a tokio runtime: the caller that finds the store idle commits in place, a task for all that come
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
    Writer(Arc<Writer>),
    Reader(Arc<Tail>),
}

/// What writes.
struct Writer {
    /// Dropped first: the directory is given free when nothing writes any more.
    scavenger: Scavenger,
    queue: Arc<Queue>,
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
            Role::Writer(writer) => {
                writer.scavenger.stop();
                writer.queue.close()
            }
            Role::Reader(_) => Ok(()),
        }
    }

    /// Frees the space of every event that retention has removed, as far as it lies in segments that are full, and says
    /// what that came to. Appends and reads go on meanwhile.
    ///
    /// # Errors
    /// [`ScavengeError`]; what was freed before stays free, and nothing else has changed.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the work to go on by itself.
    pub async fn scavenge(&self) -> Result<Scavenged, ScavengeError> {
        let Role::Writer(writer) = &self.role else { return Err(ScavengeError::ReadOnly) };
        writer.scavenger.run().await
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
        let Role::Writer(writer) = &self.role else { return Err(AppendError::Failed(ReadOnly.into())) };
        let prepared = {
            let view = self.core.glance();
            Prepared::new(append, &self.limits, view.last().and_then(|growing| growing.growing_names()))?
        };
        writer.queue.append(Box::new(prepared)).await
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
            physical_retention: true,
            limits: self.limits,
        }
    }
}

#[async_trait]
impl Restore for DiskStore {
    async fn restore(&self, events: Vec<StoredEvent>) -> Result<(), RestoreError> {
        let Role::Writer(writer) = &self.role else { return Err(RestoreError::Failed(ReadOnly.into())) };
        writer.queue.grounded().restore(&events, &self.limits)
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
