//! Replaying a stream: its events are decoded where they lie in the batch and shown one after the other.

use std::ops::ControlFlow;

use futures_util::StreamExt;
use jiff::Timestamp;
use mainspring_event::{Event, EventId, EventRef, Position, StreamName, Version};
use mainspring_store::{Query, Read, ReadFrom, Store};

use crate::{Decider, LoadError};

/// How far a replay has come.
pub(crate) struct Replayed {
    /// The last version that was read; the one before the first wanted where there was none.
    pub(crate) version: Version,
    /// Up to where the store was searched.
    pub(crate) through: Position,
}

/// The state of an aggregate, and what an append that rests on it has to know.
pub(crate) struct Loaded<D> {
    pub(crate) state: D,
    pub(crate) version: Version,
    pub(crate) through: Position,
    /// When the store took the oldest event that was replayed.
    pub(crate) oldest: Option<Timestamp>,
    /// Whether all events of the stream were replayed and the one that was sought is not among them.
    pub(crate) lacks_sought: bool,
}

/// Shows every event of `stream` from version `from` on, at most `limit`, until `visit` breaks.
///
/// A gap in the versions is an error: never a state that lacks events.
pub(crate) async fn replay(
    store: &Store,
    stream: &StreamName,
    from: Version,
    limit: Option<u64>,
    mut visit: impl FnMut(&EventRef<'_>) -> Result<ControlFlow<()>, LoadError>,
) -> Result<Replayed, LoadError> {
    let read = Read { limit, ..Read::new(Query::stream(stream.clone())).from(ReadFrom::Version(from)) };
    let mut batches = store.read(read);
    let mut replayed = Replayed { version: Version(from.0.saturating_sub(1)), through: Position::START };
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        for event in batch.iter() {
            if event.version.0 != replayed.version.0 + 1 {
                return Err(LoadError::Truncated { stream: stream.clone(), first: event.version });
            }
            if visit(&event)?.is_break() {
                return Ok(replayed);
            }
            replayed.version = event.version;
        }
        replayed.through = batch.through();
    }
    Ok(replayed)
}

/// Goes on from `state`, which is at version `after`, with every later event; looks out for the one that is `sought`.
pub(crate) async fn load_from<D: Decider>(
    store: &Store,
    stream: &StreamName,
    mut state: D,
    after: Version,
    sought: Option<EventId>,
) -> Result<Loaded<D>, LoadError> {
    let mut oldest = None;
    let from = Version(after.0 + 1);
    let mut lacks_sought = after == Version::NONE && sought.is_some();
    let replayed = replay(store, stream, from, None, |event| {
        oldest.get_or_insert(event.recorded);
        lacks_sought &= sought != Some(event.id);
        state.evolve(&decode(event)?);
        Ok(ControlFlow::Continue(()))
    });
    let Replayed { version, through } = replayed.await?;
    Ok(Loaded { state, version, through, oldest, lacks_sought })
}

/// Loads from the first version; looks out for the event that is `sought`.
pub(crate) async fn load<D: Decider>(
    store: &Store,
    stream: &StreamName,
    sought: Option<EventId>,
) -> Result<Loaded<D>, LoadError> {
    load_from(store, stream, D::default(), Version::NONE, sought).await
}

/// Decodes an event where it lies.
pub(crate) fn decode<E: Event>(event: &EventRef<'_>) -> Result<E, LoadError> {
    E::decode(event.event_type, event.schema_version, event.content_type, event.payload)
        .map_err(|source| LoadError::undecodable(event, source))
}
