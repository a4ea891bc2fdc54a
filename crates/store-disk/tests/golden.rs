//! Directories as version 1 wrote them: every later version opens them and shows what they held, and this version still writes
//! the same bytes.
//!
//! `MAINSPRING_BLESS=1 cargo test -p mainspring-store-disk --test golden` writes `tests/golden` anew. Do that while the format
//! of a version is being made, and never for one that was released: a new format gets directories of its own.
//!
//! All are made from `v1-empty`, so that the ids of store and lineage are the same every time.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking, as the test does")]

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures_util::StreamExt;
use mainspring_conformance::ManualClock;
use mainspring_conformance::Seed;
use mainspring_event::{
    Category, EventId, Metadata, MetadataValue, NewEvent, Position, StoredEvent, StreamName, Tag, TraceContext, Version,
};
use mainspring_store::{
    Append, Check, EventStore, Query, QueryItem, Read, ReadError, Retained, Retention, Scope, StreamChange,
};
use mainspring_store_disk::{DiskStore, FindingKind, Options, verify};
use serde_json::{Value, json};

/// Every stream that a directory may hold.
const STREAMS: [&str; 6] = ["a-1", "a-2", "b-1", "b-2", "$r-1", "gone-1"];

const SEGMENT: u64 = 8192;

/// A directory that is kept.
struct Golden {
    name: &'static str,
    /// What is appended to the empty store, from first to last.
    appends: fn(&mut Seed) -> Vec<Append>,
    /// What is done to the directory of the open store instead of closing it.
    torn: bool,
}

const GOLDEN: [Golden; 4] = [
    Golden { name: "v1-closed", appends: a_few, torn: false },
    Golden { name: "v1-torn", appends: a_few, torn: true },
    Golden { name: "v1-segments", appends: many, torn: false },
    Golden { name: "v1-retention", appends: retained, torn: false },
];

fn event(seed: &mut Seed, name: &str, payload: usize) -> NewEvent {
    let id = [seed.draw().to_be_bytes(), seed.draw().to_be_bytes()].concat();
    let payload: Vec<u8> = (0..payload).map(|_| (seed.draw() >> 32) as u8).collect();
    NewEvent {
        id: EventId::from_bytes(id.try_into().unwrap()),
        time: jiff::Timestamp::from_second(-500).unwrap(),
        ..NewEvent::json(StreamName::new(name).unwrap(), "Happened".parse().unwrap(), payload)
    }
}

/// Everything that an event can say.
fn full(seed: &mut Seed) -> NewEvent {
    let mut metadata = Metadata::default();
    metadata.correlation = Some(EventId::derived(&["correlation"]));
    metadata.causation = Some(EventId::derived(&["causation"]));
    metadata.trace = Some(TraceContext { traceparent: "00-1-2-01".into(), tracestate: Some("x=1".into()) });
    metadata.user = Some("ada".into());
    metadata.tenant = Some("zürich".into());
    metadata.insert("subject", MetadataValue::Text("Ω".into())).unwrap();
    metadata.insert("retries", MetadataValue::Integer(-3)).unwrap();
    metadata.insert("test", MetadataValue::Boolean(true)).unwrap();
    NewEvent {
        event_type: "Opened".parse().unwrap(),
        schema_version: 7,
        source: "elsewhere".parse().unwrap(),
        content_type: "text/plain".into(),
        tags: ["k:1", "l:two"].map(|tag| Tag::parse(tag).unwrap()).into(),
        metadata,
        ..event(seed, "a-1", 11)
    }
}

fn a_few(seed: &mut Seed) -> Vec<Append> {
    vec![
        Append::new([event(seed, "a-1", 0)]),
        Append::new([full(seed), event(seed, "b-1", 40), event(seed, "$r-1", 3)]),
        Append::new([event(seed, "a-2", 120)]),
    ]
}

