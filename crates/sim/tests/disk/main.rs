//! What the simulated disk promises to do to those who use it.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking, as the test does")]

mod blocks;

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use mainspring_sim::{Fault, Lie, LyingDisk, Operation, SimDisk, Unsynced};
use mainspring_store_disk::{Access, Disk, DiskFile, LockError};

/// A file whose name and first bytes are durable.
fn durable(disk: &dyn Disk, name: &str, content: &[u8]) -> Arc<dyn DiskFile> {
    let file = disk.create(name).unwrap();
    write(&*file, 0, content);
    file.sync().unwrap();
    disk.sync_entries().unwrap();
    file
}

fn write(file: &dyn DiskFile, offset: u64, content: &[u8]) {
    assert_eq!(file.write_at(offset, content).unwrap(), content.len());
}

fn after(disk: &SimDisk, unsynced: Unsynced, name: &str) -> Option<Vec<u8>> {
    disk.crash(unsynced).contents(name)
}

#[test]
fn what_is_synced_survives_every_crash() {
    for seed in 0..50 {
        let disk = SimDisk::new(seed);
        durable(&disk, "a", b"one");
        for unsynced in [Unsynced::Kept, Unsynced::Dropped, Unsynced::Random] {
            assert_eq!(after(&disk, unsynced, "a").unwrap(), b"one");
        }
    }
}

#[test]
fn what_is_not_synced_is_kept_dropped_or_torn() {
    let mut outcomes = HashSet::new();
    let mut injected = mainspring_sim::Injected::default();
    for seed in 0..400 {
        let disk = SimDisk::new(seed);
        let file = durable(&disk, "a", b"....");
        write(&*file, 0, b"abcd");
        let rebooted = disk.crash(Unsynced::Random);
        outcomes.insert(String::from_utf8(rebooted.contents("a").unwrap()).unwrap());
        injected += rebooted.injected();
    }
    for outcome in ["abcd", "....", "a...", "ab..", "abc.", ".bcd", "..cd", "...d", "a.cd", "ab.d", "a..d"] {
        assert!(outcomes.contains(outcome), "{outcome} never came of it, only {outcomes:?}");
    }
    assert_eq!(outcomes.len(), 11);
    assert_eq!(injected.crashes, 400);
    assert!(injected.torn_writes > 50 && injected.dropped_writes > 50, "{injected}");
}

#[test]
fn later_writes_may_survive_without_earlier_ones() {
    let outcome = |seed| {
        let disk = SimDisk::new(seed);
        let file = durable(&disk, "a", b"..");
        write(&*file, 0, b"1");
        write(&*file, 1, b"2");
        after(&disk, Unsynced::Random, "a").unwrap()
    };
    let outcomes: HashSet<_> = (0..50).map(outcome).collect();
    assert_eq!(outcomes, HashSet::from([*b"..", *b"1.", *b".2", *b"12"].map(Vec::from)));
}

#[test]
fn a_cut_that_was_not_synced_may_be_undone() {
    let disk = SimDisk::new(1);
    durable(&disk, "a", b"long").set_len(1).unwrap();
    assert_eq!(disk.contents("a").unwrap(), b"l");
    assert_eq!(after(&disk, Unsynced::Dropped, "a").unwrap(), b"long");
    assert_eq!(after(&disk, Unsynced::Kept, "a").unwrap(), b"l");
}

#[test]
fn names_survive_in_the_order_of_their_changes() {
    let mut outcomes = HashSet::new();
    for seed in 0..50 {
        let disk = SimDisk::new(seed);
        durable(&disk, "a", b"a");
        durable(&disk, "b", b"b");
        disk.rename("a", "b").unwrap();
        disk.create("c").unwrap();
        let rebooted = disk.crash(Unsynced::Random);
        let mut names = rebooted.list().unwrap();
        names.sort();
        outcomes.insert((names.concat(), rebooted.contents("b").unwrap()));
    }
    let expected = [("ab", b"b"), ("b", b"a"), ("bc", b"a")];
    assert_eq!(outcomes, expected.map(|(names, content)| (names.to_owned(), content.to_vec())).into());
}

#[test]
fn power_goes_in_the_change_of_a_number() {
    let disk = SimDisk::new(1);
    let file = durable(&disk, "a", b"one");
    assert_eq!((disk.changes(), disk.count(Operation::Sync), disk.count(Operation::Rename)), (4, 1, 0));
    disk.stop_at(6);
    write(&*file, 0, b"two");
    assert!(file.sync().is_err() && disk.has_stopped());
    assert!(file.read_at(0, &mut [0]).is_err() && disk.list().is_err() && disk.lock().is_err());
    assert_eq!(after(&disk, Unsynced::Dropped, "a").unwrap(), b"one", "the sync in which power went did nothing");
    assert_eq!(after(&disk, Unsynced::Kept, "a").unwrap(), b"two");
}

