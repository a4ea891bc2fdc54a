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

/// So many messages that wait no more are read at once.
const AGAIN: usize = 256;

/// What is to be read for a member that waits.
pub(crate) struct Plan {
    group: usize,
    slice: usize,
    named: Slice,
    stream: StreamName,
    what: What,
}

enum What {
    /// The next messages: so many from an offset on, unless the group is moved meanwhile.
    Next { offset: u64, count: u64, moves: u64 },
    /// Messages that wait no more: the offset and the number of each.
    Again(Vec<(u64, u64)>),
}

/// What a member may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// Messages that wait no more, if there is room for them: they come before what was sent after them.
    Again,
    /// Those, and the next ones.
    Any,
}

/// A slice that is to be read for a member that waits. Nobody else reads the same until that is done.
pub(crate) fn plan(state: &mut State, group: usize, member: u64, which: Which) -> Option<Plan> {
    let of_group = &state.groups[group];
    of_group.members.get(&member).filter(|member| member.is_hungry())?;
    // What a log has removed meanwhile does not come.
    state.forget_removed(group);
    let of_group = &state.groups[group];
    let asks = of_group.members.get(&member).filter(|member| member.is_hungry())?;
    let slices = 0..of_group.slices.len();
    let is_wanted = |slice: usize| match which {
        Which::Again => of_group.has_room(slice) && of_group.recalls(slice),
        Which::Any => state.is_behind(group, slice),
    };
    let slice = slices.into_iter().find(|at| of_group.may_have(member, asks, *at) && is_wanted(*at))?;
    let of_group = &mut state.groups[group];
    let (topic, partition) = of_group.slices[slice];
    let partition = &state.topics[topic].partitions[partition];
    let (named, stream) = (partition.slice.clone(), partition.stream.clone());
    let again = of_group.recall.range((slice, 0)..=(slice, u64::MAX)).take(AGAIN);
    let again: Vec<_> = again.map(|((_, offset), number)| (*offset, *number)).collect();
    let what = if again.is_empty() {
        let cursor = &mut of_group.cursors[slice];
        // What retention has removed was nobody's to settle.
        cursor.pass(partition.first);
        cursor.loading = true;
        let offset = cursor.fetched;
        let count = partition.stored.saturating_sub(offset).min(MESSAGES);
        What::Next { offset, count, moves: cursor.moves }
    } else {
        for (offset, _) in &again {
            of_group.recall.remove(&(slice, *offset));
        }
        What::Again(again)
    };
    Some(Plan { group, slice, named, stream, what })
}

/// Lets others read when reading ends, is dropped or fails: somebody may wait for just this.
struct Loading<'a>(&'a Shared, &'a Plan);

impl Drop for Loading<'_> {
    fn drop(&mut self) {
        let Plan { group, slice, what, .. } = self.1;
        self.0.change(|state| {
            let of_group = &mut state.groups[*group];
            match what {
                What::Next { moves, .. } => {
                    let cursor = &mut of_group.cursors[*slice];
                    if cursor.moves == *moves {
                        cursor.loading = false;
                    }
                }
                // What was not read is to be read still.
                What::Again(again) => again.iter().for_each(|(_, number)| of_group.recall_again(*number)),
            }
            state.pump(*group);
        });
    }
}

/// Reads on.
pub(crate) async fn load(shared: &Shared, plan: Plan) -> Result<(), BrokerError> {
    let loading = Loading(shared, &plan);
    let failed = |error: ReadError| BrokerError::Failed(error.into());
    match &plan.what {
        What::Next { offset, count, moves } => {
            let read = read_messages(&shared.store, &plan.named, &plan.stream, *offset, *count).await;
            let messages = read.map_err(failed)?;
            shared.change(|state| state.take_in(&plan, *moves, messages));
        }
        What::Again(again) => {
            for run in again.chunk_by(|one, next| one.0 + 1 == next.0) {
                let (first, count) = (run[0].0, run.len() as u64);
                let read = read_messages(&shared.store, &plan.named, &plan.stream, first, count).await;
                let messages = read.map_err(failed)?;
                shared.change(|state| {
                    for (stored, (_, number)) in messages.into_iter().zip(run) {
                        state.groups[plan.group].restore(*number, stored);
                    }
                });
            }
        }
    }
    drop(loading);
    Ok(())
}

impl State {
    /// Settles what would be read again and is not there any more.
    fn forget_removed(&mut self, group: usize) {
        let state = &self.groups[group];
        let is_gone = |((slice, offset), number): (&(usize, u64), &u64)| {
            let (topic, partition) = state.slices[*slice];
            (*offset < self.topics[topic].partitions[partition].first).then_some(*number)
        };
        let gone: Vec<_> = state.recall.iter().filter_map(is_gone).collect();
        gone.into_iter().for_each(|number| self.groups[group].settle(number));
    }

    /// Takes messages into memory that were read, as long as there is room and the group was not moved.
    fn take_in(&mut self, plan: &Plan, moves: u64, messages: Vec<Arc<Stored>>) {
        for stored in messages {
            let of_group = &self.groups[plan.group];
            let cursor = &of_group.cursors[plan.slice];
            if cursor.moves != moves || cursor.fetched != stored.place.offset || !of_group.has_room(plan.slice) {
                break;
            }
            self.fetch(plan.group, plan.slice, &stored);
        }
    }
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