fn many(seed: &mut Seed) -> Vec<Append> {
    let tag = |number: u64| Tag::parse(format!("k:{}", number % 3)).unwrap();
    (0..24)
        .map(|number| {
            let size = seed.within(1..=4);
            Append::new((0..size).map(|at| {
                let name = STREAMS[seed.index(5)];
                let tags = if name.starts_with('$') { Vec::new() } else { vec![tag(number + at)] };
                NewEvent { tags, ..event(seed, name, 120) }
            }))
        })
        .collect()
}

fn retained(seed: &mut Seed) -> Vec<Append> {
    let stream = |name: &str| StreamName::new(name).unwrap();
    let count = |count| Retention { max_count: Some(count), max_age: None };
    let mut appends = many(seed);
    appends.push(Append::new([event(seed, "gone-1", 9)]));
    let aged = Retention { max_count: None, max_age: Some(Duration::from_secs(25)) };
    let changes = [
        StreamChange::Retain { target: Retained::Stream(stream("$r-1")), retention: count(1) },
        StreamChange::Retain { target: Retained::Category(Category::new("b").unwrap()), retention: count(2) },
        StreamChange::Retain { target: Retained::Stream(stream("a-2")), retention: aged },
        StreamChange::TruncateBefore { stream: stream("a-1"), version: Version(4) },
        StreamChange::Tombstone { stream: stream("gone-1") },
    ];
    appends.extend(changes.map(|change| Append::default().change(change)));
    appends.extend(many(seed).into_iter().take(3));
    appends
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(jiff::Timestamp::from_second(1_000_000_000).unwrap()))
}

fn open(directory: &Path, clock: &Arc<ManualClock>) -> DiskStore {
    let options = Options::default().segment_bytes(SEGMENT).clock(clock.clone()).replayable();
    options.open(directory).unwrap_or_else(|error| panic!("{error:?}"))
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// The files of a directory without the lock, which names a process.
fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
    let named = entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()));
    named.filter(|(name, _)| name != "LOCK").collect()
}

fn write(directory: &Path, files: &BTreeMap<String, Vec<u8>>) {
    fs::create_dir_all(directory).unwrap();
    for (name, content) in files {
        fs::write(directory.join(name), content).unwrap();
    }
}

fn copy_of(name: &str) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    write(copy.path(), &files(&golden(name)));
    copy
}

/// Makes the files of a directory from the empty one.
fn make(golden: &Golden) -> BTreeMap<String, Vec<u8>> {
    let (directory, clock, mut seed) = (copy_of("v1-empty"), clock(), Seed::new(1));
    let store = open(directory.path(), &clock);
    block_on(async {
        for append in (golden.appends)(&mut seed) {
            store.append(append).await.unwrap();
            clock.advance(Duration::from_secs(1));
        }
    });
    if !golden.torn {
        store.close().unwrap();
        return files(directory.path());
    }
    let mut files = files(directory.path());
    files.retain(|name, _| !name.ends_with(".new"));
    let (_, log) = files.iter_mut().rfind(|(name, _)| name.ends_with(".log")).unwrap();
    let end = (log.iter().rposition(|byte| *byte != 0).unwrap() + 1).next_multiple_of(8);
    // Half a frame that was never acknowledged.
    log.truncate(end);
    log.extend_from_within(64..164);
    log.extend_from_slice(&[0; 300]);
    files
}

/// What a store shows.
async fn listing(store: &DiskStore) -> Value {
    let names = STREAMS.map(|name| StreamName::new(name).unwrap());
    let internal = Scope::Streams(names.iter().filter(|name| name.is_internal()).cloned().collect());
    let items = [Scope::Everywhere, internal].map(|scope| QueryItem { scope, ..QueryItem::default() });
    let all = shown(store, Query::Items(items.into())).await.unwrap();
    let mut streams = serde_json::Map::new();
    for name in names {
        let versions = match shown(store, Query::stream(name.clone())).await {
            Ok(events) => events.iter().map(|event| json!(event.version)).collect(),
            Err(ReadError::Tombstoned { .. }) => json!("tombstoned"),
            Err(error) => panic!("{error:?}"),
        };
        streams.insert(name.to_string(), versions);
    }
    let head = store.info().await.unwrap().head;
    json!({ "head": head, "streams": streams, "events": all.iter().map(described).collect::<Vec<_>>() })
}

