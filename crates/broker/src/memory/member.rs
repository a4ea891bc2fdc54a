//! One member of a group, as its two halves.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;

use super::{Shared, group::Notice, state::State};
use crate::{
    BrokerError, CommitError, Deliveries, DeliveryTag, Group, Handover, Limit, Message, Next, Outcome, Receipt,
    SettleError, Settler, Slice, Start,
};

/// A member takes part as long as one of its halves is there.
pub(super) struct Membership {
    pub(super) shared: Arc<Shared>,
    pub(super) group: Group,
    pub(super) member: u64,
    pub(super) life: u64,
}

pub(super) struct MemoryDeliveries(Arc<Membership>);

pub(super) struct MemorySettler(Arc<Membership>);

impl Membership {
    pub(super) fn split(self) -> (MemoryDeliveries, MemorySettler) {
        let membership = Arc::new(self);
        (MemoryDeliveries(membership.clone()), MemorySettler(membership))
    }

    fn leave(&self) {
        self.shared.change(|state| state.with_group(&self.group, |group, now, _| group.leave(self.member, now)));
    }

    fn is_member(&self, state: &State) -> bool {
        state.is_alive(self.life)
            && state.groups.get(&self.group).is_some_and(|group| group.members.contains_key(&self.member))
    }

    /// What the member is to be told now, if anything.
    fn next(&self, state: &mut State, max: Limit) -> Option<Result<Next, BrokerError>> {
        if !state.is_alive(self.life) {
            return Some(Err(BrokerError::Closed));
        }
        let taken = state.with_group(&self.group, |group, now, epochs| {
            let Some(member) = group.members.get_mut(&self.member).filter(|member| !member.closing) else {
                return Some(Next::Closed);
            };
            if let Some(notice) = member.notices.pop_front() {
                return Some(self.tell(notice));
            }
            let batch = group.take(self.member, max, now, epochs);
            if batch.is_empty() { None } else { Some(Next::Batch(batch)) }
        });
        taken?.map(Ok)
    }

    fn tell(&self, notice: Notice) -> Next {
        match notice {
            Notice::Assigned(slices) => Next::Assigned(slices),
            Notice::Lost(slices) => Next::Lost(slices),
            Notice::Revoking(slices, deadline) => {
                // A handover does not keep its member alive.
                let (shared, group, member) = (self.shared.clone(), self.group.clone(), self.member);
                let given_up = slices.clone();
                Next::Revoking(Handover::new(slices, deadline, move || {
                    let give_up = |state: &mut State| {
                        state.with_group(&group, |group, now, _| group.give_up(member, &given_up, deadline, now))
                    };
                    shared.change(give_up);
                }))
            }
        }
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Drop for MemoryDeliveries {
    fn drop(&mut self) {
        let Membership { shared, group, member, .. } = &*self.0;
        shared.change(|state| state.with_group(group, |group, now, _| group.stop_fetching(*member, now)));
    }
}

#[async_trait]
impl Deliveries for MemoryDeliveries {
    async fn next(&mut self, max: Limit) -> Result<Next, BrokerError> {
        if max.messages == 0 {
            return Err(BrokerError::Invalid { reason: "no message can be asked for".to_owned() });
        }
        let membership = &self.0;
        let next = membership.shared.wait(None, |state| membership.next(state, max)).await;
        next.unwrap_or(Err(BrokerError::Closed))
    }
}

#[async_trait]
impl Settler for MemorySettler {
    async fn settle(&self, outcomes: Vec<(DeliveryTag, Outcome)>) -> Vec<Result<(), SettleError>> {
        let Membership { shared, group, member, .. } = &*self.0;
        shared.change(|state| {
            let settled = outcomes.into_iter().map(|(tag, outcome)| state.settle(group, *member, tag, outcome));
            settled.collect()
        })
    }

    async fn extend(&self, tags: &[DeliveryTag], by: Duration) -> Vec<Result<(), SettleError>> {
        let Membership { shared, group, member, .. } = &*self.0;
        shared.change(|state| tags.iter().map(|tag| state.extend(group, *member, *tag, by)).collect())
    }

    async fn commit(
        &self,
        outcomes: Vec<(DeliveryTag, Outcome)>,
        out: Vec<Message>,
    ) -> Result<Vec<Receipt>, CommitError> {
        let Membership { shared, group, member, .. } = &*self.0;
        shared.change(|state| {
            if !self.0.is_member(state) {
                let tag = outcomes.first().map_or(DeliveryTag { number: 0, epoch: 0 }, |(tag, _)| *tag);
                return Err(CommitError::Settle { tag, source: SettleError::Stale });
            }
            state.commit(group, *member, outcomes, out)
        })
    }

    async fn seek(&self, to: Start) -> Result<(), BrokerError> {
        let Membership { shared, group, .. } = &*self.0;
        shared.change(|state| if self.0.is_member(state) { state.seek(group, &to) } else { Err(BrokerError::Closed) })
    }

    async fn pause(&self, slices: &[Slice], paused: bool) -> Result<(), BrokerError> {
        let Membership { shared, group, member, .. } = &*self.0;
        let known = shared.change(|state| {
            let member = state.groups.get_mut(group)?.members.get_mut(member)?;
            if paused {
                member.paused.extend(slices.iter().cloned());
            } else {
                member.paused.retain(|slice| !slices.contains(slice));
            }
            Some(())
        });
        known.ok_or(BrokerError::Closed)
    }

    async fn close(&self, deadline: Instant) -> Result<(), BrokerError> {
        let Membership { shared, group, member, .. } = &*self.0;
        shared.change(|state| {
            let member = state.groups.get_mut(group).and_then(|group| group.members.get_mut(member));
            if let Some(member) = member {
                member.closing = true;
            }
        });
        let drained = |state: &mut State| {
            let group = state.groups.get(group)?;
            (!group.items.values().any(|item| item.is_held_by(*member))).then_some(())
        };
        shared.wait(Some(deadline), drained).await;
        self.0.leave();
        Ok(())
    }
}
