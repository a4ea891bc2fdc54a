//! Settlements of the model, one by one and together with messages.

use std::time::Duration;

use super::{
    group::{Item, READY, Status},
    state::{State, later},
};
use crate::{
    AfterDeadLetter, CommitError, DeadLetter, DeliveryTag, Feature, Group, Message, Outcome, Receipt, SettleError,
    Support,
};

impl State {
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
    pub(super) fn bury(&mut self, group: &Group, number: u64, reason: String) -> Result<(), SettleError> {
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
}

fn too_long(what: &'static str, actual: Duration, limit: Duration) -> Result<(), SettleError> {
    let milliseconds = |time: Duration| usize::try_from(time.as_millis()).unwrap_or(usize::MAX);
    if actual > limit {
        let (actual, limit) = (milliseconds(actual), milliseconds(limit));
        return Err(SettleError::TooLarge { what, actual, limit });
    }
    Ok(())
}
