//! What the broker knows, and how messages find their way from slices to members.
//!
//! Everything here happens at once, under one lock, and waits for nothing. What has to be durable first is put into the
//! queue as an [`Entry`], and what follows from it is said there.

mod handing;

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use mainspring_broker::{BrokerError, Capabilities, Destination, Group, Message, SendError};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use crate::{
    codec::progress::{Record, Tried, runs_of},
    entry::Entry,
    group::{GroupState, cursor::Cursor, item::Status, member::Member},
    schedule::Schedule,
    topic::{Stored, TopicState},
};
pub(crate) use handing::Taken;

pub(crate) struct State {
    pub(crate) capabilities: Capabilities,
    pub(crate) topics: Vec<TopicState>,
    pub(crate) topic_of: HashMap<Destination, usize>,
    pub(crate) groups: Vec<GroupState>,
    pub(crate) group_of: BTreeMap<Group, usize>,
    pub(crate) schedule: Schedule,
    /// What is to be written next, and messages that are to be written after it.
    pub(crate) queue: VecDeque<Entry>,
    pub(crate) sends: VecDeque<Entry>,
    /// Until when all of it may wait for something to be written together with.
    pub(crate) patient: Option<Instant>,
    /// How many appends are on their way.
    pub(crate) airborne: usize,
    /// One of them has failed, so the others will: nothing new is written until they have come back.
    pub(crate) failed: bool,
    /// One of them changes what others rest on, so nothing else is written until it has arrived.
    pub(crate) alone: bool,
    /// The version of the broker's own stream.
    pub(crate) version: u64,
    /// Counts members and deliveries; none of them shares its number with another.
    count: u64,
    /// The latest moment that the clock has shown: it may be set back, time does not.
    pub(crate) now: Timestamp,
    /// Nothing new is taken.
    pub(crate) closing: bool,
    /// Nothing is written any more.
    pub(crate) ended: bool,
    /// Wakes whoever writes.
    pub(crate) work: Arc<Notify>,
    /// Wakes whoever watches the time.
    pub(crate) earlier: Arc<Notify>,
    /// When whoever watches the time looks again.
    pub(crate) watched: Timestamp,
    /// Tells that something was settled, or has ended.
    pub(crate) changed: watch::Sender<()>,
}

impl State {
    pub(crate) fn new(capabilities: Capabilities) -> Self {
        Self {
            capabilities,
            topics: Vec::new(),
            topic_of: HashMap::new(),
            groups: Vec::new(),
            group_of: BTreeMap::new(),
            schedule: Schedule::default(),
            queue: VecDeque::new(),
            sends: VecDeque::new(),
            patient: None,
            airborne: 0,
            failed: false,
            alone: false,
            version: 0,
            count: 0,
            now: Timestamp::MIN,
            closing: false,
            ended: false,
            work: Arc::default(),
            earlier: Arc::default(),
            watched: Timestamp::MIN,
            changed: watch::Sender::new(()),
        }
    }

