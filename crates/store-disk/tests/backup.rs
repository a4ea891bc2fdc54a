//! Backups of a real directory: while it is written, with files that have two names, and of histories that parted.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_util::StreamExt;
use mainspring_event::{NewEvent, StoredEvent};
use mainspring_store::{Append, EventStore, Query, Read};
use mainspring_store_disk::{BackupError, DiskStore, OpenError, Options, restore_backup, verify};
use tempfile::TempDir;

fn noted(stream: &str) -> Append {
    let payload = format!(r#"{{"text":"{}"}}"#, "x".repeat(100));
    Append::new([NewEvent::json(stream.parse().expect("a name"), "Noted".parse().expect("a name"), payload)])
}

fn open(directory: &Path) -> DiskStore {
    Options::default().segment_bytes(16 << 10).open(directory).expect("it opens")
}

async fn append(store: &DiskStore, events: usize) {
    for number in 0..events {
        store.append(noted(["a-1", "b-1"][number % 2])).await.expect("appended");
    }
}

async fn everything(store: &DiskStore) -> Vec<StoredEvent> {
    let mut batches = store.read(Read::new(Query::All));
    let mut events = Vec::new();
    while let Some(batch) = batches.next().await {
        events.extend(batch.expect("readable").iter().map(|event| event.to_stored().expect("valid names")));
    }
    events
}

async fn held(directory: &Path) -> Vec<StoredEvent> {
    let found = verify(directory).expect("it can be verified");
    assert!(found.is_intact() && found.torn_bytes == 0, "{found:?}");
    everything(&DiskStore::open_read_only(directory).expect("a backup can be read")).await
}

/// The content of every file but the lock.
fn content(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let files = fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry").path());
    let name = |path: &Path| path.file_name().expect("a name").to_str().expect("of ASCII").to_owned();
    let mut files: Vec<_> = files.map(|path| (name(&path), fs::read(&path).expect("readable"))).collect();
    files.retain(|(name, _)| name != "LOCK");
    files.sort();
    files
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_backup_taken_while_four_tasks_append_is_a_prefix() {
    let home = TempDir::new().expect("a directory");
    let (directory, backup) = (home.path().join("store"), home.path().join("backup"));
    let store = open(&directory);
    let stop = Arc::new(AtomicBool::new(false));
    let appenders: Vec<_> = (0..4)
        .map(|number| {
            let (store, stop) = (store.clone(), stop.clone());
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    store.append(noted(&format!("a-{number}"))).await.expect("appended");
                }
            })
        })
        .collect();
    // From this process and, as another one would, from a handle that only reads.
    let reader = DiskStore::open_read_only(&directory).expect("a second handle");
    let mut copies = Vec::new();
    let mut last = 0;
    while copies.len() < 12 {
        let source = if copies.len() % 2 == 0 { store.clone() } else { reader.clone() };
        let target = backup.clone();
        let taken = tokio::task::spawn_blocking(move || source.backup(target)).await.expect("no panic");
        // The reader may be a little behind what was backed up before.
        if matches!(taken, Err(BackupError::Ahead { .. })) && copies.len() % 2 == 1 {
            continue;
        }
        let report = taken.expect("backed up");
        if report.position.0 < last + 40 {
            continue;
        }
        last = report.position.0;
        let found = held(&backup).await;
        assert_eq!(found.len() as u64, last, "it holds exactly what was reported");
        copies.push(found);
    }
    stop.store(true, Ordering::Relaxed);
    for appender in appenders {
        appender.await.expect("no appender failed");
    }
    let all = everything(&store).await;
    for copy in &copies {
        assert_eq!(copy.as_slice(), &all[..copy.len()]);
    }
    assert!(store.stats().expect("readable").segments.len() > 4, "the log went on in other segments");
}

#[tokio::test]
async fn full_segments_are_shared_and_the_last_one_never() {
    let home = TempDir::new().expect("a directory");
    let (directory, backup, copy) = (home.path().join("store"), home.path().join("backup"), home.path().join("copy"));
    let store = open(&directory);
    append(&store, 200).await;
    let first = store.backup(&backup).expect("backed up");
    assert!(first.linked > 1 && first.copied == 1, "{first:?}");
    append(&store, 200).await;
    let more = store.backup(&backup).expect("brought up to date");
    assert!(more.kept == first.linked && more.linked > 1 && more.copied == 1, "{more:?}");
    let file = |directory: &Path, name: &str| fs::metadata(directory.join(name)).expect("a file").ino();
    let last = format!("{:08}.log", more.kept + more.linked + 1);
    assert_eq!(file(&directory, "00000001.log"), file(&backup, "00000001.log"));
    assert_ne!(file(&directory, &last), file(&backup, &last));

    let (before, expected) = (content(&backup), everything(&store).await);
    let restored = restore_backup(&backup, &copy).expect("restored");
    assert_eq!((restored.position, restored.copied), (more.position, 1));
    assert_ne!(file(&copy, &last), file(&backup, &last));
    let other = open(&copy);
    assert_eq!(everything(&other).await, expected);
    append(&other, 200).await;
    drop(other);
    append(&store, 50).await;
    assert_eq!(content(&backup), before, "neither store writes into the backup");
    assert_eq!(held(&backup).await, expected);
}

