//! Law 3: positions increase in commit order, and nothing appears later below what a reader has seen.

use mainspring_event::{EventId, Position, StoredEvent};
use mainspring_store::{Append, Query, Read, ReadFrom};

use crate::{
    Backend,
    law::join,
    pressure::Pressure,
    sample::{event, events, ids, new_ids},
    subject::{Subject, stored},
};

/// The first event has position 1, and no position is left out, refused appends or not.
pub(crate) async fn positions_count_from_one_without_holes(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    assert_eq!(subject.head().await, Position::START);
    let mut expected = 0;
    for size in [1, 3, 1, 10] {
        let appended = subject.write(events("a-1", size)).await;
        let positions: Vec<_> = appended.written.iter().map(|at| at.position.0).collect();
        assert_eq!(positions, (expected + 1..=expected + size as u64).collect::<Vec<_>>());
        expected += size as u64;
        assert_eq!(appended.position, Position(expected));
        assert_eq!(subject.head().await, Position(expected));
        let refused =
            Append::new(events("a-1", 2)).check(crate::sample::expecting("a-1", mainspring_store::Expected::NoStream));
        subject.conflict(refused).await;
    }
    let read: Vec<_> = subject.all().await.iter().map(|event| event.position.0).collect();
    assert_eq!(read, (1..=15).collect::<Vec<_>>());
}

/// An append that begins after another was answered lies above it.
pub(crate) async fn a_later_append_lies_above_an_answered_one(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let store = subject.store.clone();
            tokio::spawn(async move {
                let mut last = Position::START;
                for _ in 0..25 {
                    let appended = store.append(Append::new([event(&format!("a-{task}"))])).await;
                    let appended = appended.expect("nothing stands against this append");
                    assert!(appended.position > last, "{} follows {last}", appended.position);
                    last = appended.position;
                    let head = store.info().await.expect("an open store knows its head").head;
                    assert!(head >= last, "the head {head} is behind an answered append at {last}");
                    last = last.max(head);
                }
            })
        })
        .collect();
    join(tasks).await;
}

/// Appends of many tasks get distinct positions without holes, and the receipts say where the events are.
pub(crate) async fn concurrent_appends_leave_no_holes(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let done = Pressure::start(&subject, 8, 20, some_events).stop().await;
    let mut receipts: Vec<(Position, EventId)> = Vec::new();
    for (append, appended) in done.concat() {
        assert_eq!(appended.written.len(), append.events.len());
        assert!(appended.written.windows(2).all(|pair| pair[1].position.0 == pair[0].position.0 + 1));
        receipts.extend(appended.written.iter().map(|at| at.position).zip(new_ids(&append.events)));
    }
    receipts.sort_unstable();
    let read: Vec<_> = subject.all().await.iter().map(|event| (event.position, event.event.id)).collect();
    assert_eq!(read, receipts, "the receipts say where the events are");
    assert!(read.iter().map(|(position, _)| position.0).eq(1..=read.len() as u64), "positions are dense");
}

/// One to five events.
fn some_events(writer: u64, count: u64) -> Append {
    Append::new(events(&format!("a-{writer}"), 1 + (writer * 7 + count * 3) as usize % 5))
}

/// A reader that pages behind fast writers never misses an event that becomes visible below what it saw.
pub(crate) async fn nothing_appears_below_what_a_reader_saw(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let writers = Pressure::start(&subject, 8, 10, some_events);
    let (mut seen, mut through) = (Vec::new(), Position::START);
    for _ in 0..60 {
        writers.moved(&subject, through).await;
        page(&subject, &mut seen, &mut through).await;
    }
    writers.stop().await;
    page(&subject, &mut seen, &mut through).await;
    assert!(seen.windows(2).all(|pair| pair[0].position < pair[1].position), "positions strictly increase");
    assert_eq!(ids(&seen), ids(&subject.all().await), "the pages together are the whole");
    assert_eq!(seen.len() as u64, subject.head().await.0);
}

/// Reads on from where the last page ended.
async fn page(subject: &Subject, seen: &mut Vec<StoredEvent>, through: &mut Position) {
    for batch in subject.batches(Read::new(Query::All).from(ReadFrom::After(*through))).await {
        seen.extend(stored(&batch));
        *through = batch.through();
    }
}

/// The head only moves forwards, and everything up to it can be read.
pub(crate) async fn the_head_is_readable_and_never_goes_back(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let writers = Pressure::start(&subject, 4, 10, some_events);
    let mut last = Position::START;
    for _ in 0..40 {
        let head = writers.moved(&subject, last).await;
        assert!(head >= last, "the head went back from {last} to {head}");
        let read = subject.all().await;
        assert!(read.len() as u64 >= head.0, "{} events are readable below the head {head}", read.len());
        last = head;
    }
    writers.stop().await;
    for _ in 0..3 {
        let head = subject.head().await;
        assert!(head >= last, "the head went back from {last} to {head}");
        last = head;
    }
}

/// The oldest event of an untouched store is the first, and an empty store has none.
pub(crate) async fn info_says_where_history_begins(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let empty = subject.info().await.expect("an open store knows itself");
    assert_eq!((empty.first, empty.head), (Position(1), Position::START));
    subject.write(events("a-1", 2)).await;
    let info = subject.info().await.expect("an open store knows itself");
    assert_eq!((info.first, info.head), (Position(1), Position(2)));
    assert_eq!((info.store, info.lineage), (empty.store, empty.lineage), "a store keeps its identity");
    let other = Subject::open(backend).await.info().await.expect("an open store knows itself");
    assert_ne!(other.store, info.store, "two stores are two");
}
