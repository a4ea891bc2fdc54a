//! Freeing space in a real directory: it becomes smaller, whatever goes on meanwhile, and nothing else changes.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking, as the test does")]

mod beside;

use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use mainspring_conformance::ManualClock;
use mainspring_event::{Category, NewEvent, Position, StoredEvent, StreamName, Tag, Version};
use mainspring_store::{
    Append, AppendError, Check, EventStore, Expected, Query, Read, ReadError, ReadFrom, Restore, Retained, Retention,
    StreamChange,
};
use mainspring_store_disk::{DiskStore, Options, ScavengeError, verify};
use tempfile::TempDir;

const SEGMENT: u64 = 8192;

/// A machine under load may take long.
const PATIENCE: Duration = Duration::from_secs(60);

fn options() -> Options {
    Options::default().segment_bytes(SEGMENT).scavenge_when_called()
}

fn open(directory: &TempDir) -> DiskStore {
    options().open(directory.path()).unwrap()
}

fn stream(name: &str) -> StreamName {
    StreamName::new(name).unwrap()
}

fn event(name: &str) -> NewEvent {
    NewEvent::json(stream(name), "Happened".parse().unwrap(), vec![b'7'; 120])
}

fn newest(target: Retained, count: u64) -> Append {
    Append::default()
        .change(StreamChange::Retain { target, retention: Retention { max_count: Some(count), max_age: None } })
}

fn category(name: &str) -> Retained {
    Retained::Category(Category::new(name).unwrap())
}

async fn events(store: &DiskStore, read: Read) -> Vec<StoredEvent> {
    let mut batches = store.read(read);
    let mut events = Vec::new();
    while let Some(batch) = batches.next().await {
        events.extend(batch.unwrap().iter().map(|event| event.to_stored().unwrap()));
    }
    events
}

async fn all(store: &DiskStore) -> Vec<StoredEvent> {
    events(store, Read::new(Query::All)).await
}

fn files(directory: &Path, ending: &str) -> Vec<(String, u64)> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
    // A file may be removed while they are counted.
    let named = entries.filter_map(|entry| {
        let name = entry.file_name().into_string().unwrap();
        entry.metadata().ok().map(|metadata| (name, metadata.len()))
    });
    named.filter(|(name, _)| name.ends_with(ending)).collect()
}

fn bytes(directory: &Path) -> u64 {
    files(directory, ".log").iter().chain(&files(directory, ".idx")).map(|(_, bytes)| bytes).sum()
}

/// Closes the store, deletes its indexes, and opens it again.
fn reopen_without_indexes(store: DiskStore, directory: &TempDir) -> DiskStore {
    // A task may still hold a store that was only dropped.
    store.close().unwrap();
    drop(store);
    for (name, _) in files(directory.path(), ".idx") {
        fs::remove_file(directory.path().join(name)).unwrap();
    }
    open(directory)
}

#[tokio::test]
async fn space_is_free_afterwards_and_the_files_stay_few() {
    let directory = TempDir::new().unwrap();
    // The index of a segment is there as soon as the segment is full, so that all files can be counted.
    let store = options().replayable().open(directory.path()).unwrap();
    store.append(newest(category("a"), 2)).await.unwrap();
    for round in 0..40 {
        for number in 0..10 {
            store.append(Append::new([event(&format!("a-{number}"))])).await.unwrap();
        }
        store.append(Append::new([event("b-1")])).await.unwrap();
        if round % 8 == 7 {
            let (before, shown) = (bytes(directory.path()), all(&store).await);
            let done = store.scavenge().await.unwrap();
            assert!(done.events > 0 && done.rewritten > 0, "{done:?}");
            assert_eq!(before - bytes(directory.path()), done.bytes, "{done:?}");
            assert_eq!(all(&store).await, shown);
        }
    }
    let shown = all(&store).await;
    assert_eq!(shown.len(), 40 + 20);
    let kept: u64 = files(directory.path(), ".log").iter().map(|(_, bytes)| *bytes).sum();
    let segments = files(directory.path(), ".log").len() as u64;
    assert!(segments <= 2 * kept.div_ceil(SEGMENT) + 2, "{segments} segments of {SEGMENT} for {kept} bytes");
    let again = store.scavenge().await.unwrap();
    assert_eq!((again.events, again.bytes), (0, 0), "{again:?}");
    drop(store);
    assert!(verify(directory.path()).unwrap().is_intact());
    assert_eq!(all(&open(&directory)).await, shown);
}