#[tokio::test]
async fn a_restored_store_is_another_lineage_with_the_same_events() {
    let home = TempDir::new().expect("a directory");
    let (directory, backup, copy) = (home.path().join("store"), home.path().join("backup"), home.path().join("copy"));
    let store = open(&directory);
    let known = noted("a-1");
    let original = store.append(known.clone()).await.expect("appended");
    append(&store, 20).await;
    store.backup(&backup).expect("backed up");
    let before = store.info().await.expect("readable");
    let held = DiskStore::open_read_only(&backup).expect("a backup can be read").info().await.expect("readable");
    assert_eq!(format!("{held:?}"), format!("{before:?}"), "a backup is the same store and lineage");

    restore_backup(&backup, &copy).expect("restored");
    let other = open(&copy);
    let after = other.info().await.expect("readable");
    assert!(after.store == before.store && after.head == before.head && after.lineage != before.lineage);
    assert_eq!(other.append(known).await.expect("its id is known").position, original.position);
    let checkpoint = before.checkpoint(before.head);
    assert!(after.admits(&checkpoint).is_err() && held.admits(&checkpoint).is_ok());

    let refused = other.backup(&backup).expect_err("it is another lineage");
    assert!(matches!(refused, BackupError::Other { what: "another lineage of this store", .. }), "{refused}");
}

#[tokio::test]
async fn what_is_no_backup_of_this_history_is_left_alone() {
    let home = TempDir::new().expect("a directory");
    let path = |name: &str| home.path().join(name);
    let store = open(&path("store"));
    append(&store, 60).await;
    store.backup(path("backup")).expect("backed up");

    let other = open(&path("other"));
    append(&other, 3).await;
    fs::create_dir(path("notes")).expect("a directory");
    fs::write(path("notes/todo"), "buy milk").expect("a file");
    for (name, expected) in [("store", "an event store"), ("other", "an event store"), ("notes", "files that")] {
        let before = content(&path(name));
        let refused = store.backup(path(name)).expect_err("it is no backup");
        assert!(matches!(&refused, BackupError::Occupied { what, .. } if what.starts_with(expected)), "{refused}");
        let refused = restore_backup(path("backup"), path(name)).expect_err("it is not empty");
        assert!(matches!(&refused, BackupError::Occupied { what, .. } if what.starts_with(expected)), "{refused}");
        assert_eq!(content(&path(name)), before);
    }
    assert!(!path("notes/LOCK").exists(), "not even a lock is left there");
    let refused = other.backup(path("backup")).expect_err("it is of another store");
    assert!(matches!(refused, BackupError::Other { what: "another store", .. }), "{refused}");
    let refused = restore_backup(path("backup"), path("backup")).expect_err("it is the backup itself");
    assert!(matches!(refused, BackupError::Busy { .. } | BackupError::Occupied { .. }), "{refused}");
    let refused = restore_backup(path("store"), path("new")).expect_err("it is no backup");
    assert!(matches!(refused, BackupError::NotABackup { .. }) && !path("new").exists(), "{refused}");
    let refused = restore_backup(path("nowhere"), path("new")).expect_err("there is nothing");
    assert!(matches!(refused, BackupError::Open(OpenError::Missing { .. })) && !path("new").exists(), "{refused}");
}

/// A directory that was copied back by hand has the same lineage, but it went another way: in the segment that the backup
/// holds as its last, or in one before it.
#[tokio::test]
async fn a_store_that_lost_events_does_not_take_them_from_its_backup() {
    for more in [10, 100] {
        let home = TempDir::new().expect("a directory");
        let path = |name: &str| home.path().join(name);
        let store = open(&path("store"));
        append(&store, 60).await;
        store.close().expect("closed");
        fs::create_dir(path("old")).expect("a directory");
        for (name, bytes) in content(&path("store")) {
            fs::write(path("old").join(name), bytes).expect("a copy");
        }
        let store = open(&path("store"));
        append(&store, more).await;
        store.backup(path("backup")).expect("backed up");
        let before = content(&path("backup"));

        let old = open(&path("old"));
        let refused = old.backup(path("backup")).expect_err("it lacks events");
        let ends = (60 + more as u64, 60);
        assert!(
            matches!(refused, BackupError::Ahead { backup, store, .. } if (backup.0, store.0) == ends),
            "{refused}"
        );
        append(&old, 200).await;
        let refused = old.backup(path("backup")).expect_err("its events are others");
        let other = matches!(refused, BackupError::Other { what: "another history of this store", .. });
        assert!(other, "{more} more: {refused}");
        assert_eq!(content(&path("backup")), before);
    }
}

#[tokio::test]
async fn two_backups_into_one_directory_wait_for_each_other() {
    let home = TempDir::new().expect("a directory");
    let path = |name: &str| home.path().join(name);
    let store = open(&path("store"));
    append(&store, 3).await;
    store.backup(path("backup")).expect("backed up");
    let lock = fs::File::open(path("backup").join("LOCK")).expect("its lock");
    lock.lock().expect("free");
    let refused = store.backup(path("backup")).expect_err("another one is under way");
    assert!(matches!(refused, BackupError::Busy { .. }), "{refused}");
    let refused = restore_backup(path("backup"), path("new")).expect_err("it is being changed");
    assert!(matches!(refused, BackupError::Busy { .. }), "{refused}");
    lock.unlock().expect("held");
    store.backup(path("backup")).expect("it is free");
}

#[tokio::test]
async fn an_empty_store_and_a_backup_of_a_backup_are_nothing_special() {
    let home = TempDir::new().expect("a directory");
    let path = |name: &str| home.path().join(name);
    let store = open(&path("store"));
    assert_eq!(store.backup(path("backup")).expect("backed up").position.0, 0);
    assert_eq!(held(&path("backup")).await, []);
    append(&store, 90).await;
    store.backup(path("backup")).expect("brought up to date");
    let backup = DiskStore::open_read_only(path("backup")).expect("readable");
    backup.backup(path("second")).expect("backed up");
    assert_eq!(held(&path("second")).await, everything(&store).await);
    restore_backup(path("second"), path("copy")).expect("restored");
    assert_eq!(everything(&open(&path("copy"))).await, everything(&store).await);
}
