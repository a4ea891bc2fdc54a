//! One group: what it has not settled, who its members are, and which slices and sessions they have.
//!
//! Only so much of it is in memory: how far it has come in each slice, and as many messages as its members may soon have.

mod choosing;
pub(crate) mod cursor;
pub(crate) mod item;
pub(crate) mod member;
mod sharing;
mod snapshot;
pub(crate) mod table;
mod times;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::Arc,
};

use bytes::Bytes;
use jiff::Timestamp;
use mainspring_broker::{GroupStatus, Message, Order, Sharing, Subscription};
use mainspring_event::{NameError, StreamName};

use crate::topic::Stored;
use cursor::Cursor;
use item::{Holding, Item, Status};
use member::Member;
use sharing::{Owner, Session};
use table::Table;

/// So many messages and bytes of a group are in memory at most, shared by its slices, of which each has so many at least.
const MAX_ITEMS: usize = 65_536;
const MAX_BYTES: usize = 32 << 20;
const SLICE_ITEMS: usize = 4_096;
const SLICE_BYTES: usize = 2 << 20;

/// So many messages of a group may wait for another attempt, or behind one that does; of these only keys and times are in
/// memory. So many holes behind the first message that is not settled are written down. Beyond these, the group waits.
const MAX_WAITING: usize = 262_144;
const MAX_HOLES: usize = 262_144;

/// A message that is sent goes straight to a group in which no more than so many wait.
const BACKLOG: usize = 4_096;

/// What keeps messages in order with each other: the slice and the key.
pub(crate) type OrderKey = (usize, Bytes);

pub(crate) struct GroupState {
    pub(crate) spec: Subscription,
    pub(crate) stream: StreamName,
    /// The version of its stream with everything that is on its way, and without.
    pub(crate) version: u64,
    pub(crate) stored_version: u64,
    /// Bytes that were written since the last snapshot, and bytes of that.
    pub(crate) written: usize,
    pub(crate) snapshot: usize,
    /// Its slices, each as a topic and a partition, and where those of each topic begin.
    pub(crate) slices: Vec<(usize, usize)>,
    bases: Vec<(usize, usize)>,
    pub(crate) cursors: Vec<Cursor>,
    pub(crate) items: Table<Item>,
    /// What can be delivered, by slice: the complement of the priority and the number.
    ready: Vec<BTreeSet<(u8, u64)>>,
    /// What could be delivered, were it in memory: the number, by slice and offset.
    pub(crate) recall: BTreeMap<(usize, u64), u64>,
    waiting: BTreeSet<(Timestamp, u64)>,
    pub(crate) expiring: BTreeSet<(Timestamp, u64)>,
    extended: BTreeSet<(Timestamp, u64, u64)>,
    /// The items of each key, in their order. Only the first can be delivered.
    keys: HashMap<OrderKey, VecDeque<u64>>,
    pub(crate) members: BTreeMap<u64, Member>,
    owners: Vec<Owner>,
    sessions: HashMap<OrderKey, Session>,
    /// The same by the times of their ends.
    session_ends: BTreeSet<(Timestamp, OrderKey)>,
    window: usize,
    /// The store has refused to note attempts; until then it is not asked again.
    pub(crate) refused: Option<Timestamp>,
}

impl GroupState {
    /// A group with these slices, sorted by topic, that begins at these offsets.
    pub(crate) fn new(
        spec: Subscription,
        slices: Vec<(usize, usize)>,
        floors: Vec<u64>,
        window: usize,
    ) -> Result<Self, NameError> {
        debug_assert_eq!(slices.len(), floors.len(), "each slice begins somewhere");
        let mut bases: Vec<(usize, usize)> = Vec::new();
        for (at, (topic, _)) in slices.iter().enumerate() {
            if bases.last().is_none_or(|(last, _)| last != topic) {
                bases.push((*topic, at));
            }
        }
        Ok(Self {
            stream: StreamName::of("$group", &spec.group)?,
            spec,
            version: 0,
            stored_version: 0,
            written: 0,
            snapshot: 0,
            cursors: floors.into_iter().map(Cursor::at).collect(),
            items: Table::new(),
            recall: BTreeMap::new(),
            ready: slices.iter().map(|_| BTreeSet::new()).collect(),
            waiting: BTreeSet::new(),
            expiring: BTreeSet::new(),
            extended: BTreeSet::new(),
            keys: HashMap::new(),
            members: BTreeMap::new(),
            owners: slices.iter().map(|_| Owner::default()).collect(),
            sessions: HashMap::new(),
            session_ends: BTreeSet::new(),
            slices,
            bases,
            window,
            refused: None,
        })
    }

    /// Whether it gets the message.
    pub(crate) fn wants(&self, message: &Message) -> bool {
        self.spec.selects(message)
    }

    /// The place of a slice among those of the group, if it is bound to the topic.
    pub(crate) fn slice(&self, topic: usize, partition: usize) -> Option<usize> {
        self.bases.iter().find(|(other, _)| *other == topic).map(|(_, base)| base + partition)
    }

