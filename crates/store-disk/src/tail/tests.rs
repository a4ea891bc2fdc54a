//! What a follower in another process keeps in memory.

use std::time::{Duration, Instant};

use mainspring_event::NewEvent;
use mainspring_store::{Append, EventStore};

use crate::{DiskStore, Options};

/// The numbers of the segments whose index is in memory.
fn in_memory(store: &DiskStore) -> Vec<u32> {
    let view = store.core.view();
    view.iter().filter(|segment| segment.memory_index().is_some()).map(|segment| segment.number).collect()
}

#[tokio::test]
async fn a_follower_keeps_no_index_of_a_segment_that_it_passed() {
    let directory = tempfile::tempdir().unwrap();
    let options = || Options::default().segment_bytes(4096);
    let writer = options().open(directory.path()).unwrap();
    let append = || {
        let event = NewEvent::json("a-1".parse().unwrap(), "Happened".parse().unwrap(), vec![b'x'; 500]);
        writer.append(Append::new([event]))
    };
    append().await.unwrap();
    let reader = options().open_read_only(directory.path()).unwrap();
    let mut most = 0;
    for _ in 0..300 {
        append().await.unwrap();
        assert_eq!(reader.info().await.unwrap().head, writer.info().await.unwrap().head);
        most = most.max(in_memory(&reader).len());
    }
    let segments = reader.core.view().len();
    assert!(segments > 40 && most < 8, "{most} of {segments} indexes were in memory at once");
    // The last one is dropped when the reader looks after the writer has written its file.
    let active = writer.core.view().last().unwrap().number;
    let deadline = Instant::now() + Duration::from_secs(60);
    while in_memory(&writer) != [active] {
        assert!(Instant::now() < deadline, "the writer does not write {:?}", in_memory(&writer));
        tokio::task::yield_now().await;
    }
    append().await.unwrap();
    reader.info().await.unwrap();
    let active = writer.core.view().last().unwrap().number;
    let kept = in_memory(&reader);
    assert!(kept == [active] || kept == [active - 1, active], "{kept:?} of {segments}");
    assert!(!reader.core.view().runs().is_empty(), "it uses the directory that the writer keeps");
}
