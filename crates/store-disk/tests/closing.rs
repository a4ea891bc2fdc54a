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

/// A program may keep a log of its own beside the store.
#[tokio::test]
async fn files_of_others_stay_in_the_directory() {
    let directory = tempfile::tempdir().expect("a directory for the store");
    let others = ["app.log", "app.idx", "1.log", "a-b.dir"].map(|name| directory.path().join(name));
    let line = "the program has begun, and it says so in more than the length of a segment's head\n";
    others.iter().for_each(|path| std::fs::write(path, line).expect("a file"));
    for position in 1..=2 {
        let store = DiskStore::open(directory.path()).expect("it opens");
        assert_eq!(store.append(noted()).await.expect("it is open").position.0, position);
        store.close().expect("everything is synced");
    }
    assert!(others.iter().all(|path| std::fs::read_to_string(path).is_ok_and(|content| content == line)));
}
