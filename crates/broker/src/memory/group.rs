//! One group of the model: what it has not settled, who its members are, and which slices and sessions they have.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::Arc,
};

use bytes::Bytes;
use jiff::Timestamp;

use super::{
    choice::{choose, order_key},
    state::{HANDOVER, later},
    topic::Stored,
};
use crate::{
    Delivery, DeliveryTag, Destination, GroupStatus, Limit, Message, Order, Place, Sharing, Slice, Subscription,
    SubscriptionSpec, assign,
};

/// A message that the group has not settled.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) stored: Arc<Stored>,
    pub(super) attempts: u32,
    pub(super) first_attempt: Option<Timestamp>,
    pub(super) status: Status,
}

/// What happens to such a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Status {
    /// It waits to be delivered.
    Ready { not_before: Option<Timestamp> },
    /// A member has it.
    Held { member: u64, epoch: u64, until: Timestamp },
    /// It became a dead letter, and holds its key.
    Dead,
}

pub(super) const READY: Status = Status::Ready { not_before: None };

impl Item {
    pub(super) fn new(stored: Arc<Stored>) -> Self {
        Self { stored, attempts: 0, first_attempt: None, status: READY }
    }

    /// Whether it is at this place, and free to be taken away: nobody has it, and it holds no key.
    pub(super) fn is_free_at(&self, place: &Place) -> bool {
        self.stored.place == *place && matches!(self.status, Status::Ready { .. })
    }

    #[cfg(test)]
    pub(super) fn with(self, status: Status) -> Self {
        Self { status, ..self }
    }

    pub(super) fn is_expired(&self, now: Timestamp) -> bool {
        matches!(self.status, Status::Ready { .. }) && self.stored.expires.is_some_and(|at| at <= now)
    }

    pub(super) fn is_held(&self) -> bool {
        matches!(self.status, Status::Held { .. })
    }

    pub(super) fn is_held_by(&self, holder: u64) -> bool {
        matches!(self.status, Status::Held { member, .. } if member == holder)
    }

    /// Whether `tag` names the delivery that lasts.
    pub(super) fn is_delivered_as(&self, tag: DeliveryTag, holder: u64) -> bool {
        matches!(self.status, Status::Held { member, epoch, .. } if member == holder && epoch == tag.epoch)
    }
}

/// Who takes part.
#[derive(Clone)]
pub(super) struct Member {
    pub(super) spec: SubscriptionSpec,
    /// Whether somebody asks for messages: not any more after its `Deliveries` was dropped.
    pub(super) fetching: bool,
    pub(super) closing: bool,
    pub(super) paused: BTreeSet<Slice>,
    pub(super) notices: VecDeque<Notice>,
}

/// What a member is to be told.
#[derive(Clone)]
pub(super) enum Notice {
    Assigned(Vec<Slice>),
    Revoking(Vec<Slice>, Timestamp),
    Lost(Vec<Slice>),
}

#[derive(Clone, Default)]
struct Owner {
    member: Option<u64>,
    /// Until when the owner may settle what it has, when it is to give the slice up.
    revoking: Option<Timestamp>,
}

#[derive(Clone)]
struct Session {
    member: u64,
    until: Timestamp,
}

#[derive(Clone)]
pub(super) struct GroupState {
    pub(super) spec: Subscription,
    /// What is not settled, in the order in which it was stored.
    pub(super) items: BTreeMap<u64, Item>,
    pub(super) members: BTreeMap<u64, Member>,
    slices: BTreeMap<Slice, Owner>,
    sessions: HashMap<(Destination, Bytes), Session>,
    window: usize,
}

impl GroupState {
    pub(super) fn new(spec: Subscription, slices: impl IntoIterator<Item = Slice>, window: usize) -> Self {
        let slices = slices.into_iter().map(|slice| (slice, Owner::default())).collect();
        Self { spec, items: BTreeMap::new(), members: BTreeMap::new(), slices, sessions: HashMap::new(), window }
    }

