//! One member of a group, as its two halves.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use mainspring_broker::{
    BrokerError, CommitError, Deliveries, Delivery, DeliveryTag, Handover, InStore, Limit, Message, Next, Outcome,
    Receipt, SettleError, Settler, Slice, Start,
};
use mainspring_store::{Append, Appended, Store};
use tokio::sync::{Notify, oneshot};

use crate::{
    group::{
        item::{Holding, Status},
        member::Notice,
    },
    loading::{self, Which},
    moving::floors,
    shared::{Life, Shared},
    state::State,
    time::later,
};

/// A member takes part as long as one of its halves is there.
pub(crate) struct Membership {
    pub(crate) life: Arc<Life>,
    pub(crate) group: usize,
    pub(crate) member: u64,
    pub(crate) wake: Arc<Notify>,
}

pub(crate) struct EmbeddedDeliveries(Arc<Membership>);

pub(crate) struct EmbeddedSettler(Arc<Membership>);

/// What a member does next.
enum Step {
    Say(Result<Next, BrokerError>),
    Load(loading::Plan),
    Wait,
}

impl Membership {
    pub(crate) fn split(self) -> (EmbeddedDeliveries, EmbeddedSettler) {
        let membership = Arc::new(self);
        (EmbeddedDeliveries(membership.clone()), EmbeddedSettler(membership))
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.life.0
    }

    fn leave(&self) {
        self.shared().change(|state| state.leave(self.group, self.member));
    }

    fn is_member(&self, state: &State) -> bool {
        !state.ended && state.groups[self.group].members.contains_key(&self.member)
    }

    /// What the member is to be told now, or to do.
    fn step(&self, state: &mut State, max: Limit) -> Step {
        if state.ended {
            return Step::Say(Err(BrokerError::Closed));
        }
        state.advance(self.group);
        let group = &mut state.groups[self.group];
        let Some(member) = group.members.get_mut(&self.member).filter(|member| !member.closing) else {
            return Step::Say(Ok(Next::Closed));
        };
        if let Some(notice) = member.notices.pop_front() {
            member.want = None;
            return Step::Say(Ok(self.tell(state, notice)));
        }
        member.want = Some(max);
        if let Some(plan) = loading::plan(state, self.group, self.member, Which::Again) {
            return Step::Load(plan);
        }
        state.pump(self.group);
        let batch = state.hand_over(self.group, self.member, max);
        if !batch.is_empty() {
            return Step::Say(Ok(Next::Batch(batch)));
        }
        match loading::plan(state, self.group, self.member, Which::Any) {
            Some(plan) => Step::Load(plan),
            None => Step::Wait,
        }
    }

    fn tell(&self, state: &mut State, notice: Notice) -> Next {
        let named = |state: &State, slices: &[usize]| -> Vec<Slice> {
            slices.iter().map(|slice| state.slice(self.group, *slice).clone()).collect()
        };
        match notice {
            Notice::Assigned(slices) => Next::Assigned(named(state, &slices)),
            Notice::Lost(slices) => Next::Lost(named(state, &slices)),
            Notice::Revoking(slices, deadline) => {
                state.empty_mailbox(self.group, self.member, Some(&slices));
                let named = named(state, &slices);
                // A handover does not keep its member alive.
                let (shared, group, member) = (Arc::downgrade(self.shared()), self.group, self.member);
                Next::Revoking(Handover::new(named, deadline, move || {
                    if let Some(shared) = shared.upgrade() {
                        shared.change(|state| state.give_up(group, member, &slices, deadline));
                    }
                }))
            }
        }
    }