    /// Whether messages of a slice wait no more and are not in memory.
    pub(crate) fn recalls(&self, slice: usize) -> bool {
        self.recall.range((slice, 0)..=(slice, u64::MAX)).next().is_some()
    }

    /// Whether another message of a slice may be taken into memory.
    pub(crate) fn has_room(&self, slice: usize) -> bool {
        let cursor = &self.cursors[slice];
        let within = match self.spec.order {
            Order::KeyBlocks | Order::Sessions => cursor.loaded <= self.window,
            Order::Unordered | Order::KeyParks => true,
        };
        let share = |all: usize, least: usize| (all / self.cursors.len()).max(least);
        within
            && cursor.whole < share(MAX_ITEMS, SLICE_ITEMS)
            && cursor.bytes < share(MAX_BYTES, SLICE_BYTES)
            && self.items.len() < MAX_ITEMS + MAX_WAITING
            && cursor.done.runs() < MAX_HOLES
    }

    /// Whether a message that is just sent goes straight to the group: it has read everything before it, and has members
    /// who may get it. What expires does so in memory.
    pub(crate) fn is_abreast(&self, slice: usize, offset: u64, expires: bool) -> bool {
        let cursor = &self.cursors[slice];
        let may_have = |(id, member): (&u64, &Member)| member.fetching && self.may_have(*id, member, slice);
        cursor.fetched == offset
            && !cursor.loading
            && self.ready[slice].len() < BACKLOG
            && (expires || self.members.iter().any(may_have))
            && self.has_room(slice)
    }

    /// Takes the next message of a slice into memory; its number.
    pub(crate) fn add(&mut self, slice: usize, stored: Arc<Stored>, status: Status, now: Timestamp) -> u64 {
        let cursor = &mut self.cursors[slice];
        let tried = cursor.tried.remove(&stored.place.offset).unwrap_or_default();
        cursor.loaded += 1;
        cursor.whole += 1;
        cursor.bytes += stored.size;
        let status = match tried.not_before {
            _ if tried.dead => Status::Dead,
            Some(time) if time > now => Status::Waiting(time),
            _ => status,
        };
        let key = self.order_key(slice, &stored.message);
        let (attempts, first_attempt) = (tried.attempts, tried.first);
        let item = Item { stored, slice, attempts, first_attempt, status: Status::Moving, is_whole: true };
        let number = self.items.push(item);
        let first = key.map(|key| {
            let queue = self.keys.entry(key).or_default();
            queue.push_back(number);
            queue[0]
        });
        self.set(number, status);
        // Behind one that waits for long, others wait for longer.
        if self.spec.order == Order::KeyParks
            && let Some(first) = first.and_then(|first| self.items.get(first))
            && matches!(first.status, Status::Waiting(_) | Status::Dead)
        {
            self.strip(number);
        }
        number
    }

    /// By what a message is kept in order, if it is.
    pub(crate) fn order_key(&self, slice: usize, message: &Message) -> Option<OrderKey> {
        let key = message.key.as_ref().filter(|_| self.spec.order != Order::Unordered)?;
        Some((slice, key.clone()))
    }

    /// Whether a message is the first of its key, or has none.
    pub(crate) fn is_first(&self, number: u64) -> bool {
        let Some(item) = self.items.get(number) else { return false };
        let key = self.order_key(item.slice, &item.stored.message);
        key.is_none_or(|key| self.keys.get(&key).and_then(VecDeque::front) == Some(&number))
    }

    /// Changes what happens to a message; everything that depends on it follows.
    pub(crate) fn set(&mut self, number: u64, status: Status) {
        let Some(item) = self.items.get_mut(number) else { return };
        let (before, had) = (item.status, item.member());
        item.status = status;
        let (has, size, expires) = (item.member(), item.size(), item.stored.expires);
        let lane = (item.slice, u8::MAX - item.stored.message.priority);
        let (offset, is_whole) = (item.offset(), item.is_whole);
        match before {
            Status::Ready => {
                self.ready[lane.0].remove(&(lane.1, number));
                self.recall.remove(&(lane.0, offset));
            }
            Status::Waiting(time) => drop(self.waiting.remove(&(time, number))),
            Status::Held(holding) | Status::Settling(holding)
                if !matches!(status, Status::Held(_) | Status::Settling(_)) =>
            {
                self.extended.remove(&(holding.until, number, holding.epoch));
            }
            _ => {}
        }
        match status {
            Status::Ready if !self.is_first(number) => {}
            Status::Ready if is_whole => drop(self.ready[lane.0].insert((lane.1, number))),
            Status::Ready => drop(self.recall.insert((lane.0, offset), number)),
            Status::Waiting(time) => drop(self.waiting.insert((time, number))),
            _ => {}
        }
        if matches!(status, Status::Waiting(_) | Status::Dead) {
            self.strip(number);
        }
        // What a member has does not expire; what comes back does.
        if let (Some(expires), Status::Ready | Status::Waiting(_)) = (expires, status) {
            self.expiring.insert((expires, number));
        }
        if had != has {
            if let Some(member) = had.and_then(|had| self.members.get_mut(&had)) {
                member.messages -= 1;
                member.bytes -= size;
            }
            if let Some(member) = has.and_then(|has| self.members.get_mut(&has)) {
                member.messages += 1;
                member.bytes += size;
            }
        }
    }