async fn shown(store: &DiskStore, query: Query) -> Result<Vec<StoredEvent>, ReadError> {
    let mut batches = store.read(Read::new(query));
    let mut events = Vec::new();
    while let Some(batch) = batches.next().await {
        events.extend(batch?.iter().map(|event| event.to_stored().unwrap()));
    }
    Ok(events)
}

fn described(stored: &StoredEvent) -> Value {
    let StoredEvent { event, version, position, recorded } = stored;
    let payload: String = event.payload.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut described = json!({
        "position": position,
        "stream": event.stream,
        "version": version,
        "recorded": recorded.to_string(),
        "id": event.id.to_string(),
        "type": event.event_type,
        "schema": event.schema_version,
        "time": event.time.to_string(),
        "source": event.source,
        "content": event.content_type,
        "tags": event.tags,
        "payload": payload,
    });
    if event.metadata != Metadata::default() {
        described["metadata"] = json!(format!("{:?}", event.metadata));
    }
    described
}

fn listing_file(name: &str) -> PathBuf {
    golden(name).with_extension("json")
}

/// Writes everything anew if that was asked for, once and before any test looks.
fn blessed() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        if env::var_os("MAINSPRING_BLESS").is_none() {
            return;
        }
        if golden("").exists() {
            fs::remove_dir_all(golden("")).unwrap();
        }
        let empty = tempfile::tempdir().unwrap();
        open(empty.path(), &clock()).close().unwrap();
        write(&golden("v1-empty"), &files(empty.path()));
        for one in &GOLDEN {
            write(&golden(one.name), &make(one));
            let copy = copy_of(one.name);
            let listed = block_on(async { listing(&open(copy.path(), &late())).await });
            fs::write(listing_file(one.name), serde_json::to_string_pretty(&listed).unwrap() + "\n").unwrap();
        }
    });
}

/// A clock at a later time, at which some events are too old.
fn late() -> Arc<ManualClock> {
    let clock = clock();
    clock.advance(Duration::from_secs(40));
    clock
}

#[test]
fn what_version_1_wrote_is_shown_as_it_was() {
    blessed();
    for Golden { name, torn, .. } in &GOLDEN {
        let expected: Value = serde_json::from_slice(&fs::read(listing_file(name)).unwrap()).unwrap();
        let copy = copy_of(name);
        let found = verify(copy.path()).unwrap();
        let as_written = found.findings.iter().all(|finding| finding.kind == FindingKind::TornEnd);
        assert!(as_written, "{name}: {found:?}");
        assert_eq!(found.torn_bytes > 0, *torn, "{name}: {found:?}");
        block_on(async {
            let read_only = Options::default().clock(late()).open_read_only(copy.path()).unwrap();
            assert_eq!(listing(&read_only).await, expected, "{name}, read only");
            drop(read_only);
            let store = open(copy.path(), &late());
            assert_eq!(listing(&store).await, expected, "{name}");
            goes_on(&store, &expected).await;
            store.close().unwrap();
        });
        let found = verify(copy.path()).unwrap();
        assert!(found.is_intact() && found.torn_bytes == 0, "{name}: {found:?}");
    }
}

/// A store of an earlier version takes more, and knows what it holds.
async fn goes_on(store: &DiskStore, expected: &Value) {
    let mut seed = Seed::new(1);
    let first = a_few(&mut seed).remove(0);
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
    for one in GOLDEN.iter().filter(|one| !one.torn) {
        let (expected, made) = (files(&golden(one.name)), make(one));
        assert!(expected.keys().eq(made.keys()), "{}: {:?}", one.name, made.keys());
        for (file, content) in &expected {
            let differs = content.iter().zip(&made[file]).position(|(one, other)| one != other);
            assert_eq!((differs, content.len()), (None, made[file].len()), "{}/{file}", one.name);
        }
    }
}
