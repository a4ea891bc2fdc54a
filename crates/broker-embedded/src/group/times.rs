//! What happens to messages by itself as time passes: deliveries end, waiting is over, messages expire.

use jiff::Timestamp;

use super::{
    GroupState,
    item::{Item, Status},
    member::Member,
    sharing::Owner,
};

impl GroupState {
    /// Notes that a member has a delivery until a time.
    pub(crate) fn lease(&mut self, id: u64, until: Timestamp, number: u64, epoch: u64) {
        let items = &self.items;
        let Some(member) = self.members.get_mut(&id) else { return };
        let lasts = |(until, number, epoch): &(Timestamp, u64, u64)| {
            let status = items.get(*number).map(|item| item.status);
            matches!(status, Some(Status::Held(holding) | Status::Settling(holding))
                if holding.epoch == *epoch && holding.until == *until)
        };
        while member.leases.front().is_some_and(|first| !lasts(first)) {
            member.leases.pop_front();
        }
        // Behind a stuck one there may be many that are settled: forgetting them now and then costs little each.
        if member.leases.len() > 64 + 2 * member.messages {
            member.leases.retain(lasts);
        }
        member.leases.push_back((until, number, epoch));
    }

    /// A delivery lasts until another time.
    pub(crate) fn extend(&mut self, number: u64, until: Timestamp) {
        if let Some(Item { status: Status::Held(holding), .. }) = self.items.get_mut(number) {
            self.extended.remove(&(holding.until, number, holding.epoch));
            holding.until = until;
            self.extended.insert((until, number, holding.epoch));
        }
    }

    /// The deliveries that have ended by now.
    pub(crate) fn ended(&mut self, now: Timestamp) -> Vec<u64> {
        let mut over = Vec::new();
        for member in self.members.values_mut() {
            while member.leases.front().is_some_and(|(until, _, _)| *until <= now) {
                over.extend(member.leases.pop_front().map(|(_, number, epoch)| (number, epoch)));
            }
        }
        while let Some(&(until, number, epoch)) = self.extended.first().filter(|(until, _, _)| *until <= now) {
            self.extended.remove(&(until, number, epoch));
            over.push((number, epoch));
        }
        let is_over = |(number, epoch): &(u64, u64)| {
            let status = self.items.get(*number).map(|item| item.status);
            matches!(status, Some(Status::Held(holding)) if holding.epoch == *epoch && holding.until <= now)
        };
        over.into_iter().filter(is_over).map(|(number, _)| number).collect()
    }

    /// The messages whose time to wait is over.
    pub(crate) fn awake(&mut self, now: Timestamp) -> Vec<u64> {
        self.waiting.iter().take_while(|(time, _)| *time <= now).map(|(_, number)| *number).collect()
    }

    /// The messages that have expired while nobody had them.
    pub(crate) fn expired(&mut self, now: Timestamp) -> Vec<u64> {
        let mut expired = Vec::new();
        while let Some(&(time, number)) = self.expiring.first().filter(|(time, _)| *time <= now) {
            self.expiring.remove(&(time, number));
            let status = self.items.get(number).map(|item| item.status);
            if matches!(status, Some(Status::Ready | Status::Waiting(_))) {
                expired.push(number);
            }
        }
        expired
    }

    /// When something happens by itself next.
    pub(crate) fn next_event(&self, now: Timestamp) -> Option<Timestamp> {
        let leases = self.members.values().filter_map(Member::next_end);
        let waiting = self.waiting.first().map(|(time, _)| *time);
        let expiring = self.expiring.first().map(|(time, _)| *time);
        let extended = self.extended.first().map(|(time, _, _)| *time);
        let handovers = self.owners.iter().filter_map(Owner::deadline);
        // A session that is over but in work ends when that is settled.
        let sessions = self.session_ends.first().map(|(until, _)| *until).filter(|until| *until > now);
        leases.chain(self.refused).chain(waiting).chain(expiring).chain(extended).chain(handovers).chain(sessions).min()
    }
}