#[test]
fn a_failed_sync_forgets_and_still_shows() {
    let mut outcomes = HashSet::new();
    for seed in 0..50 {
        let disk = SimDisk::new(seed);
        let file = durable(&disk, "a", b".");
        write(&*file, 0, b"1");
        disk.inject(Fault::on(Operation::Sync));
        assert_eq!(file.sync().unwrap_err().raw_os_error(), Some(5));
        assert_eq!(disk.contents("a").unwrap(), b"1", "it can be read");
        file.sync().unwrap();
        disk.evict();
        assert_eq!(disk.injected().failed_syncs, 1);
        outcomes.insert(disk.contents("a").unwrap());
    }
    assert_eq!(
        outcomes,
        HashSet::from([b".".to_vec(), b"1".to_vec()]),
        "the second sync wrote it, or had nothing to do"
    );
}

#[test]
fn a_failed_sync_forgets_no_cut() {
    for seed in 0..50 {
        let disk = SimDisk::new(seed);
        let file = durable(&disk, "a", b".");
        write(&*file, 0, b"123");
        file.set_len(1).unwrap();
        disk.inject(Fault::on(Operation::Sync));
        assert!(file.sync().is_err());
        file.sync().unwrap();
        assert_eq!(after(&disk, Unsynced::Dropped, "a").unwrap().len(), 1, "seed {seed}");
    }
}

#[test]
fn a_full_disk_takes_what_fits() {
    let disk = SimDisk::new(1);
    let file = durable(&disk, "a", b"1234");
    disk.set_capacity(Some(6));
    assert_eq!(file.write_at(3, b"4567").unwrap(), 3);
    assert_eq!(file.write_at(6, b"7").unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    assert_eq!(file.write_at(0, b"abcdef").unwrap(), 6, "what is there can be overwritten");
    assert!(file.set_len(7).is_err());
    assert_eq!((disk.injected().full_disks, disk.used()), (2, 6));
    disk.set_capacity(None);
    assert_eq!(file.write_at(6, b"7").unwrap(), 1);
}

#[test]
fn the_operation_that_was_named_fails() {
    let disk = SimDisk::new(1);
    let (a, b) = (durable(&disk, "a", b"a"), durable(&disk, "b", b"b"));
    disk.inject(Fault::on(Operation::Write).of("b").after(1).times(2));
    write(&*a, 0, b"1");
    write(&*b, 0, b"1");
    assert!(b.write_at(0, b"2").is_err() && b.write_at(0, b"3").is_err());
    write(&*a, 0, b"4");
    write(&*b, 0, b"4");
    disk.inject(Fault::on(Operation::Rename).full());
    assert_eq!(disk.rename("a", "c").unwrap_err().kind(), std::io::ErrorKind::StorageFull);
    assert!(disk.contents("a").is_some() && disk.contents("c").is_none());
    disk.inject(Fault::on(Operation::Open).times(9));
    disk.heal();
    assert!(disk.open("a", Access::Read).is_ok());
    assert_eq!((disk.injected().io_errors, disk.injected().full_disks), (2, 1));
}

#[test]
fn short_writes_say_so() {
    let disk = SimDisk::new(1);
    let file = durable(&disk, "a", b"");
    disk.shorten_writes(true);
    let lengths: HashSet<_> = (0..100).map(|_| file.write_at(0, b"123").unwrap()).collect();
    assert_eq!(lengths, [1, 2, 3].into());
    assert!(disk.injected().short_writes > 20);
}

#[test]
fn one_process_holds_the_lock() {
    let disk = SimDisk::new(1);
    let guard = disk.lock().unwrap();
    assert!(matches!(disk.clone().lock(), Err(LockError::Held { .. })));
    drop(guard);
    let _guard = disk.lock().unwrap();
    assert!(disk.crash(Unsynced::Kept).lock().is_ok(), "nobody holds it after a crash");
}

#[test]
fn somebody_else_may_be_quicker() {
    let disk = SimDisk::new(1);
    durable(&disk, "a", b"a");
    let other = disk.clone();
    disk.meanwhile(Operation::Open, "b", move || other.rename("a", "b").unwrap());
    assert!(disk.open("a", Access::Read).is_ok());
    assert!(disk.open("b", Access::Read).is_ok());
    assert!(disk.open("a", Access::Read).is_err());
}

#[test]
fn a_removed_file_lives_while_it_is_open() {
    let disk = SimDisk::new(1);
    let file = durable(&disk, "a", b"a");
    disk.remove("a").unwrap();
    assert_eq!(file.map(1).unwrap(), &b"a"[..]);
    assert_eq!(disk.used(), 0);
    assert!(disk.open("a", Access::Read).is_err());
}

#[test]
fn reading_files_cannot_be_written() {
    let disk = SimDisk::new(1);
    durable(&disk, "a", b"a");
    let file = disk.open("a", Access::Read).unwrap();
    assert!(file.write_at(0, b"b").is_err() && file.set_len(0).is_err());
}

#[test]
fn tampering_is_durable() {
    let disk = SimDisk::new(1);
    durable(&disk, "a", b"abc");
    disk.tamper("a", |bytes| bytes[1] ^= 1);
    assert_eq!(after(&disk, Unsynced::Dropped, "a").unwrap(), b"acc");
}

#[test]
fn a_lying_disk_loses_what_it_says_it_has() {
    let disk = SimDisk::new(1);
    let lying = LyingDisk::new(Arc::new(disk.clone()), Lie::NeverSync);
    durable(&lying, "a", b"abc");
    assert_eq!(after(&disk, Unsynced::Dropped, "a").unwrap(), b"");
    assert_eq!(after(&disk, Unsynced::Kept, "a").unwrap(), b"abc");

    let disk = SimDisk::new(1);
    let lying = LyingDisk::new(Arc::new(disk.clone()), Lie::LateSync);
    let file = durable(&lying, "a", b"abc");
    write(&*file, 3, b"d");
    file.sync().unwrap();
    assert_eq!(after(&disk, Unsynced::Dropped, "a").unwrap(), b"abc");
}

#[test]
fn the_same_seed_does_the_same() {
    let run = |seed| {
        let disk = SimDisk::new(seed);
        let file = durable(&disk, "a", &[7; 100]);
        disk.shorten_writes(true);
        let lengths: Vec<_> = (0..20).map(|at| file.write_at(at, &[1; 50]).unwrap()).collect();
        disk.inject(Fault::on(Operation::Sync));
        assert!(file.sync().is_err());
        write(&*file, 30, b"x");
        (lengths, after(&disk, Unsynced::Random, "a"), after(&disk, Unsynced::Random, "a"))
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5), run(6));
}

