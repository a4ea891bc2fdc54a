//! Reading on in the store for a group whose next messages are not in memory.

use std::sync::Arc;

use futures_util::StreamExt;
use mainspring_broker::{BrokerError, Slice};
use mainspring_event::{StreamName, Version};
use mainspring_store::{Query, QueryItem, Read, ReadError, ReadFrom, Scope, Store};

use crate::{codec::message, shared::Shared, state::State, topic::Stored};

/// So many messages and bytes are read at once.
const MESSAGES: u64 = 2_048;
const BYTES: usize = 4 << 20;

/// What is to be read: messages of a slice of a group.
pub(crate) struct Plan {
    group: usize,
    slice: usize,
    named: Slice,
    stream: StreamName,
    offset: u64,
    count: u64,
    moves: u64,
}

/// A slice that is to be read on for a member that waits. Nobody else reads it on until that is done.
pub(crate) fn plan(state: &mut State, group: usize, member: u64) -> Option<Plan> {
    let of_group = &mut state.groups[group];
    if !of_group.members.get(&member)?.is_hungry() {
        return None;
    }
    for slice in 0..of_group.slices.len() {
        let (topic, partition) = of_group.slices[slice];
        let partition = &state.topics[topic].partitions[partition];
        let may_have = of_group.members.get(&member).is_some_and(|state| of_group.may_have(member, state, slice));
        let room = of_group.has_room(slice);
        let cursor = &mut of_group.cursors[slice];
        if may_have && room && !cursor.loading && cursor.fetched < partition.stored {
            // What retention has removed was nobody's to settle.
            cursor.pass(partition.first);
            cursor.loading = true;
            let (offset, stream) = (cursor.fetched, partition.stream.clone());
            let count = (partition.stored - offset).min(MESSAGES);
            let (named, moves) = (partition.slice.clone(), cursor.moves);
            return Some(Plan { group, slice, named, stream, offset, count, moves });
        }
    }
    None
}

/// Says that nobody reads any more when reading ends, is dropped or fails.
struct Loading<'a>(&'a Shared, &'a Plan);

impl Drop for Loading<'_> {
    fn drop(&mut self) {
        let Plan { group, slice, moves, .. } = self.1;
        let mut state = self.0.lock();
        let cursor = &mut state.groups[*group].cursors[*slice];
        if cursor.moves == *moves {
            cursor.loading = false;
        }
    }
}

/// Reads on.
pub(crate) async fn load(shared: &Shared, plan: Plan) -> Result<(), BrokerError> {
    let loading = Loading(shared, &plan);
    let read = read_messages(&shared.store, &plan.named, &plan.stream, plan.offset, plan.count).await;
    let messages = read.map_err(|error| BrokerError::Failed(error.into()))?;
    drop(loading);
    shared.change(|state| {
        for stored in messages {
            let of_group = &state.groups[plan.group];
            let cursor = &of_group.cursors[plan.slice];
            if cursor.moves != plan.moves || cursor.fetched != stored.place.offset || !of_group.has_room(plan.slice) {
                break;
            }
            state.fetch(plan.group, plan.slice, &stored);
        }
        state.pump(plan.group);
    });
    Ok(())
}

/// Reads up to so many messages of a slice, but no more than fit into memory well.
pub(crate) async fn read_messages(
    store: &Store,
    slice: &Slice,
    stream: &StreamName,
    offset: u64,
    count: u64,
) -> Result<Vec<Arc<Stored>>, ReadError> {
    let read = Read::new(of_stream(stream)).from(ReadFrom::Version(Version(offset + 1))).limit(count.max(1));
    let mut batches = store.read(read);
    let (mut messages, mut bytes) = (Vec::new(), 0);
    while bytes < BYTES
        && let Some(batch) = batches.next().await
    {
        for event in batch?.iter() {
            let payload = bytes::Bytes::copy_from_slice(event.payload);
            bytes += payload.len();
            let decoded = message::read(&slice.topic, payload);
            let decoded = decoded.map_err(|damaged| ReadError::Damaged(damaged.into()))?;
            messages.push(Arc::new(Stored::read(slice, event.version.0 - 1, decoded)));
        }
    }
    Ok(messages)
}

/// One stream of the store.
pub(crate) fn of_stream(stream: &StreamName) -> Query {
    QueryItem { scope: Scope::Streams(vec![stream.clone()]), ..QueryItem::default() }.into()
}