#[tokio::test]
async fn a_stream_without_events_keeps_its_head_in_the_log_alone() {
    let directory = TempDir::new().unwrap();
    let mut store = open(&directory);
    for number in 0..200 {
        store.append(Append::new([event(&format!("a-{number}")), event("c-1")])).await.unwrap();
    }
    store.append(newest(category("a"), 0)).await.unwrap();
    let done = store.scavenge().await.unwrap();
    assert!(done.events > 150, "{done:?}");
    for _ in 0..3 {
        store = reopen_without_indexes(store, &directory);
        for number in [0, 1, 57, 100, 150] {
            let name = stream(&format!("a-{number}"));
            let none = store.append(Append::default().expect(name.clone(), Expected::NoStream)).await;
            assert!(matches!(none, Err(AppendError::Conflict(_))), "{number}: {none:?}");
            store.append(Append::default().expect(name.clone(), Expected::Exactly(Version(1)))).await.unwrap();
            let gone = store.read(Read::new(Query::stream(name)).from(ReadFrom::Version(Version(1)))).next().await;
            assert!(matches!(gone, Some(Err(ReadError::Truncated { first: Version(2), .. }))), "{gone:?}");
        }
        // What is there is written again when more can be removed, and what was known of streams with it.
        let truncate = StreamChange::TruncateBefore { stream: stream("c-1"), version: Version(20) };
        store.append(Append::new([event("c-1")]).change(truncate)).await.unwrap();
        store.scavenge().await.unwrap();
    }
    let next = store.append(Append::new([event("a-57")])).await.unwrap();
    assert_eq!(next.written[0].version, Version(2));
    drop(store);
    assert!(verify(directory.path()).unwrap().is_intact());
}

#[tokio::test]
async fn a_relaxed_rule_shows_no_holes() {
    let directory = TempDir::new().unwrap();
    let store = options().segment_bytes(2048).scavenge_every(Duration::from_secs(3600)).open(directory.path()).unwrap();
    // The first segment has much that is kept and is not worth it; the later ones are.
    store.append(Append::new([event("a-1"), event("a-1"), event("b-1"), event("b-1"), event("b-1")])).await.unwrap();
    for _ in 0..20 {
        store.append(Append::new((0..4).map(|_| event("a-1")))).await.unwrap();
    }
    store.append(newest(Retained::Stream(stream("a-1")), 3)).await.unwrap();
    let before = files(directory.path(), ".log").len();
    // Going on in the next segment is when space is freed.
    store.append(Append::new((0..12).map(|_| event("c-1")))).await.unwrap();
    store.append(Append::new((0..12).map(|_| event("c-1")))).await.unwrap();
    let deadline = Instant::now() + PATIENCE;
    while files(directory.path(), ".log").len() + 10 > before {
        assert!(Instant::now() < deadline, "no space is freed");
        tokio::task::yield_now().await;
    }
    assert!(directory.path().join("00000001.log").exists(), "this one is not worth it");
    let everything = Retention { max_count: None, max_age: None };
    let target = Retained::Stream(stream("a-1"));
    store.append(Append::default().change(StreamChange::Retain { target, retention: everything })).await.unwrap();
    let check = |shown: Vec<StoredEvent>| {
        let versions: Vec<_> = shown.iter().map(|event| event.version.0).collect();
        assert_eq!(versions.last(), Some(&82));
        assert!(versions.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{versions:?}");
    };
    let read = || Read::new(Query::stream(stream("a-1")));
    check(events(&store, read()).await);
    let store = reopen_without_indexes(store, &directory);
    check(events(&store, read()).await);
}

#[tokio::test]
async fn what_is_too_old_goes_by_the_clock_of_the_store() {
    let directory = TempDir::new().unwrap();
    let clock = Arc::new(ManualClock::at(jiff::Timestamp::from_second(1_000_000_000).unwrap()));
    let store = options().clock(clock.clone()).open(directory.path()).unwrap();
    let (target, hour) = (category("a"), Duration::from_secs(3600));
    let retention = Retention { max_count: None, max_age: Some(hour) };
    store.append(Append::default().change(StreamChange::Retain { target, retention })).await.unwrap();
    for _ in 0..100 {
        store.append(Append::new([event("a-1")])).await.unwrap();
        clock.advance(Duration::from_secs(60));
    }
    let done = store.scavenge().await.unwrap();
    // The segment that is being written is left alone.
    assert!((25..=40).contains(&done.events), "{done:?}");
    assert_eq!(all(&store).await.len(), 60);
    assert_eq!(store.info().await.unwrap().first.0, done.events + 1);
    clock.advance(hour * 2);
    store.scavenge().await.unwrap();
    assert_eq!(all(&store).await.len(), 0);
    let info = store.info().await.unwrap();
    assert!(info.first <= info.head && info.head == Position(100), "{info:?}");
}

#[tokio::test]
async fn reads_pass_the_place_of_segments_that_are_gone() {
    let directory = TempDir::new().unwrap();
    let mut store = open(&directory);
    for name in ["r-1", "b-1", "r-1", "b-2", "r-1"] {
        for _ in 0..100 {
            store.append(Append::new([event(name)])).await.unwrap();
        }
    }
    store.append(newest(Retained::Stream(stream("r-1")), 5)).await.unwrap();
    let done = store.scavenge().await.unwrap();
    assert!(done.removed > 4, "{done:?}");
    let kept: Vec<u64> = (101..=200).chain(301..=400).chain(496..=500).collect();
    for _ in 0..2 {
        for from in [0, 1, 50, 99, 100, 150, 200, 250, 300, 495] {
            let positions = |events: Vec<StoredEvent>| events.iter().map(|event| event.position.0).collect::<Vec<_>>();
            let above = Read::new(Query::All).from(ReadFrom::After(Position(from)));
            let expected: Vec<_> = kept.iter().copied().filter(|position| *position > from).collect();
            assert_eq!(positions(events(&store, above.clone()).await), expected, "above {from}");
            let expected: Vec<_> = kept.iter().rev().copied().filter(|position| *position < from).collect();
            assert_eq!(positions(events(&store, above.backwards()).await), expected, "below {from}");
        }
        assert!(store.info().await.unwrap().first.0 > 50);
        store = reopen_without_indexes(store, &directory);
    }
}

#[tokio::test]
async fn an_id_is_unknown_once_its_event_is_gone() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory);
    let (kept, gone) = (event("b-1"), event("a-1"));
    store.append(Append::new([kept.clone()])).await.unwrap();
    store.append(Append::new([gone.clone()])).await.unwrap();
    for _ in 0..100 {
        store.append(Append::new([event("a-1")])).await.unwrap();
    }
    store.append(newest(Retained::Stream(stream("a-1")), 1)).await.unwrap();
    store.scavenge().await.unwrap();
    assert_eq!(store.append(Append::new([kept])).await.unwrap().position, Position(1));
    assert_eq!(store.append(Append::new([gone])).await.unwrap().position, Position(103), "it is a new event");
}

