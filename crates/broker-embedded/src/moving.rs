//! Moving a whole group: seeks, purges, and keys that are held.

use jiff::Timestamp;
use mainspring_broker::{BrokerError, Feature, Slice, Start};

use crate::{
    codec::progress::{Record, Tried},
    entry::{Entry, Failure, Landed},
    group::item::Status,
    loading::read_messages,
    shared::Shared,
    state::State,
};

/// What hears of the end of something.
pub(crate) type Then<T> = Box<dyn FnOnce(Result<T, BrokerError>) + Send>;

/// The offset at which each of these slices begins, or nothing for those that stay where they are.
pub(crate) async fn floors(
    shared: &Shared,
    slices: &[(usize, usize)],
    to: &Start,
) -> Result<Vec<Option<u64>>, BrokerError> {
    let mut floors = Vec::with_capacity(slices.len());
    for (topic, partition) in slices {
        let known = |state: &State| {
            let partition = &state.topics[*topic].partitions[*partition];
            // What was settled of a topic that is no log may still be there, but is not kept.
            let first = if state.topics[*topic].is_log() { partition.first } else { partition.stored };
            (partition.slice.clone(), first, partition.stored)
        };
        let (slice, first, stored) = known(&shared.lock());
        let offset = |offsets: &[(Slice, u64)]| offsets.iter().find(|(of, _)| *of == slice).map(|(_, offset)| *offset);
        floors.push(match to {
            Start::Earliest => Some(first),
            Start::Latest => Some(stored),
            // A message that does not exist yet is not skipped.
            Start::Offsets(offsets) => offset(offsets).map(|offset| offset.min(stored)),
            Start::Time(_) if first == stored => Some(stored),
            Start::Time(time) => Some(first_at(shared, (*topic, *partition), &slice, *time).await?),
        });
    }
    Ok(floors)
}

/// The first offset of a message that was taken then or later: moments rise with offsets, so halving finds it.
async fn first_at(
    shared: &Shared,
    (topic, partition): (usize, usize),
    slice: &Slice,
    time: Timestamp,
) -> Result<u64, BrokerError> {
    let (stream, first, stored) = {
        let state = shared.lock();
        let partition = &state.topics[topic].partitions[partition];
        (partition.stream.clone(), partition.first, partition.stored)
    };
    let (mut low, mut high) = (first, stored);
    while low < high {
        let middle = low + (high - low) / 2;
        let read = read_messages(&shared.store, slice, &stream, middle, 1).await;
        let message = read.map_err(|error| BrokerError::Failed(error.into()))?.pop();
        match message {
            Some(message) if message.stored < time => low = middle + 1,
            _ => high = middle,
        }
    }
    Ok(low)
}

impl State {
    /// Refuses to move a group that reads what is not kept.
    pub(crate) fn can_move(&self, group: usize) -> Result<(), BrokerError> {
        let state = &self.groups[group];
        if state.slices.iter().all(|(topic, _)| self.topics[*topic].is_log()) {
            return Ok(());
        }
        Err(BrokerError::Refused { feature: Feature::Replay, at: state.spec.group.to_string() })
    }

    /// Moves a group. What its members have of the slices that move is stale at once, and nothing of them is read until
    /// that is written.
    pub(crate) fn seek(&mut self, group: usize, floors: Vec<Option<u64>>, done: Then<()>) {
        let mut steps = Vec::new();
        for (slice, floor) in floors.iter().enumerate().filter_map(|(slice, floor)| Some((slice, (*floor)?))) {
            Record::Moved { slice: slice as u32, floor, runs: Vec::new() }.write(&mut steps);
            self.unload(group, slice);
        }
        let landed = move |state: &mut Self, landed: Result<Landed, Failure>| {
            for (slice, floor) in floors.into_iter().enumerate().filter_map(|(slice, floor)| Some((slice, floor?))) {
                let cursor = &mut state.groups[group].cursors[slice];
                cursor.loading = false;
                if landed.is_ok() {
                    cursor.jump(floor, &[]);
                }
            }
            state.pump(group);
            done(landed.map(drop).map_err(|failure| BrokerError::Failed(failure.into())));
        };
        self.enqueue(Entry::steps(group, steps, Box::new(landed)));
    }

