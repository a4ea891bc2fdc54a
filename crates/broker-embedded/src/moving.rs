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
            (partition.slice.clone(), partition.first, partition.next)
        };
        let (slice, first, next) = known(&shared.lock());
        floors.push(match to {
            Start::Earliest => Some(first),
            Start::Latest => Some(next),
            Start::Offsets(offsets) => offsets.iter().find(|(other, _)| *other == slice).map(|(_, offset)| *offset),
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
        let (mut steps, mut passed) = (Vec::new(), Vec::new());
        let mut purged = 0;
        for slice in 0..self.groups[group].slices.len() {
            let (topic, partition) = self.groups[group].slices[slice];
            let stored = self.topics[topic].partitions[partition].stored;
            let state = &mut self.groups[group];
            let (mut kept, mut gone) = (Vec::new(), Vec::new());
            for (number, item) in state.items.iter().filter(|(_, item)| item.slice == slice) {
                match item.status {
                    Status::Ready | Status::Waiting(_) | Status::Dead => gone.push(number),
                    _ => kept.push(item.offset()),
                }
            }
            kept.retain(|offset| *offset < stored);
            kept.sort_unstable();
            let cursor = &mut state.cursors[slice];
            purged += cursor.lag(stored).saturating_sub(kept.len() as u64);
            cursor.moves += 1;
            cursor.loading = true;
            let runs = runs_between(cursor.floor, stored, &kept);
            Record::Settled { slice: slice as u32, runs: runs.clone() }.write(&mut steps);
            gone.into_iter().for_each(|number| state.set(number, Status::Moving));
            passed.push((runs, stored));
        }
        let landed = move |state: &mut Self, landed: Result<Landed, Failure>| {
            let moving = state.groups[group].items.iter().filter(|(_, item)| item.status == Status::Moving);
            for number in moving.map(|(number, _)| number).collect::<Vec<_>>() {
                if landed.is_ok() {
                    state.groups[group].settle(number);
                } else {
                    state.groups[group].set(number, Status::Ready);
                }
            }
            for (slice, (runs, end)) in passed.into_iter().enumerate() {
                let cursor = &mut state.groups[group].cursors[slice];
                cursor.loading = false;
                if landed.is_ok() {
                    let fetched = cursor.fetched.max(end);
                    cursor.replay(Record::Settled { slice: slice as u32, runs });
                    cursor.fetched = fetched;
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
