//! A backup that is interrupted anywhere is the backup before or none, and the next run completes it.

use std::sync::Arc;

use mainspring_conformance::Seed;
use mainspring_event::StoredEvent;
use mainspring_sim::{Fault, Operation, SimDisk, Unsynced};
use mainspring_store::{Append, AppendError, EventStore};
use mainspring_store_disk::{BackupError, BackupReport, Disk, DiskStore, OpenError, restore_backup_on, verify_on};

use crate::kit::{all, block_on, clock, event, replayable};

const OUTCOMES: [Unsynced; 5] =
    [Unsynced::Kept, Unsynced::Dropped, Unsynced::Random, Unsynced::Random, Unsynced::Random];

/// A store of several segments on a disk of its own.
struct Original {
    disk: SimDisk,
    store: DiskStore,
    seed: Seed,
}

impl Original {
    async fn with(events: usize) -> Self {
        let disk = SimDisk::new(11);
        let store = replayable(4096, &clock()).open_on(Arc::new(disk.clone())).unwrap();
        let mut original = Self { disk, store, seed: Seed::new(11) };
        original.append(events).await;
        original
    }

    async fn append(&mut self, events: usize) {
        for number in 0..events {
            let name = ["a-1", "b-1", "$c-1"][number % 3];
            self.store.append(Append::new([event(&mut self.seed, name, 200)])).await.unwrap();
        }
    }

    fn backup(&self, target: &SimDisk) -> Result<BackupReport, BackupError> {
        self.store.backup_on(Arc::new(target.clone()))
    }

    async fn events(&self) -> Vec<StoredEvent> {
        all(&self.store).await
    }
}

fn read_only(disk: &SimDisk) -> Result<DiskStore, OpenError> {
    replayable(4096, &clock()).open_read_only_on(Arc::new(disk.clone()))
}

fn writing(disk: &SimDisk) -> Result<DiskStore, OpenError> {
    replayable(4096, &clock()).open_on(Arc::new(disk.clone()))
}

/// The backup on this disk, which is whole and not taken for a store.
async fn held(disk: &SimDisk) -> Vec<StoredEvent> {
    let verified = verify_on(Arc::new(disk.clone())).unwrap();
    assert!(verified.is_intact() && verified.torn_bytes == 0, "{verified:?}");
    assert!(matches!(writing(disk), Err(OpenError::Backup { .. })));
    all(&read_only(disk).unwrap()).await
}

/// Takes power at every change that a backup makes on `before`, which holds `events` or nothing, and goes on from there.
async fn interrupt(original: &Original, before: &SimDisk, events: Option<&[StoredEvent]>) -> u64 {
    let expected = original.events().await;
    for stop in 1.. {
        let target = before.if_crashed(Unsynced::Kept);
        target.stop_at(stop);
        let taken = original.backup(&target);
        if !target.has_stopped() {
            taken.unwrap();
            return stop - 1;
        }
        for (number, unsynced) in OUTCOMES.into_iter().enumerate() {
            let at = format!("power went in change {stop}, outcome {number} ({unsynced:?})");
            let left = target.crash(unsynced);
            match (read_only(&left), events) {
                (Ok(store), before) => {
                    drop(store);
                    let found = held(&left).await;
                    assert!(found == expected || Some(found.as_slice()) == before, "{at}");
                }
                (Err(OpenError::Missing { .. } | OpenError::Unfinished { .. }), None) => {
                    let refused = writing(&left.if_crashed(Unsynced::Kept));
                    let named = left.contents("MANIFEST").is_some();
                    assert_eq!(matches!(refused, Err(OpenError::Unfinished { .. })), named, "{at}");
                }
                (Err(error), _) => panic!("{at}: {error:?}"),
            }
            original.backup(&left).unwrap_or_else(|error| panic!("{at}: {error:?}"));
            assert_eq!(held(&left.crash(Unsynced::Dropped)).await, expected, "{at}");
        }
    }
    unreachable!("a backup ends")
}

#[test]
fn a_first_backup_can_be_interrupted_anywhere() {
    block_on(async {
        let original = Original::with(50).await;
        let boundaries = interrupt(&original, &SimDisk::new(3), None).await;
        assert!(boundaries > 30, "only {boundaries} boundaries");
    });
}