    /// Takes everything of a slice out of memory and reads nothing of it until told.
    fn unload(&mut self, group: usize, slice: usize) {
        let state = &mut self.groups[group];
        let of_slice: Vec<_> = state.items.iter().filter(|(_, item)| item.slice == slice).collect();
        let of_slice: Vec<_> =
            of_slice.into_iter().map(|(number, item)| (number, item.offset(), item.tried())).collect();
        for (number, offset, tried) in of_slice {
            state.remove(number);
            if tried != Tried::default() {
                state.cursors[slice].tried.insert(offset, tried);
            }
        }
        let cursor = &mut state.cursors[slice];
        cursor.fetched = cursor.floor;
        cursor.moves += 1;
        cursor.loading = true;
    }

    /// Removes what a group has not settled and nobody has.
    pub(crate) fn purge(&mut self, group: usize, done: Then<u64>) {
        let (mut steps, mut passed, mut gone) = (Vec::new(), Vec::new(), Vec::new());
        let mut purged = 0;
        for slice in 0..self.groups[group].slices.len() {
            let (topic, partition) = self.groups[group].slices[slice];
            let stored = self.topics[topic].partitions[partition].stored;
            let state = &mut self.groups[group];
            let mut kept = Vec::new();
            let before = gone.len();
            for (number, item) in state.items.iter().filter(|(_, item)| item.slice == slice) {
                match item.status {
                    Status::Ready | Status::Waiting(_) | Status::Dead => gone.push((number, item.status)),
                    _ => kept.push(item.offset()),
                }
            }
            kept.retain(|offset| *offset < stored);
            kept.sort_unstable();
            let cursor = &mut state.cursors[slice];
            purged += cursor.lag(0, stored).saturating_sub(kept.len() as u64);
            cursor.moves += 1;
            cursor.loading = true;
            let runs = runs_between(cursor.floor, stored, &kept);
            Record::Settled { slice: slice as u32, runs: runs.clone() }.write(&mut steps);
            gone[before..].iter().for_each(|(number, _)| state.set(*number, Status::Moving));
            passed.push((runs, stored));
        }
        let landed = move |state: &mut Self, landed: Result<Landed, Failure>| {
            for (number, before) in gone {
                if landed.is_ok() {
                    state.groups[group].settle(number);
                } else {
                    state.groups[group].set(number, before);
                }
            }
            for (slice, (runs, end)) in passed.into_iter().enumerate() {
                let cursor = &mut state.groups[group].cursors[slice];
                cursor.loading = false;
                if landed.is_ok() {
                    let fetched = cursor.fetched.max(end);
                    cursor.replay(Record::Settled { slice: slice as u32, runs });
                    (cursor.fetched, cursor.unwanted) = (fetched, 0);
                }
            }
            state.pump(group);
            done(landed.map(|_| purged).map_err(|failure| BrokerError::Failed(failure.into())));
        };
        self.enqueue(Entry::steps(group, steps, Box::new(landed)));
    }
}

/// The runs from `start` to before `end` without `kept`, which ascend.
fn runs_between(start: u64, end: u64, kept: &[u64]) -> Vec<(u64, u64)> {
    let mut runs = Vec::new();
    let mut from = start;
    for offset in kept.iter().copied().filter(|offset| *offset >= start).chain([end]) {
        if offset > from {
            runs.push((from, offset - from));
        }
        from = offset + 1;
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_go_around_what_is_kept() {
        assert_eq!(runs_between(2, 9, &[]), [(2, 7)]);
        assert_eq!(runs_between(2, 9, &[1, 2, 5, 8]), [(3, 2), (6, 2)]);
        assert_eq!(runs_between(9, 9, &[]), []);
    }
}
