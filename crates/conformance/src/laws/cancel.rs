//! Law 9: dropping the append future leaves all or nothing, and the identical append settles which.

use std::{collections::HashMap, future::poll_fn, sync::Arc, task::Poll};

use futures_util::future::BoxFuture;
use mainspring_event::{NewEvent, Version};
use mainspring_store::{Append, AppendError, Appended, EventStore, Expected, Query, Read};
use tokio::sync::oneshot;

use crate::{
    Backend,
    law::join,
    sample::{event, events, ids, new_ids, stream, with_payload},
    seed::Seed,
    subject::Subject,
};

/// After how many polls appends are dropped: one store needs one, another dozens.
const POLLS: [u64; 10] = [0, 1, 2, 3, 5, 8, 13, 21, 34, 55];

/// Polls an append so many times, letting others run in between, unless it is answered before.
async fn poll(append: &mut BoxFuture<'_, Result<Appended, AppendError>>, polls: u64) -> Option<Appended> {
    for _ in 0..polls {
        if let Poll::Ready(answer) = poll_fn(|context| Poll::Ready(append.as_mut().poll(context))).await {
            return Some(answer.expect("nothing stands against this append"));
        }
        tokio::task::yield_now().await;
    }
    None
}

/// Polls an append so many times and drops it.
async fn drop_after(store: &dyn EventStore, append: Append, polls: u64) -> Option<Appended> {
    poll(&mut store.append(append), polls).await
}

/// An append that was never polled writes nothing.
pub(crate) async fn an_append_that_was_never_polled_writes_nothing(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    assert_eq!(drop_after(&*subject.store, Append::new(events("a-1", 3)), 0).await, None);
    let appended = subject.write([event("b-1")]).await;
    assert_eq!(appended.position.0, 1);
    assert_eq!(subject.all().await.len(), 1);
}

/// After a drop at any poll, the append is there as a whole or not at all.
pub(crate) async fn a_dropped_append_is_whole_or_absent(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let mut sizes = HashMap::new();
    for polls in POLLS.into_iter().cycle().take(64) {
        let batch: Vec<_> = ["a-1", "b-1", "a-1", "c-1"].map(event).into();
        sizes.insert(batch[0].id, new_ids(&batch));
        drop_after(&*subject.store, Append::new(batch), polls).await;
        // A barrier: whatever was still under way when the future was dropped was begun before this.
        subject.write([event("barrier-1")]).await;
    }
    let read = ids(subject.all().await.iter().filter(|stored| stored.event.stream != stream("barrier-1")));
    for commit in read.chunks(4) {
        let whole = sizes.get(&commit[0]).unwrap_or_else(|| panic!("{} is not the first of its append", commit[0]));
        assert_eq!(commit, whole, "a part of an append is there");
    }
}

/// Repeating the identical append after a drop gets its answer and leaves it written exactly once.
pub(crate) async fn repeating_a_dropped_append_settles_it(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let mut version = 0;
    for polls in POLLS.into_iter().cycle().take(60) {
        let batch = [event("a-1"), event("b-1"), event("a-1")];
        let append = Append::new(batch.clone()).expect(stream("a-1"), Expected::Exactly(Version(version)));
        let answered = drop_after(&*subject.store, append.clone(), polls).await;
        let settled = subject.taken(append.clone()).await;
        assert!(answered.is_none_or(|answered| answered == settled), "the repeat gets the original answer");
        version += 2;
        assert_eq!(settled.written[2].version, Version(version), "it is written exactly once");
        assert_eq!(subject.taken(append).await, settled);
    }
    let read = subject.all().await;
    assert_eq!(read.len(), 180);
}

/// Appends that are dropped do not stand in the way of others.
pub(crate) async fn dropped_appends_do_not_block_others(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    for polls in POLLS.into_iter().cycle().take(50) {
        drop_after(&*subject.store, Append::new(events("a-1", 2)), polls).await;
        subject.write([event("b-1")]).await;
    }
    assert_eq!(subject.stream("b-1").await.len(), 50);
}

async fn write_and_abort(store: Arc<dyn EventStore>, writer: u64) -> Vec<Append> {
    let mut random = Seed::new(writer);
    let mut dropped = Vec::new();
    for number in 0..20 {
        let batch: Vec<NewEvent> =
            (0..5).map(|_| with_payload(&format!("a-{writer}"), format!("{writer}/{number}"))).collect();
        let append = Append::new(batch);
        if drop_after(&*store, append.clone(), random.pick(&POLLS)).await.is_none() {
            dropped.push(append);
        }
    }
    dropped
}

/// Many writers that drop appends at random among each other leave each append whole or absent, and each can be settled.
pub(crate) async fn drops_among_concurrent_writers_leave_all_or_nothing(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let tasks: Vec<_> = (0..6).map(|writer| tokio::spawn(write_and_abort(subject.store.clone(), writer))).collect();
    let whole = |events: &[mainspring_event::StoredEvent]| {
        let mut counts: HashMap<_, usize> = HashMap::new();
        for event in events {
            *counts.entry(event.event.payload.clone()).or_default() += 1;
        }
        counts.values().all(|count| *count == 5)
    };
    while !tasks.iter().all(tokio::task::JoinHandle::is_finished) {
        assert!(whole(&subject.all().await), "a part of an append is there");
        tokio::task::yield_now().await;
    }
    let dropped = join(tasks).await.concat();
    assert!(whole(&subject.all().await), "a part of an append is there");
    for append in dropped {
        let settled = subject.taken(append.clone()).await;
        assert_eq!(subject.taken(append).await, settled);
    }
    let read = subject.events(Read::new(Query::All)).await;
    assert!(whole(&read), "a part of an append is there");
    assert_eq!(read.len(), 6 * 20 * 5, "each append is there once");
}

/// A task that is aborted while it appends leaves all or nothing, too.
pub(crate) async fn an_aborted_task_leaves_all_or_nothing(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    for (round, polls) in POLLS.into_iter().cycle().take(40).enumerate() {
        let name = format!("a-{round}");
        let append = Append::new(events(&name, 4));
        let (store, repeat) = (subject.store.clone(), append.clone());
        let (pause, paused) = oneshot::channel();
        let task = tokio::spawn(async move {
            let mut append = store.append(append);
            let answered = poll(&mut append, polls).await;
            pause.send(answered).expect("the law waits for it");
            std::future::pending::<()>().await; // The append is held until the task is aborted.
            drop(append);
        });
        let answered = subject.within(paused, "the middle of an append").await.expect("the task comes to it");
        task.abort();
        assert!(task.await.is_err_and(|error| error.is_cancelled()), "the task was aborted");
        let left = subject.stream(&name).await.len();
        assert!(left == 4 || (left == 0 && answered.is_none()), "{left} of 4 events are there");
        let settled = subject.taken(repeat).await;
        assert!(answered.is_none_or(|answered| answered == settled), "the repeat gets the original answer");
        assert_eq!(subject.stream(&name).await.len(), 4);
    }
}
