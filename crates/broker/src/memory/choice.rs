//! Which message a member gets next: priority, expiry, waiting, and the order of keys, as one pure function.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use jiff::Timestamp;

use super::group::{Item, Status};
use crate::{Destination, Order};

/// What keeps messages in order with each other.
pub(super) type OrderKey<'a> = (&'a Destination, &'a Bytes);

/// The number of the message to deliver next: of those that `may_take` allows, the first of the highest priority.
///
/// `items` are all messages that the group has not settled, in the order in which they were stored. Where keys stay in
/// order, only the first message of each key can be delivered; one that waits, is held or is dead stops its key. Where
/// keys wait in place, at most `window` messages of a slice lie behind its first.
pub(super) fn choose<'a>(
    items: impl Iterator<Item = (u64, &'a Item)>,
    order: Order,
    window: usize,
    now: Timestamp,
    may_take: impl Fn(&Item) -> bool,
) -> Option<u64> {
    let mut keys = HashSet::new();
    let mut behind: HashMap<_, usize> = HashMap::new();
    let mut best: Option<(u8, u64)> = None;
    for (number, item) in items.filter(|(_, item)| !item.is_expired(now)) {
        let before = behind.entry(&item.stored.place.slice).or_default();
        let paused = matches!(order, Order::KeyBlocks | Order::Sessions) && *before > window;
        *before += 1;
        let is_first = order == Order::Unordered || order_key(item).is_none_or(|key| keys.insert(key));
        let is_ready = matches!(item.status, Status::Ready { not_before } if not_before.is_none_or(|at| at <= now));
        let priority = item.stored.message.priority;
        if !paused && is_first && is_ready && may_take(item) && best.is_none_or(|(highest, _)| priority > highest) {
            best = Some((priority, number));
        }
    }
    best.map(|(_, number)| number)
}

/// By what a message is kept in order, if it has a key.
pub(super) fn order_key(item: &Item) -> Option<OrderKey<'_>> {
    let message = &item.stored.message;
    message.key.as_ref().map(|key| (&message.destination, key))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::{super::topic::Stored, *};
    use crate::{Message, Place, Slice};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn item(number: u64, message: Message, status: Status, expires: Option<Timestamp>) -> Item {
        let slice = Slice { topic: message.destination.clone(), partition: 0 };
        let place = Place { slice, offset: number };
        Item::new(Arc::new(Stored { number, place, stored: at(0), expires, message })).with(status)
    }

    fn message(key: &'static str, priority: u8) -> Message {
        let message = Message::new("orders".parse().unwrap(), "").priority(priority);
        if key.is_empty() { message } else { message.key(key) }
    }

    const READY: Status = Status::Ready { not_before: None };
    const HELD: Status = Status::Held { member: 1, epoch: 1, until: Timestamp::MAX };

    /// Numbers the messages from 0 and expects which is next at second 10.
    #[track_caller]
    fn check(order: Order, items: &[(&'static str, u8, Status)], expected: Option<u64>) {
        let items: Vec<_> =
            (0..).zip(items).map(|(n, (key, p, s))| item(n, message(key, *p), s.clone(), None)).collect();
        let chosen = choose((0..).zip(&items), order, 2, at(10), |_| true);
        assert_eq!(chosen, expected);
    }

    #[test]
    fn a_higher_priority_goes_first_and_equals_keep_their_order() {
        check(Order::Unordered, &[("", 0, READY), ("", 5, READY), ("", 5, READY)], Some(1));
        check(Order::Unordered, &[("", 0, READY), ("", 0, READY)], Some(0));
    }

    #[test]
    fn a_priority_does_not_overtake_within_a_key() {
        let items = [("a", 0, READY), ("a", 9, READY), ("b", 5, READY)];
        check(Order::KeyBlocks, &items, Some(2));
        check(Order::Unordered, &items, Some(1));
    }

    #[test]
    fn a_message_waits_until_its_time() {
        let waits = |second| Status::Ready { not_before: Some(at(second)) };
        check(Order::Unordered, &[("", 0, waits(11)), ("", 0, READY)], Some(1));
        check(Order::Unordered, &[("", 0, waits(10)), ("", 0, READY)], Some(0));
    }

    #[test]
    fn what_is_not_ready_stops_its_key_and_no_other() {
        for stopped in [HELD, Status::Dead, Status::Ready { not_before: Some(at(99)) }] {
            let items = [("a", 0, stopped), ("a", 0, READY), ("b", 0, READY)];
            check(Order::KeyBlocks, &items, Some(2));
            check(Order::KeyParks, &items, Some(2));
            check(Order::Unordered, &items, Some(1));
            check(Order::KeyBlocks, &items[..2], None);
        }
        check(Order::KeyBlocks, &[("", 0, HELD), ("", 0, READY)], Some(1));
    }

    #[test]
    fn a_slice_pauses_behind_keys_that_wait_in_place_but_not_behind_parked_ones() {
        let items = [("a", 0, HELD), ("a", 0, READY), ("a", 0, READY), ("b", 0, READY)];
        check(Order::KeyBlocks, &items, None);
        check(Order::Sessions, &items, None);
        check(Order::KeyParks, &items, Some(3));
    }

    #[test]
    fn what_has_expired_is_neither_chosen_nor_in_the_way() {
        let items = [item(0, message("a", 9), READY, Some(at(10))), item(1, message("a", 0), READY, Some(at(11)))];
        assert_eq!(choose((0..).zip(&items), Order::KeyBlocks, 9, at(10), |_| true), Some(1));
    }

    proptest! {
        #[test]
        fn taking_one_after_the_other_never_overtakes_within_a_key(
            sent in prop::collection::vec((prop::sample::select(vec!["", "a", "b", "c"]), 0_u8..3), 0..20),
            order in prop::sample::select(vec![Order::KeyBlocks, Order::KeyParks, Order::Sessions]),
        ) {
            let mut left: Vec<_> = (0..).zip(&sent).map(|(n, (key, p))| (n, item(n, message(key, *p), READY, None))).collect();
            let mut taken: Vec<(u64, Option<Bytes>)> = Vec::new();
            while let Some(next) = choose(left.iter().map(|(n, item)| (*n, item)), order, 100, at(0), |_| true) {
                let at = left.iter().position(|(number, _)| *number == next).unwrap();
                taken.push((next, left.remove(at).1.stored.message.key.clone()));
            }
            prop_assert_eq!(taken.len(), sent.len());
            for key in [Bytes::from("a"), Bytes::from("b"), Bytes::from("c")] {
                prop_assert!(taken.iter().filter(|(_, other)| other.as_ref() == Some(&key)).is_sorted());
            }
        }
    }
}
