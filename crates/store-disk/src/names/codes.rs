//! Codes by the hashes of the names they stand for.

use std::sync::atomic::{AtomicU64, Ordering};

use super::NameHash;

/// The least number of slots.
const LEAST: usize = 64;

/// What an empty slot holds. No code is as high.
const EMPTY: u64 = u64::MAX;

/// Codes that are counted from 0, in a table of slots that is at most half full. One thread at a time adds; anybody looks,
/// without a lock, and finds at least what was there when it began.
///
/// A slot is empty or holds a hash in its upper half and a code in the lower. A table that is too small is copied into one
/// that is twice as large; those who are looking at it find in it what they came for. All are kept: together those before
/// are no larger than the newest.
#[derive(Default)]
pub(super) struct Codes {
    tables: boxcar::Vec<Box<[AtomicU64]>>,
}

impl Codes {
    /// With room for so many codes.
    pub(super) fn with_room_for(codes: usize) -> Self {
        let new = Self::default();
        if codes > 0 {
            new.tables.push(empty((2 * codes).next_power_of_two().max(LEAST)));
        }
        new
    }

    /// The code with this hash whose name is the right one.
    pub(super) fn find(&self, hash: NameHash, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let table = self.newest()?;
        let mut at = first_slot(hash, table);
        loop {
            let slot = table[at].load(Ordering::Acquire);
            if slot == EMPTY {
                return None;
            }
            let (found, code) = read(slot);
            if found == hash && is_it(code) {
                return Some(code);
            }
            at = (at + 1) & (table.len() - 1);
        }
    }

    /// Adds the next code, which is `code`.
    pub(super) fn push(&self, hash: NameHash, code: u32) {
        let needed = 2 * (code as usize + 1);
        let table = match self.newest() {
            Some(table) if needed <= table.len() => table,
            small => {
                let larger = empty(needed.next_power_of_two().max(LEAST));
                let slots = small.into_iter().flatten().map(|slot| slot.load(Ordering::Relaxed));
                for (hash, code) in slots.filter(|slot| *slot != EMPTY).map(read) {
                    put(&larger, hash, code);
                }
                &self.tables[self.tables.push(larger)]
            }
        };
        put(table, hash, code);
    }

    fn newest(&self) -> Option<&[AtomicU64]> {
        self.tables.get(self.tables.count().checked_sub(1)?).map(|table| &**table)
    }
}

fn empty(slots: usize) -> Box<[AtomicU64]> {
    (0..slots).map(|_| AtomicU64::new(EMPTY)).collect()
}

fn put(table: &[AtomicU64], hash: NameHash, code: u32) {
    let mut at = first_slot(hash, table);
    while table[at].load(Ordering::Relaxed) != EMPTY {
        at = (at + 1) & (table.len() - 1);
    }
    table[at].store(u64::from(hash.0) << 32 | u64::from(code), Ordering::Release);
}

fn read(slot: u64) -> (NameHash, u32) {
    (NameHash((slot >> 32) as u32), slot as u32)
}

fn first_slot(NameHash(hash): NameHash, table: &[AtomicU64]) -> usize {
    hash as usize & (table.len() - 1)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn every_code_is_found_by_others_while_more_are_added() {
        const CODES: u32 = 20_000;
        // Many codes have one hash, and hashes have their slots beside each other.
        let hash = |code: u32| NameHash(code / 3);
        let codes = Codes::default();
        let added = AtomicU64::new(0);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let mut at = 0;
                    while added.load(Ordering::Acquire) < u64::from(CODES) {
                        let known = u32::try_from(added.load(Ordering::Acquire)).expect("few codes");
                        at = (at + 7919) % CODES;
                        let found = codes.find(hash(at), |code| code == at);
                        assert!(found == Some(at) || (found.is_none() && at >= known));
                    }
                });
            }
            for code in 0..CODES {
                codes.push(hash(code), code);
                added.store(u64::from(code) + 1, Ordering::Release);
            }
        });
        assert!((0..CODES).all(|at| codes.find(hash(at), |code| code == at) == Some(at)));
        assert_eq!(codes.find(hash(CODES), |code| code == CODES), None);
    }

    #[test]
    fn what_has_room_does_not_grow() {
        let codes = Codes::with_room_for(1000);
        (0..1000_u32).for_each(|code| codes.push(NameHash(code.wrapping_mul(0x9e37_79b9)), code));
        assert_eq!(codes.tables.count(), 1);
        assert_eq!(Codes::default().find(NameHash(1), |_| true), None);
    }
}
