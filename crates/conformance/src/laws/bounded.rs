//! Law 10: sizes are limited, batches are bounded, and slow readers never block writers.
//!
//! That memory does not grow with the store takes a measurement and stands in the benchmarks.

use bytes::Bytes;
use mainspring_event::{Metadata, NewEvent, Position};
use mainspring_store::{Append, AppendError, Expected, Query, Read, StreamChange};

use crate::{
    Backend,
    sample::{event, events, expecting, ids, in_streams, new_ids, stream, tag, with_payload},
    subject::Subject,
};

async fn assert_too_large(subject: &Subject, append: Append, limit: usize) {
    match subject.refused(append).await {
        AppendError::TooLarge { what, actual, limit: named } => {
            assert_eq!((actual, named), (limit + 1, limit), "{what} is told with its numbers");
            assert!(!what.is_empty());
        }
        other => panic!("more than the limit {limit} is answered with {other:?}"),
    }
}

fn bytes(length: usize) -> Bytes {
    Bytes::from(vec![b'x'; length])
}

/// A payload as large as the limit is taken, one byte more is not.
pub(crate) async fn the_size_of_an_event_is_limited(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let limit = subject.capabilities().limits.event_bytes;
    subject.write([with_payload("a-1", bytes(limit))]).await;
    assert_too_large(&subject, Append::new([with_payload("a-1", bytes(limit + 1))]), limit).await;
    assert_too_large(&subject, Append::new([event("a-1"), with_payload("a-1", bytes(limit + 1))]), limit).await;
}

/// Metadata counts like payload.
pub(crate) async fn metadata_counts_towards_the_size_of_an_event(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let limit = subject.capabilities().limits.event_bytes;
    let mut metadata = Metadata::default();
    metadata.user = Some("u".repeat(1_000));
    let room = limit - metadata.encoded_len();
    let sized = |length| NewEvent { metadata: metadata.clone(), ..with_payload("a-1", bytes(length)) };
    subject.write([sized(room)]).await;
    assert_too_large(&subject, Append::new([sized(room + 1)]), limit).await;
}

/// All payloads of an append together have a limit.
pub(crate) async fn the_size_of_an_append_is_limited(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let limits = subject.capabilities().limits;
    let payload = bytes(limits.event_bytes);
    let fill = |rest: usize| {
        let whole = limits.append_bytes / limits.event_bytes;
        let mut batch: Vec<_> = (0..whole).map(|_| with_payload("a-1", payload.clone())).collect();
        let last = limits.append_bytes % limits.event_bytes + rest;
        if last > 0 {
            batch.push(with_payload("b-1", bytes(last)));
        }
        Append::new(batch)
    };
    assert_too_large(&subject, fill(1), limits.append_bytes).await;
    subject.taken(fill(0)).await;
}

/// The number of events of an append has a limit.
pub(crate) async fn the_number_of_events_is_limited(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let limit = subject.capabilities().limits.append_events;
    let many = |count| {
        let template = with_payload("a-1", Bytes::new());
        Append::new((0..count).map(|_| NewEvent { id: mainspring_event::EventId::new(), ..template.clone() }))
    };
    assert_too_large(&subject, many(limit + 1), limit).await;
    let appended = subject.taken(many(limit)).await;
    assert_eq!(appended.position, Position(limit as u64));
}

/// Checks and changes of an append have a limit together.
pub(crate) async fn the_number_of_checks_and_changes_is_limited(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let limit = subject.capabilities().limits.append_checks;
    let change = StreamChange::TruncateBefore { stream: stream("a-1"), version: mainspring_event::Version(1) };
    let many = |checks, changes| Append {
        events: events("a-1", 1),
        checks: vec![expecting("b-1", Expected::Any); checks],
        changes: vec![change.clone(); changes],
    };
    assert_too_large(&subject, many(limit + 1, 0), limit).await;
    assert_too_large(&subject, many(0, limit + 1), limit).await;
    assert_too_large(&subject, many(limit - 4, 5), limit).await;
    subject.taken(many(limit, 0)).await;
    subject.taken(many(limit - 5, 5)).await;
}

