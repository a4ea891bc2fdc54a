//! What the model holds, and what one call does to it.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;

use super::{
    group::{GroupState, Item, READY, Status},
    topic::{Stored, TopicState},
};
use crate::{
    AfterDeadLetter, BrokerError, Capabilities, CommitError, DeadLetter, DeliveryTag, Destination, Drift, Ensure,
    Feature, Group, Message, Outcome, Receipt, SendError, SettleError, Start, Subscription, SubscriptionSpec, Support,
    Topology,
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
    capabilities: Capabilities,
    /// Counts messages, members and deliveries; none of them shares its number with another.
    count: u64,
    /// The latest moment that the clock has shown: it may be set back, time does not.
    now: Timestamp,
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

    pub(super) fn ensure(&mut self, topology: &Topology, mode: Ensure) -> Result<Vec<Drift>, BrokerError> {
        topology.validate().map_err(|reason| BrokerError::Invalid { reason })?;
        for topic in &topology.topics {
            self.accepts(topic.features(), || topic.name.to_string())?;
        }
        for subscription in &topology.subscriptions {
            self.accepts(subscription.features(), || subscription.group.to_string())?;
            let from = subscription.bindings.iter().map(|binding| &binding.from);
            for topic in from.chain(&subscription.dead_letter) {
                if !self.topics.contains_key(topic) && !topology.topics.iter().any(|new| new.name == *topic) {
                    let reason = format!("group `{}` names topic `{topic}`, which does not exist", subscription.group);
                    return Err(BrokerError::Invalid { reason });
                }
            }
        }
        if mode == Ensure::Create {
            for topic in &topology.topics {
                let new = || TopicState::new(topic.clone());
                self.topics.entry(topic.name.clone()).or_insert_with(new);
            }
            for subscription in &topology.subscriptions {
                if !self.groups.contains_key(&subscription.group) {
                    self.create(subscription);
                }
            }
        }
        Ok(self.drift(topology))
    }

    fn accepts(&self, features: Vec<Feature>, at: impl Fn() -> String) -> Result<(), BrokerError> {
        let refused = |feature: &Feature| self.capabilities.support(*feature) == Support::Refused;
        match features.into_iter().find(refused) {
            Some(feature) => Err(BrokerError::Refused { feature, at: at() }),
            None => Ok(()),
        }
    }

    fn create(&mut self, spec: &Subscription) {
        let topics = self.topics.values().filter(|topic| spec.bindings.iter().any(|from| from.from == topic.spec.name));
        let slices: Vec<_> = topics.flat_map(TopicState::slices).collect();
        let group = GroupState::new(spec.clone(), slices, self.capabilities.limits.window);
        self.groups.insert(spec.group.clone(), group);
        self.begin(&spec.group, &spec.start);
        if let Start::Offsets(offsets) = &spec.start {
            let named: HashSet<_> = offsets.iter().map(|(slice, _)| slice).collect();
            self.read_again(&spec.group, |stored| !named.contains(&stored.place.slice));
        }
    }

    fn drift(&self, topology: &Topology) -> Vec<Drift> {
        let mut drift = Vec::new();
        for wanted in &topology.topics {
            match self.topics.get(&wanted.name) {
                None => drift.push(Drift::MissingTopic(wanted.name.clone())),
                Some(topic) if topic.spec != *wanted => {
                    let what = format!("it is {:?}, and should be {wanted:?}", topic.spec);
                    drift.push(Drift::Topic { topic: wanted.name.clone(), what });
                }
                Some(_) => {}
            }
        }
        for wanted in &topology.subscriptions {
            match self.groups.get(&wanted.group) {
                None => drift.push(Drift::MissingSubscription(wanted.group.clone())),
                Some(group) if group.spec != *wanted => {
                    let what = format!("it is {:?}, and should be {wanted:?}", group.spec);
                    drift.push(Drift::Subscription { group: wanted.group.clone(), what });
                }
                Some(_) => {}
            }
        }
        drift
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

    fn send(&mut self, message: Message) -> Result<Receipt, SendError> {
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
        if let Some(place) = topic.duplicate(&message) {
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

    pub(super) fn settle(
        &mut self,
        group: &Group,
        member: u64,
        tag: DeliveryTag,
        outcome: Outcome,
    ) -> Result<(), SettleError> {
        self.touch(group, member, tag)?;
        let limit = self.capabilities.limits.delay;
        let now = self.now;
        let Some(state) = self.groups.get_mut(group) else { return Err(SettleError::Stale) };
        let Some(item) = state.items.get_mut(&tag.number) else { return Err(SettleError::Stale) };
        match outcome {
            Outcome::Ack => {
                state.items.remove(&tag.number);
            }
            Outcome::Retry { after } => {
                too_long("a delay, in milliseconds,", after, limit)?;
                if !after.is_zero() && self.capabilities.support(Feature::RetryAfter) == Support::Refused {
                    return Err(SettleError::Refused { reason: format!("{} are not possible", Feature::RetryAfter) });
                }
                let not_before = (!after.is_zero()).then(|| later(now, after));
                item.status = Status::Ready { not_before };
            }
            Outcome::DeadLetter { reason } => self.bury(group, tag.number, reason)?,
            Outcome::Release => {
                item.attempts -= 1;
                item.first_attempt = item.first_attempt.filter(|_| item.attempts > 0);
                item.status = READY;
            }
        }
        Ok(())
    }

    /// Sees that a delivery lasts. Whoever settles shows that it is there, so its session stays its own.
    fn touch(&mut self, group: &Group, member: u64, tag: DeliveryTag) -> Result<(), SettleError> {
        let Some(state) = self.groups.get_mut(group) else { return Err(SettleError::Stale) };
        let item = state.items.get(&tag.number).filter(|item| item.is_delivered_as(tag, member));
        let (Some(_), Some(holder)) = (item, state.members.get(&member)) else { return Err(SettleError::Stale) };
        let until = later(self.now, holder.spec.lease);
        state.touch_session(tag.number, member, until);
        Ok(())
    }

    /// Copies a message to where dead letters go, and then takes it away, or lets it hold its key.
    fn bury(&mut self, group: &Group, number: u64, reason: String) -> Result<(), SettleError> {
        let Some(state) = self.groups.get(group) else { return Err(SettleError::Stale) };
        let Some(item) = state.items.get(&number) else { return Err(SettleError::Stale) };
        let Some(topic) = state.spec.dead_letter.clone() else {
            let reason = format!("group `{group}` has no place for dead letters; give its subscription one");
            return Err(SettleError::Refused { reason });
        };
        let letter = DeadLetter {
            message: item.stored.message.clone(),
            place: Some(item.stored.place.clone()),
            group: group.clone(),
            reason,
            attempts: item.attempts,
            stored: Some(item.stored.stored),
            first_attempt: item.first_attempt,
            died: self.now,
        };
        let holds = state.spec.after_dead_letter == AfterDeadLetter::Hold && item.stored.message.key.is_some();
        self.send(letter.to_message(topic)).map_err(SettleError::NotMoved)?;
        let Some(state) = self.groups.get_mut(group) else { return Err(SettleError::Stale) };
        match state.items.get_mut(&number) {
            Some(item) if holds => item.status = Status::Dead,
            _ => drop(state.items.remove(&number)),
        }
        Ok(())
    }

    pub(super) fn extend(
        &mut self,
        group: &Group,
        member: u64,
        tag: DeliveryTag,
        by: Duration,
    ) -> Result<(), SettleError> {
        self.touch(group, member, tag)?;
        too_long("a lease, in milliseconds,", by, self.capabilities.limits.lease)?;
        let until = later(self.now, by);
        let item = self.groups.get_mut(group).and_then(|state| state.items.get_mut(&tag.number));
        if let Some(Item { status: Status::Held { until: lease, .. }, .. }) = item {
            *lease = until;
        }
        Ok(())
    }

    /// Tries everything on a copy, which takes the place of the state only if all of it worked.
    pub(super) fn commit(
        &mut self,
        group: &Group,
        member: u64,
        outcomes: Vec<(DeliveryTag, Outcome)>,
        out: Vec<Message>,
    ) -> Result<Vec<Receipt>, CommitError> {
        if self.capabilities.support(Feature::Commit) == Support::Refused {
            return Err(CommitError::Refused);
        }
        self.capabilities.limits.check(&out).map_err(|source| CommitError::Send { at: 0, source })?;
        let mut after = self.clone();
        for (tag, outcome) in outcomes {
            after.settle(group, member, tag, outcome).map_err(|source| CommitError::Settle { tag, source })?;
        }
        let mut receipts = Vec::with_capacity(out.len());
        for (at, message) in out.into_iter().enumerate() {
            receipts.push(after.send(message).map_err(|source| CommitError::Send { at, source })?);
        }
        *self = after;
        Ok(receipts)
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
    fn begin(&mut self, group: &Group, to: &Start) {
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
    fn read_again(&mut self, group: &Group, wanted: impl Fn(&Stored) -> bool) {
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

fn too_long(what: &'static str, actual: Duration, limit: Duration) -> Result<(), SettleError> {
    let milliseconds = |time: Duration| usize::try_from(time.as_millis()).unwrap_or(usize::MAX);
    if actual > limit {
        let (actual, limit) = (milliseconds(actual), milliseconds(limit));
        return Err(SettleError::TooLarge { what, actual, limit });
    }
    Ok(())
}
