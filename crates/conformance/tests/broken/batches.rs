//! Taking batches apart and putting them together wrongly.

use std::sync::Arc;

use futures_util::{StreamExt, stream};
use mainspring_event::{EventBuffer, EventRef, MetadataRef, Position, StoredEvent};
use mainspring_store::{BatchStream, EventBatch, ReadError};

struct Rebuilt(Vec<(StoredEvent, Vec<u8>)>);

impl EventBuffer for Rebuilt {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn get(&self, index: usize) -> EventRef<'_> {
        let (event, metadata) = &self.0[index];
        event.borrowed(MetadataRef::new(metadata))
    }
}

/// A batch of these events.
pub(crate) fn batch(events: Vec<StoredEvent>, through: Position, caught_up: bool) -> EventBatch {
    let encoded = events.into_iter().map(|event| {
        let mut metadata = Vec::new();
        event.event.metadata.encode(&mut metadata);
        (event, metadata)
    });
    EventBatch::new(Arc::new(Rebuilt(encoded.collect())), through, caught_up)
}

/// The events of a batch.
pub(crate) fn events(batch: &EventBatch) -> Vec<StoredEvent> {
    batch.iter().map(|event| event.to_stored().expect("the model returns valid names")).collect()
}

/// The same stream with other events in each batch.
pub(crate) fn with_events(
    batches: BatchStream,
    mut change: impl FnMut(Vec<StoredEvent>) -> Vec<StoredEvent> + Send + 'static,
) -> BatchStream {
    with_batches(batches, move |found| vec![batch(change(events(&found)), found.through(), found.caught_up())])
}

/// The same stream with each event changed.
pub(crate) fn with_each(
    batches: BatchStream,
    mut change: impl FnMut(StoredEvent) -> StoredEvent + Send + 'static,
) -> BatchStream {
    with_events(batches, move |events| events.into_iter().map(&mut change).collect())
}

/// The same stream with other batches in place of each.
pub(crate) fn with_batches(
    batches: BatchStream,
    mut change: impl FnMut(EventBatch) -> Vec<EventBatch> + Send + 'static,
) -> BatchStream {
    let changed = batches.map(move |next| match next {
        Ok(found) => change(found).into_iter().map(Ok).collect(),
        Err(error) => vec![Err(error)],
    });
    changed.flat_map(stream::iter).boxed()
}

/// A stream that is made when it is first polled.
pub(crate) fn lazily(make: impl FnOnce() -> BatchStream + Send + 'static) -> BatchStream {
    stream::once(async { make() }).flatten().boxed()
}

/// A finite read with this outcome.
pub(crate) fn finite(outcome: Result<Vec<EventBatch>, ReadError>) -> BatchStream {
    match outcome {
        Ok(batches) => stream::iter(batches.into_iter().map(Ok)).boxed(),
        Err(error) => stream::iter([Err(error)]).boxed(),
    }
}
