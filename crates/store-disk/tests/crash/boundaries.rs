//! Power goes at every boundary between two operations, and again while the store recovers from that.

use std::sync::Arc;

use mainspring_conformance::ManualClock;
use mainspring_sim::{Injected, Lie, LyingDisk, SimDisk, Unsynced};
use mainspring_store_disk::{Disk, DiskStore, OpenError, Options, verify_on};

use crate::{
    kit::{block_on, clock, in_place, replayable},
    truth::{Sent, Truth},
    workload::Workload,
};

/// How often, at each boundary, what is unsynced is lost at random.
const RANDOM: usize = 3;

/// A store on a machine that loses power.
struct Ordeal {
    truth: Truth,
    options: fn(u64, &Arc<ManualClock>) -> Options,
    /// What stands between the store and the disk until the first crash.
    wrap: fn(SimDisk) -> Arc<dyn Disk>,
    /// Only every so many boundaries.
    step: usize,
}

/// What was done in an ordeal.
#[derive(Debug, Default)]
struct Tally {
    boundaries: u64,
    recoveries: u64,
    interrupted_recoveries: u64,
    injected: Injected,
}

impl Ordeal {
    async fn of(workload: Workload) -> Self {
        Self { truth: Truth::of(workload).await, options: replayable, wrap: |disk| Arc::new(disk), step: 1 }
    }

    fn open(&self, disk: Arc<dyn Disk>, clock: &Arc<ManualClock>) -> Result<DiskStore, OpenError> {
        (self.options)(self.truth.workload.segment_bytes, clock).open_on(disk)
    }

    fn reopen(&self, disk: &SimDisk) -> Result<DiskStore, String> {
        let store = self.open(Arc::new(disk.clone()), &clock());
        store.map_err(|error| format!("it cannot be opened: {error:?}"))
    }

    /// Loses power at every boundary, with several outcomes each.
    ///
    /// # Errors
    /// What the store does that it must not.
    async fn endure(&self) -> Result<Tally, String> {
        let mut tally = Tally::default();
        for stop in (1..).step_by(self.step) {
            let disk = SimDisk::new(stop);
            disk.stop_at(stop);
            let sent = self.send(&disk).await.map_err(|what| format!("change {stop}: {what}"))?;
            if !disk.has_stopped() {
                break;
            }
            tally.boundaries += 1;
            let outcomes = [Unsynced::Kept, Unsynced::Dropped].into_iter().chain([Unsynced::Random; RANDOM]);
            for (number, unsynced) in outcomes.enumerate() {
                let at = |what| format!("power went in change {stop}, outcome {number} ({unsynced:?}): {what}");
                let left = disk.crash(unsynced);
                tally.recoveries += 1;
                tally.injected += left.injected();
                let thorough = (stop + number as u64).is_multiple_of(4);
                let (found, changes) = self.recover(&left, &sent, thorough).await.map_err(at)?;
                if number == 2 {
                    tally.injected += self.recover_twice(&left, found, changes).await.map_err(at)?;
                    tally.interrupted_recoveries += changes;
                }
            }
        }
        Ok(tally)
    }

    /// Sends the workload until power goes.
    async fn send(&self, disk: &SimDisk) -> Result<Sent, String> {
        let clock = clock();
        let store = match self.open((self.wrap)(disk.clone()), &clock) {
            Ok(store) => store,
            Err(_) if disk.has_stopped() => return Ok(Sent { answers: Vec::new() }),
            Err(error) => return Err(format!("the store cannot be opened: {error:?}")),
        };
        let sent = self.truth.send(&store, &clock).await?;
        match store.close() {
            Err(error) if !disk.has_stopped() => Err(format!("the store cannot be closed: {error:?}")),
            _ => Ok(sent),
        }
    }