#[test]
fn what_a_failed_sync_has_left_is_copied_again() {
    block_on(async {
        for seed in 0..20 {
            // In the same segment, and over several more.
            for more in [1, 30] {
                let mut original = Original::with(20).await;
                let target = SimDisk::new(seed);
                original.backup(&target).unwrap();
                original.append(more).await;
                target.inject(Fault::on(Operation::Sync));
                assert!(matches!(original.backup(&target), Err(BackupError::Target(_))), "nobody is told");
                original.backup(&target).unwrap();
                let left = target.crash(Unsynced::Dropped);
                assert_eq!(held(&left).await, original.events().await, "seed {seed}, {more} more");
            }
        }
    });
}

#[test]
fn a_later_backup_can_be_interrupted_anywhere() {
    block_on(async {
        let mut original = Original::with(20).await;
        let target = SimDisk::new(3);
        original.backup(&target).unwrap();
        let before = original.events().await;
        // In the same segment, and over several more.
        for more in [1, 30] {
            original.append(more).await;
            let boundaries = interrupt(&original, &target, Some(&before)).await;
            assert!(boundaries > 4, "only {boundaries} boundaries");
        }
    });
}

#[test]
fn a_later_backup_copies_only_what_is_new() {
    block_on(async {
        let mut original = Original::with(50).await;
        let target = SimDisk::new(3);
        let first = original.backup(&target).unwrap();
        assert_eq!((first.linked, first.kept, first.position.0), (0, 0, 50));
        let again = original.backup(&target).unwrap();
        assert_eq!((again.copied, again.kept, again.bytes), (0, first.copied, 0), "nothing is new");

        let used = |disk: &SimDisk| -> u64 {
            let names = disk.list().unwrap().into_iter().filter(|name| name.ends_with("g") || name.ends_with("x"));
            names.map(|name| disk.contents(&name).unwrap().len() as u64).sum()
        };
        let before = used(&target);
        original.append(30).await;
        let more = original.backup(&target).unwrap();
        assert_eq!(more.position.0, 80);
        assert_eq!(more.kept, first.copied - 1, "the one that was written last has grown");
        assert_eq!(more.bytes, used(&target) - before);
        assert_eq!(held(&target).await, original.events().await);
    });
}

/// Whatever the source has lost in a crash, the backup had never got.
#[test]
fn a_backup_never_holds_what_a_crash_of_the_store_takes_away() {
    block_on(async {
        let mut stop = 1;
        loop {
            let (disk, target) = (SimDisk::new(stop), SimDisk::new(3));
            let mut seed = Seed::new(5);
            disk.stop_at(stop);
            if let Ok(store) = writing(&disk) {
                for _ in 0..16 {
                    let appends = ["a-1", "b-1"].map(|name| store.append(Append::new([event(&mut seed, name, 300)])));
                    drop(futures_util::future::join_all(appends).await);
                    drop(store.backup_on(Arc::new(target.clone())));
                }
            }
            if !disk.has_stopped() {
                break;
            }
            for unsynced in OUTCOMES {
                let left = disk.crash(unsynced);
                let (Ok(store), Ok(_)) = (writing(&left), read_only(&target)) else { continue };
                let target = target.if_crashed(Unsynced::Kept);
                store
                    .backup_on(Arc::new(target.clone()))
                    .unwrap_or_else(|error| panic!("stopped at {stop}: {error:?}"));
                assert_eq!(held(&target).await, all(&store).await, "stopped at {stop}");
            }
            stop += 1;
        }
        assert!(stop > 50, "only {stop} boundaries");
    });
}