#[test]
fn one_region_of_a_file_can_be_bad() {
    let disk = SimDisk::new(1);
    let file = durable(&disk, "a", &[7; 100]);
    disk.inject(Fault::on(Operation::Read).of("a").within(40..50).times(u64::MAX));
    assert!(file.read_at(0, &mut [0; 40]).is_ok() && file.read_at(50, &mut [0; 50]).is_ok());
    assert!(file.read_at(39, &mut [0; 2]).is_err() && file.read_at(49, &mut [0]).is_err());
    disk.inject(Fault::on(Operation::Map).within(90..100));
    assert!(file.map(90).is_ok() && file.map(91).is_err() && file.map(91).is_ok());
    assert_eq!((disk.injected().errors_of(Operation::Read), disk.injected().errors_of(Operation::Map)), (2, 1));
    assert_eq!((disk.injected().io_errors, disk.injected().failures()), (3, 3));
}

#[test]
fn what_failed_may_have_been_done() {
    let mut outcomes = HashSet::new();
    for seed in 0..60 {
        let disk = SimDisk::new(seed);
        let file = durable(&disk, "a", b"abc");
        for operation in [Operation::Rename, Operation::SetLen, Operation::Remove] {
            disk.inject(Fault::on(operation));
        }
        assert!(file.set_len(1).is_err() && disk.rename("a", "b").is_err());
        let name = if disk.contents("a").is_some() { "a" } else { "b" };
        let length = disk.contents(name).unwrap().len();
        assert!(disk.remove(name).is_err());
        outcomes.insert((name, length, disk.contents(name).is_some()));
        disk.inject(Fault::on(Operation::List));
        assert!(disk.list().is_err() && disk.list().is_ok());
    }
    assert_eq!(outcomes.len(), 8, "{outcomes:?}");
}

