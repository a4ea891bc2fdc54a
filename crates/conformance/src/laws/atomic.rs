//! Law 1: readers see the whole append or nothing.

use std::collections::HashMap;

use mainspring_event::{NewEvent, Position, Version};
use mainspring_store::{
    Append, AppendError, Appended, Expected, Query, Read, Retained, Retention, StreamChange, Written,
};

use crate::{
    Backend,
    pressure::Pressure,
    sample::{event, events, expecting, ids, in_streams, new_ids, stream, with_payload},
    subject::{Subject, place},
};

/// The events of one append go to any streams, in the order of the append, at consecutive positions.
pub(crate) async fn an_append_to_several_streams_keeps_the_order_of_its_events(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    subject.write([event("a-1")]).await;
    let batch: Vec<_> = ["a-1", "b-1", "a-1", "c-1", "b-1"].map(event).into();
    let appended = subject.write(batch.clone()).await;
    let at = |position, version| Written { position: Position(position), version: Version(version) };
    let written = vec![at(2, 2), at(3, 1), at(4, 3), at(5, 1), at(6, 2)];
    assert_eq!(appended, Appended { position: Position(6), written: written.clone() });
    let read = subject.all().await;
    assert_eq!(ids(&read[1..]), new_ids(&batch));
    let expected: Vec<_> =
        batch.iter().zip(written).map(|(event, at)| (event.stream.clone(), at.version, at.position)).collect();
    assert_eq!(read[1..].iter().map(place).collect::<Vec<_>>(), expected);
}

/// While appends to several streams are under way, no read of any kind sees a part of one.
pub(crate) async fn readers_never_see_a_part_of_an_append(backend: &dyn Backend) {
    const STREAMS: [&str; 3] = ["a-1", "b-1", "c-1"];
    let subject = Subject::open(backend).await;
    let writer = Pressure::start(&subject, 1, 20, |_, count| {
        Append::new((0..7).map(|index| with_payload(STREAMS[index % 3], count.to_string())))
    });
    let mut head = Position::START;
    for _ in 0..30 {
        head = writer.moved(&subject, head).await;
        for read in [Read::new(Query::All), Read::new(Query::All).backwards(), Read::new(in_streams(&STREAMS))] {
            whole_appends(&subject, read).await;
        }
    }
    let appends = writer.stop().await[0].len();
    assert_eq!(whole_appends(&subject, Read::new(Query::All)).await, appends, "a read at rest sees every append");
}

/// How many appends of seven events a read saw, none of them in part.
async fn whole_appends(subject: &Subject, read: Read) -> usize {
    let mut seen: HashMap<_, usize> = HashMap::new();
    for event in subject.events(read).await {
        *seen.entry(event.event.payload).or_default() += 1;
    }
    let part = seen.iter().find(|(_, count)| **count != 7);
    assert_eq!(part, None, "a read saw a part of an append");
    seen.len()
}

/// One check that does not hold keeps every event and every change out.
pub(crate) async fn a_failed_check_keeps_everything_out(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    subject.write(events("a-1", 2)).await;
    let append = Append::new([event("a-1"), event("b-1")])
        .expect(stream("a-1"), Expected::Exactly(Version(2)))
        .expect(stream("b-1"), Expected::Exists)
        .change(StreamChange::TruncateBefore { stream: stream("a-1"), version: Version(2) })
        .change(StreamChange::Tombstone { stream: stream("c-1") });
    subject.conflict(append).await;
    assert_eq!(subject.all().await.len(), 2);
    assert_eq!(subject.stream("a-1").await.len(), 2);
    assert_eq!(subject.stream("b-1").await, []);
    let appended = subject.write([event("b-1"), event("c-1"), event("a-1")]).await;
    assert_eq!(appended.written.iter().map(|at| at.version.0).collect::<Vec<_>>(), [1, 1, 3]);
}

/// One tombstoned stream keeps out the events of the others.
pub(crate) async fn a_tombstoned_stream_keeps_everything_out(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    subject.taken(Append::default().change(StreamChange::Tombstone { stream: stream("b-1") })).await;
    let error = subject.refused(Append::new([event("a-1"), event("b-1"), event("c-1")])).await;
    assert!(matches!(&error, AppendError::Tombstoned { stream: named } if *named == stream("b-1")), "{error:?}");
    assert_eq!(subject.all().await, []);
}

/// The changes of an append apply to the streams as its events leave them.
pub(crate) async fn changes_apply_after_the_events(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let keep_one = Retention { max_count: Some(1), max_age: None };
    let append = Append::new([events("a-1", 3), events("b-1", 3), events("c-1", 1)].concat())
        .change(StreamChange::Retain { target: Retained::Stream(stream("a-1")), retention: keep_one })
        .change(StreamChange::TruncateBefore { stream: stream("b-1"), version: Version(2) })
        .change(StreamChange::Tombstone { stream: stream("c-1") });
    let appended = subject.taken(append).await;
    assert_eq!(appended.written.len(), 7);
    let versions = |events: Vec<_>| events.iter().map(|event| place(event).1.0).collect::<Vec<_>>();
    assert_eq!(versions(subject.stream("a-1").await), [3]);
    assert_eq!(versions(subject.stream("b-1").await), [2, 3]);
    let error = subject.refused(Append::new([event("c-1")])).await;
    assert!(matches!(error, AppendError::Tombstoned { .. }), "{error:?}");
}

/// An append of nothing is taken, answers with the head, and changes nothing.
pub(crate) async fn an_empty_append_answers_with_the_head(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let nothing = |position| Appended { position: Position(position), written: Vec::new() };
    assert_eq!(subject.taken(Append::default()).await, nothing(0));
    subject.write(events("a-1", 3)).await;
    assert_eq!(subject.taken(Append::default()).await, nothing(3));
    assert_eq!(subject.taken(Append::default()).await, nothing(3));
    assert_eq!(subject.all().await.len(), 3);
    assert_eq!(subject.write([event("a-1")]).await.position, Position(4));
}

/// An append without events still checks and still changes.
pub(crate) async fn an_append_without_events_checks_and_changes(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    subject.write(events("a-1", 3)).await;
    let only_check = |expected| Append::default().check(expecting("a-1", expected));
    assert_eq!(subject.taken(only_check(Expected::Exists)).await.position, Position(3));
    subject.conflict(only_check(Expected::NoStream)).await;
    let truncate = StreamChange::TruncateBefore { stream: stream("a-1"), version: Version(3) };
    let refused = only_check(Expected::Exactly(Version(2))).change(truncate.clone());
    subject.conflict(refused).await;
    assert_eq!(subject.stream("a-1").await.len(), 3, "a refused append changes nothing");
    let taken = subject.taken(only_check(Expected::Exactly(Version(3))).change(truncate)).await;
    assert_eq!(taken, Appended { position: Position(3), written: Vec::new() });
    assert_eq!(subject.stream("a-1").await.len(), 1);
}

/// A big append is no less one: thousands of events come at once.
pub(crate) async fn a_big_append_is_one_commit_too(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let batch: Vec<NewEvent> = (0..3_000).map(|index| event(["a-1", "b-1"][index % 2])).collect();
    let mut follower = subject.follow(Read::new(Query::All));
    follower.until_caught_up().await;
    let appended = subject.write(batch.clone()).await;
    assert_eq!(ids(&follower.until(Position(1)).await), new_ids(&batch), "the first progress covers all of it");
    assert_eq!(appended.position, Position(3_000));
    assert_eq!(ids(&subject.all().await), new_ids(&batch));
}