    /// A message is settled: it goes, and the next one of its key may come.
    pub(crate) fn settle(&mut self, number: u64) {
        if let Some(item) = self.remove(number) {
            self.cursors[item.slice].settle(item.offset());
        }
    }

    /// Forgets the body of a message that nobody gets soon; it is read again then.
    fn strip(&mut self, number: u64) {
        let Some(item) = self.items.get_mut(number).filter(|item| item.is_whole) else { return };
        item.strip();
        let cursor = &mut self.cursors[item.slice];
        cursor.whole -= 1;
        cursor.bytes -= item.size();
    }

    /// A message was read again.
    pub(crate) fn restore(&mut self, number: u64, stored: Arc<Stored>) {
        let Some(item) = self.items.get_mut(number) else { return };
        if item.is_whole || item.stored.place != stored.place {
            return;
        }
        (item.stored, item.is_whole) = (stored, true);
        let (status, size) = (item.status, item.size());
        let cursor = &mut self.cursors[item.slice];
        cursor.whole += 1;
        cursor.bytes += size;
        self.set(number, status);
    }

    /// A message that could be delivered is still not there.
    pub(crate) fn recall_again(&mut self, number: u64) {
        if let Some(status) = self.items.get(number).filter(|item| !item.is_whole).map(|item| item.status) {
            self.set(number, status);
        }
    }

    /// A settlement did not happen: the delivery goes on, unless it has ended meanwhile.
    pub(crate) fn hold_on(&mut self, number: u64, holding: Holding, now: Timestamp) {
        let Some(slice) = self.items.get(number).map(|item| item.slice) else { return };
        let has_slice = self.spec.sharing == Sharing::Competing || self.owners[slice].has(holding.member);
        if holding.until > now && has_slice && self.members.contains_key(&holding.member) {
            self.set(number, Status::Held(holding));
            self.extended.insert((holding.until, number, holding.epoch));
        } else {
            self.set(number, Status::Ready);
        }
    }

    /// What should have expired but could not waits for another attempt at that.
    pub(crate) fn put_off(&mut self, number: u64, until: Timestamp) {
        self.set(number, Status::Waiting(until));
        if let Some(expires) = self.items.get(number).and_then(|item| item.stored.expires) {
            self.expiring.remove(&(expires, number));
        }
    }

    /// Takes a message out of memory.
    pub(crate) fn remove(&mut self, number: u64) -> Option<Item> {
        self.set(number, Status::Moving);
        let item = self.items.remove(number)?;
        let cursor = &mut self.cursors[item.slice];
        cursor.loaded -= 1;
        if item.is_whole {
            cursor.whole -= 1;
            cursor.bytes -= item.size();
        }
        if let Some(expires) = item.stored.expires {
            self.expiring.remove(&(expires, number));
        }
        let key = self.order_key(item.slice, &item.stored.message);
        if let Some(key) = key
            && let Some(queue) = self.keys.get_mut(&key)
        {
            match queue.front() {
                Some(first) if *first == number => drop(queue.pop_front()),
                _ => queue.retain(|other| *other != number),
            }
            match queue.front().copied() {
                None => drop(self.keys.remove(&key)),
                Some(next) => {
                    if self.items.get(next).is_some_and(|item| item.status == Status::Ready) {
                        self.set(next, Status::Ready);
                    }
                }
            }
        }
        Some(item)
    }

    pub(crate) fn is_in_flight(&self) -> bool {
        self.members.values().any(|member| member.messages > 0)
    }

    /// How it stands, where the slices are kept and stored from and to these offsets.
    pub(crate) fn status(&self, ends: impl Fn(usize) -> (u64, u64)) -> GroupStatus {
        let count = |is: fn(&Item) -> bool| self.items.iter().filter(|(_, item)| is(item)).count() as u64;
        let tried = self.cursors.iter().flat_map(|cursor| cursor.tried.values());
        let held_keys = count(|item| item.status == Status::Dead) + tried.filter(|tried| tried.dead).count() as u64;
        let lags = self.cursors.iter().enumerate().map(|(slice, cursor)| {
            let (first, stored) = ends(slice);
            cursor.lag(first, stored)
        });
        GroupStatus {
            group: self.spec.group.clone(),
            members: self.members.len(),
            lag: lags.sum::<u64>().saturating_sub(held_keys),
            in_flight: count(Item::is_held),
            held_keys,
        }
    }
}