    /// Whether it gets the message.
    pub(super) fn wants(&self, message: &Message) -> bool {
        self.spec.selects(message)
    }

    pub(super) fn slices(&self) -> impl Iterator<Item = &Slice> {
        self.slices.keys()
    }

    pub(super) fn add(&mut self, stored: Arc<Stored>) {
        self.items.insert(stored.number, Item::new(stored));
    }

    pub(super) fn join(&mut self, id: u64, spec: SubscriptionSpec, now: Timestamp) {
        let (paused, notices) = (BTreeSet::new(), VecDeque::new());
        self.members.insert(id, Member { spec, fetching: true, closing: false, paused, notices });
        self.share(now);
    }

    /// Nobody asks for messages of this member any more; what it holds stays its own.
    pub(super) fn stop_fetching(&mut self, id: u64, now: Timestamp) {
        if let Some(member) = self.members.get_mut(&id) {
            member.fetching = false;
            for owner in self.slices.values_mut().filter(|owner| owner.member == Some(id)) {
                *owner = Owner::default();
            }
            self.share(now);
        }
    }

    /// The member is gone, and what it held comes back.
    pub(super) fn leave(&mut self, id: u64, now: Timestamp) {
        self.stop_fetching(id, now);
        self.members.remove(&id);
        self.sessions.retain(|_, session| session.member != id);
        self.give_back(|item| item.is_held_by(id));
    }

    fn give_back(&mut self, ended: impl Fn(&Item) -> bool) {
        for item in self.items.values_mut().filter(|item| item.is_held()) {
            if ended(item) {
                item.status = READY;
            }
        }
    }

    /// Ends leases, handovers and sessions that are over. Says whether there were any.
    pub(super) fn advance(&mut self, now: Timestamp) -> bool {
        let is_over = |item: &Item| matches!(item.status, Status::Held { until, .. } if until <= now);
        let mut changed = self.items.values().any(is_over);
        self.give_back(is_over);
        let late = self.slices.iter().filter_map(|(slice, owner)| {
            let deadline = owner.revoking.filter(|deadline| *deadline <= now)?;
            Some((slice.clone(), owner.member?, deadline))
        });
        for (slice, member, deadline) in late.collect::<Vec<_>>() {
            changed = true;
            self.give_up(member, std::slice::from_ref(&slice), deadline, now);
            if let Some(member) = self.members.get_mut(&member) {
                member.notices.push_back(Notice::Lost(vec![slice]));
            }
        }
        let items = &self.items;
        let is_busy = |session: &(Destination, Bytes)| {
            let of_session = |item: &&Item| order_key(item) == Some((&session.0, &session.1));
            items.values().filter(of_session).any(Item::is_held)
        };
        self.sessions.retain(|session, holder| holder.until > now || is_busy(session));
        changed
    }

    /// The handover of this deadline is complete, or over.
    pub(super) fn give_up(&mut self, member: u64, slices: &[Slice], deadline: Timestamp, now: Timestamp) {
        for slice in slices {
            match self.slices.get_mut(slice) {
                Some(owner) if owner.member == Some(member) && owner.revoking == Some(deadline) => {
                    *owner = Owner::default();
                }
                _ => continue,
            }
            self.give_back(|item| item.stored.place.slice == *slice && item.is_held_by(member));
        }
        self.share(now);
    }

