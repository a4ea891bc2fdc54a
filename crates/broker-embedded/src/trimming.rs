//! What is looked after now and then: logs that keep too much, and whether another broker works here.

use std::sync::Arc;

use futures_util::StreamExt;
use mainspring_event::Version;
use mainspring_store::{Append, Read, ReadError, StreamChange};

use crate::{
    admin::first_kept,
    entry::{Alone, Entry},
    journal::own_stream,
    loading::of_stream,
    shared::Shared,
};

/// Ends this broker when another one has taken its place: one that only delivers would not hear of it.
pub(crate) async fn see_whether_replaced(shared: &Shared) -> Result<(), ReadError> {
    let mut batches = shared.store.read(Read::new(of_stream(&own_stream())).backwards().limit(1));
    let mut newest = 0;
    while let Some(batch) = batches.next().await {
        newest = batch?.iter().map(|event| event.version.0).max().unwrap_or(newest);
    }
    shared.change(|state| {
        // What this broker writes there itself arrives before the version that it knows of rises.
        if newest > state.version && !state.alone && !state.ended {
            tracing::error!("the broker ends: another one has taken its place");
            state.ended = true;
            state.wake_everybody();
        }
    });
    Ok(())
}

/// Lets go of what logs keep no more, but never of the newest message, which says where its slice is.
pub(crate) async fn trim(shared: &Arc<Shared>) -> Result<(), ReadError> {
    let limited = shared.lock().limited_slices();
    for (topic, partition) in limited {
        let kept = first_kept(shared, (topic, partition)).await?;
        shared.change(|state| {
            let of_slice = &state.topics[topic].partitions[partition];
            let first = kept.min(of_slice.stored.saturating_sub(1));
            if first <= of_slice.first {
                return;
            }
            let (stream, version) = (of_slice.stream.clone(), Version(first + 1));
            let append = Append::default().change(StreamChange::TruncateBefore { stream, version });
            let landed = move |state: &mut crate::state::State, landed: Result<_, _>| {
                if landed.is_ok() {
                    state.topics[topic].partitions[partition].first = first;
                }
            };
            state.enqueue(Entry::alone(Alone::User(append), Box::new(landed)));
        });
    }
    Ok(())
}
