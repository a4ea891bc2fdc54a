//! Single messages that an operator takes out of a group, or lets begin anew. They may be in memory or only in the store,
//! and what becomes of them is written in one append together with what is sent in their stead.

use std::{collections::BTreeMap, sync::Arc};

use mainspring_broker::{BrokerError, Place, Receipt};
use tokio::sync::OwnedMutexGuard;

use crate::{
    codec::progress::Tried,
    entry::{Entry, Failure, Landed, Outgoing},
    group::item::Status,
    loading::read_messages,
    moving::Then,
    shared::Shared,
    state::{State, steps_of_settled, steps_of_tried},
    topic::Stored,
};

/// So many messages are read at once.
const READ: u64 = 512;

/// A slice of a group, and an offset in it.
pub(crate) type Spot = (usize, u64);

/// How a message stands that a group has before it. The number is there when it is in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Nobody has it, and it holds no key.
    Free(Option<u64>),
    /// It became a dead letter, and holds its key.
    Dead(Option<u64>),
    /// It is settled, or somebody has it, or it is not there.
    Taken,
}

/// What becomes of messages that are picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Becomes {
    /// Settled, if they are free.
    Removed,
    /// Settled, if they are dead, so that their keys go on.
    Skipped,
    /// As if they had never been tried, if they are dead.
    Anew,
}

/// A message that is picked: where it lies, its number when it is in memory, and how it stood.
struct Pick {
    spot: Spot,
    number: Option<u64>,
    before: Status,
}

/// Messages of a group that are picked, until that is written; nobody else moves the group meanwhile.
pub(crate) struct Picking {
    group: usize,
    picks: Vec<Pick>,
    becomes: Becomes,
    turn: OwnedMutexGuard<()>,
}

/// The spots among `places` that a group really has before it, each once: those that are not in memory are read.
pub(crate) async fn spots(shared: &Shared, group: usize, places: &[Place]) -> Result<Vec<Spot>, BrokerError> {
    let (mut spots, mut unread) = (Vec::new(), BTreeMap::<usize, Vec<u64>>::new());
    {
        let state = shared.lock();
        let mut asked: Vec<_> = places.iter().filter_map(|place| state.spot(group, place)).collect();
        asked.sort_unstable();
        asked.dedup();
        for of_slice in asked.chunk_by(|one, next| one.0 == next.0) {
            let items = state.items_of(group, of_slice[0].0);
            for spot in of_slice {
                if items.contains_key(&spot.1) {
                    spots.push(*spot);
                } else {
                    unread.entry(spot.0).or_default().push(spot.1);
                }
            }
        }
    }
    for (slice, offsets) in unread {
        for run in offsets.chunk_by(|one, next| one + 1 == *next) {
            for stored in read_run(shared, (group, slice), run[0], run.len() as u64).await? {
                if shared.change(|state| state.has_before_it(group, slice, &stored)) {
                    spots.push((slice, stored.place.offset));
                }
            }
        }
    }
    Ok(spots)
}

/// The message of a key that became a dead letter and holds it, and how many wait behind it.
pub(crate) async fn held(shared: &Shared, group: usize, key: &[u8]) -> Result<Option<(Spot, u64)>, BrokerError> {
    let (mut found, unread) = {
        let state = shared.lock();
        let dead = state.groups[group].items.iter().filter(|(_, item)| item.status == Status::Dead);
        let of_key = dead.filter(|(_, item)| item.stored.message.key.as_deref() == Some(key));
        let found: Vec<_> = of_key.map(|(_, item)| (item.stored.stored, (item.slice, item.offset()))).collect();
        let cursors = state.groups[group].cursors.iter().enumerate();
        let dead = cursors.flat_map(|(slice, cursor)| {
            let dead = cursor.tried.iter().filter(|(_, tried)| tried.dead);
            dead.map(move |(offset, _)| (slice, *offset))
        });
        (found, dead.collect::<Vec<Spot>>())
    };
    for (slice, offset) in unread {
        for stored in read_run(shared, (group, slice), offset, 1).await? {
            let is_there = shared.change(|state| state.has_before_it(group, slice, &stored));
            if is_there && stored.message.key.as_deref() == Some(key) {
                found.push((stored.stored, (slice, offset)));
            }
        }
    }
    let Some((_, spot)) = found.into_iter().min() else { return Ok(None) };
    Ok(Some((spot, count_behind(shared, group, spot, key).await?)))
}

/// How many messages of a key a group has before it behind one.
async fn count_behind(shared: &Shared, group: usize, (slice, offset): Spot, key: &[u8]) -> Result<u64, BrokerError> {
    let (mut from, mut count) = (offset + 1, 0);
    loop {
        let stored = shared.lock().stream_of(group, slice).2;
        let messages = read_run(shared, (group, slice), from, READ.min(stored.saturating_sub(from))).await?;
        let Some(last) = messages.last() else { return Ok(count) };
        from = last.place.offset + 1;
        count += shared.change(|state| {
            let waits = |stored: &&Arc<Stored>| {
                stored.message.key.as_deref() == Some(key) && state.has_before_it(group, slice, stored)
            };
            messages.iter().filter(waits).count() as u64
        });
    }
}