    /// Assigns slices that are free, and asks for those that others are to have.
    fn share(&mut self, now: Timestamp) {
        if self.spec.sharing != Sharing::Slices {
            return;
        }
        let fetching: Vec<_> = self.members.iter().filter(|(_, member)| member.fetching).map(|(id, _)| *id).collect();
        let owners: Vec<_> = self.slices.values().map(|owner| owner.member).collect();
        let targets = assign(&owners, &fetching);
        let (mut assigned, mut revoked) = (BTreeMap::<_, Vec<_>>::new(), BTreeMap::<_, Vec<_>>::new());
        for ((slice, owner), target) in self.slices.iter_mut().zip(targets) {
            match (owner.member, target) {
                (None, Some(target)) => {
                    owner.member = Some(target);
                    assigned.entry(target).or_default().push(slice.clone());
                }
                (Some(has), target) if target != Some(has) && owner.revoking.is_none() => {
                    owner.revoking = Some(later(now, HANDOVER));
                    revoked.entry(has).or_default().push(slice.clone());
                }
                _ => {}
            }
        }
        let revoked = revoked.into_iter().map(|(id, slices)| (id, Notice::Revoking(slices, later(now, HANDOVER))));
        let assigned = assigned.into_iter().map(|(id, slices)| (id, Notice::Assigned(slices)));
        for (id, notice) in revoked.chain(assigned) {
            if let Some(member) = self.members.get_mut(&id) {
                member.notices.push_back(notice);
            }
        }
    }

    /// Hands over as many messages as there are for a member, within `max` and its prefetch. `epochs` counts deliveries.
    pub(super) fn take(&mut self, id: u64, max: Limit, now: Timestamp, epochs: &mut u64) -> Vec<Delivery> {
        let Some(member) = self.members.get(&id).cloned() else { return Vec::new() };
        let until = later(now, member.spec.lease);
        let held = self.items.values().filter(|item| item.is_held_by(id));
        let (mut messages, mut bytes) =
            held.fold((0, 0), |(count, bytes), item| (count + 1, bytes + item.stored.message.size()));
        let (mut batch, mut batch_bytes) = (Vec::new(), 0);
        while let Some(number) = self.next_for(id, &member, now) {
            let Some(item) = self.items.get_mut(&number) else { break };
            let size = item.stored.message.size();
            let has_room = member.spec.prefetch.has_room(messages, bytes, size);
            if !has_room || !max.has_room(batch.len(), batch_bytes, size) {
                break;
            }
            *epochs += 1;
            item.attempts += 1;
            item.first_attempt.get_or_insert(now);
            item.status = Status::Held { member: id, epoch: *epochs, until };
            (messages, bytes, batch_bytes) = (messages + 1, bytes + size, batch_bytes + size);
            let stored = item.stored.clone();
            batch.push(Delivery {
                tag: DeliveryTag { number, epoch: *epochs },
                message: stored.message.clone(),
                place: Some(stored.place.clone()),
                stored: Some(stored.stored),
                attempt: item.attempts,
            });
            self.touch_session(number, id, until);
        }
        batch
    }

    fn next_for(&self, id: u64, member: &Member, now: Timestamp) -> Option<u64> {
        let may_take = |item: &Item| {
            let slice = &item.stored.place.slice;
            let is_assigned = self.spec.sharing == Sharing::Competing
                || self.slices.get(slice).is_some_and(|owner| owner.member == Some(id) && owner.revoking.is_none());
            let session = order_key(item).and_then(|(topic, key)| self.sessions.get(&(topic.clone(), key.clone())));
            is_assigned && !member.paused.contains(slice) && session.is_none_or(|session| session.member == id)
        };
        let items = self.items.iter().map(|(number, item)| (*number, item));
        choose(items, self.spec.order, self.window, now, may_take)
    }

    /// The session of a message belongs to the member for another while.
    pub(super) fn touch_session(&mut self, number: u64, member: u64, until: Timestamp) {
        let key = self.items.get(&number).and_then(order_key);
        if let (Order::Sessions, Some((topic, key))) = (self.spec.order, key) {
            self.sessions.insert((topic.clone(), key.clone()), Session { member, until });
        }
    }

    pub(super) fn is_in_flight(&self) -> bool {
        self.items.values().any(Item::is_held)
    }

    pub(super) fn status(&self) -> GroupStatus {
        let count = |is: fn(&Item) -> bool| self.items.values().filter(|item| is(item)).count() as u64;
        let held_keys = count(|item| item.status == Status::Dead);
        GroupStatus {
            group: self.spec.group.clone(),
            members: self.members.len(),
            lag: self.items.len() as u64 - held_keys,
            in_flight: count(Item::is_held),
            held_keys,
        }
    }
}
