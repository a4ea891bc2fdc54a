//! One group: what it has not settled, who its members are, and which slices and sessions they have.
//!
//! Only so much of it is in memory: how far it has come in each slice, and as many messages as its members may soon have.

pub(crate) mod cursor;
pub(crate) mod item;
pub(crate) mod member;
mod sharing;
pub(crate) mod table;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::Arc,
};

use bytes::Bytes;
use jiff::Timestamp;
use mainspring_broker::{GroupStatus, Message, Order, Sharing, Subscription};
use mainspring_event::{NameError, StreamName};

use crate::{
    codec::progress::{Record, Tried},
    topic::Stored,
};
use cursor::Cursor;
use item::{Item, Status};
use member::Member;
use sharing::{Owner, Session};
use table::Table;

/// So many messages and bytes of a group are in memory at most, and so many holes behind the first that is not settled
/// are written down. Beyond these, the group waits for its members.
const MAX_ITEMS: usize = 65_536;
const MAX_BYTES: usize = 32 << 20;
const MAX_HOLES: usize = 262_144;

/// A message that is sent goes straight to a group in which no more than so many wait.
const BACKLOG: usize = 4_096;

/// A snapshot is written after so many bytes, and is cut into parts of about so many.
const SNAPSHOT: usize = 256 << 10;
const PART: usize = 1 << 20;

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
    bytes: usize,
    /// What can be delivered, by slice: the complement of the priority and the number.
    ready: Vec<BTreeSet<(u8, u64)>>,
    waiting: BTreeSet<(Timestamp, u64)>,
    pub(crate) expiring: BTreeSet<(Timestamp, u64)>,
    extended: BTreeSet<(Timestamp, u64, u64)>,
    /// The items of each key, in their order. Only the first can be delivered.
    keys: HashMap<OrderKey, VecDeque<u64>>,
    pub(crate) members: BTreeMap<u64, Member>,
    owners: Vec<Owner>,
    sessions: HashMap<OrderKey, Session>,
    window: usize,
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
            bytes: 0,
            ready: slices.iter().map(|_| BTreeSet::new()).collect(),
            waiting: BTreeSet::new(),
            expiring: BTreeSet::new(),
            extended: BTreeSet::new(),
            keys: HashMap::new(),
            members: BTreeMap::new(),
            owners: slices.iter().map(|_| Owner::default()).collect(),
            sessions: HashMap::new(),
            slices,
            bases,
            window,
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

    /// Whether another message of a slice may be taken into memory.
    pub(crate) fn has_room(&self, slice: usize) -> bool {
        let cursor = &self.cursors[slice];
        let within = match self.spec.order {
            Order::KeyBlocks | Order::Sessions => cursor.loaded <= self.window,
            Order::Unordered | Order::KeyParks => true,
        };
        within && self.items.len() < MAX_ITEMS && self.bytes < MAX_BYTES && cursor.done.runs() < MAX_HOLES
    }

    /// Whether a message that is just sent goes straight to the group: it has read everything before it, and members.
    pub(crate) fn is_abreast(&self, slice: usize, offset: u64) -> bool {
        let cursor = &self.cursors[slice];
        cursor.fetched == offset
            && !cursor.loading
            && self.ready.iter().map(BTreeSet::len).sum::<usize>() < BACKLOG
            && self.members.values().any(|member| member.fetching)
            && self.has_room(slice)
    }

    /// Takes the next message of a slice into memory; its number.
    pub(crate) fn add(&mut self, slice: usize, stored: Arc<Stored>, status: Status, now: Timestamp) -> u64 {
        let cursor = &mut self.cursors[slice];
        let tried = cursor.tried.remove(&stored.place.offset).unwrap_or_default();
        cursor.loaded += 1;
        self.bytes += stored.size;
        let status = match tried.not_before {
            _ if tried.dead => Status::Dead,
            Some(time) if time > now => Status::Waiting(time),
            _ => status,
        };
        let key = self.order_key(slice, &stored.message);
        let item = Item { stored, slice, attempts: tried.attempts, first_attempt: tried.first, status: Status::Moving };
        let number = self.items.push(item);
        if let Some(key) = key {
            self.keys.entry(key).or_default().push_back(number);
        }
        self.set(number, status);
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
        match before {
            Status::Ready => drop(self.ready[lane.0].remove(&(lane.1, number))),
            Status::Waiting(time) => drop(self.waiting.remove(&(time, number))),
            _ => {}
        }
        match status {
            Status::Ready if self.is_first(number) => drop(self.ready[lane.0].insert((lane.1, number))),
            Status::Waiting(time) => drop(self.waiting.insert((time, number))),
            _ => {}
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

    /// Takes a message out of memory.
    pub(crate) fn remove(&mut self, number: u64) -> Option<Item> {
        self.set(number, Status::Moving);
        let item = self.items.remove(number)?;
        self.cursors[item.slice].loaded -= 1;
        self.bytes -= item.size();
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

    /// The message that a member gets next: of those that can be delivered to it, the first of the highest priority.
    pub(crate) fn choose(&self, id: u64) -> Option<u64> {
        let member = self.members.get(&id)?;
        let mut best: Option<(u8, u64)> = None;
        for (slice, lane) in self.ready.iter().enumerate().filter(|(_, lane)| !lane.is_empty()) {
            if self.may_have(id, member, slice) {
                let first = match self.spec.order {
                    Order::Sessions => lane.iter().find(|(_, number)| self.session_allows(*number, id)),
                    _ => lane.first(),
                };
                best = first.copied().into_iter().chain(best).min();
            }
        }
        best.map(|(_, number)| number)
    }

    /// The same of messages that are on their way to the store: it takes one out of `fresh`, whose first stands last.
    pub(crate) fn choose_unborn(&self, id: u64, fresh: &mut Vec<u64>) -> Option<u64> {
        let member = self.members.get(&id)?;
        let may_take = |number: &u64| {
            let item = self.items.get(*number);
            item.is_some_and(|item| self.may_have(id, member, item.slice)) && self.session_allows(*number, id)
        };
        let at = fresh.iter().rposition(may_take)?;
        Some(fresh.remove(at))
    }

    /// Whether messages of a slice go to a member.
    pub(crate) fn may_have(&self, id: u64, member: &Member, slice: usize) -> bool {
        let is_assigned = self.spec.sharing == Sharing::Competing || self.owners[slice].is(id);
        is_assigned && !member.paused.contains(&slice)
    }

    /// Notes that a member has a delivery until a time.
    pub(crate) fn lease(&mut self, id: u64, until: Timestamp, number: u64, epoch: u64) {
        let items = &self.items;
        let Some(member) = self.members.get_mut(&id) else { return };
        let lasts = |(until, number, epoch): &(Timestamp, u64, u64)| {
            let status = items.get(*number).map(|item| item.status);
            matches!(status, Some(Status::Held(holding) | Status::Settling(holding))
                if holding.epoch == *epoch && holding.until == *until)
        };
        while member.leases.front().is_some_and(|first| !lasts(first)) {
            member.leases.pop_front();
        }
        // Behind a stuck one there may be many that are settled: forgetting them now and then costs little each.
        if member.leases.len() > 64 + 2 * member.messages {
            member.leases.retain(lasts);
        }
        member.leases.push_back((until, number, epoch));
    }

    /// A delivery lasts until another time.
    pub(crate) fn extend(&mut self, number: u64, until: Timestamp) {
        if let Some(Item { status: Status::Held(holding), .. }) = self.items.get_mut(number) {
            holding.until = until;
            self.extended.insert((until, number, holding.epoch));
        }
    }

    /// The deliveries that have ended by now.
    pub(crate) fn ended(&mut self, now: Timestamp) -> Vec<u64> {
        let mut over = Vec::new();
        for member in self.members.values_mut() {
            while member.leases.front().is_some_and(|(until, _, _)| *until <= now) {
                over.extend(member.leases.pop_front().map(|(_, number, epoch)| (number, epoch)));
            }
        }
        while let Some(&(until, number, epoch)) = self.extended.first().filter(|(until, _, _)| *until <= now) {
            self.extended.remove(&(until, number, epoch));
            over.push((number, epoch));
        }
        let is_over = |(number, epoch): &(u64, u64)| {
            let status = self.items.get(*number).map(|item| item.status);
            matches!(status, Some(Status::Held(holding)) if holding.epoch == *epoch && holding.until <= now)
        };
        over.into_iter().filter(is_over).map(|(number, _)| number).collect()
    }

    /// The messages whose time to wait is over.
    pub(crate) fn awake(&mut self, now: Timestamp) -> Vec<u64> {
        self.waiting.iter().take_while(|(time, _)| *time <= now).map(|(_, number)| *number).collect()
    }

    /// The messages that have expired while nobody had them.
    pub(crate) fn expired(&mut self, now: Timestamp) -> Vec<u64> {
        let mut expired = Vec::new();
        while let Some(&(time, number)) = self.expiring.first().filter(|(time, _)| *time <= now) {
            self.expiring.remove(&(time, number));
            let status = self.items.get(number).map(|item| item.status);
            if matches!(status, Some(Status::Ready | Status::Waiting(_))) {
                expired.push(number);
            }
        }
        expired
    }

    /// When something happens by itself next.
    pub(crate) fn next_event(&self, now: Timestamp) -> Option<Timestamp> {
        let leases = self.members.values().filter_map(|member| member.leases.front().map(|(until, _, _)| *until));
        let waiting = self.waiting.first().map(|(time, _)| *time);
        let expiring = self.expiring.first().map(|(time, _)| *time);
        let extended = self.extended.first().map(|(time, _, _)| *time);
        let handovers = self.owners.iter().filter_map(Owner::deadline);
        // A session that is over but in work ends when that is settled.
        let sessions = self.sessions.values().map(|session| session.until).filter(|until| *until > now);
        leases.chain(waiting).chain(expiring).chain(extended).chain(handovers).chain(sessions).min()
    }

    /// Whether so much was written since the last snapshot that reading it costs more than another one.
    pub(crate) fn needs_snapshot(&self) -> bool {
        self.written > SNAPSHOT.max(4 * self.snapshot)
    }

    /// A snapshot in as many parts as it takes, when one is due.
    pub(crate) fn snapshot_if_needed(&mut self) -> Vec<Vec<u8>> {
        if !self.needs_snapshot() {
            return Vec::new();
        }
        let mut parts = vec![Vec::new()];
        for (slice, cursor) in self.cursors.iter().enumerate() {
            let runs = cursor.done.iter().collect();
            write_part(&mut parts, &Record::Moved { slice: slice as u32, floor: cursor.floor, runs });
            let items = self.items.iter().filter(|(_, item)| item.slice == slice);
            let mut tried: BTreeMap<_, _> = items.map(|(_, item)| (item.offset(), item.tried())).collect();
            tried.extend(cursor.tried.iter().map(|(offset, tried)| (*offset, *tried)));
            for (start, tried) in tried.into_iter().filter(|(_, tried)| *tried != Tried::default()) {
                write_part(&mut parts, &Record::Tried { slice: slice as u32, start, count: 1, tried });
            }
        }
        self.snapshot = parts.iter().map(Vec::len).sum();
        self.written = 0;
        parts
    }

    pub(crate) fn is_in_flight(&self) -> bool {
        self.members.values().any(|member| member.messages > 0)
    }

    /// How it stands, where the slices are stored up to these offsets.
    pub(crate) fn status(&self, stored: impl Fn(usize) -> u64) -> GroupStatus {
        let count = |is: fn(&Item) -> bool| self.items.iter().filter(|(_, item)| is(item)).count() as u64;
        let tried = self.cursors.iter().flat_map(|cursor| cursor.tried.values());
        let held_keys = count(|item| item.status == Status::Dead) + tried.filter(|tried| tried.dead).count() as u64;
        let lags = self.cursors.iter().enumerate().map(|(slice, cursor)| cursor.lag(stored(slice)));
        GroupStatus {
            group: self.spec.group.clone(),
            members: self.members.len(),
            lag: lags.sum::<u64>().saturating_sub(held_keys),
            in_flight: count(Item::is_held),
            held_keys,
        }
    }
}

fn write_part(parts: &mut Vec<Vec<u8>>, record: &Record) {
    if parts.last().is_none_or(|part| part.len() > PART) {
        parts.push(Vec::new());
    }
    if let Some(part) = parts.last_mut() {
        record.write(part);
    }
}