#[test]
fn what_was_written_and_never_synced_is_not_backed_up() {
    block_on(async {
        let mut original = Original::with(20).await;
        let expected = original.events().await;
        let active = original.disk.list().unwrap().into_iter().filter(|name| name.ends_with(".log")).max().unwrap();
        original.disk.inject(Fault::on(Operation::Sync).of(active));
        let lost = original.store.append(Append::new([event(&mut original.seed, "a-1", 200)])).await;
        assert!(matches!(lost, Err(AppendError::Unknown(_))), "{lost:?}");
        let target = SimDisk::new(3);
        assert_eq!(original.backup(&target).unwrap().position.0, 20);
        assert_eq!(held(&target).await, expected);
        let left = original.disk.crash(Unsynced::Dropped);
        let store = writing(&left).unwrap();
        store.backup_on(Arc::new(target.clone())).unwrap();
        assert!(held(&target).await == all(&store).await, "the disk may have kept it or not");
    });
}

/// Lets one operation after the other fail on a disk until a backup meets no more of them.
async fn fail(original: &Original, faulty: impl Fn(&SimDisk) -> SimDisk, fault: impl Fn(u64) -> Fault, source: bool) {
    let expected = original.events().await;
    for after in 0.. {
        let target = SimDisk::new(3);
        let faulty = faulty(&target);
        faulty.inject(fault(after));
        let taken = original.backup(&target);
        faulty.heal();
        match taken {
            Ok(_) if after == 0 => panic!("nothing failed"),
            Ok(_) => break,
            Err(BackupError::Source(_)) if source => {}
            Err(BackupError::Target(_)) if !source => {}
            // What says which files there are is part of opening.
            Err(BackupError::Open(OpenError::Io(_))) if source => {}
            Err(error) => panic!("after {after}: {error:?}"),
        }
        original.backup(&target).unwrap_or_else(|error| panic!("after {after}: {error:?}"));
        assert_eq!(held(&target).await, expected, "after {after}");
    }
}

#[test]
fn a_target_that_fails_or_is_full_is_said_and_completed_later() {
    block_on(async {
        let original = Original::with(30).await;
        use Operation::{Create, Rename, Size, Sync, SyncEntries, Write};
        for operation in [Create, Rename, Sync, SyncEntries, Write] {
            fail(&original, SimDisk::clone, |after| Fault::on(operation).after(after), false).await;
        }
        fail(&original, SimDisk::clone, |after| Fault::on(Write).after(after).full(), false).await;
        let target = SimDisk::new(3);
        original.backup(&target).unwrap();
        target.inject(Fault::on(Size));
        assert!(matches!(original.backup(&target), Err(BackupError::Target(_))));

        let target = SimDisk::new(3);
        target.set_capacity(Some(6_000));
        let refused = original.backup(&target);
        assert!(matches!(&refused, Err(BackupError::Target(_))), "{refused:?}");
        assert!(matches!(read_only(&target), Err(OpenError::Unfinished { .. })));
        target.set_capacity(None);
        let copied = original.backup(&target).unwrap();
        assert!(copied.kept > 0, "what was copied before is kept: {copied:?}");
        assert_eq!(held(&target).await, original.events().await);
    });
}

#[test]
fn a_source_that_cannot_be_read_is_said_and_stays_as_it_is() {
    block_on(async {
        let original = Original::with(30).await;
        for operation in [Operation::Open, Operation::Size, Operation::Read] {
            fail(&original, |_| original.disk.clone(), |after| Fault::on(operation).after(after), true).await;
        }
        let target = SimDisk::new(3);
        original.disk.rename("00000002.log", "elsewhere").unwrap();
        let refused = original.backup(&target);
        let missing = matches!(&refused, Err(BackupError::Open(OpenError::Damaged(damage)))
            if damage.file == "sim:00000002.log" && damage.what == "the file is missing");
        assert!(missing, "{refused:?}");
        original.disk.rename("elsewhere", "00000002.log").unwrap();
        original.backup(&target).unwrap();
    });
}

