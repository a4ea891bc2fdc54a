//! Closing ends writing and following, keeps reading, and gives the directory free.

use futures_util::StreamExt;
use mainspring_event::NewEvent;
use mainspring_store::{Append, AppendError, EventStore, Query, Read, ReadError};
use mainspring_store_disk::{DiskStore, OpenError};

fn noted() -> Append {
    Append::new([NewEvent::json("note-1".parse().expect("a name"), "Noted".parse().expect("a name"), "{}")])
}

#[tokio::test]
async fn a_closed_store_gives_the_directory_free() {
    let directory = tempfile::tempdir().expect("a directory for the store");
    let store = DiskStore::open(directory.path()).expect("it opens");
    store.append(noted()).await.expect("it is open");
    let mut follower = store.read(Read::new(Query::All).follow());
    assert_eq!(follower.next().await.expect("a batch").expect("readable").len(), 1);
    assert!(matches!(DiskStore::open(directory.path()), Err(OpenError::Locked { .. })));

    store.close().expect("everything is synced");
    store.close().expect("closing again does nothing");
    assert!(
        matches!(follower.next().await, Some(Err(ReadError::Failed(_)))),
        "a follower is told that nothing will come"
    );
    assert!(matches!(store.append(noted()).await, Err(AppendError::Failed(_))));

    let other = DiskStore::open(directory.path()).expect("the directory is free");
    assert_eq!(other.append(noted()).await.expect("it is open").position.0, 2);
    let seen = store.read(Read::new(Query::All)).next().await.expect("a batch").expect("readable");
    assert_eq!(seen.len(), 1, "the closed handle still reads what it had");
}
