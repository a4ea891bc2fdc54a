//! What the model holds, and what one call does to it.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;

use super::{
    group::{GroupState, Item},
    topic::{Stored, TopicState},
};
use crate::{
    BrokerError, Capabilities, Destination, Feature, Group, Message, Place, Receipt, SendError, Start,
    SubscriptionSpec, Support,
};

/// How long a member may take to give slices up.
pub(super) const HANDOVER: Duration = Duration::from_secs(30);

/// The reason of a dead letter that nobody handled in time.
const EXPIRED: &str = "expired";

/// The moment `by` after `now`, or the last there is.
pub(super) fn later(now: Timestamp, by: Duration) -> Timestamp {
    now.checked_add(by).unwrap_or(Timestamp::MAX)
}

#[derive(Clone)]
pub(super) struct State {
    pub(super) topics: BTreeMap<Destination, TopicState>,
    pub(super) groups: BTreeMap<Group, GroupState>,
    pub(super) scheduled: BTreeMap<(Timestamp, u64), (Message, Option<Timestamp>)>,
    pub(super) capabilities: Capabilities,
    /// Counts messages, members and deliveries; none of them shares its number with another.
    count: u64,
    /// The latest moment that the clock has shown: it may be set back, time does not.
    pub(super) now: Timestamp,
    life: u64,
    closed: bool,
}

impl State {
    pub(super) fn new(capabilities: Capabilities) -> Self {
        Self {
            topics: BTreeMap::new(),
            groups: BTreeMap::new(),
            scheduled: BTreeMap::new(),
            capabilities,
            count: 0,
            now: Timestamp::MIN,
            life: 0,
            closed: false,
        }
    }

