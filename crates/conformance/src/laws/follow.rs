//! Law 8: a follower goes from history to live without gap or duplicate, however fast the writers.

use std::sync::Arc;

use mainspring_event::{EventId, Position, StoredEvent, Version};
use mainspring_store::{Append, Query, Read, ReadFrom};

use crate::{
    Backend,
    law::join,
    pressure::Pressure,
    sample::{event, events, ids, in_category, in_streams, new_ids, of_types, stream, tagged, typed, with_tags},
    seed::Seed,
    subject::{Subject, stored},
};

/// History first, then what is appended, event by event.
pub(crate) async fn a_follower_reads_history_and_then_what_comes(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let history = events("a-1", 5);
    subject.write(history.clone()).await;
    let mut follower = subject.follow(Read::new(Query::All));
    assert_eq!(ids(&follower.until_caught_up().await), new_ids(&history));
    for _ in 0..20 {
        let live = event("a-1");
        let appended = subject.write([live.clone()]).await;
        assert_eq!(ids(&follower.until(appended.position).await), [live.id]);
    }
}

/// In an empty store a follower waits for the first event.
pub(crate) async fn a_follower_of_nothing_waits(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let mut follower = subject.follow(Read::new(in_streams(&["a-1"])));
    assert_eq!(follower.until_caught_up().await, []);
    assert!(follower.glance().await.is_none_or(|batch| batch.is_empty()), "nothing was appended");
    let first = event("a-1");
    let appended = subject.write([event("b-1"), first.clone()]).await;
    assert_eq!(ids(&follower.until(appended.position).await), [first.id]);
}

/// From the end, a follower gets only what comes after its first poll.
pub(crate) async fn a_follower_from_the_end_gets_only_what_comes(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    subject.write(events("a-1", 3)).await;
    let mut follower = subject.follow(Read::new(Query::All).from(ReadFrom::End));
    assert_eq!(follower.until_caught_up().await, []);
    assert_eq!(follower.through(), Position(3));
    let live = event("a-1");
    subject.write([live.clone()]).await;
    assert_eq!(ids(&follower.until(Position(4)).await), [live.id]);
}

/// After a position or from a version, a follower begins there.
pub(crate) async fn a_follower_begins_where_it_was_told(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let written = events("a-1", 4);
    subject.write(written.clone()).await;
    let mut after = subject.follow(Read::new(Query::All).from(ReadFrom::After(Position(2))));
    assert_eq!(ids(&after.until_caught_up().await), new_ids(&written[2..]));
    let mut from = subject.follow(Read::new(in_streams(&["a-1"])).from(ReadFrom::Version(Version(2))));
    assert_eq!(ids(&from.until_caught_up().await), new_ids(&written[1..]));
    let live = event("a-1");
    subject.write([live.clone()]).await;
    assert_eq!(ids(&after.until(Position(5)).await), [live.id]);
    assert_eq!(ids(&from.until(Position(5)).await), [live.id]);
}

/// From a version that is still to come, a follower leaves out those before it.
pub(crate) async fn a_follower_waits_for_a_version_to_come(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    subject.write(events("a-1", 2)).await;
    let mut follower = subject.follow(Read::new(in_streams(&["a-1"])).from(ReadFrom::Version(Version(5))));
    assert_eq!(follower.until_caught_up().await, []);
    let written = events("a-1", 4);
    subject.write(written.clone()).await;
    assert_eq!(ids(&follower.until(Position(6)).await), new_ids(&written[2..]));
}

/// A limit ends a follower, in history or live.
pub(crate) async fn a_limit_ends_a_follower(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let written = events("a-1", 5);
    subject.write(written[..3].to_vec()).await;
    let mut in_history = subject.read(Read::new(Query::All).limit(2).follow());
    assert_eq!(ids(&drain(&subject, &mut in_history).await), new_ids(&written[..2]));
    let mut live = subject.read(Read::new(Query::All).limit(4).follow());
    let first = subject.within(futures_util::StreamExt::next(&mut live), "history").await;
    let mut seen = stored(&first.expect("history is not the end").expect("the read succeeds"));
    subject.write(written[3..].to_vec()).await;
    seen.extend(drain(&subject, &mut live).await);
    assert_eq!(ids(&seen), new_ids(&written[..4]));
}

/// The rest of a read that must end.
async fn drain(subject: &Subject, stream: &mut mainspring_store::BatchStream) -> Vec<StoredEvent> {
    let mut events = Vec::new();
    while let Some(batch) = subject.within(futures_util::StreamExt::next(stream), "the end of a limited read").await {
        events.extend(stored(&batch.expect("the read succeeds")));
    }
    events
}

/// Batches of many kinds, some of which each filter of [`followed`] selects.
fn varied(writer: u64, count: u64) -> Append {
    let mut random = Seed::new(writer * 1_000 + count);
    let batch = (0..random.within(1..=6)).map(|_| match random.within(0..=4) {
        0 => tagged(&format!("even-{writer}"), &["k:1", "l:1"]),
        1 => typed("shared-1", "Closed"),
        2 => event(&format!("$machinery-{writer}")),
        _ => event(&format!("odd-{writer}")),
    });
    Append::new(batch.collect::<Vec<_>>())
}

/// Everything, and every kind of filter.
fn followed() -> Vec<Query> {
    vec![
        Query::All,
        in_streams(&["shared-1"]),
        in_category("even"),
        of_types(&["Closed"]),
        with_tags(&["k:1", "l:1"]),
        in_streams(&["$machinery-3", "odd-2"]),
    ]
}