    /// Waits for what comes of a change that is written later.
    async fn written<T: Send + 'static>(
        &self,
        change: impl FnOnce(&mut State, Box<dyn FnOnce(T) + Send>) + Send,
    ) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        let done = Box::new(move |came| {
            // Nobody needs to wait for it.
            let _ = answer.send(came);
        });
        self.shared().change(|state| change(state, done));
        answered.await.ok()
    }

    async fn commits(
        &self,
        append: Option<Append>,
        outcomes: Vec<(DeliveryTag, Outcome)>,
        out: Vec<Message>,
    ) -> Result<(Appended, Vec<Receipt>), CommitError> {
        let stale = |outcomes: &[(DeliveryTag, Outcome)]| {
            let tag = outcomes.first().map_or(DeliveryTag { number: 0, epoch: 0 }, |(tag, _)| *tag);
            CommitError::Settle { tag, source: SettleError::Stale }
        };
        let ended = stale(&outcomes);
        let written = self.written(|state, done| {
            if self.is_member(state) {
                state.commit((self.group, self.member), outcomes, out, append, done);
            } else {
                done(Err(stale(&outcomes)));
            }
        });
        written.await.unwrap_or(Err(ended))
    }
}

impl State {
    /// Hands over what a member has fetched, within `max`: from now on it is the member's own.
    fn hand_over(&mut self, group: usize, id: u64, max: Limit) -> Vec<Delivery> {
        let now = self.now;
        let mut batch = Vec::new();
        let mut bytes = 0;
        loop {
            let epoch = self.count();
            let state = &mut self.groups[group];
            let Some(member) = state.members.get_mut(&id) else { break };
            let Some(&number) = member.mailbox.front() else { break };
            let until = later(now, member.spec.lease);
            let Some(item) = state.items.get(number) else {
                member.mailbox.pop_front();
                continue;
            };
            let size = item.size();
            if !max.has_room(batch.len(), bytes, size) {
                break;
            }
            member.mailbox.pop_front();
            if member.mailbox.is_empty() {
                member.kept.clear();
            }
            batch.push(Delivery {
                tag: DeliveryTag { number, epoch },
                message: item.stored.message.clone(),
                place: Some(item.stored.place.clone()),
                stored: Some(item.stored.stored),
                attempt: item.attempts,
            });
            bytes += size;
            state.set(number, Status::Held(Holding { member: id, epoch, until }));
            state.lease(id, until, number, epoch);
            state.touch_session(number, id, until);
        }
        if !batch.is_empty() {
            if let Some(member) = self.groups[group].members.get_mut(&id) {
                member.want = None;
            }
            self.expect(self.groups[group].next_event(now));
        }
        batch
    }

    /// The member is gone: what it held comes back as tried, and what it had only fetched as it was.
    pub(crate) fn leave(&mut self, group: usize, member: u64) {
        self.empty_mailbox(group, member, None);
        let now = self.now;
        self.groups[group].leave(member, now);
        self.pump(group);
        self.changed.send_replace(());
    }

    /// Nobody asks for messages of this member any more.
    fn stop_fetching(&mut self, group: usize, member: u64) {
        self.empty_mailbox(group, member, None);
        let now = self.now;
        self.groups[group].stop_fetching(member, now);
        self.pump(group);
    }

    /// A handover is complete.
    fn give_up(&mut self, group: usize, member: u64, slices: &[usize], deadline: jiff::Timestamp) {
        let now = self.now;
        self.groups[group].give_up(member, slices, deadline, now);
        self.pump(group);
    }

    pub(crate) fn slice(&self, group: usize, slice: usize) -> &Slice {
        let (topic, partition) = self.groups[group].slices[slice];
        &self.topics[topic].partitions[partition].slice
    }

    /// Lets a member come to its end.
    pub(crate) fn begin_to_close(&mut self, group: usize, id: u64) {
        if let Some(member) = self.groups[group].members.get_mut(&id) {
            member.closing = true;
            member.want = None;
            member.wake.notify_one();
            self.empty_mailbox(group, id, None);
        }
    }
}

/// Says that nobody waits any more, when a call of `next` is dropped: somebody else may have to read for the others.
struct Asking<'a>(&'a Membership);

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let Membership { group, member, .. } = self.0;
        self.0.shared().change(|state| {
            if let Some(member) = state.groups[*group].members.get_mut(member)
                && member.want.take().is_some()
            {
                state.pump(*group);
            }
        });
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Drop for EmbeddedDeliveries {
    fn drop(&mut self) {
        let Membership { group, member, .. } = *self.0;
        self.0.shared().change(|state| state.stop_fetching(group, member));
    }
}

