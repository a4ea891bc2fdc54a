//! Same key, same effect: event ids are derived from the key, so a repeated command finds what it did before.

use std::collections::HashMap;

use futures_util::StreamExt;
use mainspring_event::{EventId, Position, Version};
use mainspring_store::{Query, Read, Store};

use crate::{LoadError, Receipt};

/// After the first event was found, the others are looked for so many at a time.
const CHUNK: usize = 16;

/// An idempotency key within the stream or category that it was given for.
pub(crate) struct Key {
    scope: String,
    key: String,
    /// The id of the first event, which nearly every command asks for more than once.
    first: EventId,
}

impl Key {
    /// `scope` is the name of a stream, or of a category where the stream is not known before the decision. The two
    /// cannot be the same: the name of an aggregate's stream has a `-`, that of a category has none.
    pub(crate) fn new(scope: &str, key: String) -> Self {
        let first = derived(scope, &key, 0);
        Self { scope: scope.to_owned(), key, first }
    }

    /// The id of the first event that the command decides on.
    pub(crate) fn first(&self) -> EventId {
        self.first
    }

    /// The id of the event that the command decides on in this place, counted from 0.
    pub(crate) fn id(&self, ordinal: usize) -> EventId {
        if ordinal == 0 { self.first } else { derived(&self.scope, &self.key, ordinal) }
    }

    /// What an earlier command with this key came to, if it has stored events.
    ///
    /// To be asked after the state was read: then an earlier command that is not found here is not in the state either,
    /// and the check of the append or the repeated ids reveal it later.
    pub(crate) async fn original(&self, store: &Store) -> Result<Option<Receipt>, LoadError> {
        let (mut receipt, mut wanted): (Option<Receipt>, _) = (None, 0..1);
        loop {
            let ids: Vec<_> = wanted.clone().map(|ordinal| self.id(ordinal)).collect();
            let found = find(store, &ids).await?;
            for id in ids {
                let Some(&(position, version)) = found.get(&id) else { return Ok(receipt) };
                let receipt = receipt.get_or_insert_with(|| Receipt::without_events(position, version));
                (receipt.position, receipt.version) = (position, version);
                receipt.events.push(id);
            }
            wanted = wanted.end..wanted.end + CHUNK;
        }
    }
}

fn derived(scope: &str, key: &str, ordinal: usize) -> EventId {
    EventId::derived(&[scope, key, &ordinal.to_string()])
}

async fn find(store: &Store, ids: &[EventId]) -> Result<HashMap<EventId, (Position, Version)>, LoadError> {
    let mut found = HashMap::new();
    let mut batches = store.read(Read::new(Query::Ids(ids.to_vec())));
    while let Some(batch) = batches.next().await {
        found.extend(batch?.iter().map(|event| (event.id, (event.position, event.version))));
    }
    Ok(found)
}
