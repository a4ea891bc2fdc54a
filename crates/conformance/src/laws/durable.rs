//! Law 2: after `Ok` the events are there for every read, for ever, byte for byte.
//!
//! Power loss needs a simulated disk and SIGKILL a child process; both are tested with the store that has a disk.

use jiff::Timestamp;
use mainspring_event::{EventId, Metadata, MetadataValue, NewEvent, Position, Source, TraceContext, Version};
use mainspring_store::{
    Append, AppendError, Check, Conflict, Expected, Query, Read, ReadFrom, Retained, Retention, StreamChange,
};

use crate::{
    Backend,
    law::join,
    sample::{category, event, event_type, events, expecting, ids, stream, tag, tagged, with_payload, with_tags},
    subject::{Subject, collect, place},
};

/// Every read begun after the answer sees the events, from whichever task.
pub(crate) async fn a_read_begun_after_the_answer_sees_the_events(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let tasks = (0..4).map(|task| {
        let store = subject.store.clone();
        tokio::spawn(async move {
            for _ in 0..25 {
                let event = event(&format!("a-{task}"));
                let appended = store.append(Append::new([event.clone()])).await.expect("nothing stands against it");
                let found = collect(&*store, Read::new(Query::Ids(vec![event.id]))).await;
                assert_eq!(found.len(), 1, "an acknowledged event is visible");
                let head = store.info().await.expect("an open store knows its head").head;
                assert!(head >= appended.position, "the head {head} is behind an acknowledged event");
            }
        })
    });
    let tasks: Vec<_> = tasks.collect();
    join(tasks).await;
}

/// Every other handle sees the events at once, and writes into the same order.
pub(crate) async fn every_handle_sees_acknowledged_events(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let second = subject.second().await;
    for version in 1..=20 {
        let written = event("a-1");
        let appended = subject.write([written.clone()]).await;
        let seen = collect(&*second, Read::new(Query::All).from(ReadFrom::After(Position(version - 1)))).await;
        assert_eq!(ids(&seen), [written.id]);
        assert_eq!(second.info().await.expect("an open store knows its head").head, appended.position);
    }
    let appended =
        second.append(Append::new([event("a-1")]).expect(stream("a-1"), Expected::Exactly(Version(20)))).await;
    assert_eq!(appended.expect("the other handle knows the version").position, Position(21));
    assert_eq!(subject.all().await.len(), 21);
}

fn rich(name: &str, payload: &[u8]) -> NewEvent {
    let mut metadata = Metadata::default();
    metadata.correlation = Some(EventId::new());
    metadata.causation = Some(EventId::derived(&["cause", name]));
    metadata.trace = Some(TraceContext { traceparent: "00-0af7-b7ad-01".into(), tracestate: Some("vendor=ü".into()) });
    metadata.user = Some("Ада Лавлейс".into());
    metadata.tenant = Some(String::new());
    for (key, value) in [
        ("text", MetadataValue::Text("zero\0, quote\", newline\n, 🚂".into())),
        ("empty", MetadataValue::Text(String::new())),
        ("least", MetadataValue::Integer(i64::MIN)),
        ("most", MetadataValue::Integer(i64::MAX)),
        ("yes", MetadataValue::Boolean(true)),
        ("no", MetadataValue::Boolean(false)),
    ] {
        metadata.insert(key, value).expect("laws use valid metadata keys");
    }
    NewEvent {
        schema_version: u32::MAX,
        time: Timestamp::from_nanosecond(852_076_800_123_456_789).expect("a time in 1997"),
        source: Source::new("urn:example:käse?x=1#y").expect("laws use valid sources"),
        content_type: "application/octet-stream; x=\"ü\"".into(),
        tags: ["k:v", "k:v:with:colons", "k:", "schlüssel:wert 🚂", "k:v2"].map(tag).into(),
        event_type: event_type("Es ist passiert — 発生"),
        metadata,
        ..with_payload(name, payload.to_vec())
    }
}

