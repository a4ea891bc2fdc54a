//! Law 6: an append can be repeated. Ids are looked up before checks, and content decides whether it is the same.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use mainspring_event::{EventId, Metadata, MetadataValue, NewEvent, Position, Source, TraceContext, Version};
use mainspring_store::{Append, AppendError, Check, Expected, Retained, Retention, StreamChange};
use tokio::sync::Barrier;

use crate::{
    Backend,
    law::join,
    sample::{event, event_type, events, stream, tag, tagged, with_tags},
    subject::Subject,
};

async fn assert_reused(subject: &Subject, append: Append, id: EventId, at: u64) {
    match subject.refused(append).await {
        AppendError::IdReused { id: found, position } => assert_eq!((found, position), (id, Position(at))),
        other => panic!("the id {id} is taken, but the answer is {other:?}"),
    }
}

/// The same append again gets the same answer and writes nothing, soon or late.
pub(crate) async fn a_repeated_append_gets_the_original_answer(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    subject.write(events("a-1", 2)).await;
    let append = Append::new([event("a-1"), event("b-1"), event("a-1")]);
    let original = subject.taken(append.clone()).await;
    assert_eq!(subject.taken(append.clone()).await, original);
    subject.write((0..700).map(|index| event(&format!("c-{}", index % 3)))).await;
    let head = subject.head().await;
    assert_eq!(subject.taken(append).await, original);
    assert_eq!(subject.head().await, head);
    assert_eq!(subject.stream("a-1").await.len(), 4);
}

/// Ids of every kind are known: time-ordered, derived, and random ones.
pub(crate) async fn ids_of_every_kind_are_known(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let ids = [
        EventId::new(),
        EventId::derived(&["handler", "1"]),
        EventId::from_bytes([0; 16]),
        EventId::from_bytes([0xff; 16]),
        EventId::from_bytes(*b"any sixteen byte"),
    ];
    let appends = ids.map(|id| Append::new([NewEvent { id, ..event("a-1") }]));
    let mut originals = Vec::new();
    for append in &appends {
        originals.push(subject.taken(append.clone()).await);
    }
    for (append, original) in appends.into_iter().zip(originals) {
        assert_eq!(subject.taken(append).await, original);
    }
    assert_eq!(subject.all().await.len(), ids.len());
}

/// Ids are looked up before checks: a repeat succeeds although its checks would not hold any more.
pub(crate) async fn a_repeat_is_recognised_before_its_checks(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let append = Append::new([tagged("a-1", &["email:ada"])])
        .expect(stream("a-1"), Expected::NoStream)
        .check(Check::NoMatch { query: with_tags(&["email:ada"]), after: None });
    let original = subject.taken(append.clone()).await;
    subject.write([event("a-1")]).await;
    assert_eq!(subject.taken(append.clone()).await, original);
    let with_other_check = Append { checks: Vec::new(), ..append }.expect(stream("z-1"), Expected::Exists);
    assert_eq!(subject.taken(with_other_check).await, original);
}

/// Other content under a known id is told before any check is.
pub(crate) async fn a_reused_id_is_told_before_a_conflict(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let first = event("a-1");
    subject.write([first.clone()]).await;
    let other = NewEvent { payload: Bytes::from_static(b"other"), ..first.clone() };
    let append = Append::new([other]).expect(stream("a-1"), Expected::NoStream);
    assert_reused(&subject, append, first.id, 1).await;
}

/// Time, source, trace and metadata are not content: a retry from another moment and trace is the same append. What was
/// stored first stays.
pub(crate) async fn time_and_metadata_are_not_content(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let first = event("a-1");
    let original = subject.write([first.clone()]).await;
    let mut metadata = Metadata::default();
    metadata.correlation = Some(EventId::new());
    metadata.causation = Some(EventId::new());
    metadata.trace = Some(TraceContext { traceparent: "00-1-2-01".into(), tracestate: None });
    metadata.user = Some("ada".into());
    metadata.tenant = Some("t".into());
    metadata.insert("attempt", MetadataValue::Integer(2)).expect("laws use valid metadata keys");
    let variants = [
        NewEvent { time: Timestamp::UNIX_EPOCH, ..first.clone() },
        NewEvent { metadata, ..first.clone() },
        NewEvent { source: Source::new("elsewhere").expect("laws use valid sources"), ..first.clone() },
    ];
    for variant in variants {
        assert_eq!(subject.write([variant]).await, original);
    }
    let read = subject.all().await;
    assert_eq!(read.len(), 1);
    assert_eq!(read[0].event, first);
}

async fn assert_content(backend: &dyn Backend, change: impl FnOnce(NewEvent) -> NewEvent) {
    let subject = Subject::open(backend).await;
    subject.write([event("a-1")]).await;
    let first = tagged("a-1", &["k:1", "l:1"]);
    subject.write([first.clone()]).await;
    let other = change(first.clone());
    assert_reused(&subject, Append::new([other.clone()]), first.id, 2).await;
    assert_reused(&subject, Append::new([event("c-1"), other]), first.id, 2).await;
    assert_eq!(subject.all().await[1].event, first, "what was stored first stays");
}

/// The stream is content.
pub(crate) async fn the_stream_is_content(backend: &dyn Backend) {
    assert_content(backend, |event| NewEvent { stream: stream("a-2"), ..event }).await;
}