#[async_trait]
impl Deliveries for EmbeddedDeliveries {
    async fn next(&mut self, max: Limit) -> Result<Next, BrokerError> {
        if max.messages == 0 {
            return Err(BrokerError::Invalid { reason: "no message can be asked for".to_owned() });
        }
        let membership = &*self.0;
        let asking = Asking(membership);
        loop {
            match membership.shared().change(|state| membership.step(state, max)) {
                Step::Say(said) => {
                    drop(asking);
                    return said;
                }
                Step::Load(plan) => loading::load(membership.shared(), plan).await?,
                Step::Wait => membership.wake.notified().await,
            }
        }
    }
}

#[async_trait]
impl Settler for EmbeddedSettler {
    async fn settle(&self, outcomes: Vec<(DeliveryTag, Outcome)>) -> Vec<Result<(), SettleError>> {
        let Membership { group, member, .. } = *self.0;
        let count = outcomes.len();
        let settled = self.0.written(|state, done| state.settle(group, member, outcomes, done));
        settled.await.unwrap_or_else(|| (0..count).map(|_| Err(SettleError::Stale)).collect())
    }

    async fn extend(&self, tags: &[DeliveryTag], by: Duration) -> Vec<Result<(), SettleError>> {
        let Membership { group, member, .. } = *self.0;
        let extend = |state: &mut State| tags.iter().map(|tag| state.extend(group, member, *tag, by)).collect();
        self.0.shared().change(extend)
    }

    async fn commit(
        &self,
        outcomes: Vec<(DeliveryTag, Outcome)>,
        out: Vec<Message>,
    ) -> Result<Vec<Receipt>, CommitError> {
        self.0.commits(None, outcomes, out).await.map(|(_, receipts)| receipts)
    }

    fn in_store(&self) -> Option<&dyn InStore> {
        Some(self)
    }

    async fn seek(&self, to: Start) -> Result<(), BrokerError> {
        let shared = self.0.shared();
        if !shared.change(|state| self.0.is_member(state)) {
            return Err(BrokerError::Closed);
        }
        let group = self.0.group;
        shared.change(|state| state.can_move(group))?;
        let slices = shared.lock().groups[group].slices.clone();
        // One move after the other; it is over when it is written, whether somebody waits for it or not.
        let turn = shared.moving.clone().lock_owned().await;
        let floors = floors(shared, &slices, &to).await?;
        let moved = self.0.written(|state, done| {
            let landed = move |result| {
                drop(turn);
                done(result);
            };
            state.seek(group, floors, Box::new(landed));
        });
        moved.await.unwrap_or(Err(BrokerError::Closed))
    }

    async fn pause(&self, slices: &[Slice], paused: bool) -> Result<(), BrokerError> {
        let Membership { group, member, .. } = *self.0;
        self.0.shared().change(|state| {
            let places: Vec<_> = (0..state.groups[group].slices.len())
                .filter(|slice| slices.contains(state.slice(group, *slice)))
                .collect();
            let member_state = state.groups[group].members.get_mut(&member).ok_or(BrokerError::Closed)?;
            if paused {
                member_state.paused.extend(&places);
                state.empty_mailbox(group, member, Some(&places));
            } else {
                member_state.paused.retain(|slice| !places.contains(slice));
                state.pump(group);
            }
            Ok(())
        })
    }

    async fn close(&self, deadline: Instant) -> Result<(), BrokerError> {
        let Membership { group, member, .. } = *self.0;
        let shared = self.0.shared();
        shared.change(|state| state.begin_to_close(group, member));
        let drained = |state: &mut State| {
            let member = state.groups[group].members.get(&member);
            state.ended || member.is_none_or(|member| member.messages == 0)
        };
        shared.until(deadline, drained).await;
        self.0.leave();
        Ok(())
    }
}

#[async_trait]
impl InStore for EmbeddedSettler {
    fn store(&self) -> Store {
        self.0.shared().store.clone()
    }

    async fn append(
        &self,
        append: Append,
        outcomes: Vec<(DeliveryTag, Outcome)>,
        out: Vec<Message>,
    ) -> Result<(Appended, Vec<Receipt>), CommitError> {
        self.0.commits(Some(append), outcomes, out).await
    }
}