    /// Opens what a crash left and finds what must be there; goes on from there, and finds it all again. Answers how many
    /// appends there were, and how many changes opening made.
    async fn recover(&self, left: &SimDisk, sent: &Sent, thorough: bool) -> Result<(usize, u64), String> {
        let disk = left.crash(Unsynced::Kept);
        let store = self.reopen(&disk)?;
        let changes = disk.changes();
        let possible = self.truth.possible(sent);
        let found = self.truth.find(&store, possible.clone()).await?;
        drop(store);
        if thorough {
            let clock = clock();
            let store =
                self.open(Arc::new(disk.clone()), &clock).map_err(|error| format!("a second time: {error:?}"))?;
            self.truth.go_on(&store, &clock, (*possible.start(), found)).await?;
            drop(store);
            let disk = disk.crash(Unsynced::Dropped);
            let verified =
                verify_on(Arc::new(disk.clone())).map_err(|error| format!("it cannot be verified: {error:?}"))?;
            if !verified.is_intact() {
                return Err(format!("after recovery: {:?}", verified.findings));
            }
            let end = self.truth.workload.appends().count();
            self.truth.find(&self.reopen(&disk)?, end..=end).await?;
        }
        Ok((found, changes))
    }

    /// Loses power at every boundary of opening what a crash left; the same must be there after it all.
    async fn recover_twice(&self, left: &SimDisk, found: usize, changes: u64) -> Result<Injected, String> {
        let mut injected = Injected::default();
        for stop in 1..=changes {
            let disk = left.crash(Unsynced::Kept);
            disk.stop_at(stop);
            drop(self.reopen(&disk));
            let again = disk.crash(Unsynced::Random);
            injected += again.injected().since(&disk.injected());
            let found_again = self.truth.find(&self.reopen(&again)?, found..=found).await;
            found_again.map_err(|what| format!("and again in change {stop} of opening: {what}"))?;
        }
        Ok(injected)
    }
}

/// Endures, and sees to it that there was something to endure.
fn endures(ordeal: impl Future<Output = Ordeal>, boundaries: u64) {
    let tally = block_on(async { ordeal.await.endure().await }).unwrap_or_else(|what| panic!("{what}"));
    println!("{tally:?}");
    let Tally { boundaries: reached, recoveries, injected, .. } = tally;
    assert!(reached >= boundaries, "the workload crosses only {reached} boundaries");
    assert_eq!(recoveries, reached * (2 + RANDOM as u64));
    assert!(injected.torn_writes > 0 && injected.dropped_writes > 0 && injected.dropped_entries > 0, "{injected}");
}

#[test]
fn nothing_is_lost_wherever_power_goes() {
    endures(Ordeal::of(Workload::varied(1)), 250);
}

#[test]
fn nothing_is_lost_with_another_seed() {
    endures(Ordeal::of(Workload::varied(2)), 250);
}

#[test]
fn nothing_is_lost_while_a_segment_grows() {
    endures(async { Ordeal { step: 5, ..Ordeal::of(Workload::large(3)).await } }, 8);
}

#[test]
fn nothing_is_lost_with_everything_that_runs_beside_the_committer() {
    endures(async { Ordeal { options: in_place, step: 5, ..Ordeal::of(Workload::varied(4)).await } }, 40);
}

#[test]
fn the_same_seed_replays_the_same_run() {
    let run = || {
        let disk = SimDisk::new(9);
        disk.shorten_writes(true);
        let ordeal = block_on(Ordeal::of(Workload::varied(9)));
        let sent = block_on(ordeal.send(&disk)).unwrap_or_else(|what| panic!("{what}"));
        (disk.changes(), disk.injected(), format!("{:?}", sent.answers))
    };
    let first = run();
    assert!(first.1.short_writes > 10, "{}", first.1);
    assert_eq!(first, run());
}

/// The canaries: where these are not caught, the tests above mean nothing.
fn is_caught(wrap: fn(SimDisk) -> Arc<dyn Disk>) -> String {
    let endured = block_on(async { Ordeal { wrap, ..Ordeal::of(Workload::varied(1)).await }.endure().await });
    endured.expect_err("a store that loses what it acknowledged must be caught")
}

#[test]
fn a_disk_that_never_syncs_is_caught() {
    is_caught(|disk| Arc::new(LyingDisk::new(Arc::new(disk), Lie::NeverSync)));
}

#[test]
fn an_acknowledgement_before_its_sync_is_caught() {
    let caught = is_caught(|disk| Arc::new(LyingDisk::new(Arc::new(disk), Lie::LateSync)));
    assert!(caught.contains("appends lead"), "acknowledged events are missing, but it says: {caught}");
}