/// Every field of an event comes back as it was written, whatever is in it.
pub(crate) async fn every_field_comes_back_as_it_was_written(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let every_byte: Vec<u8> = (0..=255).cycle().take(1_000).collect();
    let plain = NewEvent { content_type: "".into(), ..with_payload("a-1", "") };
    let repeated = NewEvent { tags: vec![tag("k:v"), tag("k:v")], ..event("a-1") };
    let batch = [
        rich("a-1", &every_byte),
        rich("b-1", b"not json {"),
        plain,
        rich("c-1", &[0; 64]),
        rich("a-1", b""),
        repeated,
    ];
    subject.write(batch.clone()).await;
    let read: Vec<_> = subject.all().await.into_iter().map(|stored| stored.event).collect();
    assert_eq!(read, batch);
    let backwards = subject.events(Read::new(Query::All).backwards()).await;
    assert!(backwards.into_iter().map(|stored| stored.event).eq(batch.iter().rev().cloned()));
    let stream = subject.stream("b-1").await;
    assert_eq!(stream[0].event, batch[1]);
}

/// Times from the earliest to the latest come back to the nanosecond.
pub(crate) async fn extreme_times_come_back(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let times = [Timestamp::MIN, Timestamp::UNIX_EPOCH, Timestamp::from_nanosecond(-1).expect("1969"), Timestamp::MAX];
    subject.write(times.map(|time| NewEvent { time, ..event("a-1") })).await;
    assert_eq!(subject.all().await.iter().map(|stored| stored.event.time).collect::<Vec<_>>(), times);
}

/// Every name that can be made can be written, found by a query, and read back.
pub(crate) async fn every_valid_name_works(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let longest = "x".repeat(255);
    let names = [
        "-",
        "--",
        "-key",
        "a-",
        " ",
        "a b/c\\d%00?*",
        "ÄÖ-ü",
        "発-生",
        "🚂-🚂",
        ".",
        "..",
        "A-1",
        "a-1",
        "a_1",
        &longest,
    ];
    for name in names {
        let tags = if name.len() < 253 { vec![tag(&format!("k:{name}"))] } else { Vec::new() };
        subject.write([NewEvent { event_type: event_type(name), tags, ..event(name) }]).await;
    }
    for (index, name) in names.into_iter().enumerate() {
        let by_stream = subject.stream(name).await;
        let by_type = subject.matches(Query::types([event_type(name)])).await;
        assert_eq!(by_stream.len(), 1, "one event is in stream {name:?}");
        assert_eq!(by_stream, by_type);
        if name.len() < 253 {
            assert_eq!(subject.matches(with_tags(&[&format!("k:{name}")])).await, by_stream);
        }
        assert_eq!(place(&by_stream[0]), (stream(name), Version(1), Position(index as u64 + 1)));
    }
}

/// What was acknowledged is there in the second life of the store, unchanged.
pub(crate) async fn events_survive_a_reopen(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    subject.write([rich("a-1", b"\xff\0"), event("b-1"), event("$machinery-1")]).await;
    subject.write((0..2_000).map(|index| event(&format!("c-{}", index % 7)))).await;
    let (before, internal) = (subject.all().await, subject.stream("$machinery-1").await);
    let info = subject.info().await.expect("an open store knows itself");
    let subject = subject.reopen().await;
    assert_eq!(subject.all().await, before);
    assert_eq!(subject.stream("$machinery-1").await, internal);
    assert_eq!(subject.info().await.expect("an open store knows itself"), info, "it is the same store and lineage");
    let subject = subject.reopen().await;
    assert_eq!(subject.all().await, before, "a second reopen loses no more than the first");
}

/// Positions, versions and recorded times go on where the first life ended.
pub(crate) async fn order_goes_on_after_a_reopen(backend: &dyn Backend) {
    let (subject, clock) = Subject::open_with_clock(backend).await;
    subject.write(events("a-1", 3)).await;
    let last = subject.all().await[2].recorded;
    clock.set(last - std::time::Duration::from_secs(3_600));
    let subject = subject.reopen().await;
    let appended = subject.write([event("a-1"), event("b-1")]).await;
    assert_eq!(appended.position, Position(5));
    assert_eq!(appended.written[0].version, Version(4));
    let read = subject.all().await;
    assert_eq!(read.len(), 5);
    assert!(read[3].recorded >= last, "recorded times do not decrease over a reopen, whatever the clock says");
}

