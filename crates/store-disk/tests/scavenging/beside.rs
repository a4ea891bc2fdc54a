//! Appends, reads and readers of other processes go on beside it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::StreamExt;
use mainspring_event::{Position, Version};
use mainspring_store::{Append, EventStore, Expected, Query, Read, Retained, Retention, StreamChange};
use mainspring_store_disk::{DiskStore, Options, ScavengeError, verify};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::{PATIENCE, SEGMENT, all, category, event, events, newest, options, stream};

/// Appends to a register until it is `done`.
async fn write_register(store: DiskStore, name: String, done: Arc<AtomicBool>) {
    let mut version = 0;
    while !done.load(Ordering::Relaxed) {
        let expected = Expected::Exactly(Version(version));
        store.append(Append::new([event(&name)]).expect(stream(&name), expected)).await.unwrap();
        version += 1;
    }
}

/// Reads the stream that is kept again and again.
async fn read_kept(store: DiskStore, backwards: bool, done: Arc<AtomicBool>) {
    let mut least = 0;
    while !done.load(Ordering::Relaxed) {
        let read = Read::new(Query::stream(stream("kept-1")));
        let mut shown = events(&store, if backwards { read.backwards() } else { read }).await;
        if backwards {
            shown.reverse();
        }
        assert!(shown.len() >= least, "events that were shown are gone");
        least = shown.len();
        assert!(shown.iter().map(|event| event.version.0).eq(1..=shown.len() as u64));
        // A read that never waits would keep its thread for itself.
        tokio::task::yield_now().await;
    }
}

/// Follows everything until so many events of the stream that is kept have come.
async fn follow_kept(store: DiskStore, kept: u64) {
    let mut batches = store.read(Read::new(Query::All).follow());
    let (mut last, mut seen) = (Position::START, 0);
    while seen < kept {
        let batch = timeout(PATIENCE, batches.next()).await.unwrap().unwrap().unwrap();
        for event in batch.iter() {
            assert!(event.position > last);
            last = event.position;
            seen += u64::from(event.stream == "kept-1");
            assert!(event.stream != "kept-1" || event.version.0 == seen, "the follower missed an event");
        }
    }
}

/// Writers, readers and followers go on while space is freed again and again.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn appends_and_reads_go_on_meanwhile() {
    const KEPT: u64 = 300;
    let directory = TempDir::new().unwrap();
    let options = Options::default().segment_bytes(4096).scavenge_every(Duration::from_millis(1));
    let store = options.open(directory.path()).unwrap();
    store.append(newest(category("r"), 1)).await.unwrap();
    let done = Arc::new(AtomicBool::new(false));
    let mut tasks = Vec::new();
    for register in 0..3 {
        tasks.push(tokio::spawn(write_register(store.clone(), format!("r-{register}"), done.clone())));
    }
    for backwards in [false, true] {
        tasks.push(tokio::spawn(read_kept(store.clone(), backwards, done.clone())));
    }
    let follower = tokio::spawn(follow_kept(store.clone(), KEPT));
    let mut freed = 0;
    for number in 0..KEPT {
        let expected = Expected::Exactly(Version(number));
        store.append(Append::new([event("kept-1")]).expect(stream("kept-1"), expected)).await.unwrap();
        if number % 10 == 0 {
            freed += store.scavenge().await.unwrap().rewritten;
        }
    }
    timeout(PATIENCE, follower).await.unwrap().unwrap();
    done.store(true, Ordering::Relaxed);
    for task in tasks {
        timeout(PATIENCE, task).await.unwrap().unwrap();
    }
    assert!(freed > 0);
    store.scavenge().await.unwrap();
    store.close().unwrap();
    assert!(matches!(store.scavenge().await, Err(ScavengeError::Closed)));
    drop(store);
    let verified = verify(directory.path()).unwrap();
    assert!(verified.is_intact() && verified.events < KEPT + 60, "{verified:?}");
}

/// A writer, and handles of other processes that only read.
struct Beside {
    directory: TempDir,
    store: DiskStore,
}

impl Beside {
    fn new(segment_bytes: u64) -> Self {
        let directory = TempDir::new().unwrap();
        let store = options().segment_bytes(segment_bytes).open(directory.path()).unwrap();
        Self { directory, store }
    }

    fn reader(&self) -> DiskStore {
        options().open_read_only(self.directory.path()).unwrap()
    }

    async fn write(&self, names: &[&str], times: usize) {
        for _ in 0..times {
            self.store.append(Append::new(names.iter().map(|name| event(name)))).await.unwrap();
        }
    }

    /// The reader sees what the writer sees.
    async fn check(&self, reader: &DiskStore, when: &str) {
        assert_eq!(all(reader).await, all(&self.store).await, "{when}");
        assert_eq!(reader.info().await.unwrap(), self.store.info().await.unwrap(), "{when}");
    }
}

#[tokio::test]
async fn readers_of_other_processes_go_on_over_what_was_replaced() {
    // Every append has a segment of its own.
    let beside = Beside::new(1024);
    beside.write(&["b-1"], 1).await;
    // It has read the first segment, which nothing is removed from, and none of those that are put together behind it.
    let late = beside.reader();
    let reader = beside.reader();
    beside.store.append(newest(Retained::Stream(stream("a-1")), 2)).await.unwrap();
    for round in 0..4 {
        beside.write(&["b-1", "a-1", "a-1"], 30).await;
        beside.check(&reader, &format!("before pass {round}")).await;
        beside.store.scavenge().await.unwrap();
        beside.check(&reader, &format!("after pass {round}")).await;
    }
    assert!(beside.directory.path().join("00000001.log").exists());
    beside.check(&late, "the late one").await;
    // In the next segment it lets go of the files that are no more.
    beside.write(&["b-1"], 20).await;
    beside.check(&reader, "in the end").await;
    assert_eq!(reader.stats().unwrap().events, beside.store.stats().unwrap().events);
    assert!(matches!(reader.scavenge().await, Err(ScavengeError::ReadOnly)));
}

#[tokio::test]
async fn readers_of_other_processes_see_nothing_come_back() {
    for more in 0..6 {
        let beside = Beside::new(SEGMENT);
        beside.store.append(newest(Retained::Stream(stream("a-1")), 2)).await.unwrap();
        beside.write(&["a-1", "a-1", "b-1"], 30 + more).await;
        // It knows every event, and not that their files are replaced.
        let reader = beside.reader();
        beside.check(&reader, "before").await;
        beside.store.scavenge().await.unwrap();
        let everything = Retention { max_count: None, max_age: None };
        let target = Retained::Stream(stream("a-1"));
        let relaxed = StreamChange::Retain { target, retention: everything };
        beside.store.append(Append::default().change(relaxed)).await.unwrap();
        beside.check(&reader, "a rule was relaxed").await;
        beside.check(&beside.reader(), "a fresh one").await;
    }
}
