//! Which message a member gets next.

use mainspring_broker::{Order, Sharing};

use super::{GroupState, member::Member};

impl GroupState {
    /// The message that a member gets next: of those that can be delivered to it, the first of the highest priority.
    pub(crate) fn choose(&self, id: u64) -> Option<u64> {
        let member = self.members.get(&id)?;
        let mut best: Option<(u8, u64)> = None;
        for (slice, lane) in self.ready.iter().enumerate().filter(|(_, lane)| !lane.is_empty()) {
            if self.may_have(id, member, slice) {
                let first = match self.spec.order {
                    Order::Sessions => lane.iter().find(|(_, number)| self.session_allows(*number, id)),
                    _ => lane.first(),
                };
                best = first.copied().into_iter().chain(best).min();
            }
        }
        best.map(|(_, number)| number)
    }

    /// The same of messages that are on their way to the store: it takes one out of `fresh`, whose first stands last.
    pub(crate) fn choose_unborn(&self, id: u64, fresh: &mut Vec<u64>) -> Option<u64> {
        let member = self.members.get(&id)?;
        let may_take = |number: &u64| {
            let item = self.items.get(*number);
            item.is_some_and(|item| self.may_have(id, member, item.slice)) && self.session_allows(*number, id)
        };
        let at = fresh.iter().rposition(may_take)?;
        Some(fresh.remove(at))
    }

    /// Whether messages of a slice go to a member.
    pub(crate) fn may_have(&self, id: u64, member: &Member, slice: usize) -> bool {
        let is_assigned = self.spec.sharing == Sharing::Competing || self.owners[slice].is(id);
        is_assigned && !member.paused.contains(&slice)
    }
}