/// An index may be replaced or lost at any moment; the log goes on while it is copied.
#[test]
fn what_happens_meanwhile_does_no_harm() {
    block_on(async {
        let original = Original::with(30).await;
        let (store, disk) = (original.store.clone(), original.disk.clone());
        let mut seed = Seed::new(77);
        let appends: Vec<_> = (0..40).map(|_| Append::new([event(&mut seed, "d-1", 200)])).collect();
        original.disk.meanwhile(Operation::Open, "00000001.log", move || {
            std::thread::spawn(move || {
                block_on(async {
                    for append in appends {
                        store.append(append).await.unwrap();
                    }
                })
            })
            .join()
            .unwrap();
        });
        original.disk.meanwhile(Operation::Size, "00000002.idx", move || disk.remove("00000002.idx").unwrap());
        let target = SimDisk::new(3);
        let report = original.backup(&target).unwrap();
        assert_eq!(report.position.0, 30, "what was appended meanwhile is for the next run");
        assert_eq!(held(&target).await, original.events().await[..20]);
        assert_eq!(original.backup(&target).unwrap().position.0, 70);
        assert_eq!(held(&target).await, original.events().await);
    });
}

#[test]
fn restoring_can_be_interrupted_anywhere() {
    block_on(async {
        let original = Original::with(50).await;
        let backup = SimDisk::new(3);
        original.backup(&backup).unwrap();
        let expected = original.events().await;
        let untouched = backup.list().unwrap().into_iter().map(|name| backup.contents(&name)).collect::<Vec<_>>();
        let mut stop = 0;
        loop {
            stop += 1;
            let target = SimDisk::new(stop);
            target.stop_at(stop);
            let restored = restore_backup_on(Arc::new(backup.clone()), Arc::new(target.clone()));
            if !target.has_stopped() {
                let restored = restored.unwrap();
                assert_ne!(restored.lineage, restored.from);
                break;
            }
            for unsynced in OUTCOMES {
                let left = target.crash(unsynced);
                match read_only(&left) {
                    Err(OpenError::Missing { .. } | OpenError::Unfinished { .. }) => {
                        restore_backup_on(Arc::new(backup.clone()), Arc::new(left.clone())).unwrap();
                    }
                    Ok(_) => {}
                    Err(error) => panic!("stopped at {stop}: {error:?}"),
                }
                let left = left.crash(Unsynced::Dropped);
                let store = writing(&left).unwrap();
                assert_eq!(all(&store).await, expected, "stopped at {stop}");
                let (old, new) = (original.store.info().await.unwrap(), store.info().await.unwrap());
                assert!(old.store == new.store && old.lineage != new.lineage && old.head == new.head);
                let next = store.append(Append::new([event(&mut Seed::new(9), "a-1", 10)])).await.unwrap();
                assert_eq!(next.position.0, 51);
                drop(store);
                let verified = verify_on(Arc::new(left)).unwrap();
                assert_eq!((verified.findings, verified.events), (Vec::new(), 51), "stopped at {stop}");
            }
        }
        assert!(stop > 30, "only {stop} boundaries");
        let after = backup.list().unwrap().into_iter().map(|name| backup.contents(&name)).collect::<Vec<_>>();
        assert_eq!(after, untouched, "the backup is as it was");
    });
}

#[test]
fn a_damaged_backup_is_neither_opened_nor_restored() {
    block_on(async {
        let original = Original::with(30).await;
        let backup = SimDisk::new(3);
        original.backup(&backup).unwrap();
        let last = backup.list().unwrap().into_iter().filter(|name| name.ends_with(".log")).max().unwrap();
        let length = backup.contents(&last).unwrap().len();
        let restore = |copy: &SimDisk| restore_backup_on(Arc::new(copy.clone()), Arc::new(SimDisk::new(1)));
        for offset in [100, length - 100] {
            let copy = backup.if_crashed(Unsynced::Kept);
            copy.tamper(&last, |bytes| bytes[offset] ^= 1);
            assert!(matches!(read_only(&copy), Err(OpenError::Damaged(_))), "{offset} of {length}");
            assert!(matches!(restore(&copy), Err(BackupError::BadBackup(_))), "{offset} of {length}");
        }
        let copy = backup.if_crashed(Unsynced::Kept);
        copy.tamper(&last, |bytes| bytes.truncate(length - 8));
        assert!(matches!(read_only(&copy), Err(OpenError::Damaged(_))));
        assert!(matches!(restore(&copy), Err(BackupError::BadBackup(_))));
        backup.tamper("00000001.idx", |bytes| bytes[900] ^= 1);
        restore(&backup).expect("an index is built again");
    });
}