#[tokio::test]
async fn a_decision_over_what_is_gone_is_stale_for_ever() {
    let directory = TempDir::new().unwrap();
    let mut store = open(&directory);
    for _ in 0..100 {
        let tags = vec![Tag::parse("k:1").unwrap()];
        store.append(Append::new([NewEvent { tags, ..event("a-1") }, event("b-1")])).await.unwrap();
    }
    let truncate = StreamChange::TruncateBefore { stream: stream("a-1"), version: Version(51) };
    store.append(Append::default().change(truncate)).await.unwrap();
    store.scavenge().await.unwrap();
    for _ in 0..2 {
        let unless = |after: u64| {
            let query = Query::tags([Tag::parse("k:2").unwrap()]);
            Append::default().check(Check::NoMatch { query, after: Some(Position(after)) })
        };
        let stale = store.append(unless(98)).await;
        assert!(matches!(stale, Err(AppendError::Stale { floor: Position(99) })), "{stale:?}");
        store.append(unless(99)).await.expect("at the floor everything that counts is there");
        store = reopen_without_indexes(store, &directory);
    }
}

#[tokio::test]
async fn a_history_with_holes_can_be_copied() {
    let (directory, copy) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let store = open(&directory);
    for _ in 0..60 {
        store.append(Append::new([event("a-1"), event("b-1"), event("a-1"), event("c-1")])).await.unwrap();
    }
    store.append(newest(Retained::Stream(stream("a-1")), 5)).await.unwrap();
    store.scavenge().await.unwrap();
    let history = all(&store).await;
    let copied = options().open(copy.path()).unwrap();
    for part in history.chunks(50) {
        copied.restore(part.to_vec()).await.unwrap();
    }
    assert_eq!(all(&copied).await, history);
}

#[tokio::test]
async fn damage_in_a_compacted_segment_is_found_and_nothing_of_it_is_removed() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory);
    for _ in 0..120 {
        store.append(Append::new([event("a-1"), event("b-1")])).await.unwrap();
    }
    store.append(newest(Retained::Stream(stream("a-1")), 5)).await.unwrap();
    store.scavenge().await.unwrap();
    drop(store);
    let compacted = files(directory.path(), ".log").into_iter().filter(|(name, _)| name.contains('-'));
    let (name, length) = compacted.min().unwrap();
    let path = directory.path().join(&name);
    let whole = fs::read(&path).unwrap();
    let mut harmless = 0;
    for at in (0..usize::try_from(length).unwrap()).step_by(5) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        fs::write(&path, bytes).unwrap();
        harmless += usize::from(verify(directory.path()).unwrap().is_intact());
    }
    // Only the zeros between a frame's last record and the next frame are not looked at.
    assert!(harmless < whole.len() / 5 / 40, "{harmless} of {} changes are not found", whole.len() / 5);
    fs::write(&path, &whole[..whole.len() - 8]).unwrap();
    assert!(!verify(directory.path()).unwrap().is_intact());
    let mut bytes = whole;
    let payload = bytes.windows(60).position(|window| window == [b'7'; 60]).unwrap();
    bytes[payload] = b'8';
    fs::write(&path, &bytes).unwrap();
    let store = open(&directory);
    store.append(newest(Retained::Stream(stream("b-1")), 110)).await.unwrap();
    let refused = store.scavenge().await;
    assert!(matches!(refused, Err(ScavengeError::Damaged(_))), "{refused:?}");
    assert_eq!(fs::read(&path).unwrap(), bytes);
    fs::remove_file(&path).unwrap();
    assert!(!verify(directory.path()).unwrap().is_intact());
}
