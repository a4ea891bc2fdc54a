//! How messages get to members, and back from those that did not ask for them again.

use std::{cmp::Reverse, time::Duration};

use mainspring_broker::Limit;

use super::{Given, State, steps_of_tried};
use crate::{
    codec::progress::Tried,
    entry::{Entry, Landed},
    group::{GroupState, item::Status},
    time::later,
};

/// When the store has refused to note attempts, it is asked again so much later.
const AGAIN: Duration = Duration::from_millis(20);

/// Messages that a member is to have.
pub(crate) struct Taken {
    pub(crate) group: usize,
    pub(crate) member: u64,
    pub(crate) numbers: Vec<u64>,
}

impl State {
    /// Has messages that are on their way to the store delivered to members that wait, without another way there: that
    /// this is an attempt is written together with them. Says the steps to write, and who gets what.
    pub(crate) fn take_unborn(&mut self, given: &[Given]) -> (Vec<(usize, Vec<u8>)>, Vec<Taken>) {
        let (mut steps, mut taken) = (Vec::new(), Vec::new());
        let mut groups: Vec<_> = given.iter().map(|given| given.group).collect();
        groups.sort_unstable();
        groups.dedup();
        for group in groups {
            let hungry = self.hungry(group);
            if hungry.is_empty() {
                continue;
            }
            let mut fresh = self.fresh(group, given);
            for member in hungry {
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

    /// The members that wait for messages, unless the store has just refused to note an attempt.
    fn hungry(&self, group: usize) -> Vec<u64> {
        let state = &self.groups[group];
        if state.refused.is_some() {
            return Vec::new();
        }
        state.members.iter().filter(|(_, member)| member.is_hungry()).map(|(id, _)| *id).collect()
    }

    /// Gives every member that waits what there is for it.
    pub(crate) fn pump(&mut self, group: usize) {
        if self.ended {
            return;
        }
        loop {
            let mut hungry = false;
            for member in self.hungry(group) {
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
        if !written {
            state.refused = Some(later(now, AGAIN));
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
}