#[test]
fn what_takes_its_time_is_counted() {
    let disk = SimDisk::new(1);
    let file = durable(&disk, "a", b"abc");
    disk.slow(Operation::Read, Duration::from_millis(2));
    let begun = Instant::now();
    file.read_at(0, &mut [0; 3]).unwrap();
    assert!(begun.elapsed() >= Duration::from_millis(2));
    disk.slow(Operation::Read, Duration::ZERO);
    file.read_at(0, &mut [0; 3]).unwrap();
    assert_eq!(disk.injected().slow_operations, 1);
}

#[test]
fn a_flipped_bit_and_a_lost_file_are_durable() {
    let disk = SimDisk::new(1);
    durable(&disk, "a", b"abc");
    durable(&disk, "b", b"b");
    disk.flip("a", 1, 1);
    disk.lose("b");
    assert_eq!((disk.injected().bit_flips, disk.names()), (1, vec!["a".to_owned()]));
    let rebooted = disk.crash(Unsynced::Dropped);
    assert_eq!((rebooted.contents("a").unwrap(), rebooted.contents("b")), (b"a`c".to_vec(), None));
}

#[test]
fn each_lie_is_told() {
    let told = |lie| {
        let disk = SimDisk::new(1);
        let file = durable(&disk, "a", &[1; 300]);
        drop(file);
        (LyingDisk::new(Arc::new(disk.clone()), lie), disk)
    };
    let (lying, disk) = told(Lie::LostRename);
    lying.rename("a", "b").unwrap();
    assert_eq!(disk.names(), ["a"]);

    let (lying, disk) = told(Lie::NeverSyncEntries);
    lying.rename("a", "b").unwrap();
    lying.sync_entries().unwrap();
    assert_eq!(disk.crash(Unsynced::Dropped).names(), ["a"]);

    let (lying, disk) = told(Lie::UnsyncedBeforeRename);
    durable(&lying, "b.new", b"b");
    durable(&lying, "c", b"c");
    let rebooted = disk.crash(Unsynced::Dropped);
    assert_eq!((rebooted.contents("b.new").unwrap(), rebooted.contents("c").unwrap()), (Vec::new(), b"c".to_vec()));

    let (lying, disk) = told(Lie::SwallowedWriteError);
    disk.inject(Fault::on(Operation::Write));
    assert_eq!(lying.open("a", Access::Write).unwrap().write_at(0, &[2; 300]).unwrap(), 300);

    let (lying, disk) = told(Lie::SwallowedSyncError);
    disk.inject(Fault::on(Operation::Sync));
    lying.open("a", Access::Write).unwrap().sync().unwrap();
    assert_eq!(disk.injected().failed_syncs, 1);

    let (lying, disk) = told(Lie::ShortenedWrite);
    assert_eq!(lying.open("a", Access::Write).unwrap().write_at(0, &[2; 300]).unwrap(), 300);
    assert_eq!(disk.contents("a").unwrap()[298..], [2, 1]);

    let (lying, disk) = told(Lie::IgnoredCut);
    lying.open("a", Access::Write).unwrap().set_len(7).unwrap();
    assert_eq!(disk.used(), 300);

    let (lying, disk) = told(Lie::StaleRead);
    lying.open("a", Access::Read).unwrap();
    disk.tamper("a", |bytes| bytes[0] = 2);
    assert_eq!(lying.open("a", Access::Read).unwrap().map(1).unwrap()[..], [1]);

    let (lying, disk) = told(Lie::ReorderedWrites);
    let file = lying.open("a", Access::Write).unwrap();
    write(&*file, 0, &[3]);
    file.sync().unwrap();
    assert_eq!(disk.contents("a").unwrap()[0], 1, "it was synced before it was written");
    assert_eq!(file.map(1).unwrap()[..], [3], "but it can be read");

    let (lying, disk) = told(Lie::EarlyRemoval);
    durable(&lying, "MANIFEST.new", b"m");
    lying.rename("MANIFEST.new", "MANIFEST").unwrap();
    lying.sync_entries().unwrap();
    lying.remove("a").unwrap();
    assert_eq!(disk.if_crashed(Unsynced::Dropped).names(), ["MANIFEST.new"], "removed, and nothing took its place");
    lying.open("MANIFEST", Access::Read).unwrap();
    assert_eq!(disk.crash(Unsynced::Dropped).names(), ["MANIFEST"]);

    let (lying, disk) = told(Lie::HiddenAlignment);
    disk.align_logs(512);
    assert_eq!((lying.open_log("a").unwrap().alignment(), disk.open_log("a").unwrap().alignment()), (1, 512));
}