/// Whenever a follower starts and whatever it filters, it gets what a read at rest gets.
pub(crate) async fn followers_miss_and_repeat_nothing(backend: &dyn Backend) {
    let subject = Arc::new(Subject::open(backend).await);
    let writers = Pressure::start(&subject, 8, 20, varied);
    let (send, end) = tokio::sync::watch::channel(None::<Position>);
    let mut followers = Vec::new();
    for _wave in 0..3 {
        for query in followed() {
            followers.push(tokio::spawn(follow_to_the_end(subject.clone(), query, end.clone())));
        }
        // The next wave starts when some more has been written.
        let mut head = subject.head().await;
        let target = head.0 + 60;
        while head.0 < target && !writers.is_through() {
            head = writers.moved(&subject, head).await;
        }
    }
    writers.stop().await;
    let last = subject.write([event("shared-1")]).await;
    send.send(Some(last.position)).expect("the followers listen");
    for (query, seen) in join(followers).await {
        assert_same(&query, &seen, &subject.matches(query.clone()).await);
    }
}

/// Follows until the law says where the end is, and up to there.
async fn follow_to_the_end(
    subject: Arc<Subject>,
    query: Query,
    mut end: tokio::sync::watch::Receiver<Option<Position>>,
) -> (Query, Vec<StoredEvent>) {
    let mut follower = subject.follow(Read::new(query.clone()));
    let mut seen = Vec::new();
    let end = loop {
        if let Some(end) = *end.borrow_and_update() {
            break end;
        }
        tokio::select! {
            batch = follower.next() => seen.extend(stored(&batch)),
            changed = end.changed() => changed.expect("the law says where the end is"),
        }
    };
    seen.extend(follower.until(end).await);
    (query, seen)
}

fn assert_same(query: &Query, seen: &[StoredEvent], expected: &[StoredEvent]) {
    let positions = |events: &[StoredEvent]| events.iter().map(|event| event.position.0).collect::<Vec<_>>();
    assert_eq!(positions(seen), positions(expected), "followed {query:?}");
    let ids = |events: &[StoredEvent]| -> Vec<EventId> { ids(events) };
    assert_eq!(ids(seen), ids(expected), "followed {query:?}");
}

/// A follower that is dropped again and again and goes on after its last progress misses and repeats nothing.
pub(crate) async fn a_resumed_follower_misses_and_repeats_nothing(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let writers = Pressure::start(&subject, 8, 10, varied);
    let mut random = Seed::new(7);
    let queries = [Query::All, with_tags(&["k:1", "l:1"])];
    let mut readers = queries.map(|query| (query, Vec::new(), Position::START));
    for _ in 0..40 {
        for (query, seen, through) in &mut readers {
            writers.moved(&subject, *through).await;
            let limit = random.once_in(2).then(|| random.within(1..=9));
            let read = Read { limit, ..Read::new(query.clone()).from(ReadFrom::After(*through)) };
            resume(&subject, read, seen, through).await;
        }
    }
    writers.stop().await;
    let end = subject.write([event("shared-1")]).await.position;
    for (query, mut seen, through) in readers {
        let mut rest = subject.follow(Read::new(query.clone()).from(ReadFrom::After(through)));
        seen.extend(rest.until(end).await);
        assert_same(&query, &seen, &subject.matches(query.clone()).await);
    }
}

/// Follows for one or two batches, if there is anything to come.
async fn resume(subject: &Subject, read: Read, seen: &mut Vec<StoredEvent>, through: &mut Position) {
    let head = subject.head().await;
    let mut stream = subject.read(read.follow());
    for _ in 0..2 {
        if *through >= head {
            break;
        }
        let next = subject.within(futures_util::StreamExt::next(&mut stream), "the next batch").await;
        let Some(batch) = next else { break };
        let batch = batch.expect("the read succeeds");
        seen.extend(stored(&batch));
        *through = batch.through();
    }
}

/// Giving up a pending `next` loses nothing.
pub(crate) async fn a_cancelled_next_loses_nothing(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let mut follower = subject.follow(Read::new(Query::All));
    follower.until_caught_up().await;
    let (mut written, mut seen) = (Vec::new(), Vec::new());
    let mut random = Seed::new(11);
    for _ in 0..60 {
        for _ in 0..random.within(0..=3) {
            if let Some(batch) = follower.glance().await {
                seen.extend(stored(&batch));
            }
        }
        let batch = events("a-1", random.within(1..=3) as usize);
        written.extend(new_ids(&batch));
        subject.write(batch).await;
    }
    seen.extend(follower.until(subject.head().await).await);
    assert_eq!(ids(&seen), written);
}

/// One append wakes every follower that waits.
pub(crate) async fn an_append_wakes_every_follower(backend: &dyn Backend) {
    let subject = Arc::new(Subject::open(backend).await);
    let mut followers: Vec<_> = (0..20).map(|_| subject.follow(Read::new(Query::All))).collect();
    for follower in &mut followers {
        follower.until_caught_up().await;
    }
    let waiting: Vec<_> = followers
        .into_iter()
        .map(|mut follower| tokio::spawn(async move { ids(&follower.until(Position(1)).await) }))
        .collect();
    let live = event("a-1");
    subject.write([live.clone()]).await;
    for seen in join(waiting).await {
        assert_eq!(seen, [live.id]);
    }
}

/// Reads do not begin before they are polled: what was appended in between is history.
pub(crate) async fn a_read_begins_at_its_first_poll(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let mut follower = subject.follow(Read::new(Query::All).from(ReadFrom::End));
    let mut finite = subject.read(Read::new(Query::stream(stream("a-1"))));
    subject.write(events("a-1", 2)).await;
    assert_eq!(follower.until_caught_up().await, []);
    assert_eq!(drain(&subject, &mut finite).await.len(), 2);
}
