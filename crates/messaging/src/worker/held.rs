//! What a member holds: deliveries that were handed to it and are not settled, and the slices it is to give up.

use std::{collections::HashMap, sync::Arc, time::Duration};

use mainspring_broker::{Delivery, DeliveryTag, Handover, Slice};
use tokio::time::Instant;

/// Deliveries that are not settled.
#[derive(Default)]
pub(super) struct Held {
    items: HashMap<DeliveryTag, Item>,
    handovers: Vec<Handover>,
}

struct Item {
    delivery: Arc<Delivery>,
    since: Instant,
    /// It belongs to somebody else by now.
    stale: bool,
}

impl Held {
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    pub(super) fn add(&mut self, delivery: &Arc<Delivery>, since: Instant) {
        self.items.insert(delivery.tag, Item { delivery: delivery.clone(), since, stale: false });
    }

    /// Whether the delivery can still be settled by this member, as far as is known here.
    pub(super) fn is_own(&self, tag: DeliveryTag) -> bool {
        self.items.get(&tag).is_some_and(|item| !item.stale)
    }

    /// The delivery is settled, or has ended in another way.
    pub(super) fn end(&mut self, tag: DeliveryTag) {
        self.items.remove(&tag);
        self.complete();
    }

    /// The lease ran out: it is not to be extended any more, and settling it would not count.
    pub(super) fn lose(&mut self, tag: DeliveryTag) {
        if let Some(item) = self.items.get_mut(&tag) {
            item.stale = true;
        }
    }

    /// What is held for longer than `time`, and still its own.
    pub(super) fn longer_than(&self, time: Duration, now: Instant) -> Vec<DeliveryTag> {
        let old = |item: &&Item| !item.stale && now.saturating_duration_since(item.since) >= time;
        self.items.values().filter(old).map(|item| item.delivery.tag).collect()
    }

    /// Gives slices up as soon as nothing of them is held any more.
    pub(super) fn revoke(&mut self, handover: Handover) {
        self.handovers.push(handover);
        self.complete();
    }

    /// The slices are not its own any more.
    pub(super) fn lose_slices(&mut self, slices: &[Slice]) {
        for item in self.items.values_mut().filter(|item| is_of(&item.delivery, slices)) {
            item.stale = true;
        }
        self.handovers.retain(|handover| !handover.slices().iter().all(|slice| slices.contains(slice)));
        self.complete();
    }

    /// Gives every slice up that was asked for, whatever is still held of it.
    pub(super) fn give_up(&mut self) {
        self.handovers.clear();
    }

    /// Dropping a handover completes it.
    fn complete(&mut self) {
        let items = &self.items;
        let is_held =
            |handover: &Handover| items.values().any(|item| !item.stale && is_of(&item.delivery, handover.slices()));
        self.handovers.retain(is_held);
    }
}

/// Whether a delivery comes from one of `slices`. One that does not say where it lies may come from any.
pub(super) fn is_of(delivery: &Delivery, slices: &[Slice]) -> bool {
    delivery.place.as_ref().is_none_or(|place| slices.contains(&place.slice))
}
