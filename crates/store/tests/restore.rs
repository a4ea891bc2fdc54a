//! Copying a history into the reference model: positions, versions and recorded times stay what they were.

use futures_util::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use mainspring_event::{NewEvent, Position, StoredEvent, Version};
use mainspring_store::{
    Append, EventBatch, EventStore, Expected, MemoryStore, Query, Read, ReadError, ReadFrom, Restore, RestoreError,
};

/// An event of a history that was written elsewhere, one second later for each position.
fn stored(stream: &str, version: u64, position: u64) -> StoredEvent {
    let event = NewEvent::json(
        stream.parse().expect("a valid name"),
        "Happened".parse().expect("a valid type"),
        position.to_string(),
    );
    let recorded = Timestamp::from_second(position.cast_signed()).expect("a time of this era");
    StoredEvent { event, version: Version(version), position: Position(position), recorded }
}

async fn everything(store: &MemoryStore) -> Vec<StoredEvent> {
    let batches: Vec<EventBatch> =
        store.read(Read::new(Query::All)).try_collect().await.expect("the model can be read");
    batches.iter().flat_map(EventBatch::iter).map(|event| event.to_stored().expect("valid names")).collect()
}

#[tokio::test]
async fn a_copy_keeps_positions_versions_and_recorded_times() {
    let original = MemoryStore::new();
    let batch = ["a-1", "b-1", "a-1"].map(|stream| stored(stream, 0, 0).event);
    original.append(Append::new(batch)).await.unwrap();
    let history = everything(&original).await;
    let copy = MemoryStore::new();
    copy.restore(history.clone()).await.unwrap();
    assert_eq!(everything(&copy).await, history);
    let (original, copy) = (original.info().await.unwrap(), copy.info().await.unwrap());
    assert_eq!(copy.head, original.head);
    assert_ne!(copy.lineage, original.lineage, "what follows a copy is another history");
}

#[tokio::test]
async fn a_history_with_holes_comes_in_parts_and_goes_on_behind_them() {
    let store = MemoryStore::new();
    let parts = [vec![stored("a-1", 3, 4), stored("b-1", 1, 5)], vec![stored("a-1", 4, 9)]];
    for part in parts.clone() {
        store.restore(part).await.unwrap();
    }
    assert_eq!(everything(&store).await, parts.concat());
    let next = Append::new([stored("a-1", 0, 0).event]).expect("a-1".parse().unwrap(), Expected::Exactly(Version(4)));
    let appended = store.append(next).await.unwrap();
    assert_eq!((appended.position, appended.written[0].version), (Position(10), Version(5)));
}

#[tokio::test]
async fn versions_missing_at_the_beginning_count_as_truncated() {
    let store = MemoryStore::new();
    store.restore(vec![stored("a-1", 3, 4)]).await.unwrap();
    let stream = Query::stream("a-1".parse().unwrap());
    let read = Read::new(stream).from(ReadFrom::Version(Version(1)));
    let answer = store.read(read).next().await.unwrap();
    assert!(matches!(answer, Err(ReadError::Truncated { first: Version(3), .. })), "{answer:?}");
}

#[tokio::test]
async fn what_does_not_follow_is_refused_as_a_whole() {
    let store = MemoryStore::new();
    let known = stored("a-1", 1, 5);
    store.restore(vec![known.clone()]).await.unwrap();
    let same_id = StoredEvent { event: known.event.clone(), ..stored("b-1", 1, 7) };
    let twice = stored("b-1", 1, 6);
    let again = StoredEvent { event: twice.event.clone(), ..stored("b-1", 2, 7) };
    let earlier = StoredEvent { recorded: known.recorded, ..stored("b-1", 2, 7) };
    let refused = [
        (vec![twice, again], 7),
        (vec![stored("b-1", 1, 6), earlier], 7),
        (vec![stored("b-1", 1, 5)], 5),
        (vec![stored("b-1", 1, 6), stored("b-1", 2, 6)], 6),
        (vec![stored("b-1", 1, 6), stored("a-1", 1, 7)], 7),
        (vec![stored("b-1", 1, 6), stored("b-1", 1, 7)], 7),
        (vec![stored("b-1", 1, 6), same_id], 7),
    ];
    for (events, at) in refused {
        let answer = store.restore(events).await;
        let named = matches!(&answer, Err(RestoreError::OutOfOrder { position, .. }) if *position == Position(at));
        assert!(named, "{answer:?}");
        assert_eq!(everything(&store).await, std::slice::from_ref(&known), "nothing of a refused part is written");
    }
}

#[tokio::test]
async fn a_part_is_one_commit_and_wakes_followers() {
    let store = MemoryStore::new();
    let mut follower = store.read(Read::new(Query::All).follow());
    assert!(follower.next().await.unwrap().unwrap().is_empty());
    store.restore((1..=2_000).map(|position| stored("a-1", position, position)).collect()).await.unwrap();
    let batch = follower.next().await.unwrap().unwrap();
    assert_eq!((batch.len(), batch.through()), (2_000, Position(2_000)));
}
