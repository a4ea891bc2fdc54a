//! Whether a read is right: it must show exactly what the reference model shows.

use futures_util::StreamExt;
use mainspring_event::EventRef;
use mainspring_store::{EventBatch, EventStore, Read, ReadError};

/// What a read delivers until it ends.
pub(super) async fn collect(store: &dyn EventStore, read: Read) -> Result<Vec<EventBatch>, ReadError> {
    let mut batches = store.read(read);
    let mut collected = Vec::new();
    while let Some(batch) = batches.next().await {
        collected.push(batch?);
    }
    Ok(collected)
}

/// Compares what was read with what the model reads, both whole.
///
/// # Errors
/// The first difference.
pub(super) fn agree(read: &Read, expected: &[EventBatch], actual: &[EventBatch]) -> Result<(), String> {
    same_events(expected, actual)?;
    let (Some(model), Some(last)) = (expected.last(), actual.last()) else {
        return Err("a read ended without a word".to_owned());
    };
    let limited = read.limit.is_some_and(|limit| count(actual) as u64 >= limit);
    if !limited && (last.through(), last.caught_up()) != (model.through(), true) {
        let (through, caught_up) = (last.through(), last.caught_up());
        return Err(format!("it came through {} and not {through} (caught up: {caught_up})", model.through()));
    }
    Ok(())
}

/// Compares the events of batches, wherever one batch ends and the next begins.
///
/// # Errors
/// The first difference.
pub(super) fn same_events(expected: &[EventBatch], actual: &[EventBatch]) -> Result<(), String> {
    let mut expected = expected.iter().flat_map(EventBatch::iter);
    let mut actual = actual.iter().flat_map(EventBatch::iter);
    loop {
        match (expected.next(), actual.next()) {
            (None, None) => return Ok(()),
            (Some(one), Some(other)) if same(&one, &other) => {}
            (Some(one), Some(other)) => return Err(format!("expected the event {one:?}, read {other:?}")),
            (Some(missing), None) => return Err(format!("the event {missing:?} is missing")),
            (None, Some(invented)) => return Err(format!("the event {invented:?} must not be shown")),
        }
    }
}

/// How many events there are.
pub(super) fn count(batches: &[EventBatch]) -> usize {
    batches.iter().map(EventBatch::len).sum()
}

/// Whether two stores hold the same event, byte for byte.
fn same(one: &EventRef<'_>, other: &EventRef<'_>) -> bool {
    (one.id, one.position, one.version, one.recorded, one.time, one.schema_version)
        == (other.id, other.position, other.version, other.recorded, other.time, other.schema_version)
        && (one.stream, one.event_type, one.source, one.content_type)
            == (other.stream, other.event_type, other.source, other.content_type)
        && one.tags.iter().eq(other.tags.iter())
        && one.metadata == other.metadata
        && one.payload == other.payload
}
