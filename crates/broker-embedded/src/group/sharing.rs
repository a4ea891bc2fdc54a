//! Which slices and sessions the members of a group have.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use mainspring_broker::{Order, Sharing, assign};

use super::{
    GroupState,
    item::Status,
    member::{Member, Notice},
};
use crate::time::{HANDOVER, later};

#[derive(Clone, Copy, Default)]
pub(super) struct Owner {
    member: Option<u64>,
    /// Until when the owner may settle what it has, when it is to give the slice up.
    revoking: Option<Timestamp>,
}

#[derive(Clone, Copy)]
pub(super) struct Session {
    pub(super) member: u64,
    pub(super) until: Timestamp,
}

impl Owner {
    /// Whether messages of the slice go to this member.
    pub(super) fn is(&self, member: u64) -> bool {
        self.member == Some(member) && self.revoking.is_none()
    }

    /// Whether the member has the slice, also while it gives it up.
    pub(super) fn has(&self, member: u64) -> bool {
        self.member == Some(member)
    }

    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.revoking
    }
}

impl GroupState {
    pub(crate) fn join(&mut self, id: u64, member: Member, now: Timestamp) {
        self.members.insert(id, member);
        self.share(now);
    }

    /// Nobody asks for messages of this member any more; what it holds stays its own.
    pub(crate) fn stop_fetching(&mut self, id: u64, now: Timestamp) {
        if let Some(member) = self.members.get_mut(&id) {
            member.fetching = false;
            member.want = None;
            for owner in self.owners.iter_mut().filter(|owner| owner.member == Some(id)) {
                *owner = Owner::default();
            }
            self.share(now);
        }
    }

    /// The member is gone, and what it held comes back as tried. Its messages that were only fetched are the caller's
    /// business, before.
    pub(crate) fn leave(&mut self, id: u64, now: Timestamp) {
        self.stop_fetching(id, now);
        let held: Vec<_> = self.items.iter().filter(|(_, item)| item.member() == Some(id)).collect();
        let held: Vec<_> = held.into_iter().filter(|(_, item)| matches!(item.status, Status::Held(_))).collect();
        for number in held.into_iter().map(|(number, _)| number).collect::<Vec<_>>() {
            self.set(number, Status::Ready);
        }
        self.members.remove(&id);
        let ends = &mut self.session_ends;
        self.sessions.retain(|key, session| {
            let stays = session.member != id;
            if !stays {
                ends.remove(&(session.until, key.clone()));
            }
            stays
        });
    }

    /// The slices whose handover is over, with the members that had them.
    pub(crate) fn late_handovers(&self, now: Timestamp) -> Vec<(usize, u64, Timestamp)> {
        let late = self.owners.iter().enumerate().filter_map(|(slice, owner)| {
            let deadline = owner.revoking.filter(|deadline| *deadline <= now)?;
            Some((slice, owner.member?, deadline))
        });
        late.collect()
    }

    /// The handover of this deadline is complete, or over.
    pub(crate) fn give_up(&mut self, id: u64, slices: &[usize], deadline: Timestamp, now: Timestamp) {
        for slice in slices {
            match self.owners.get_mut(*slice) {
                Some(owner) if owner.member == Some(id) && owner.revoking == Some(deadline) => {
                    *owner = Owner::default();
                }
                _ => continue,
            }
            let held = self.items.iter().filter(|(_, item)| {
                item.slice == *slice && matches!(item.status, Status::Held(holding) if holding.member == id)
            });
            for number in held.map(|(number, _)| number).collect::<Vec<_>>() {
                self.set(number, Status::Ready);
            }
        }
        self.share(now);
    }

    /// Assigns slices that are free, and asks for those that others are to have.
    fn share(&mut self, now: Timestamp) {
        if self.spec.sharing != Sharing::Slices {
            return;
        }
        let fetching: Vec<_> = self.members.iter().filter(|(_, member)| member.fetching).map(|(id, _)| *id).collect();
        let owners: Vec<_> = self.owners.iter().map(|owner| owner.member).collect();
        let targets = assign(&owners, &fetching);
        let (mut assigned, mut revoked) = (BTreeMap::<_, Vec<_>>::new(), BTreeMap::<_, Vec<_>>::new());
        for ((slice, owner), target) in self.owners.iter_mut().enumerate().zip(targets) {
            match (owner.member, target) {
                (None, Some(target)) => {
                    owner.member = Some(target);
                    assigned.entry(target).or_default().push(slice);
                }
                (Some(has), target) if target != Some(has) && owner.revoking.is_none() => {
                    owner.revoking = Some(later(now, HANDOVER));
                    revoked.entry(has).or_default().push(slice);
                }
                _ => {}
            }
        }
        let revoked = revoked.into_iter().map(|(id, slices)| (id, Notice::Revoking(slices, later(now, HANDOVER))));
        let assigned = assigned.into_iter().map(|(id, slices)| (id, Notice::Assigned(slices)));
        for (id, notice) in revoked.chain(assigned) {
            if let Some(member) = self.members.get_mut(&id) {
                member.notices.push_back(notice);
                member.wake.notify_one();
            }
        }
    }

    /// Whether the session of a message belongs to the member or to nobody.
    pub(super) fn session_allows(&self, number: u64, member: u64) -> bool {
        if self.spec.order != Order::Sessions {
            return true;
        }
        let Some(item) = self.items.get(number) else { return false };
        let key = self.order_key(item.slice, &item.stored.message);
        key.and_then(|key| self.sessions.get(&key)).is_none_or(|session| session.member == member)
    }

    /// The session of a message belongs to the member for another while.
    pub(crate) fn touch_session(&mut self, number: u64, member: u64, until: Timestamp) {
        if self.spec.order != Order::Sessions {
            return;
        }
        let Some(item) = self.items.get(number) else { return };
        if let Some(key) = self.order_key(item.slice, &item.stored.message) {
            if let Some(before) = self.sessions.insert(key.clone(), Session { member, until }) {
                self.session_ends.remove(&(before.until, key.clone()));
            }
            self.session_ends.insert((until, key));
        }
    }

    /// Ends the sessions that are over; says whether there were any. One whose message is in work goes on for a while.
    pub(crate) fn end_sessions(&mut self, now: Timestamp) -> bool {
        let mut ended = false;
        while self.session_ends.first().is_some_and(|(until, _)| *until <= now) {
            let Some((_, key)) = self.session_ends.pop_first() else { break };
            let first = self.keys.get(&key).and_then(|queue| queue.front());
            if first.and_then(|first| self.items.get(*first)).is_some_and(|item| item.member().is_some()) {
                let until = later(now, IN_WORK);
                if let Some(session) = self.sessions.get_mut(&key) {
                    session.until = until;
                    self.session_ends.insert((until, key));
                }
            } else {
                self.sessions.remove(&key);
                ended = true;
            }
        }
        ended
    }
}

/// A session that is over while a message of it is in work is looked at again so much later.
const IN_WORK: Duration = Duration::from_secs(1);
