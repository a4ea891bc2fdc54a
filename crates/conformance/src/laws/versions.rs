//! Law 4: the versions of a stream are contiguous from 1, a stream keeps its head for ever, and a tombstone closes it.

use std::collections::HashMap;

use mainspring_event::Version;
use mainspring_store::{
    Append, AppendError, Expected, Query, Read, ReadError, ReadFrom, Retained, Retention, StreamChange,
};

use crate::{
    Backend,
    law::join,
    sample::{event, events, expecting, in_category, in_streams, stream},
    subject::{Subject, place},
};

/// Each stream counts for itself, across appends and within one.
pub(crate) async fn versions_count_from_one_in_each_stream(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    for batch in [vec!["a-1"], vec!["b-1", "a-1", "b-1"], vec!["a-2"], vec!["a-1", "a-1"]] {
        subject.write(batch.into_iter().map(event)).await;
    }
    let places: Vec<_> = subject.all().await.iter().map(place).collect();
    let named: Vec<_> = places.iter().map(|(stream, version, _)| (stream.as_str(), version.0)).collect();
    assert_eq!(named, [("a-1", 1), ("b-1", 1), ("a-1", 2), ("b-1", 2), ("a-2", 1), ("a-1", 3), ("a-1", 4)]);
}

/// Streams whose names are alike are different streams.
pub(crate) async fn similar_names_are_different_streams(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    for name in ["a-1", "A-1", "a-1 ", "a-10", "a_1", "a", "a-", "a--1", "ä-1", "a\u{308}-1"] {
        let appended = subject.write([event(name)]).await;
        assert_eq!(appended.written[0].version, Version(1), "{name:?}");
    }
}

/// Many writers of one stream never share a version or leave one out.
pub(crate) async fn versions_are_contiguous_under_concurrent_writers(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let store = subject.store.clone();
            tokio::spawn(async move {
                for _ in 0..20 {
                    let batch = [event("shared-1"), event(&format!("own-{task}")), event("shared-1")];
                    let appended = store.append(Append::new(batch)).await.expect("nothing stands against it");
                    let (first, second) = (appended.written[0].version, appended.written[2].version);
                    assert_eq!(second.0, first.0 + 1, "nothing comes between the events of one append");
                }
            })
        })
        .collect();
    join(tasks).await;
    let mut heads: HashMap<_, u64> = HashMap::new();
    for event in subject.all().await {
        let head = heads.entry(event.event.stream).or_default();
        *head += 1;
        assert_eq!(event.version.0, *head);
    }
    assert_eq!(heads[&stream("shared-1")], 320);
}

async fn assert_head_is_three(subject: &Subject, name: &str) {
    let check = |expected| Append::default().check(expecting(name, expected));
    subject.taken(check(Expected::Exactly(Version(3)))).await;
    subject.taken(check(Expected::Exists)).await;
    subject.conflict(check(Expected::NoStream)).await;
    subject.conflict(check(Expected::Exactly(Version(0)))).await;
    let next = subject.write([event(name)]).await;
    assert_eq!(next.written[0].version, Version(4), "the next event gets the next version");
}

/// A stream that was truncated to nothing keeps its head.
pub(crate) async fn a_truncated_stream_keeps_its_head(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    subject.write(events("a-1", 3)).await;
    let truncate = StreamChange::TruncateBefore { stream: stream("a-1"), version: Version(4) };
    subject.taken(Append::default().change(truncate)).await;
    assert_eq!(subject.stream("a-1").await, []);
    assert_head_is_three(&subject, "a-1").await;
    assert_eq!(subject.stream("a-1").await.len(), 1);
}

/// A stream that was emptied by a rule keeps its head.
pub(crate) async fn a_stream_emptied_by_retention_keeps_its_head(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    subject.write(events("a-1", 3)).await;
    let nothing = Retention { max_count: Some(0), max_age: None };
    let retain = StreamChange::Retain { target: Retained::Stream(stream("a-1")), retention: nothing };
    subject.taken(Append::default().change(retain)).await;
    assert_eq!(subject.stream("a-1").await, []);
    assert_head_is_three(&subject, "a-1").await;
}

async fn with_tombstone(backend: &dyn Backend) -> Subject {
    let subject = Subject::open(backend).await;
    subject.write([events("a-1", 2), events("a-2", 1)].concat()).await;
    subject.taken(Append::default().change(StreamChange::Tombstone { stream: stream("a-1") })).await;
    subject
}

