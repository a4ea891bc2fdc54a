//! Directories as version 1 wrote them: every later version opens them and shows what they held, and this version still writes
//! the same bytes.
//!
//! `MAINSPRING_BLESS=1 cargo test -p mainspring-store-disk --test golden` writes those of this version anew. Do that while the
//! format of a version is being made, and never for one that was released: a new format gets directories of its own.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking, as the test does")]

mod history;
mod made;
mod shown;

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use mainspring_conformance::{ManualClock, Seed};
use mainspring_event::Position;
use mainspring_store::{Append, Check, EventStore, Query};
use mainspring_store_disk::{FindingKind, OpenError, Options, restore_backup, verify};
use serde_json::{Value, json};
use tempfile::TempDir;

use history::{a_few, event};
use made::{GOLDEN, Golden, Left, clock, files, golden, make, open, write};
use shown::{listing, standing};

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn copy_of(name: &str) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    write(copy.path(), &files(&golden(name)));
    copy
}

/// A store that can be written: a copy of what is kept, or what a copy of the backup gives back.
fn writable(one: &Golden) -> TempDir {
    let copy = copy_of(one.name);
    if one.left != Left::BackedUp {
        return copy;
    }
    let refused = Options::default().open(copy.path()).map(drop);
    assert!(matches!(refused, Err(OpenError::Backup { .. })), "{refused:?}");
    let restored = tempfile::tempdir().unwrap();
    restore_backup(copy.path(), restored.path()).unwrap();
    restored
}

/// A clock at a later time, at which some events are too old.
fn late() -> Arc<ManualClock> {
    let clock = clock();
    clock.advance(Duration::from_secs(60));
    clock
}

/// Writes everything anew if that was asked for, once and before any test looks.
fn blessed() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        if env::var_os("MAINSPRING_BLESS").is_none() {
            return;
        }
        for entry in fs::read_dir(golden("")).unwrap().map(|entry| entry.unwrap()) {
            match entry.file_name().to_str() {
                Some(name) if !name.starts_with("v1-") => {}
                _ if entry.path().is_dir() => fs::remove_dir_all(entry.path()).unwrap(),
                _ => fs::remove_file(entry.path()).unwrap(),
            }
        }
        for one in &GOLDEN {
            write(&golden(one.name), &make(one));
            let copy = writable(one);
            let told = block_on(async {
                let store = open(copy.path(), one, &late());
                let mut told = listing(&store).await;
                told["standing"] = standing(&store).await;
                told
            });
            fs::write(listing_file(one.name), serde_json::to_string_pretty(&told).unwrap() + "\n").unwrap();
        }
    });
}

fn listing_file(name: &str) -> PathBuf {
    golden(name).with_extension("json")
}

#[test]
fn what_version_1_wrote_is_shown_as_it_was() {
    blessed();
    for one in &GOLDEN {
        let name = one.name;
        let mut expected: Value = serde_json::from_slice(&fs::read(listing_file(name)).unwrap()).unwrap();
        let stands = expected.as_object_mut().unwrap().remove("standing").unwrap();
        let kept = copy_of(name);
        checked(kept.path(), one.left == Left::Torn, name);
        let copy = writable(one);
        block_on(async {
            let read_only = Options::default().clock(late()).open_read_only(kept.path()).unwrap();
            assert_eq!(listing(&read_only).await, expected, "{name}, read only");
            drop(read_only);
            let store = open(copy.path(), one, &late());
            assert_eq!(listing(&store).await, expected, "{name}");
            assert_eq!(standing(&store).await, stands, "{name}");
            goes_on(&store, &expected).await;
            store.close().unwrap();
        });
        checked(copy.path(), false, name);
    }
}

/// A check finds nothing but, perhaps, a torn end.
fn checked(directory: &Path, torn: bool, name: &str) {
    let found = verify(directory).unwrap();
    let as_written = found.findings.iter().all(|finding| finding.kind == FindingKind::TornEnd);
    assert!(as_written, "{name}: {found:?}");
    assert_eq!(found.torn_bytes > 0, torn, "{name}: {found:?}");
}

/// A store of an earlier version takes more, and knows what it holds.
async fn goes_on(store: &impl EventStore, expected: &Value) {
    let first = a_few(&mut Seed::new(1)).remove(0);
    if expected["events"][0]["id"] == json!(first.events[0].id.to_string()) {
        assert_eq!(store.append(first).await.unwrap().position, Position(1), "its ids are known");
    }
    let nothing_since = Check::NoMatch { query: Query::All, after: Some(store.info().await.unwrap().head) };
    let appended = store.append(Append::new([event(&mut Seed::new(2), "b-2", 5)]).check(nothing_since)).await.unwrap();
    assert_eq!(json!(appended.position.0 - 1), expected["head"]);
}

#[test]
fn the_same_calls_write_the_same_bytes() {
    blessed();
    for one in GOLDEN.iter().filter(|one| one.left != Left::Torn) {
        let (expected, made) = (files(&golden(one.name)), make(one));
        assert!(expected.keys().eq(made.keys()), "{}: {:?}", one.name, made.keys());
        for (file, content) in &expected {
            let differs = content.iter().zip(&made[file]).position(|(one, other)| one != other);
            assert_eq!((differs, content.len()), (None, made[file].len()), "{}/{file}", one.name);
        }
    }
}

/// What a directory is kept for is in it.
#[test]
fn every_part_of_the_format_is_kept() {
    blessed();
    let manifest = |name: &str| -> Value {
        let text = fs::read_to_string(golden(name).join("MANIFEST")).unwrap();
        serde_json::from_str(text.lines().next().unwrap()).unwrap()
    };
    let runs = files(&golden("v1-runs")).into_iter().filter(|(name, _)| name.ends_with(".dir"));
    let mut levels: Vec<_> = runs.map(|(_, run)| run[12]).collect();
    levels.sort_unstable();
    levels.dedup();
    assert_eq!(levels, [0, 1]);

    let freed = manifest("v1-scavenged");
    assert!(freed["removed_tagged"].as_u64() > Some(0), "{freed}");
    let segments = freed["segments"].as_array().unwrap();
    let compacted: Vec<_> = segments.iter().filter_map(|segment| segment.get("compacted")).collect();
    assert!(compacted.iter().any(|file| file["generation"].is_null()), "a segment of which nothing is left: {freed}");
    assert!(compacted.iter().any(|file| file["generation"].is_u64()), "one that was written again: {freed}");
    assert!(
        segments.iter().filter(|segment| segment.get("compacted").is_none()).count() > 1,
        "one that was not: {freed}"
    );
    let emptied = b"\x05\x06\x00left-1";
    let logs = files(&golden("v1-scavenged"));
    assert!(logs.values().any(|log| log.windows(emptied.len()).any(|bytes| bytes == emptied)));

    let backup = manifest("v1-backup");
    assert!(backup["backup"]["position"].is_u64(), "{backup}");
}
