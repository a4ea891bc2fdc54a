//! Handles that only read, beside a writer in another process or after it has died.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::StreamExt;
use mainspring_conformance::Seed;
use mainspring_event::{StoredEvent, Version};
use mainspring_sim::{Fault, Operation, SimDisk, Unsynced};
use mainspring_store::{Append, AppendError, EventStore, Query, Read, ReadError, StreamChange};
use mainspring_store_disk::{DiskStore, OpenError};
use tokio::{runtime::Runtime, time::timeout};

use crate::kit::{all, block_on, clock, event, events, in_place, replayable, stream};

const SEGMENT: u64 = 4096;

fn writer(disk: &SimDisk) -> DiskStore {
    in_place(SEGMENT, &clock()).open_on(Arc::new(disk.clone())).unwrap()
}

fn reader(disk: &SimDisk) -> Result<DiskStore, OpenError> {
    in_place(SEGMENT, &clock()).open_read_only_on(Arc::new(disk.clone()))
}

fn some_event(seed: &mut Seed) -> Append {
    Append::new([event(seed, "a-1", 150)])
}

fn positions(events: &[StoredEvent]) -> Vec<u64> {
    events.iter().map(|event| event.position.0).collect()
}

#[test]
fn a_reader_sees_what_is_synced_and_appends_nothing() {
    block_on(async {
        let (disk, mut seed) = (SimDisk::new(1), Seed::new(1));
        assert!(matches!(reader(&disk), Err(OpenError::Missing { .. })));
        let writer = writer(&disk);
        let reader = reader(&disk).unwrap();
        for count in 1..=60 {
            writer.append(some_event(&mut seed)).await.unwrap();
            let seen = all(&reader).await;
            assert_eq!(positions(&seen), (1..=count).collect::<Vec<_>>(), "at once, over every roll-over");
            assert_eq!(reader.info().await.unwrap(), writer.info().await.unwrap());
        }
        assert!(disk.contents("00000003.log").is_some());
        assert_eq!(all(&reader).await, all(&writer).await);
        let refused = reader.append(some_event(&mut seed)).await;
        assert!(
            matches!(&refused, Err(AppendError::Failed(error)) if error.to_string().contains("read-only")),
            "{refused:?}"
        );
        assert!(matches!(in_place(SEGMENT, &clock()).open_on(Arc::new(disk.clone())), Err(OpenError::Locked { .. })));
    });
}

#[test]
fn a_reader_that_failed_to_keep_up_catches_up_later() {
    block_on(async {
        for kind in [Operation::List, Operation::Open, Operation::Size, Operation::Read, Operation::Map] {
            let mut failed = 0;
            for after in 0..12 {
                let (disk, mut seed) = (SimDisk::new(1), Seed::new(1));
                let options = || replayable(SEGMENT, &clock());
                let writer = options().open_on(Arc::new(disk.clone())).unwrap();
                writer.append(some_event(&mut seed)).await.unwrap();
                let reader = options().open_read_only_on(Arc::new(disk.clone())).unwrap();
                for number in 0..40 {
                    // Each change hides something that no other one does.
                    let name = format!("a-{}", number / 4);
                    let append = Append::new([event(&mut seed, &name, 150)]);
                    let hide = StreamChange::TruncateBefore { stream: stream(&name), version: Version(3) };
                    writer.append(if number % 4 == 3 { append.change(hide) } else { append }).await.unwrap();
                }
                disk.inject(Fault::on(kind).after(after));
                failed += u64::from(reader.info().await.is_err());
                disk.heal();
                assert_eq!(all(&reader).await, all(&writer).await, "{kind:?} failed after {after} others");
                assert_eq!(reader.info().await.unwrap().head, writer.info().await.unwrap().head);
            }
            assert!(failed > 0 || kind == Operation::List, "{kind:?} never failed");
        }
    });
}

/// Readers that follow, and readers that open again and again, while a writer appends as fast as it can.
#[test]
fn followers_miss_nothing_while_the_log_goes_on() {
    const EVENTS: u64 = 1_500;
    let disk = SimDisk::new(2);
    let store = writer(&disk);
    let written = Arc::new(AtomicU64::new(0));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let followers = (0..2).map(|_| {
            let reader = reader(&disk).unwrap();
            tokio::spawn(async move {
                let mut batches = reader.read(Read::new(Query::All).follow());
                let mut seen = Vec::new();
                while (seen.len() as u64) < EVENTS {
                    let batch = timeout(Duration::from_secs(60), batches.next()).await.expect("there is more to come");
                    let batch = batch.unwrap().unwrap();
                    seen.extend(batch.iter().map(|event| event.position.0));
                    assert!(seen.last() <= Some(&batch.through().0));
                }
                assert_eq!(seen, (1..=EVENTS).collect::<Vec<_>>());
            })
        });
        let followers: Vec<_> = followers.collect();
        let newcomers = tokio::spawn({
            let (disk, written) = (disk.clone(), written.clone());
            async move {
                let mut opened = 0;
                while written.load(Ordering::Acquire) < EVENTS {
                    let least = written.load(Ordering::Acquire);
                    let seen = positions(&all(&reader(&disk).unwrap()).await);
                    assert!(seen.len() as u64 >= least, "{} of {least} acknowledged events", seen.len());
                    assert_eq!(seen, (1..=seen.len() as u64).collect::<Vec<_>>());
                    opened += 1;
                    tokio::task::yield_now().await;
                }
                opened
            }
        });
        let mut seed = Seed::new(2);
        for count in 1..=EVENTS {
            store.append(some_event(&mut seed)).await.unwrap();
            written.store(count, Ordering::Release);
            tokio::task::yield_now().await;
        }
        for follower in followers {
            follower.await.unwrap();
        }
        assert!(newcomers.await.unwrap() > 0, "nobody came anew while the log went on");
    });
}

