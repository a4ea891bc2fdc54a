//! The laws of the contract, asked of the disk store: with segments as they are, so small that every law crosses them, and
//! with all the space freed after every append that can be.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use mainspring_conformance::{Backend, Home, Linearization, linearizable_of};
use mainspring_store::{
    Append, AppendError, Appended, BatchStream, Capabilities, Clock, EventStore, Info, Read, ReadError,
};
use mainspring_store_disk::{DiskStore, Options};
use tempfile::TempDir;

struct Disk {
    segment_bytes: u64,
    /// Whether space is freed after every append.
    scavenges: bool,
}

struct Directory {
    segment_bytes: u64,
    scavenges: bool,
    directory: TempDir,
    /// Another handle is a clone: a second process can only read, which has tests of its own.
    opened: Mutex<Option<DiskStore>>,
}

#[async_trait]
impl Backend for Disk {
    fn name(&self) -> &'static str {
        match (self.segment_bytes < 1 << 20, self.scavenges) {
            (false, _) => "disk",
            (true, false) => "disk, small segments",
            (true, true) => "disk, scavenged",
        }
    }

    async fn create(&self) -> Box<dyn Home> {
        let directory = TempDir::new().expect("a directory for the store");
        let Self { segment_bytes, scavenges } = *self;
        Box::new(Directory { segment_bytes, scavenges, directory, opened: Mutex::default() })
    }
}

impl Directory {
    fn open_with(&self, clock: Arc<dyn Clock>) -> Arc<dyn EventStore> {
        let options = Options::default().segment_bytes(self.segment_bytes).clock(clock);
        let store = options.open(self.directory.path()).expect("the store opens");
        *self.opened.lock().expect("no test panicked with it") = Some(store.clone());
        self.handle(store)
    }

    fn handle(&self, store: DiskStore) -> Arc<dyn EventStore> {
        if self.scavenges { Arc::new(Scavenged(store)) } else { Arc::new(store) }
    }
}

#[async_trait]
impl Home for Directory {
    async fn open(&self, clock: Arc<dyn Clock>) -> Arc<dyn EventStore> {
        self.open_with(clock)
    }

    async fn reopen(&self, store: Arc<dyn EventStore>, clock: Arc<dyn Clock>) -> Arc<dyn EventStore> {
        drop((store, self.opened.lock().expect("no test panicked with it").take()));
        self.open_with(clock)
    }

    async fn second(&self) -> Arc<dyn EventStore> {
        let opened = self.opened.lock().expect("no test panicked with it");
        self.handle(opened.clone().expect("it was opened before"))
    }
}

/// A store that removes what it may as soon as it may.
struct Scavenged(DiskStore);

#[async_trait]
impl EventStore for Scavenged {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        let answer = self.0.append(append).await;
        self.0.scavenge().await.expect("nothing keeps space from being freed");
        answer
    }

    fn read(&self, read: Read) -> BatchStream {
        self.0.read(read)
    }

    async fn info(&self) -> Result<Info, ReadError> {
        self.0.info().await
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }
}

fn disk() -> impl Backend {
    Disk { segment_bytes: 64 << 20, scavenges: false }
}

fn disk_with_small_segments() -> impl Backend {
    Disk { segment_bytes: 4096, scavenges: false }
}

fn disk_that_is_scavenged() -> impl Backend {
    Disk { segment_bytes: 768, scavenges: true }
}

mod ordinary {
    use super::disk;

    mainspring_conformance::laws!(disk);
}

mod scavenged {
    use super::disk_that_is_scavenged;

    mainspring_conformance::laws!(disk_that_is_scavenged);
}

mod small_segments {
    use super::disk_with_small_segments;

    mainspring_conformance::laws!(disk_with_small_segments);
}

/// Many clients with many seeds, far beyond what the law asks.
async fn long_histories_of(backend: &dyn Backend) {
    let mut all = Linearization::default();
    for seed in 100..104 {
        all = [all, linearizable_of(backend, seed, 200).await].into_iter().sum();
    }
    println!("{}: {all:?}", backend.name());
    assert!(all.commits > 2_000 && all.conflicts > 200 && all.repeats > 100 && all.reused > 30, "{all:?}");
    assert!(all.batches > 2_000, "{all:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn long_histories_have_linear_orders() {
    long_histories_of(&disk()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn long_histories_over_many_small_segments_have_linear_orders() {
    long_histories_of(&disk_with_small_segments()).await;
}
