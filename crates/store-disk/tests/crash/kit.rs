//! Short ways to say what these tests say often.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use mainspring_conformance::ManualClock;
use mainspring_conformance::Seed;
use mainspring_event::{EventId, NewEvent, StoredEvent, StreamName};
use mainspring_store::{EventStore, Query, Read, ReadError};
use mainspring_store_disk::Options;

/// Runs a future on a runtime of one thread.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// A clock that stands still at 2001-09-09T01:46:40Z.
pub(crate) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(jiff::Timestamp::from_second(1_000_000_000).unwrap()))
}

/// Options under which a seed replays a history.
pub(crate) fn replayable(segment_bytes: u64, clock: &Arc<ManualClock>) -> Options {
    in_place(segment_bytes, clock).replayable()
}

/// Options as users have them, but space is freed only when a test says so.
pub(crate) fn in_place(segment_bytes: u64, clock: &Arc<ManualClock>) -> Options {
    Options::default().segment_bytes(segment_bytes).clock(clock.clone()).scavenge_when_called()
}

pub(crate) fn stream(name: &str) -> StreamName {
    StreamName::new(name).unwrap()
}

/// An event whose id and payload follow from the seed.
pub(crate) fn event(seed: &mut Seed, stream_name: &str, payload_len: usize) -> NewEvent {
    let id = [seed.draw().to_be_bytes(), seed.draw().to_be_bytes()].concat();
    let payload: Vec<u8> = (0..payload_len).map(|_| (seed.draw() >> 32) as u8).collect();
    NewEvent {
        id: EventId::from_bytes(id.try_into().unwrap()),
        time: jiff::Timestamp::UNIX_EPOCH,
        ..NewEvent::json(stream(stream_name), "Happened".parse().unwrap(), payload)
    }
}

/// The events of a read from beginning to end.
pub(crate) async fn events(store: &dyn EventStore, read: Read) -> Result<Vec<StoredEvent>, ReadError> {
    let mut batches = store.read(read);
    let mut events = Vec::new();
    while let Some(batch) = batches.next().await {
        events.extend(batch?.iter().map(|event| event.to_stored().unwrap()));
    }
    Ok(events)
}

/// Everything but internal events.
pub(crate) async fn all(store: &dyn EventStore) -> Vec<StoredEvent> {
    events(store, Read::new(Query::All)).await.unwrap()
}

/// Waits until files are as they should be.
pub(crate) fn wait_for(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::yield_now();
    }
}
