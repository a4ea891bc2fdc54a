//! Law 7: what an error says is true, and whoever gets it knows what to do.

use mainspring_event::{Position, Version};
use mainspring_store::{
    Append, AppendError, Check, Direction, Expected, Query, Read, ReadError, ReadFrom, StreamChange,
};

use crate::{
    Backend,
    sample::{event, events, expecting, in_category, in_streams, stream, tagged, with_tags},
    subject::Subject,
};

/// A store with one of everything that can be in the way, the append that each stands in the way of, and its name.
async fn obstacles(subject: &Subject) -> Vec<(&'static str, Append)> {
    let known = event("a-1");
    subject.write([known.clone(), tagged("b-1", &["k:1"]), tagged("c-1", &["k:2"]), event("d-1")]).await;
    let append = Append::default()
        .change(StreamChange::Tombstone { stream: stream("d-1") })
        .change(StreamChange::TruncateBefore { stream: stream("c-1"), version: Version(2) });
    subject.taken(append).await;
    let limits = subject.capabilities().limits;
    let other = mainspring_event::NewEvent { payload: "other".into(), ..known };
    let twin = event("e-1");
    let no_match = |key, after| Check::NoMatch { query: with_tags(&[key]), after };
    vec![
        ("Conflict", Append::new([event("e-1")]).expect(stream("a-1"), Expected::NoStream)),
        ("Conflict", Append::new([event("e-1")]).check(no_match("k:1", None))),
        ("Stale", Append::new([event("e-1")]).check(no_match("k:9", Some(Position::START)))),
        ("IdReused", Append::new([event("e-1"), other])),
        ("Tombstoned", Append::new([event("e-1"), event("d-1")])),
        (
            "TooLarge",
            Append { checks: vec![expecting("z-1", Expected::Any); limits.append_checks + 1], ..Append::default() },
        ),
        ("Invalid", Append::new([twin.clone(), twin])),
    ]
}

fn variant(error: &AppendError) -> &'static str {
    match error {
        AppendError::Conflict(_) => "Conflict",
        AppendError::Stale { .. } => "Stale",
        AppendError::IdReused { .. } => "IdReused",
        AppendError::Tombstoned { .. } => "Tombstoned",
        AppendError::TooLarge { .. } => "TooLarge",
        AppendError::Invalid { .. } => "Invalid",
        AppendError::Failed(_) => "Failed",
        AppendError::Unknown(_) => "Unknown",
        _ => "another",
    }
}

/// Every refusal is called by its name: a conflict is not a failure and a failure is not a conflict.
pub(crate) async fn every_refusal_is_called_by_its_name(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    for (name, append) in obstacles(&subject).await {
        let error = subject.refused(append).await;
        assert_eq!(variant(&error), name, "{error:?}");
    }
}

/// After any refusal nothing is written, and the store works on.
pub(crate) async fn a_refusal_writes_nothing(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let obstacles = obstacles(&subject).await;
    let before = subject.all().await;
    for (name, append) in obstacles {
        subject.refused(append).await;
        assert_eq!(subject.all().await, before, "{name} left a trace");
        assert_eq!(subject.stream("e-1").await, [], "{name} left a trace");
    }
    let appended = subject.write([event("e-1")]).await;
    assert_eq!((appended.position, appended.written[0].version), (Position(5), Version(1)));
}

/// The same refused append gets the same refusal.
pub(crate) async fn a_refusal_is_repeatable(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    for (name, append) in obstacles(&subject).await {
        for _ in 0..2 {
            let error = subject.refused(append.clone()).await;
            assert_eq!(variant(&error), name, "{error:?}");
        }
    }
}

/// A read that contradicts itself is refused.
pub(crate) async fn a_contradictory_read_is_invalid(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    subject.write([event("a-1")]).await;
    let version = ReadFrom::Version(Version(1));
    let backwards = Read { direction: Direction::Backwards, ..Read::new(Query::All).from(ReadFrom::End) };
    let reads = [
        backwards.follow(),
        Read::new(Query::All).from(version),
        Read::new(in_category("a")).from(version),
        Read::new(in_streams(&["a-1", "a-2"])).from(version),
    ];
    for read in reads {
        let error = subject.unreadable(read.clone()).await;
        assert!(matches!(error, ReadError::Invalid { .. }), "{read:?} is answered with {error:?}");
    }
}

/// A position beyond the head was taken from another store or another lineage: going on from it would skip.
pub(crate) async fn a_position_beyond_the_head_is_refused(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let beyond = |position| Read::new(Query::All).from(ReadFrom::After(Position(position)));
    let error = subject.unreadable(beyond(1)).await;
    assert!(matches!(error, ReadError::BeyondHead { position: Position(1), head: Position(0) }), "{error:?}");
    subject.write(events("a-1", 3)).await;
    for read in [beyond(4), beyond(u64::MAX), beyond(4).follow(), Read { query: in_streams(&["a-1"]), ..beyond(4) }] {
        let error = subject.unreadable(read.clone()).await;
        let head = matches!(error, ReadError::BeyondHead { head: Position(3), .. });
        assert!(head, "{read:?} is answered with {error:?}");
    }
    assert_eq!(subject.events(beyond(3)).await, [], "the head itself is a place to go on from");
}