/// The messages of a slice of a group from an offset on that are still there, out of so many; at least the first of them.
async fn read_run(
    shared: &Shared,
    (group, slice): (usize, usize),
    from: u64,
    count: u64,
) -> Result<Vec<Arc<Stored>>, BrokerError> {
    let (stream, named, stored) = shared.lock().stream_of(group, slice);
    let (mut next, end) = (from, from.saturating_add(count).min(stored));
    let mut run = Vec::new();
    while next < end {
        let read = read_messages(&shared.store, &named, &stream, next, (end - next).min(READ)).await;
        let read = read.map_err(|error| BrokerError::Failed(error.into()))?;
        let Some(last) = read.last() else { break };
        next = last.place.offset + 1;
        run.extend(read.into_iter().filter(|stored| stored.place.offset < end));
    }
    Ok(run)
}

impl State {
    /// Where a place lies in a group, if it lies in one of its slices and something is stored there.
    pub(crate) fn spot(&self, group: usize, place: &Place) -> Option<Spot> {
        let topic = *self.topic_of.get(&place.slice.topic)?;
        let partition = place.slice.partition as usize;
        let known = self.topics[topic].partitions.get(partition)?;
        let is_stored = (known.first..known.stored).contains(&place.offset);
        let slice = self.groups[group].slice(topic, partition)?;
        is_stored.then_some((slice, place.offset))
    }

    fn standing(&self, group: usize, (slice, offset): Spot, number: Option<u64>) -> Standing {
        let state = &self.groups[group];
        let cursor = &state.cursors[slice];
        let item = number.and_then(|number| state.items.get(number));
        match item.map(|item| item.status) {
            Some(Status::Ready | Status::Waiting(_)) => Standing::Free(number),
            Some(Status::Dead) => Standing::Dead(number),
            Some(_) => Standing::Taken,
            None if cursor.is_settled(offset) || offset < cursor.fetched => Standing::Taken,
            None if cursor.tried.get(&offset).is_some_and(|tried| tried.dead) => Standing::Dead(None),
            None => Standing::Free(None),
        }
    }

    /// Picks those of `spots` of which that can become. Until it is written, nobody gets them, and what is not in memory
    /// is not read.
    pub(crate) fn pick(
        &mut self,
        group: usize,
        spots: &[Spot],
        becomes: Becomes,
        turn: OwnedMutexGuard<()>,
    ) -> Picking {
        let mut picks = Vec::new();
        for of_slice in spots.chunk_by(|one, next| one.0 == next.0) {
            let items = self.items_of(group, of_slice[0].0);
            for spot in of_slice {
                let standing = self.standing(group, *spot, items.get(&spot.1).copied());
                let number = match (standing, becomes) {
                    (Standing::Free(number), Becomes::Removed) => number,
                    (Standing::Dead(number), Becomes::Skipped | Becomes::Anew) => number,
                    _ => continue,
                };
                let state = &mut self.groups[group];
                let before = number.and_then(|number| state.items.get(number)).map(|item| item.status);
                match number {
                    Some(number) => state.set(number, Status::Moving),
                    None => state.cursors[spot.0].stop_reading(),
                }
                picks.push(Pick { spot: *spot, number, before: before.unwrap_or(Status::Ready) });
            }
        }
        Picking { group, picks, becomes, turn }
    }

    /// Writes what becomes of messages that were picked, together with what is sent in their stead.
    pub(crate) fn write_picked(&mut self, picking: Picking, messages: Vec<Outgoing>, done: Then<Vec<Receipt>>) {
        let spots = picking.picks.iter().map(|pick| pick.spot);
        let steps = match picking.becomes {
            Becomes::Removed | Becomes::Skipped => steps_of_settled(spots.collect()),
            Becomes::Anew => steps_of_tried(spots.map(|(slice, at)| (slice, at, Tried::default())).collect()),
        };
        let group = picking.group;
        let landed = move |state: &mut Self, landed: Result<Landed, Failure>| {
            state.land_picked(picking, landed.is_ok());
            let receipt = |place| Receipt { place, duplicate: false };
            let receipts = landed.map(|landed| landed.places.into_iter().map(receipt).collect());
            done(receipts.map_err(|failure| BrokerError::Failed(failure.into())));
        };
        self.enqueue(Entry { messages, ..Entry::steps(group, steps, Box::new(landed)) });
    }

    /// What becomes of messages that were picked was written, or was not.
    pub(crate) fn land_picked(&mut self, picking: Picking, written: bool) {
        let Picking { group, picks, becomes, turn } = picking;
        for Pick { spot: (slice, offset), number, before } in picks {
            let state = &mut self.groups[group];
            match (number, becomes) {
                (Some(number), _) if !written => state.set(number, before),
                (Some(number), Becomes::Removed | Becomes::Skipped) => state.settle(number),
                (Some(number), Becomes::Anew) => {
                    if let Some(item) = state.items.get_mut(number) {
                        (item.attempts, item.first_attempt) = (0, None);
                    }
                    state.set(number, Status::Ready);
                }
                (None, becomes) => state.cursors[slice].read_on(offset, written.then_some(becomes)),
            }
        }
        drop(turn);
        self.pump(group);
    }
}

impl Picking {
    /// How many messages it is.
    pub(crate) fn len(&self) -> usize {
        self.picks.len()
    }
}

impl crate::group::cursor::Cursor {
    /// Nothing is read on, until told.
    fn stop_reading(&mut self) {
        self.moves += 1;
        self.loading = true;
    }

    /// Something has become of a message that was not read, or has not, and reading goes on.
    fn read_on(&mut self, offset: u64, becomes: Option<Becomes>) {
        self.loading = false;
        if becomes.is_some() {
            self.tried.remove(&offset);
        }
        if matches!(becomes, Some(Becomes::Removed | Becomes::Skipped)) {
            self.settle(offset);
            self.fetched = self.fetched.max(self.floor);
        }
    }
}