/// Checks are decided as if the store had never been closed.
pub(crate) async fn checks_hold_across_a_reopen(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    subject.write([tagged("a-1", &["seat:7"]), event("a-1"), event("b-1")]).await;
    let subject = subject.reopen().await;
    let conflict = subject.conflict(Append::default().check(expecting("a-1", Expected::Exactly(Version(1))))).await;
    assert!(matches!(conflict, Conflict::Stream { actual: Version(2), .. }), "{conflict:?}");
    let seat = Check::NoMatch { query: with_tags(&["seat:7"]), after: None };
    let conflict = subject.conflict(Append::new([event("c-1")]).check(seat)).await;
    assert!(matches!(conflict, Conflict::Match { position: Position(1), .. }), "{conflict:?}");
    subject.taken(Append::new([event("b-1")]).expect(stream("b-1"), Expected::Exactly(Version(1)))).await;
}

/// Ids are known as if the store had never been closed.
pub(crate) async fn ids_are_known_across_a_reopen(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let append = Append::new([event("a-1"), event("$b-1")]).expect(stream("a-1"), Expected::NoStream);
    let appended = subject.taken(append.clone()).await;
    let subject = subject.reopen().await;
    assert_eq!(subject.taken(append.clone()).await, appended);
    let other = NewEvent { payload: "other".into(), ..append.events[0].clone() };
    let error = subject.refused(Append::new([other])).await;
    assert!(matches!(error, AppendError::IdReused { position: Position(1), .. }), "{error:?}");
    assert_eq!(subject.head().await, appended.position);
}

/// Retention, truncation and tombstones are in force as if the store had never been closed.
pub(crate) async fn changes_hold_across_a_reopen(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let keep = |count| Retention { max_count: Some(count), max_age: None };
    subject.write(["a-1", "b-1", "c-1", "d-1"].map(|name| events(name, 3)).concat()).await;
    let append = Append::default()
        .change(StreamChange::Retain { target: Retained::Stream(stream("a-1")), retention: keep(2) })
        .change(StreamChange::Retain { target: Retained::Category(category("b")), retention: keep(1) })
        .change(StreamChange::TruncateBefore { stream: stream("c-1"), version: Version(4) })
        .change(StreamChange::Tombstone { stream: stream("d-1") });
    subject.taken(append).await;
    let subject = subject.reopen().await;
    let versions = |events: Vec<_>| events.iter().map(|event| place(event).1.0).collect::<Vec<_>>();
    subject.write([event("a-1"), event("b-1"), event("c-1")]).await;
    assert_eq!(versions(subject.stream("a-1").await), [3, 4]);
    assert_eq!(versions(subject.stream("b-1").await), [4]);
    assert_eq!(versions(subject.stream("c-1").await), [4]);
    let error = subject.refused(Append::new([event("d-1")])).await;
    assert!(matches!(error, AppendError::Tombstoned { .. }), "{error:?}");
}

/// That a tagged event was removed is remembered: a decision from before it stays refused.
pub(crate) async fn staleness_holds_across_a_reopen(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    subject.write([event("b-1"), tagged("a-1", &["seat:7"]), event("a-1")]).await;
    subject
        .taken(Append::default().change(StreamChange::TruncateBefore { stream: stream("a-1"), version: Version(2) }))
        .await;
    let subject = subject.reopen().await;
    let check = |after| Check::NoMatch { query: with_tags(&["seat:8"]), after: Some(Position(after)) };
    let error = subject.refused(Append::new([event("c-1")]).check(check(1))).await;
    assert!(matches!(error, AppendError::Stale { floor: Position(2) }), "{error:?}");
    subject.taken(Append::new([event("c-1")]).check(check(2))).await;
}

/// An event as large as the limit allows comes back whole.
pub(crate) async fn the_largest_event_comes_back(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let size = subject.capabilities().limits.event_bytes;
    let payload: Vec<u8> = (0..size).map(|index| (index % 251) as u8).collect();
    let largest = with_payload("a-1", payload);
    subject.write([event("a-1"), largest.clone(), event("a-1")]).await;
    let read = subject.all().await;
    assert_eq!(read.len(), 3);
    assert!(read[1].event == largest, "the largest event came back changed");
}
