//! Every operation of the disk fails once, wherever it is used, and the disk runs full at every point: the answers stay
//! true, and the history comes out the same.

use std::{sync::Arc, time::Duration};

use mainspring_conformance::ManualClock;
use mainspring_sim::{Fault, Injected, Operation, SimDisk, Unsynced};
use mainspring_store::{Append, AppendError, EventStore};
use mainspring_store_disk::{DiskStore, verify_on};

use crate::{
    kit::{block_on, clock, replayable},
    truth::Truth,
    workload::Workload,
};

/// A store whose disk fails, and what it must make of the workload nevertheless.
struct Trial<'a> {
    truth: &'a Truth,
    disk: SimDisk,
    clock: Arc<ManualClock>,
    store: DiskStore,
    /// What is done before something is tried again.
    repair: fn(&SimDisk),
    seen: Seen,
}

/// What was answered.
#[derive(Debug, Default)]
struct Seen {
    failed: u64,
    unknown: u64,
    reopened: u64,
    injected: Injected,
}

impl<'a> Trial<'a> {
    async fn run(truth: &'a Truth, disk: SimDisk, repair: fn(&SimDisk)) -> Result<Seen, String> {
        let clock = clock();
        let mut seen = Seen::default();
        let store = loop {
            match open(truth, &disk, &clock) {
                Ok(store) => break store,
                Err(what) if disk.injected().total() == 0 || seen.reopened > 20 => return Err(what),
                Err(_) => {
                    seen.reopened += 1;
                    repair(&disk);
                }
            }
        };
        let mut trial = Self { truth, disk, clock, store, repair, seen };
        let mut index = 0;
        for step in &truth.workload.steps {
            for append in step {
                trial.send(index, append).await.map_err(|what| format!("append {index}: {what}"))?;
                index += 1;
            }
            trial.clock.advance(Duration::from_secs(1));
        }
        trial.end(index).await
    }

    /// Sends one append until it is answered as it should be.
    async fn send(&mut self, index: usize, append: &Append) -> Result<(), String> {
        let mut failures = 0;
        loop {
            match self.store.append(append.clone()).await {
                Err(AppendError::Failed(error)) if self.disk.injected().total() > 0 => {
                    self.seen.failed += 1;
                    failures += 1;
                    self.check_all(index, index)
                        .await
                        .map_err(|what| format!("it had failed with {error}, but {what}"))?;
                    (self.repair)(&self.disk);
                    if error.to_string().contains("until it is reopened") {
                        self.reopen(index, index).await?;
                    } else if failures > 20 {
                        return Err(format!("it fails for ever: {error:?}"));
                    }
                }
                Err(AppendError::Unknown(error)) if self.disk.injected().total() > 0 => {
                    self.seen.unknown += 1;
                    failures += 1;
                    if failures > 20 {
                        return Err(format!("it stays unknown for ever: {error:?}"));
                    }
                    self.check_all(index, index + 1).await.map_err(|what| format!("after {error}: {what}"))?;
                    let again = self.store.append(append.clone()).await;
                    if !append.events.is_empty() && !matches!(again, Err(AppendError::Unknown(_))) {
                        return Err(format!("only reopening can settle what is unknown, but now it is {again:?}"));
                    }
                    (self.repair)(&self.disk);
                    self.reopen(index, index + 1).await?;
                }
                answer => return self.truth.compare(index, &answer),
            }
        }
    }

    /// This handle shows `least` appends, and no crash would leave other than `least` to `most`.
    async fn check_all(&self, least: usize, most: usize) -> Result<(), String> {
        self.truth.find(&self.store, least..=least).await?;
        for unsynced in [Unsynced::Kept, Unsynced::Dropped, Unsynced::Random, Unsynced::Random] {
            let disk = self.disk.if_crashed(unsynced);
            disk.set_capacity(None);
            let store = open(self.truth, &disk, &clock())?;
            self.truth
                .find(&store, least..=most)
                .await
                .map_err(|what| format!("after a crash ({unsynced:?}): {what}"))?;
        }
        Ok(())
    }

    async fn reopen(&mut self, least: usize, most: usize) -> Result<(), String> {
        self.seen.reopened += 1;
        // The directory is free when the last handle is gone.
        let other = SimDisk::new(0);
        drop(std::mem::replace(&mut self.store, open(self.truth, &other, &self.clock)?));
        self.store = open(self.truth, &self.disk, &self.clock)?;
        self.truth.find(&self.store, least..=most).await.map(drop)
    }