/// The number of tags of an event has a limit.
pub(crate) async fn the_number_of_tags_is_limited(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let limit = subject.capabilities().limits.tags;
    let tagged =
        |count| NewEvent { tags: (0..count).map(|index| tag(&format!("k:{index}"))).collect(), ..event("a-1") };
    assert_too_large(&subject, Append::new([tagged(limit + 1)]), limit).await;
    let largest = tagged(limit);
    subject.write([largest.clone()]).await;
    assert_eq!(subject.matches(Query::tags(largest.tags.clone())).await[0].event, largest);
}

/// The content type has a limit.
pub(crate) async fn the_length_of_a_content_type_is_limited(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let limit = subject.capabilities().limits.content_type_bytes;
    let typed = |length| NewEvent { content_type: "c".repeat(length).into(), ..event("a-1") };
    assert_too_large(&subject, Append::new([typed(limit + 1)]), limit).await;
    subject.write([typed(limit)]).await;
    assert_eq!(subject.all().await[0].event.content_type.len(), limit);
}

/// What is too large keeps out the whole append and leaves the store as it was.
pub(crate) async fn what_is_too_large_keeps_everything_out(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let limits = subject.capabilities().limits;
    let append = Append::new([event("a-1"), with_payload("b-1", bytes(limits.event_bytes + 1)), event("a-1")]);
    subject.refused(append).await;
    assert_eq!(subject.all().await, []);
    assert_eq!(subject.write([event("a-1")]).await.position, Position(1));
}

/// A batch holds no more than a few of the largest appends, however much there is to read.
pub(crate) async fn batches_are_bounded(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let limits = subject.capabilities().limits;
    let payload = bytes(limits.event_bytes);
    let appends = 3 * limits.append_bytes / limits.event_bytes;
    for _ in 0..appends {
        subject.write([with_payload("a-1", payload.clone())]).await;
    }
    for read in [Read::new(Query::All), Read::new(in_streams(&["a-1"])).backwards()] {
        let mut delivered = 0;
        for batch in subject.batches(read).await {
            let size: usize = batch.iter().map(|event| event.payload.len()).sum();
            assert!(size <= 2 * limits.append_bytes, "a batch of {size} bytes");
            delivered += batch.len();
        }
        assert_eq!(delivered, appends);
    }
}

/// Readers that have stopped reading, or never began, do not keep writers waiting; later they get everything.
pub(crate) async fn a_slow_reader_never_blocks_writers(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    subject.write([event("a-1")]).await;
    let never_polled: Vec<_> = (0..3).map(|_| subject.read(Read::new(Query::All).follow())).collect();
    let mut stopped: Vec<_> = (0..3).map(|_| subject.follow(Read::new(Query::All))).collect();
    for follower in &mut stopped {
        follower.until_caught_up().await;
        assert!(follower.glance().await.is_none_or(|batch| batch.is_empty()), "nothing was appended");
    }
    let mut written = Vec::new();
    for index in 0..150 {
        let batch = (0..10).map(|_| event(&format!("b-{}", index % 4))).collect::<Vec<_>>();
        written.extend(new_ids(&batch));
        subject.write(batch).await;
    }
    let head = subject.head().await;
    for mut follower in stopped {
        assert_eq!(ids(&follower.until(head).await), written, "a slow reader loses nothing");
    }
    for stream in never_polled {
        let mut follower = crate::follower::Follower::new(stream, backend.patience());
        assert_eq!(follower.until(head).await.len(), written.len() + 1);
    }
}

/// A batch that is kept stays as it was, whatever is appended or removed meanwhile.
pub(crate) async fn a_batch_that_is_kept_does_not_change(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let written = events("a-1", 20);
    subject.write(written.clone()).await;
    let batches = subject.batches(Read::new(Query::All)).await;
    let clones = batches.clone();
    subject.write((0..500).map(|_| event("b-1"))).await;
    subject.taken(Append::default().change(StreamChange::Tombstone { stream: stream("a-1") })).await;
    drop(batches);
    let kept: Vec<_> = clones.iter().flat_map(crate::subject::stored).map(|stored| stored.event).collect();
    assert_eq!(kept, written);
}
