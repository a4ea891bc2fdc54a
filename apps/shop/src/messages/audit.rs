//! The trail: every message as it was published, appended to a stream that nothing else writes to.

use std::collections::BTreeMap;

use anyhow::Result;
use futures_util::StreamExt;
use mainspring::{
    Commit, Failure, Store,
    event::StreamName,
    messaging::Raw,
    store::{Append, Query, Read},
};

/// The stream.
const TRAIL: &str = "audit-shop";

/// Keeps what was delivered, byte for byte, under its own id.
pub(super) async fn keep(deliveries: Vec<Raw>, commit: Commit) -> Result<(), Failure> {
    let stream: StreamName = TRAIL.parse()?;
    let mut kept = Append::default();
    for delivery in deliveries {
        let envelope = delivery.message.envelope.clone().ok_or("what is no event cannot be kept as one")?;
        let mut event = envelope.with_payload(delivery.message.body.clone());
        event.stream = stream.clone();
        kept.events.push(event);
    }
    Ok(commit.append(kept)?)
}

/// How many of each type there are.
pub(crate) async fn trail(store: &Store) -> Result<BTreeMap<String, u64>> {
    let mut kept = BTreeMap::new();
    let mut batches = store.read(Read::new(Query::stream(TRAIL.parse()?)));
    while let Some(batch) = batches.next().await {
        for event in batch?.iter() {
            match kept.get_mut(event.event_type) {
                Some(count) => *count += 1,
                None => drop(kept.insert(event.event_type.to_owned(), 1)),
            }
        }
    }
    Ok(kept)
}
