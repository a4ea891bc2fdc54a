//! A copied history keeps positions, versions and recorded times, over segments and over a second life.

use futures_util::StreamExt;
use mainspring_event::{NewEvent, Position, StoredEvent, StreamName, Version};
use mainspring_store::{EventStore, Query, Read, ReadError, ReadFrom, Restore, RestoreError};
use mainspring_store_disk::{DiskStore, Options};

fn stored(stream: &str, version: u64, position: u64, second: i64) -> StoredEvent {
    let stream = StreamName::new(stream).expect("a name");
    let event = NewEvent::json(stream, "Noted".parse().expect("a name"), format!(r#"{{"n":{position}}}"#));
    let recorded = jiff::Timestamp::from_second(second).expect("a time");
    StoredEvent { event, version: Version(version), position: Position(position), recorded }
}

/// A history with holes, in which the first versions of `b-1` are gone.
fn history() -> Vec<StoredEvent> {
    let mut events = Vec::new();
    for number in 1..=200 {
        let gap = if number > 100 { 1000 } else { 0 };
        let (stream, version) = if number % 2 == 0 { ("a-1", number / 2) } else { ("b-1", number / 2 + 8) };
        events.push(stored(stream, version, number * 3 + gap, i64::try_from(number / 10).expect("small")));
    }
    events
}

async fn everything(store: &DiskStore) -> Vec<StoredEvent> {
    let mut batches = store.read(Read::new(Query::All));
    let mut events = Vec::new();
    while let Some(batch) = batches.next().await {
        let batch = batch.expect("readable");
        events.extend(batch.iter().map(|event| event.to_stored().expect("valid names")));
    }
    events
}

#[tokio::test]
async fn a_copied_history_reads_back_as_it_was() {
    let directory = tempfile::tempdir().expect("a directory for the store");
    let options = || Options::default().segment_bytes(4096);
    let store = options().open(directory.path()).expect("it opens");
    let history = history();
    for part in history.chunks(70) {
        store.restore(part.to_vec()).await.expect("it follows");
    }
    assert_eq!(everything(&store).await, history);
    drop(store);

    let store = options().open(directory.path()).expect("it opens again");
    assert_eq!(everything(&store).await, history);
    let stream = StreamName::new("b-1").expect("a name");
    let mut gone = store.read(Read::new(Query::stream(stream)).from(ReadFrom::Version(Version(1))));
    let first = gone.next().await.expect("an answer");
    assert!(matches!(first, Err(ReadError::Truncated { first: Version(8), .. })), "{first:?}");
    let next = store.append(mainspring_store::Append::new([stored("b-1", 0, 0, 0).event])).await.expect("it goes on");
    assert_eq!((next.position, next.written[0].version), (Position(1601), Version(108)));
}

#[tokio::test]
async fn what_does_not_follow_is_refused_whole() {
    let directory = tempfile::tempdir().expect("a directory for the store");
    let store = DiskStore::open(directory.path()).expect("it opens");
    let first = stored("a-1", 1, 5, 100);
    store.restore(vec![first.clone()]).await.expect("it follows");
    let again = StoredEvent { position: Position(7), version: Version(2), ..first };
    for bad in [stored("a-1", 2, 5, 100), stored("a-1", 1, 6, 100), stored("a-1", 2, 6, 99), again] {
        let refused = store.restore(vec![stored("c-1", 1, 6, 100), bad]).await;
        assert!(matches!(refused, Err(RestoreError::OutOfOrder { .. })), "{refused:?}");
    }
    assert_eq!(everything(&store).await.len(), 1);
}
