//! Writing processes are killed a thousand times, on several growing directories: whatever they acknowledged is there, whole
//! and in order, whoever opens the directory next.

mod load;
mod record;

use std::{
    path::Path,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use mainspring_conformance::Seed;
use mainspring_store_disk::{DiskStore, verify};
use tokio::runtime::{Builder, Runtime};

use crate::processes::{heard, open, other_process, spawn};
use record::Record;

/// So many directories …
const DIRECTORIES: u64 = 10;

/// … on each of which so many processes are killed …
const KILLS: u64 = 100;

/// … so many directories at a time, because a process mostly waits for the disk.
const AT_ONCE: u64 = 10;

/// Everything is read again once in so many rounds, and what is new in each.
const WHOLE: u64 = 20;

/// What came of some rounds.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    kills: u64,
    /// Of processes that had not come so far as to open the store.
    while_opening: u64,
    /// Times that somebody looked while a process was writing.
    looks: u64,
    acknowledged: u64,
    conditional: u64,
    removed: u64,
    head: u64,
}

impl Counts {
    fn and(self, other: Self) -> Self {
        Self {
            kills: self.kills + other.kills,
            while_opening: self.while_opening + other.while_opening,
            looks: self.looks + other.looks,
            acknowledged: self.acknowledged + other.acknowledged,
            conditional: self.conditional + other.conditional,
            removed: self.removed + other.removed,
            head: self.head + other.head,
        }
    }
}

/// One directory, and what was heard from those who wrote it.
struct Shard {
    directory: tempfile::TempDir,
    runtime: Runtime,
    seed: Seed,
    record: Record,
    counts: Counts,
}

impl Shard {
    fn new(seed: u64) -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
            runtime: Builder::new_current_thread().enable_all().build().unwrap(),
            seed: Seed::new(seed),
            record: Record::default(),
            counts: Counts::default(),
        }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn run(mut self) -> Counts {
        for number in 0..KILLS {
            self.round();
            // In every other round it is the next process that recovers, after somebody has looked.
            let store = if number % 2 == 0 { open(self.path()) } else { DiskStore::open_read_only(self.path()) };
            let store = store.unwrap_or_else(|error| panic!("after kill {number}: {error:?}"));
            self.check(&store, number % WHOLE == 0, true);
        }
        let store = open(self.path()).unwrap();
        self.check(&store, true, true);
        drop(store);
        let verified = verify(self.path()).unwrap();
        assert!(verified.is_intact(), "{:?}", verified.findings);
        let (acknowledged, conditional, removed, head) = self.record.counts();
        Counts { acknowledged, conditional, removed, head, ..self.counts }
    }

    /// Lets another process work for a random while and kills it; notes what it acknowledged.
    fn round(&mut self) {
        let mut child = spawn("killed::whatever_was_acknowledged_survives_sigkill", self.path());
        let output = heard(&mut child);
        let (said, hear) = mpsc::channel();
        let listener = thread::spawn(move || output.for_each(|line| said.send(line).expect("it is heard to the end")));
        let mut opened = false;
        // Some are killed while they open, most a while after; beside some of them somebody looks.
        let mut end = Instant::now() + Duration::from_micros(self.seed.within(0..=20_000));
        let mut left = if self.seed.once_in(8) { 0 } else { self.seed.within(1..=16) };
        let look = self.seed.once_in(3).then_some(left / 2).filter(|at| *at > 0);
        loop {
            match hear.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    opened = true;
                    self.record.note(&line);
                    left = left.saturating_sub(1);
                    if look == Some(left) {
                        let store = DiskStore::open_read_only(self.path()).expect("others may look at any moment");
                        self.counts.looks += 1;
                        self.check(&store, false, false);
                    }
                }
                Err(RecvTimeoutError::Timeout) if left == 0 => break,
                Err(RecvTimeoutError::Timeout) => end = Instant::now() + Duration::from_micros(200),
                Err(RecvTimeoutError::Disconnected) => panic!("the other process has ended by itself"),
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
        hear.iter().for_each(|line| self.record.note(&line));
        listener.join().unwrap();
        self.counts.kills += 1;
        self.counts.while_opening += u64::from(!opened);
    }

    fn check(&mut self, store: &DiskStore, whole: bool, at_rest: bool) {
        if whole {
            self.record.begin_again();
        }
        self.runtime.block_on(self.record.check(store, at_rest));
    }
}

#[test]
fn whatever_was_acknowledged_survives_sigkill() {
    if let Some(directory) = other_process() {
        return load::run_until_killed(&directory);
    }
    let all = (0..DIRECTORIES / AT_ONCE).flat_map(|batch| {
        let shards: Vec<_> =
            (0..AT_ONCE).map(|number| thread::spawn(move || Shard::new(batch * AT_ONCE + number + 1).run())).collect();
        shards.into_iter().map(|shard| shard.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    let all = all.fold(Counts::default(), Counts::and);
    println!("{all:?}");
    assert_eq!(all.kills, DIRECTORIES * KILLS);
    assert!(all.acknowledged > 8_000 && all.conditional > 1_000 && all.removed > 1_000, "{all:?}");
    assert!(all.while_opening > 20 && all.looks > 100, "{all:?}");
}
