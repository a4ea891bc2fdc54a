//! The event ids of a segment that still grows, found by a fingerprint.

use std::{hash::BuildHasher, sync::LazyLock};

use hashbrown::DefaultHashBuilder;
use mainspring_event::EventId;

/// Ids in the order of their events, and a table of slots that is at most half full.
///
/// A slot is empty or holds the upper half of a hash and an ordinal: most slots are told apart without looking at the id
/// they stand for.
#[derive(Default)]
pub(super) struct Ids {
    ids: Vec<EventId>,
    slots: Vec<u64>,
}

const UPPER: u64 = !0 << 32;

/// What an empty slot holds; no ordinal is as high. It is not 0: memory that is asked for full of zeros comes page by page,
/// when it is first written, which costs several times as much.
const EMPTY: u64 = u64::MAX;

/// So many slots are read at once.
const AHEAD: usize = 16;

impl Ids {
    /// With room for so many ids.
    pub(super) fn with_capacity(ids: usize) -> Self {
        let mut table = Self { ids: Vec::with_capacity(ids), slots: Vec::new() };
        if ids > 0 {
            table.slots = vec![EMPTY; (2 * ids).next_power_of_two()];
        }
        table
    }

    /// The ordinal of an id.
    pub(super) fn find(&self, id: EventId) -> Option<u32> {
        if self.slots.is_empty() {
            return None;
        }
        let hash = hash(id);
        let mut at = self.first_slot(hash);
        loop {
            let slot = self.slots[at];
            if slot == EMPTY {
                return None;
            }
            if (slot ^ hash) & UPPER == 0 {
                let ordinal = slot as u32;
                if self.ids[ordinal as usize] == id {
                    return Some(ordinal);
                }
            }
            at = (at + 1) & (self.slots.len() - 1);
        }
    }

    /// Whether any of these ids is there.
    ///
    /// The slots of several ids are read before the first of them is looked at, because each lies in memory that no
    /// processor has at hand: waiting for all of them takes hardly longer than waiting for one.
    pub(super) fn have_any(&self, mut ids: impl Iterator<Item = EventId>) -> bool {
        if self.slots.is_empty() {
            return false;
        }
        let mut ahead = [(None, 0); AHEAD];
        loop {
            let mut filled = 0;
            for (place, id) in ahead.iter_mut().zip(ids.by_ref()) {
                *place = (Some(id), self.slots[self.first_slot(hash(id))]);
                filled += 1;
            }
            if ahead[..filled].iter().any(|(id, slot)| *slot != EMPTY && id.is_some_and(|id| self.find(id).is_some())) {
                return true;
            }
            if filled < AHEAD {
                return false;
            }
        }
    }

    /// Adds the id of the next event.
    pub(super) fn push(&mut self, id: EventId) {
        if 2 * (self.ids.len() + 1) > self.slots.len() {
            self.grow();
        }
        let ordinal = u32::try_from(self.ids.len()).expect("a segment holds fewer than 4 Gi events");
        self.ids.push(id);
        self.put(hash(id), ordinal);
    }

    /// The ids in the order of their events.
    pub(super) fn as_slice(&self) -> &[EventId] {
        &self.ids
    }

    fn grow(&mut self) {
        self.slots = vec![EMPTY; (2 * self.slots.len()).max(64)];
        for ordinal in 0..self.ids.len() {
            let hash = hash(self.ids[ordinal]);
            self.put(hash, u32::try_from(ordinal).expect("it fitted before"));
        }
    }

    fn put(&mut self, hash: u64, ordinal: u32) {
        let mut at = self.first_slot(hash);
        while self.slots[at] != EMPTY {
            at = (at + 1) & (self.slots.len() - 1);
        }
        self.slots[at] = hash & UPPER | u64::from(ordinal);
    }

    fn first_slot(&self, hash: u64) -> usize {
        // The lower half is not in the slot, so that ids with one fingerprint do not begin at one slot.
        (hash & !UPPER) as usize & (self.slots.len() - 1)
    }
}

/// A hash that nobody outside this process can foresee.
fn hash(id: EventId) -> u64 {
    static HASHER: LazyLock<DefaultHashBuilder> = LazyLock::new(DefaultHashBuilder::default);
    HASHER.hash_one(u128::from_ne_bytes(id.to_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_is_found_and_no_other() {
        let mut ids = Ids::default();
        let known: Vec<EventId> = (0..5_000).map(|_| EventId::new()).collect();
        for (ordinal, id) in (0..).zip(&known) {
            assert_eq!(ids.find(*id), None);
            ids.push(*id);
            assert_eq!(ids.find(*id), Some(ordinal));
        }
        assert_eq!(ids.as_slice(), known);
        assert!((0..).zip(&known).all(|(ordinal, id)| ids.find(*id) == Some(ordinal)));
        assert_eq!(ids.find(EventId::new()), None);
        let others = || (0..100).map(|_| EventId::new());
        assert!(!ids.have_any(others()) && !ids.have_any(std::iter::empty()));
        for (before, known) in known.iter().enumerate().take(100) {
            assert!(ids.have_any(others().take(before).chain([*known]).chain(others())));
        }
    }
}