async fn assert_tombstoned(subject: &Subject, append: Append) {
    let error = subject.refused(append).await;
    let named = matches!(&error, AppendError::Tombstoned { stream: named } if *named == stream("a-1"));
    assert!(named, "the answer names the tombstoned stream, but it is {error:?}");
}

/// A tombstoned stream takes no event, for ever.
pub(crate) async fn a_tombstoned_stream_refuses_appends(backend: &dyn Backend) {
    let subject = with_tombstone(backend).await;
    for _ in 0..2 {
        assert_tombstoned(&subject, Append::new([event("a-1")])).await;
        assert_tombstoned(&subject, Append::new([event("a-2"), event("a-1")])).await;
    }
    let appended = subject.write([event("a-2")]).await;
    assert_eq!(appended.written[0].version, Version(2), "its neighbours go on");
}

/// Nothing can be decided on a tombstoned stream.
pub(crate) async fn a_tombstoned_stream_refuses_checks(backend: &dyn Backend) {
    let subject = with_tombstone(backend).await;
    for expected in [Expected::Any, Expected::Exists, Expected::Exactly(Version(2))] {
        assert_tombstoned(&subject, Append::new([event("a-2")]).expect(stream("a-1"), expected)).await;
    }
    // That it is tombstoned and that it is not at this version are both true.
    let expecting = Append::new([event("a-2")]).expect(stream("a-1"), Expected::NoStream);
    let error = subject.refused(expecting).await;
    assert!(matches!(error, AppendError::Tombstoned { .. } | AppendError::Conflict(_)), "{error:?}");
}

/// A tombstoned stream cannot be changed, except that tombstoning it again changes nothing.
pub(crate) async fn a_tombstoned_stream_refuses_changes(backend: &dyn Backend) {
    let subject = with_tombstone(backend).await;
    let keep = Retention { max_count: Some(9), max_age: None };
    let retain = StreamChange::Retain { target: Retained::Stream(stream("a-1")), retention: keep };
    assert_tombstoned(&subject, Append::new([event("a-2")]).change(retain)).await;
    let truncate = StreamChange::TruncateBefore { stream: stream("a-1"), version: Version(1) };
    assert_tombstoned(&subject, Append::new([event("a-2")]).change(truncate)).await;
    subject.taken(Append::default().change(StreamChange::Tombstone { stream: stream("a-1") })).await;
    assert_tombstoned(&subject, Append::new([event("a-1")])).await;
}

/// A read of a tombstoned stream says so, wherever it begins.
pub(crate) async fn a_tombstoned_stream_refuses_reads(backend: &dyn Backend) {
    let subject = with_tombstone(backend).await;
    let read = || Read::new(in_streams(&["a-1"]));
    let reads = [
        read(),
        read().backwards(),
        read().limit(1),
        read().follow(),
        read().from(ReadFrom::Version(Version(1))),
        read().from(ReadFrom::End),
    ];
    for read in reads {
        let error = subject.unreadable(read.clone()).await;
        let named = matches!(&error, ReadError::Tombstoned { stream: named } if *named == stream("a-1"));
        assert!(named, "{read:?} is answered with {error:?}");
    }
}

/// Queries that do not name the tombstoned stream pass it by.
pub(crate) async fn other_reads_pass_a_tombstoned_stream(backend: &dyn Backend) {
    let subject = with_tombstone(backend).await;
    for query in [Query::All, in_category("a"), in_streams(&["a-2"])] {
        let read = subject.matches(query.clone()).await;
        let kept: Vec<_> = read.iter().filter(|event| event.event.stream == stream("a-2")).collect();
        assert_eq!(kept.len(), 1, "{query:?}");
    }
}

/// A stream that was never written can be tombstoned.
pub(crate) async fn an_unwritten_stream_can_be_tombstoned(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    subject.taken(Append::default().change(StreamChange::Tombstone { stream: stream("a-1") })).await;
    assert_tombstoned(&subject, Append::new([event("a-1")])).await;
    let error = subject.unreadable(Read::new(in_streams(&["a-1"]))).await;
    assert!(matches!(error, ReadError::Tombstoned { .. }), "{error:?}");
    assert_eq!(subject.head().await.0, 0);
}