    /// Everything is there, on the disk and not only in memory.
    async fn end(self, count: usize) -> Result<Seen, String> {
        let Self { truth, disk, store, mut seen, .. } = self;
        drop(store);
        disk.heal();
        disk.set_capacity(None);
        disk.evict();
        let disk = disk.crash(Unsynced::Dropped);
        let verified = verify_on(Arc::new(disk.clone())).map_err(|error| format!("{error:?}"))?;
        if !verified.is_intact() {
            return Err(format!("in the end: {:?}", verified.findings));
        }
        truth.find(&open(truth, &disk, &clock())?, count..=count).await?;
        seen.injected = disk.injected();
        Ok(seen)
    }
}

fn open(truth: &Truth, disk: &SimDisk, clock: &Arc<ManualClock>) -> Result<DiskStore, String> {
    let store = replayable(truth.workload.segment_bytes, clock).open_on(Arc::new(disk.clone()));
    store.map_err(|error| format!("it cannot be opened: {error:?}"))
}

/// Lets this operation fail the first time, the second, and so on; answers what came of it all.
fn fail_everywhere(operation: Operation, also: Option<Fault>) -> Seen {
    let mut all = Seen::default();
    block_on(async {
        let truth = Truth::of(Workload::varied(5)).await;
        let whole = SimDisk::new(0);
        Trial::run(&truth, whole.clone(), SimDisk::heal).await.unwrap_or_else(|what| panic!("{what}"));
        assert!(whole.count(operation) > 0, "the store never uses {operation:?}");
        for number in 0..whole.count(operation) {
            let disk = SimDisk::new(number);
            disk.inject(Fault::on(operation).after(number));
            also.iter().for_each(|fault| disk.inject(fault.clone()));
            let seen = Trial::run(&truth, disk, SimDisk::heal).await;
            let seen = seen.unwrap_or_else(|what| panic!("{operation:?} failed after {number}: {what}"));
            assert!(seen.injected.io_errors + seen.injected.failed_syncs > 0, "the fault has not struck");
            all.failed += seen.failed;
            all.unknown += seen.unknown;
            all.reopened += seen.reopened;
            all.injected += seen.injected;
        }
    });
    println!("{operation:?}: {all:?}");
    all
}

#[test]
fn any_write_may_fail() {
    let seen = fail_everywhere(Operation::Write, None);
    assert!(seen.failed > 20 && seen.unknown == 0, "{seen:?}");
}

#[test]
fn any_write_may_fail_and_not_be_taken_back() {
    let seen = fail_everywhere(Operation::Write, Some(Fault::on(Operation::SetLen).times(u64::MAX)));
    assert!(seen.failed > 0 && seen.unknown > 20, "{seen:?}");
}

#[test]
fn any_sync_may_fail() {
    let seen = fail_everywhere(Operation::Sync, None);
    assert!(seen.failed > 0 && seen.unknown > 20, "{seen:?}");
}

#[test]
fn any_change_of_the_directory_may_fail() {
    for operation in [Operation::Create, Operation::Rename, Operation::SyncEntries] {
        let seen = fail_everywhere(operation, None);
        assert!(seen.failed > 5 && seen.unknown == 0, "{operation:?}: {seen:?}");
    }
    fail_everywhere(Operation::SetLen, None);
}

#[test]
fn any_look_at_the_disk_may_fail() {
    for operation in [Operation::List, Operation::Open, Operation::Size, Operation::Read, Operation::Map] {
        let seen = fail_everywhere(operation, None);
        assert_eq!(seen.unknown, 0, "{operation:?}: {seen:?}");
    }
}

#[test]
fn the_disk_may_run_full_at_any_byte() {
    block_on(async {
        let truth = Truth::of(Workload::varied(6)).await;
        let whole = SimDisk::new(0);
        Trial::run(&truth, whole.clone(), SimDisk::heal).await.unwrap_or_else(|what| panic!("{what}"));
        let mut all = Seen::default();
        // A prime number, so that the disk fills up in the middle of everything.
        for room in (0..whole.used()).step_by(211) {
            let disk = SimDisk::new(room);
            disk.set_capacity(Some(room));
            let seen = Trial::run(&truth, disk, |disk| disk.set_capacity(Some(disk.used() + 20_000))).await;
            let seen = seen.unwrap_or_else(|what| panic!("with room for {room} bytes: {what}"));
            all.failed += seen.failed;
            all.unknown += seen.unknown;
            all.injected += seen.injected;
        }
        println!("{all:?}");
        assert!(all.failed > 100 && all.injected.full_disks > 100, "{all:?}");
        assert_eq!(all.unknown, 0, "what does not fit is surely not written");
    });
}
