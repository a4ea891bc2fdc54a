//! What a group has not settled, shown in its order over all slices, with no more than a part of each in memory.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use jiff::Timestamp;
use mainspring_broker::{BrokerError, Pending, Place};

use crate::{loading::read_messages, shared::Shared, state::State, topic::Stored};

/// So many messages of all slices together are read at once, but a few of each.
const SHOWN: usize = 512;
const AT_LEAST: usize = 8;

/// The next messages of one slice.
struct Lane {
    /// What was read and is not shown yet.
    read: VecDeque<(Timestamp, Pending)>,
    /// Where to read on, if there is more.
    next: Option<u64>,
}

/// The next messages of a group.
pub(crate) async fn browse(shared: &Shared, group: usize, limit: usize) -> Result<Vec<Pending>, BrokerError> {
    let mut lanes: Vec<Lane> = {
        let state = shared.lock();
        let first = |slice| Lane { read: VecDeque::new(), next: state.first_unsettled(group, slice, 0) };
        (0..state.groups[group].slices.len()).map(first).collect()
    };
    let count = (SHOWN / lanes.len().max(1)).clamp(AT_LEAST, SHOWN).min(limit.max(1));
    let mut pending = Vec::new();
    while pending.len() < limit {
        for (slice, lane) in lanes.iter_mut().enumerate() {
            lane.fill(shared, (group, slice), count).await?;
        }
        let heads = lanes.iter().enumerate().filter_map(|(slice, lane)| Some((lane.read.front()?.0, slice)));
        let Some((_, first)) = heads.min() else { break };
        pending.extend(lanes[first].read.pop_front().map(|(_, shown)| shown));
    }
    Ok(pending)
}

/// The message of a group at a place.
pub(crate) async fn find(shared: &Shared, group: usize, place: &Place) -> Result<Option<Pending>, BrokerError> {
    let Some((slice, offset)) = shared.lock().spot(group, place) else { return Ok(None) };
    let (stream, named, _) = shared.lock().stream_of(group, slice);
    let read = read_messages(&shared.store, &named, &stream, offset, 1).await;
    let mut messages = read.map_err(|error| BrokerError::Failed(error.into()))?;
    let Some(stored) = messages.pop().filter(|stored| stored.place == *place) else { return Ok(None) };
    Ok(shared.change(|state| {
        let number = state.items_of(group, slice).get(&offset).copied();
        state.show(group, slice, &stored, number)
    }))
}

impl Lane {
    /// Reads on until there is something to show, or nothing more.
    async fn fill(&mut self, shared: &Shared, (group, slice): (usize, usize), count: usize) -> Result<(), BrokerError> {
        while let Some(from) = self.next.filter(|_| self.read.is_empty()) {
            let (stream, named, stored) = shared.lock().stream_of(group, slice);
            let count = (stored - from).min(count as u64);
            let read = read_messages(&shared.store, &named, &stream, from, count).await;
            let messages = read.map_err(|error| BrokerError::Failed(error.into()))?;
            shared.change(|state| {
                let items = state.items_of(group, slice);
                let shown = messages.iter().filter_map(|message| {
                    let shown = state.show(group, slice, message, items.get(&message.place.offset).copied())?;
                    Some((message.stored, shown))
                });
                self.read.extend(shown);
                let next = messages.last().map_or(stored, |last| last.place.offset + 1);
                self.next = state.first_unsettled(group, slice, next);
            });
        }
        Ok(())
    }
}

impl State {
    /// The first message from `from` on that a group has not settled, if one is stored.
    fn first_unsettled(&self, group: usize, slice: usize, from: u64) -> Option<u64> {
        let (topic, partition) = self.groups[group].slices[slice];
        let partition = &self.topics[topic].partitions[partition];
        let cursor = &self.groups[group].cursors[slice];
        let offset = cursor.done.first_gap(from.max(cursor.floor).max(partition.first));
        (offset < partition.stored).then_some(offset)
    }

    /// The stream of a slice of a group, its name, and how far it is stored.
    pub(crate) fn stream_of(
        &self,
        group: usize,
        slice: usize,
    ) -> (mainspring_event::StreamName, mainspring_broker::Slice, u64) {
        let (topic, partition) = self.groups[group].slices[slice];
        let partition = &self.topics[topic].partitions[partition];
        (partition.stream.clone(), partition.slice.clone(), partition.stored)
    }

    /// The numbers of the messages of a slice that are in memory, by their offsets.
    pub(crate) fn items_of(&self, group: usize, slice: usize) -> HashMap<u64, u64> {
        let items = self.groups[group].items.iter().filter(|(_, item)| item.slice == slice);
        items.map(|(number, item)| (item.offset(), number)).collect()
    }

    /// Whether a group has a message before it: it wants it, has not settled it, and no log has removed it.
    pub(crate) fn has_before_it(&self, group: usize, slice: usize, stored: &Stored) -> bool {
        let state = &self.groups[group];
        let topic = &self.topics[state.slices[slice].0];
        let is_settled = state.cursors[slice].is_settled(stored.place.offset);
        !is_settled && state.wants(&stored.message) && !topic.has_removed(stored, self.now)
    }

    /// How a message stands, unless the group does not have it before it, or holds it as a dead letter.
    fn show(&self, group: usize, slice: usize, stored: &Arc<Stored>, number: Option<u64>) -> Option<Pending> {
        if !self.has_before_it(group, slice, stored) {
            return None;
        }
        let state = &self.groups[group];
        let item = number.and_then(|number| state.items.get(number));
        let known = state.cursors[slice].tried.get(&stored.place.offset).copied();
        let tried = item.map(|item| item.tried()).or(known).unwrap_or_default();
        let in_flight = item.is_some_and(|item| item.is_held());
        let (message, place) = (stored.message.clone(), Some(stored.place.clone()));
        (!tried.dead).then_some(Pending { message, place, attempts: tried.attempts, in_flight })
    }
}