    fn count(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    /// Lets time pass. Says whether that may have changed something for whoever waits.
    pub(super) fn advance(&mut self, now: Timestamp) -> bool {
        self.now = self.now.max(now);
        let now = self.now;
        let mut changed = false;
        while let Some(first) = self.scheduled.first_entry().filter(|first| first.key().0 <= now) {
            let (message, expires) = first.remove();
            self.store(message, expires);
            changed = true;
        }
        for group in self.groups.values_mut() {
            changed |= group.advance(now);
        }
        let expired = self.groups.iter().flat_map(|(group, state)| {
            let expired = state.items.iter().filter(|(_, item)| item.is_expired(now));
            expired.map(|(number, _)| (group.clone(), *number))
        });
        for (group, number) in expired.collect::<Vec<_>>() {
            changed |= self.expire(&group, number);
        }
        for topic in self.topics.values_mut() {
            topic.retain(now);
        }
        for group in self.groups.values_mut() {
            let topics = &self.topics;
            let is_removed = |item: &Item| {
                let topic = topics.get(&item.stored.place.slice.topic);
                topic.is_some_and(|topic| topic.has_removed(&item.stored))
            };
            group.items.retain(|_, item| item.is_held() || !is_removed(item));
        }
        changed
    }

    /// What nobody handled in time becomes a dead letter where there is a place for those. Where that place takes none,
    /// it stays and is tried again.
    fn expire(&mut self, group: &Group, number: u64) -> bool {
        let Some(state) = self.groups.get_mut(group) else { return false };
        if state.spec.dead_letter.is_some() {
            return self.bury(group, number, EXPIRED.to_owned()).is_ok();
        }
        state.items.remove(&number).is_some()
    }

    /// Sends in order. Behind a message that failed, those of its key are not tried.
    pub(super) fn send_batch(&mut self, batch: Vec<Message>) -> Vec<Result<Receipt, SendError>> {
        let mut failed = HashSet::new();
        let mut answers = Vec::with_capacity(batch.len());
        for message in batch {
            let key = message.key.clone().map(|key| (message.destination.clone(), key));
            let answer = if key.as_ref().is_some_and(|key| failed.contains(key)) {
                Err(SendError::NotAttempted("an earlier message of the key failed".into()))
            } else {
                self.send(message)
            };
            if answer.is_err() {
                failed.extend(key);
            }
            answers.push(answer);
        }
        answers
    }

    pub(super) fn send(&mut self, message: Message) -> Result<Receipt, SendError> {
        self.send_unless(message, TopicState::duplicate)
    }

    /// Sends what was sent before, whatever its id.
    pub(super) fn send_again(&mut self, message: Message) -> Result<Receipt, SendError> {
        self.send_unless(message, |_, _| None)
    }

    fn send_unless(
        &mut self,
        message: Message,
        duplicate: impl Fn(&TopicState, &Message) -> Option<Option<Place>>,
    ) -> Result<Receipt, SendError> {
        if let Some(feature) = self.capabilities.refuses(&message) {
            return Err(SendError::refused(feature, &message.destination));
        }
        let is_wanted = self.groups.values().any(|group| group.wants(&message));
        let topic = match self.topics.get_mut(&message.destination) {
            Some(topic) if is_wanted || topic.is_log() => topic,
            _ => {
                let Message { destination, routing_key, .. } = message;
                return Err(SendError::Unroutable { destination, routing_key });
            }
        };
        if let Some(place) = duplicate(topic, &message) {
            return Ok(Receipt { place, duplicate: true });
        }
        topic.remember(&message, None, self.now);
        let expires = message.expires_after.map(|time| later(self.now, time));
        let delay = message.delay.filter(|delay| !delay.is_zero());
        let Some(delay) = delay else {
            let place = self.store(message, expires).map(|stored| stored.place.clone());
            return Ok(Receipt { place, duplicate: false });
        };
        let number = self.count();
        self.scheduled.insert((later(self.now, delay), number), (message, expires));
        Ok(Receipt { place: None, duplicate: false })
    }

    /// Gives a message its place, and every group that wants it its copy. Topics are never deleted, so there is one.
    fn store(&mut self, message: Message, expires: Option<Timestamp>) -> Option<Arc<Stored>> {
        let number = self.count();
        let topic = self.topics.get_mut(&message.destination)?;
        let stored = topic.store(number, message, self.now, expires);
        topic.remember(&stored.message, Some(stored.place.clone()), self.now);
        for group in self.groups.values_mut().filter(|group| group.wants(&stored.message)) {
            group.add(stored.clone());
        }
        Some(stored)
    }

    pub(super) fn join(&mut self, spec: SubscriptionSpec) -> Result<u64, BrokerError> {
        let limit = self.capabilities.limits.lease;
        let invalid = |reason: String| Err(BrokerError::Invalid { reason });
        if spec.prefetch.messages == 0 {
            return invalid("a member that holds no message can never get one".to_owned());
        }
        if spec.lease.is_zero() || spec.lease > limit {
            return invalid(format!("a lease of {:?} is not between 0 and {limit:?}", spec.lease));
        }
        let member = self.count();
        let Some(group) = self.groups.get_mut(&spec.group) else { return Err(BrokerError::NoGroup(spec.group)) };
        group.join(member, spec, self.now);
        Ok(member)
    }

    /// Changes a group, with the time and a counter of deliveries.
    pub(super) fn with_group<T>(
        &mut self,
        group: &Group,
        change: impl FnOnce(&mut GroupState, Timestamp, &mut u64) -> T,
    ) -> Option<T> {
        let (now, count) = (self.now, &mut self.count);
        self.groups.get_mut(group).map(|group| change(group, now, count))
    }

    pub(super) fn seek(&mut self, group: &Group, to: &Start) -> Result<(), BrokerError> {
        let Some(state) = self.groups.get(group) else { return Err(BrokerError::NoGroup(group.clone())) };
        let is_log = |topic: &Destination| self.topics.get(topic).is_some_and(TopicState::is_log);
        let replays = self.capabilities.support(Feature::Replay) != Support::Refused;
        if !replays || !state.slices().all(|slice| is_log(&slice.topic)) {
            return Err(BrokerError::Refused { feature: Feature::Replay, at: group.to_string() });
        }
        self.begin(group, to);
        Ok(())
    }

    /// Puts a group where it is to go on. Slices that offsets do not name stay as they are.
    pub(super) fn begin(&mut self, group: &Group, to: &Start) {
        let Some(state) = self.groups.get_mut(group) else { return };
        match to {
            Start::Earliest => self.read_again(group, |_| true),
            Start::Latest => state.items.clear(),
            Start::Time(time) => {
                state.items.clear();
                self.read_again(group, |stored| stored.stored >= *time);
            }
            Start::Offsets(offsets) => {
                let from = |stored: &Stored| offsets.iter().find(|(slice, _)| *slice == stored.place.slice);
                state.items.retain(|_, item| from(&item.stored).is_none());
                self.read_again(group, |stored| from(stored).is_some_and(|(_, offset)| stored.place.offset >= *offset));
            }
        }
    }

    /// Gives a group again what its logs keep and `wanted` allows, as if it had never had it.
    pub(super) fn read_again(&mut self, group: &Group, wanted: impl Fn(&Stored) -> bool) {
        let Some(state) = self.groups.get_mut(group) else { return };
        let slices: Vec<_> = state.slices().cloned().collect();
        for slice in slices {
            let Some(topic) = self.topics.get(&slice.topic) else { continue };
            for stored in topic.log(slice.partition).filter(|stored| wanted(stored)) {
                if state.wants(&stored.message) {
                    state.add(stored.clone());
                }
            }
        }
    }

    pub(super) fn is_open(&self, life: u64) -> bool {
        self.is_alive(life) && !self.closed
    }

    /// Whether a handle belongs to this life of the broker.
    pub(super) fn is_alive(&self, life: u64) -> bool {
        self.life == life
    }

    pub(super) fn is_in_flight(&self, life: u64) -> bool {
        self.is_alive(life) && self.groups.values().any(GroupState::is_in_flight)
    }

    pub(super) fn begin_to_close(&mut self, life: u64) {
        if self.is_alive(life) {
            self.closed = true;
            let members = self.groups.values_mut().flat_map(|group| group.members.values_mut());
            members.for_each(|member| member.closing = true);
        }
    }

    pub(super) fn end_members(&mut self, life: u64) {
        if self.is_alive(life) {
            let now = self.now;
            for group in self.groups.values_mut() {
                let members: Vec<_> = group.members.keys().copied().collect();
                members.into_iter().for_each(|member| group.leave(member, now));
            }
        }
    }

    /// Begins the next life, without members.
    pub(super) fn restart(&mut self) -> u64 {
        self.end_members(self.life);
        self.closed = false;
        self.life += 1;
        self.life
    }
}