    pub(crate) fn count(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    /// Puts something into the queue. Where nothing is written any more, it fails at once.
    pub(crate) fn enqueue(&mut self, entry: Entry) {
        if self.ended {
            (entry.done)(self, Err(crate::entry::Failure::Ended));
        } else {
            let is_first = self.queue.is_empty() && self.sends.is_empty();
            self.patient = match self.patient {
                _ if !entry.is_patient => None,
                None if is_first => Some(Instant::now() + PATIENCE),
                until => until,
            };
            let queue = if entry.is_sent { &mut self.sends } else { &mut self.queue };
            queue.push_back(entry);
            self.work.notify_one();
        }
    }

    /// Whether nobody gains anything by a group's settlements being written at once: everything it has is with members.
    /// What is sent next then takes them along, instead of waiting until they are synced.
    pub(crate) fn is_quiet(&self, group: usize) -> bool {
        let group = &self.groups[group];
        let with_members: usize = group.members.values().map(|member| member.messages).sum();
        let is_read = |(slice, cursor): ((usize, usize), &Cursor)| {
            cursor.fetched == self.topics[slice.0].partitions[slice.1].stored
        };
        group.items.len() == with_members && group.slices.iter().copied().zip(&group.cursors).all(is_read)
    }

    pub(crate) fn group(&self, group: &Group) -> Result<usize, BrokerError> {
        self.group_of.get(group).copied().ok_or_else(|| BrokerError::NoGroup(group.clone()))
    }

    /// The topic of a message that somebody wants, or that a log keeps.
    pub(crate) fn route(&self, message: &Message) -> Result<usize, SendError> {
        let topic = self.topic_of.get(&message.destination).copied();
        let routed = topic.filter(|topic| {
            let topic = &self.topics[*topic];
            topic.is_log() || topic.groups.iter().any(|group| self.groups[*group].wants(message))
        });
        routed.ok_or_else(|| SendError::Unroutable {
            destination: message.destination.clone(),
            routing_key: message.routing_key.clone(),
        })
    }

    /// Lets groups that have read everything before it have a message that is on its way to the store. Says which have
    /// it, each with its number, or passed it by.
    pub(crate) fn dispatch(&mut self, topic: usize, stored: &Arc<Stored>, given: &mut Vec<Given>) {
        let partition = stored.place.slice.partition as usize;
        for at in 0..self.topics[topic].groups.len() {
            let group = self.topics[topic].groups[at];
            let state = &mut self.groups[group];
            let Some(slice) = state.slice(topic, partition) else { continue };
            let wants = state.wants(&stored.message);
            if state.is_abreast(slice, stored.place.offset, stored.expires.is_some()) {
                let number = wants.then(|| state.add(slice, stored.clone(), Status::Unborn, self.now));
                state.cursors[slice].fetched += 1;
                given.push(Given { group, slice, offset: stored.place.offset, number });
            } else if !wants {
                state.cursors[slice].unwanted += 1;
            }
        }
    }

    /// Takes messages into memory that a group with waiting members has not read and that are in memory anyway. Says
    /// whether there were any.
    fn refill(&mut self, group: usize) -> bool {
        let mut found = false;
        for slice in 0..self.groups[group].slices.len() {
            let state = &self.groups[group];
            let (topic, partition) = state.slices[slice];
            let may_have = |(id, member): (&u64, &Member)| member.is_hungry() && state.may_have(*id, member, slice);
            if !state.members.iter().any(may_have) {
                continue;
            }
            for _ in 0..REFILL {
                let state = &self.groups[group];
                let cursor = &state.cursors[slice];
                let stored = self.topics[topic].partitions[partition].recent(cursor.fetched);
                let Some(stored) = stored.filter(|_| !cursor.loading && state.has_room(slice)).cloned() else { break };
                found = true;
                self.fetch(group, slice, &stored);
            }
        }
        found
    }

    /// Takes the next message of a slice into memory, unless the group has settled it or does not want it.
    pub(crate) fn fetch(&mut self, group: usize, slice: usize, stored: &Arc<Stored>) {
        let state = &mut self.groups[group];
        let offset = stored.place.offset;
        debug_assert_eq!(state.cursors[slice].fetched, offset, "messages are read in order");
        let topic = &self.topics[state.slices[slice].0];
        state.cursors[slice].fetched += 1;
        if state.cursors[slice].is_settled(offset) {
            return;
        }
        if !state.wants(&stored.message) {
            let cursor = &mut state.cursors[slice];
            if offset >= topic.partitions[stored.place.slice.partition as usize].opened {
                cursor.unwanted = cursor.unwanted.saturating_sub(1);
            }
            cursor.settle(offset);
        } else if topic.has_removed(stored, self.now) {
            let cursor = &mut state.cursors[slice];
            cursor.tried.remove(&offset);
            cursor.settle(offset);
        } else {
            state.add(slice, stored.clone(), Status::Ready, self.now);
        }
    }

    /// Messages that were on their way have arrived: whoever has them may deliver them.
    pub(crate) fn land_given(&mut self, given: &[Given]) {
        for Given { group, slice, offset, number } in given {
            let state = &mut self.groups[*group];
            match number {
                None => state.cursors[*slice].settle(*offset),
                Some(number) => {
                    if state.items.get(*number).is_some_and(|item| item.status == Status::Unborn) {
                        state.set(*number, Status::Ready);
                    }
                }
            }
        }
    }

    /// Messages that were on their way have not arrived.
    pub(crate) fn lose_given(&mut self, given: &[Given]) {
        for Given { group, slice, offset, number } in given {
            let state = &mut self.groups[*group];
            if let Some(number) = number {
                state.remove(*number);
            }
            let cursor = &mut state.cursors[*slice];
            cursor.fetched = cursor.fetched.min(*offset).max(cursor.floor);
        }
    }

    /// Wakes a member that waits where the store has to be read for it.
    fn wake_readers(&mut self, group: usize) {
        let state = &self.groups[group];
        let reads = |(id, member): &(&u64, &Member)| {
            let read = |slice: usize| state.may_have(**id, member, slice) && self.is_behind(group, slice);
            member.is_hungry() && (0..state.slices.len()).any(read)
        };
        if let Some((_, member)) = state.members.iter().find(reads) {
            member.wake.notify_one();
        }
    }

    /// Whether the store has messages of a slice for a group that are to be read and that nobody reads.
    pub(crate) fn is_behind(&self, group: usize, slice: usize) -> bool {
        let state = &self.groups[group];
        let (topic, partition) = state.slices[slice];
        let cursor = &state.cursors[slice];
        let behind = !cursor.loading && cursor.fetched < self.topics[topic].partitions[partition].stored;
        state.recalls(slice) || (behind && state.has_room(slice))
    }

    /// Sees that whoever watches the time looks soon enough.
    pub(crate) fn expect(&mut self, event: Option<Timestamp>) {
        if event.is_some_and(|event| event < self.watched) {
            self.earlier.notify_one();
        }
    }
}

/// As many messages are taken into memory at once.
const REFILL: usize = 1_024;

/// What may wait is written after so long at the latest.
const PATIENCE: Duration = Duration::from_millis(1);

/// A message that a group has, or has passed by, while it is on its way to the store.
pub(crate) struct Given {
    pub(crate) group: usize,
    pub(crate) slice: usize,
    pub(crate) offset: u64,
    pub(crate) number: Option<u64>,
}

/// Writes down what is known of messages: those that lie side by side and are alike, together.
pub(crate) fn steps_of_tried(mut tried: Vec<(usize, u64, Tried)>) -> Vec<u8> {
    tried.sort_unstable_by_key(|(slice, offset, _)| (*slice, *offset));
    let mut out = Vec::new();
    let mut runs = tried.into_iter().peekable();
    while let Some((slice, start, tried)) = runs.next() {
        let mut count = 1;
        while runs.next_if(|next| *next == (slice, start + count, tried)).is_some() {
            count += 1;
        }
        Record::Tried { slice: slice as u32, start, count, tried }.write(&mut out);
    }
    out
}

/// Writes down what is settled.
pub(crate) fn steps_of_settled(mut settled: Vec<(usize, u64)>) -> Vec<u8> {
    settled.sort_unstable();
    settled.dedup();
    let mut out = Vec::new();
    for of_slice in settled.chunk_by(|one, next| one.0 == next.0) {
        let runs = runs_of(of_slice.iter().map(|(_, offset)| *offset));
        Record::Settled { slice: of_slice[0].0 as u32, runs }.write(&mut out);
    }
    out
}