#[test]
fn what_is_not_synced_is_not_shown() {
    block_on(async {
        let (disk, mut seed) = (SimDisk::new(3), Seed::new(3));
        let writer = writer(&disk);
        let early = reader(&disk).unwrap();
        writer.append(some_event(&mut seed)).await.unwrap();
        disk.inject(Fault::on(Operation::Sync).of("00000001.log"));
        assert!(matches!(writer.append(some_event(&mut seed)).await, Err(AppendError::Unknown(_))));
        assert_eq!(all(&early).await.len(), 1);
        assert_eq!(all(&reader(&disk).unwrap()).await.len(), 1);
    });
}

#[test]
fn after_a_kill_everything_acknowledged_is_shown_and_nothing_is_changed() {
    for seed in 0..30 {
        block_on(async {
            let disk = SimDisk::new(seed);
            let writer = writer(&disk);
            let mut events = Seed::new(seed);
            disk.stop_at(60 + 7 * seed);
            let mut acknowledged = 0;
            while writer.append(some_event(&mut events)).await.is_ok() {
                acknowledged += 1;
            }
            let left = disk.crash(Unsynced::Kept);
            let names = mainspring_store_disk::Disk::list(&left).unwrap();
            let before: Vec<_> = names.iter().map(|name| left.contents(name)).collect();
            let found = all(&reader(&left).unwrap()).await.len();
            assert!(acknowledged <= found && found <= acknowledged + 1, "{acknowledged} acknowledged, {found} found");
            assert_eq!(names.iter().map(|name| left.contents(name)).collect::<Vec<_>>(), before);
            let after_power = left.crash(Unsynced::Dropped);
            assert!(all(&reader(&after_power).unwrap()).await.len() >= found, "what was shown stays");
        });
    }
}

/// Calls `act` while a reader opens, just before this operation.
fn open_while(operation: Operation, file: &str) {
    let runtime = Arc::new(Runtime::new().unwrap());
    let (disk, mut seed) = (SimDisk::new(4), Seed::new(4));
    // Nothing of the writer's own goes on beside it: what comes next is what the reader does.
    let writer = replayable(SEGMENT, &clock()).open_on(Arc::new(disk.clone())).unwrap();
    runtime.block_on(async {
        while disk.contents("00000002.log").is_none() {
            writer.append(some_event(&mut seed)).await.unwrap();
        }
    });
    let head = runtime.block_on(writer.info()).unwrap().head.0;
    disk.meanwhile(operation, file, {
        let (runtime, writer) = (runtime.clone(), writer.clone());
        move || {
            runtime.block_on(async {
                for _ in 0..60 {
                    writer.append(some_event(&mut seed)).await.unwrap();
                }
            });
        }
    });
    let reader = reader(&disk).unwrap_or_else(|error| panic!("while {operation:?} of {file}: {error:?}"));
    let (all_there, seen) = runtime.block_on(async { (all(&writer).await, all(&reader).await) });
    assert_eq!(all_there.len() as u64, head + 60, "the writer was not quicker");
    assert_eq!(seen, all_there);
}

#[test]
fn the_log_may_go_on_at_any_moment_of_opening() {
    for operation in [Operation::Open, Operation::Read, Operation::Size] {
        for file in ["MANIFEST", "SYNCED", "00000001.log", "00000002.log"] {
            // Of the mark nobody asks for the size.
            if (operation, file) != (Operation::Size, "SYNCED") {
                open_while(operation, file);
            }
        }
    }
}

#[test]
fn a_reader_may_open_while_a_writer_does() {
    for file in ["SYNCED", "MANIFEST.new", "00000001.log"] {
        let (disk, mut seed) = (SimDisk::new(5), Seed::new(5));
        let runtime = Runtime::new().unwrap();
        let store = writer(&disk);
        runtime.block_on(async {
            for _ in 0..3 {
                store.append(some_event(&mut seed)).await.unwrap();
            }
        });
        let disk = disk.crash(Unsynced::Kept);
        let seen = Arc::new(AtomicU64::new(0));
        disk.meanwhile(Operation::Write, file, {
            let (disk, seen) = (disk.clone(), seen.clone());
            move || {
                let found = Runtime::new().unwrap().block_on(all(&reader(&disk).unwrap()));
                seen.store(found.len() as u64, Ordering::Relaxed);
            }
        });
        drop(writer(&disk));
        assert_eq!(seen.load(Ordering::Relaxed), 3, "while {file} was written");
    }
}

/// A reader lags behind in a segment that rots: it must not go on in the next one as if nothing were missing.
#[test]
fn a_follower_does_not_pass_over_damage() {
    block_on(async {
        let (disk, mut seed) = (SimDisk::new(6), Seed::new(6));
        let writer = writer(&disk);
        writer.append(some_event(&mut seed)).await.unwrap();
        let reader = reader(&disk).unwrap();
        let begun = disk.contents("00000001.log").unwrap().iter().rposition(|byte| *byte != 0).unwrap();
        while disk.contents("00000003.log").is_none() {
            writer.append(some_event(&mut seed)).await.unwrap();
        }
        disk.tamper("00000001.log", |bytes| bytes[begun + 500] ^= 1);
        let read = events(&reader, Read::new(Query::All)).await;
        assert!(matches!(read, Err(ReadError::Damaged(_))), "{read:?}");
    });
}