/// The event type is content.
pub(crate) async fn the_type_is_content(backend: &dyn Backend) {
    assert_content(backend, |event| NewEvent { event_type: event_type("Other"), ..event }).await;
}

/// The schema version is content.
pub(crate) async fn the_schema_version_is_content(backend: &dyn Backend) {
    assert_content(backend, |event| NewEvent { schema_version: 2, ..event }).await;
}

/// The content type is content.
pub(crate) async fn the_content_type_is_content(backend: &dyn Backend) {
    assert_content(backend, |event| NewEvent { content_type: "text/plain".into(), ..event }).await;
}

/// The payload is content, to the last byte.
pub(crate) async fn the_payload_is_content(backend: &dyn Backend) {
    assert_content(backend, |event| {
        let mut payload = event.payload.to_vec();
        *payload.last_mut().expect("the payload is not empty") ^= 1;
        NewEvent { payload: payload.into(), ..event }
    })
    .await;
    assert_content(backend, |event| NewEvent { payload: event.payload.slice(1..), ..event }).await;
}

/// The tags are content: one more, one less, or another.
pub(crate) async fn the_tags_are_content(backend: &dyn Backend) {
    for tags in [vec![], vec!["k:1"], vec!["k:1", "l:2"], vec!["k:1", "l:1", "m:1"]] {
        let tags = tags.into_iter().map(tag).collect();
        assert_content(backend, |event| NewEvent { tags, ..event }).await;
    }
}

/// An append of which only a part is known is not a repeat.
pub(crate) async fn a_partly_known_append_is_refused(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let known = events("a-1", 2);
    subject.write(known.clone()).await;
    let new = event("a-1");
    let mixes = [
        [known[0].clone(), new.clone()].to_vec(),
        [new.clone(), known[0].clone()].to_vec(),
        [event("b-1"), known[0].clone(), event("b-1")].to_vec(),
    ];
    for mix in mixes {
        assert_reused(&subject, Append::new(mix), known[0].id, 1).await;
    }
    let error = subject.refused(Append::new([known[0].clone(), known[1].clone(), new.clone()])).await;
    assert!(matches!(error, AppendError::IdReused { .. }), "{error:?}");
    assert_eq!(subject.write([new]).await.position, Position(3), "the new event's id is still free");
}

/// The same events in another order are not a repeat.
pub(crate) async fn a_reordered_append_is_refused(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let known = [event("a-1"), event("b-1"), event("c-1")];
    let original = subject.write(known.clone()).await;
    for order in [[1, 0, 2], [0, 2, 1], [2, 1, 0]] {
        let error = subject.refused(Append::new(order.map(|index| known[index].clone()))).await;
        assert!(matches!(error, AppendError::IdReused { .. }), "{error:?}");
    }
    assert_eq!(subject.write(known).await, original);
}

/// An id that occurs twice in one append contradicts itself, known or not.
pub(crate) async fn an_id_twice_in_one_append_is_invalid(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let twin = event("a-1");
    let other = NewEvent { stream: stream("b-1"), ..twin.clone() };
    for second in [twin.clone(), other.clone()] {
        let error = subject.refused(Append::new([twin.clone(), event("c-1"), second])).await;
        assert!(matches!(error, AppendError::Invalid { .. }), "{error:?}");
    }
    subject.write([twin.clone()]).await;
    let error = subject.refused(Append::new([twin.clone(), twin])).await;
    assert!(matches!(error, AppendError::Invalid { .. }), "{error:?}");
}

/// A refused append leaves its ids free, so that it can be repeated when the way is clear.
pub(crate) async fn a_refused_append_leaves_its_ids_free(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let append = Append::new(events("a-1", 2)).expect(stream("b-1"), Expected::Exists);
    subject.conflict(append.clone()).await;
    subject.conflict(append.clone()).await;
    subject.write([event("b-1")]).await;
    assert_eq!(subject.taken(append.clone()).await.position, Position(3));
    assert_eq!(subject.taken(append).await.position, Position(3));
}

/// Many who send the same append at once get the same answer, and it is written once.
pub(crate) async fn concurrent_repeats_are_written_once(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    for round in 0..20 {
        let name = format!("a-{round}");
        let append = Append::new(events(&name, 3)).expect(stream(&name), Expected::NoStream);
        let barrier = Arc::new(Barrier::new(8));
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let (store, append, barrier) = (subject.store.clone(), append.clone(), barrier.clone());
                tokio::spawn(async move {
                    barrier.wait().await;
                    store.append(append).await.expect("a repeat gets the original answer")
                })
            })
            .collect();
        let answers = join(tasks).await;
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
        assert_eq!(subject.stream(&name).await.len(), 3);
    }
}

/// A repeat does not apply its changes again over later ones.
pub(crate) async fn a_repeat_changes_nothing(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let keep = |count| StreamChange::Retain {
        target: Retained::Stream(stream("a-1")),
        retention: Retention { max_count: Some(count), max_age: None },
    };
    let append = Append::new(events("a-1", 2)).change(keep(2));
    subject.taken(append.clone()).await;
    subject.taken(Append::default().change(keep(3))).await;
    subject.taken(append).await;
    subject.write([event("a-1")]).await;
    let versions: Vec<_> = subject.stream("a-1").await.iter().map(|stored| stored.version).collect();
    assert_eq!(versions, [Version(1), Version(2), Version(3)], "the later rule stands");
}
