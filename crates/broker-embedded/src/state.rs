//! What the broker knows, and how messages find their way from slices to members.
//!
//! Everything here happens at once, under one lock, and waits for nothing. What has to be durable first is put into the
//! queue as an [`Entry`], and what follows from it is said there.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
};

use jiff::Timestamp;
use mainspring_broker::{BrokerError, Capabilities, Destination, Group, Limit, Message, SendError};
use tokio::sync::{Notify, watch};

use crate::{
    codec::progress::{Record, Tried, runs_of},
    entry::{Entry, Landed},
    group::{GroupState, item::Status, member::Member},
    schedule::Schedule,
    time::later,
    topic::{Stored, TopicState},
};

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
            let queue = if entry.is_sent { &mut self.sends } else { &mut self.queue };
            queue.push_back(entry);
            self.work.notify_one();
        }
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

    /// Has messages that are on their way to the store delivered to members that wait, without another way there: that
    /// this is an attempt is written together with them. Says the steps to write, and who gets what.
    pub(crate) fn take_unborn(&mut self, given: &[Given]) -> (Vec<(usize, Vec<u8>)>, Vec<Taken>) {
        let (mut steps, mut taken) = (Vec::new(), Vec::new());
        let mut groups: Vec<_> = given.iter().map(|given| given.group).collect();
        groups.sort_unstable();
        groups.dedup();
        for group in groups {
            if !self.groups[group].members.values().any(|member| member.is_hungry()) {
                continue;
            }
            let mut fresh = self.fresh(group, given);
            let members: Vec<_> = self.groups[group].members.keys().copied().collect();
            for member in members {
                let chosen = self.choose_for(group, member, |state| state.choose_unborn(member, &mut fresh));
                if !chosen.is_empty() {
                    steps.push((group, self.attempt(group, member, &chosen)));
                    taken.push(Taken { group, member, numbers: chosen });
                }
            }
        }
        (steps, taken)
    }

    /// The messages that a group was given and that could be delivered, were they stored: the first one last.
    fn fresh(&self, group: usize, given: &[Given]) -> Vec<u64> {
        let of_group = given.iter().filter(|given| given.group == group).filter_map(|given| given.number);
        let state = &self.groups[group];
        let priority = |number: &u64| state.items.get(*number).map_or(0, |item| item.stored.message.priority);
        let mut fresh: Vec<_> = of_group.filter(|number| state.is_first(*number)).collect();
        fresh.sort_by_key(|number| (priority(number), Reverse(*number)));
        fresh
    }

    /// Gives every member that waits what there is for it.
    pub(crate) fn pump(&mut self, group: usize) {
        if self.ended {
            return;
        }
        loop {
            let members = self.groups[group].members.iter().filter(|(_, member)| member.is_hungry());
            let members: Vec<_> = members.map(|(id, _)| *id).collect();
            let mut hungry = false;
            for member in members {
                let chosen = self.choose_for(group, member, |state| state.choose(member));
                hungry |= chosen.is_empty();
                if !chosen.is_empty() {
                    let steps = self.attempt(group, member, &chosen);
                    let taken = Taken { group, member, numbers: chosen };
                    let done =
                        move |state: &mut Self, landed: Result<Landed, _>| state.land_taken(taken, landed.is_ok());
                    self.enqueue(Entry::steps(group, steps, Box::new(done)));
                }
            }
            if !hungry || !self.refill(group) {
                break;
            }
        }
        self.wake_readers(group);
        self.expect(self.groups[group].next_event(self.now));
    }

    /// The messages that a member gets now, within what it asked for and may hold.
    fn choose_for(
        &mut self,
        group: usize,
        member: u64,
        mut next: impl FnMut(&mut GroupState) -> Option<u64>,
    ) -> Vec<u64> {
        let now = self.now;
        let mut chosen = Vec::new();
        let (mut messages, mut bytes) = (0, 0);
        loop {
            let state = &mut self.groups[group];
            let Some(waiting) = state.members.get(&member) else { break };
            let Some(want) = waiting.want.filter(|_| messages > 0 || waiting.is_hungry()) else { break };
            let (prefetch, held) = (waiting.spec.prefetch, (waiting.messages, waiting.bytes));
            let Some(number) = next(state) else { break };
            let Some(item) = state.items.get(number) else { break };
            let (size, stored, topic) = (item.size(), item.stored.clone(), state.slices[item.slice].0);
            let is_unborn = item.status == Status::Unborn;
            if !is_unborn && self.topics[topic].has_removed(&stored, now) {
                self.groups[group].settle(number);
                continue;
            }
            if !is_unborn && stored.expires.is_some_and(|at| at <= now) {
                self.expire(group, number);
                continue;
            }
            // A size that does not fit ends it, so that what comes next stays in order.
            if !prefetch.has_room(held.0, held.1, size) || !Limit::has_room(&want, messages, bytes, size) {
                break;
            }
            (messages, bytes) = (messages + 1, bytes + size);
            self.groups[group].set(number, Status::Taking { member });
            chosen.push(number);
        }
        chosen
    }

    /// Counts an attempt of messages that a member is to have, and says the steps to write.
    fn attempt(&mut self, group: usize, member: u64, numbers: &[u64]) -> Vec<u8> {
        let now = self.now;
        let state = &mut self.groups[group];
        let mut tried: Vec<(usize, u64, Tried)> = Vec::with_capacity(numbers.len());
        for number in numbers {
            let Some(item) = state.items.get_mut(*number) else { continue };
            item.attempts += 1;
            item.first_attempt.get_or_insert(now);
            tried.push((item.slice, item.offset(), item.tried()));
        }
        if let Some(member) = state.members.get_mut(&member) {
            member.taking += numbers.len();
        }
        steps_of_tried(tried)
    }

    /// The attempt of what a member is to have was written, or was not.
    pub(crate) fn land_taken(&mut self, taken: Taken, written: bool) {
        let Taken { group, member: id, numbers } = taken;
        let now = self.now;
        let state = &mut self.groups[group];
        if let Some(member) = state.members.get_mut(&id) {
            member.taking = member.taking.saturating_sub(numbers.len());
        }
        let mut back = Vec::new();
        for number in numbers {
            let Some(item) = state.items.get(number) else { continue };
            if !matches!(item.status, Status::Taking { member, .. } if member == id) {
                continue;
            }
            let slice = item.slice;
            let member = state.members.get(&id).filter(|member| member.fetching && !member.closing);
            if written && member.is_some_and(|member| state.may_have(id, member, slice)) {
                state.set(number, Status::Fetched { member: id });
                if let Some(member) = state.members.get_mut(&id) {
                    member.mailbox.push_back(number);
                    member.kept.push_back((later(now, member.spec.lease), number));
                }
            } else {
                back.push(number);
            }
        }
        if let Some(member) = state.members.get(&id) {
            member.wake.notify_one();
        }
        self.untake(group, &back, written);
    }

    /// Gives back what was not handed over: that was no attempt. `written` says whether it was written as one.
    pub(crate) fn untake(&mut self, group: usize, numbers: &[u64], written: bool) {
        if numbers.is_empty() {
            return;
        }
        let state = &mut self.groups[group];
        let mut tried = Vec::with_capacity(numbers.len());
        for number in numbers {
            let Some(item) = state.items.get_mut(*number) else { continue };
            item.attempts -= 1;
            item.first_attempt = item.first_attempt.filter(|_| item.attempts > 0);
            state.set(*number, Status::Ready);
            tried.extend(state.items.get(*number).map(|item| (item.slice, item.offset(), item.tried())));
        }
        if written {
            self.enqueue(Entry::steps(group, steps_of_tried(tried), Box::new(|_, _| {})));
        }
        self.pump(group);
    }

    /// Gives back what members have fetched and have not asked for in all the time of a lease.
    pub(crate) fn untake_forgotten(&mut self, group: usize) -> bool {
        let now = self.now;
        let state = &mut self.groups[group];
        let mut back = Vec::new();
        for member in state.members.values_mut() {
            while let Some((_, number)) = member.kept.pop_front_if(|(until, _)| *until <= now) {
                if let Some(at) = member.mailbox.iter().position(|kept| *kept == number) {
                    member.mailbox.remove(at);
                    back.push(number);
                }
            }
        }
        self.untake(group, &back, true);
        !back.is_empty()
    }

    /// Gives back what a member has fetched, of these slices or of all.
    pub(crate) fn empty_mailbox(&mut self, group: usize, id: u64, slices: Option<&[usize]>) {
        let state = &mut self.groups[group];
        let Some(member) = state.members.get_mut(&id) else { return };
        let mut back = Vec::new();
        let items = &state.items;
        member.mailbox.retain(|number| {
            let slice = items.get(*number).map(|item| item.slice);
            let keep = slices.is_some_and(|slices| slice.is_some_and(|slice| !slices.contains(&slice)));
            if !keep {
                back.push(*number);
            }
            keep
        });
        self.untake(group, &back, true);
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
        let recalls = state.recall.range((slice, 0)..=(slice, u64::MAX)).next().is_some();
        let behind = !cursor.loading && cursor.fetched < self.topics[topic].partitions[partition].stored;
        recalls || (behind && state.has_room(slice))
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

/// A message that a group has, or has passed by, while it is on its way to the store.
pub(crate) struct Given {
    pub(crate) group: usize,
    pub(crate) slice: usize,
    pub(crate) offset: u64,
    pub(crate) number: Option<u64>,
}

/// Messages that a member is to have.
pub(crate) struct Taken {
    pub(crate) group: usize,
    pub(crate) member: u64,
    pub(crate) numbers: Vec<u64>,
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
