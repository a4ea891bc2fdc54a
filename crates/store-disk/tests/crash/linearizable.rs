//! Many clients on a disk that fails under them, life after life: what they were told still has a linear order, with appends
//! whose answer was `Unknown` taking effect later or never.

use std::{sync::Arc, time::Duration};

use mainspring_conformance::Seed;
use mainspring_conformance::{ConcurrentHistory, Linearization, Machine};
use mainspring_sim::{Fault, Operation, SimDisk, Unsynced};
use mainspring_store::EventStore;
use mainspring_store_disk::DiskStore;

use crate::kit::{clock, in_place};

const PATIENCE: Duration = Duration::from_secs(20);

const LIVES: u64 = 12;

/// Whatever became of the disk, it can be opened once it is sound again.
fn open(disk: &SimDisk, segment_bytes: u64) -> Arc<DiskStore> {
    let store = in_place(segment_bytes, &clock()).open_on(Arc::new(disk.clone()));
    Arc::new(store.unwrap_or_else(|error| panic!("{error:?}")))
}

/// One store through many lives, each of which ends with a failure, and some with a crash.
async fn lives(seed: u64, segment_bytes: u64) -> Linearization {
    let history = ConcurrentHistory::new(seed, Machine::Failing, PATIENCE);
    let mut random = Seed::new(seed);
    let mut disk = SimDisk::new(seed);
    for life in 0..LIVES {
        let store = open(&disk, segment_bytes);
        let (operation, most) = if random.once_in(3) { (Operation::Write, 30) } else { (Operation::Sync, 40) };
        disk.inject(Fault::on(operation).after(random.within(0..=most)));
        if random.once_in(4) {
            // What failed to be written cannot be taken back either.
            disk.inject(Fault::on(Operation::SetLen).times(u64::MAX));
        }
        history.play(&[store.clone() as Arc<dyn EventStore>, store.clone()], 30).await;
        let judged = history.judge(&*store).await;
        drop(store);
        disk.heal();
        // In doubt, an event may come with a later life; here it has not come yet.
        judged.unwrap_or_else(|error| panic!("seed {seed}, life {life}: {error}"));
        disk = match random.within(0..=3) {
            0 => disk.crash(Unsynced::Dropped),
            1 => disk.crash(Unsynced::Random),
            2 => disk.crash(Unsynced::Kept),
            _ => disk,
        };
    }
    let store = open(&disk, segment_bytes);
    while history.open() > 0 {
        history.play(&[store.clone() as Arc<dyn EventStore>], 1).await;
    }
    history.judge(&*store).await.unwrap_or_else(|error| panic!("seed {seed}: {error}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn answers_given_while_disks_fail_have_a_linear_order() {
    let mut all = Linearization::default();
    for seed in 1..=8 {
        all = [all, lives(seed, if seed % 2 == 0 { 4096 } else { 1 << 16 }).await].into_iter().sum();
    }
    println!("{all:?}");
    assert!(all.commits > 3_000 && all.conflicts > 500 && all.open > 150 && all.failed > 300, "{all:?}");
    assert!(all.repeats > 200 && all.batches > 5_000, "{all:?}");
}
