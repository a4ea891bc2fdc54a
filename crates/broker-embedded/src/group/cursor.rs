//! How far a group has come in one slice.

use std::collections::BTreeMap;

use crate::{
    codec::progress::{Record, Tried},
    ranges::Ranges,
};

#[derive(Clone, Default)]
pub(crate) struct Cursor {
    /// Everything below is settled.
    pub(crate) floor: u64,
    /// Everything below is settled or among the items of the group.
    pub(crate) fetched: u64,
    /// What is settled from the floor on.
    pub(crate) done: Ranges,
    /// What was tried and is not among the items.
    pub(crate) tried: BTreeMap<u64, Tried>,
    /// How many items are of this slice, how many of them are there with their bodies, and the bytes of those.
    pub(crate) loaded: usize,
    pub(crate) whole: usize,
    pub(crate) bytes: usize,
    /// Whether somebody reads on for the group.
    pub(crate) loading: bool,
    /// Counts how often the group was moved: what was read for it before is worth nothing.
    pub(crate) moves: u64,
    /// Messages from `fetched` on that the group does not want, as far as is known.
    pub(crate) unwanted: u64,
}

impl Cursor {
    pub(crate) fn at(floor: u64) -> Self {
        Self { floor, fetched: floor, ..Self::default() }
    }

    /// Whether a message is settled.
    pub(crate) fn is_settled(&self, offset: u64) -> bool {
        offset < self.floor || self.done.run_end(offset).is_some()
    }

    pub(crate) fn settle(&mut self, offset: u64) {
        if offset == self.floor {
            self.floor = self.done.cut(offset + 1);
        } else if offset > self.floor {
            self.done.insert(offset);
        }
    }

    /// Everything below `first` that was not read is gone.
    pub(crate) fn pass(&mut self, first: u64) {
        if self.fetched < first {
            self.done.extend(self.fetched, first);
            self.floor = self.done.cut(self.floor);
            self.fetched = first;
        }
    }

    /// Repeats a step that was written.
    pub(crate) fn replay(&mut self, record: Record) {
        match record {
            Record::Settled { runs, .. } => {
                for (start, count) in runs {
                    self.done.extend(start.max(self.floor), start + count);
                    let beyond = self.tried.split_off(&start);
                    self.tried.extend(beyond.into_iter().filter(|(offset, _)| *offset >= start + count));
                }
                self.floor = self.done.cut(self.floor);
            }
            Record::Tried { start, count, tried, .. } => {
                for offset in start..start + count {
                    if tried == Tried::default() {
                        self.tried.remove(&offset);
                    } else {
                        self.tried.insert(offset, tried);
                    }
                }
            }
            Record::Moved { floor, runs, .. } => self.jump(floor, &runs),
        }
        self.fetched = self.floor;
    }

    /// Goes elsewhere: `runs` from `floor` on are settled, and nothing was tried.
    pub(crate) fn jump(&mut self, floor: u64, runs: &[(u64, u64)]) {
        self.done.clear();
        for (start, count) in runs {
            self.done.extend(*start, start + count);
        }
        self.floor = self.done.cut(floor);
        self.fetched = self.floor;
        self.tried.clear();
        self.moves += 1;
        self.unwanted = 0;
        self.loading = false;
    }

    /// Messages from `first` up to `stored` that the group has not settled, as far as is known.
    pub(crate) fn lag(&self, first: u64, stored: u64) -> u64 {
        let floor = self.floor.max(first);
        let done = if first <= self.floor { self.done.count() } else { self.done.count_from(first) };
        stored.saturating_sub(floor).saturating_sub(done).saturating_sub(self.unwanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_floor_rises_over_what_was_settled_before() {
        let mut cursor = Cursor::at(3);
        [5, 4, 7].into_iter().for_each(|offset| cursor.settle(offset));
        assert_eq!((cursor.floor, cursor.lag(0, 10)), (3, 4));
        cursor.settle(3);
        assert_eq!((cursor.floor, cursor.lag(0, 10)), (6, 3));
        assert!(cursor.is_settled(5) && cursor.is_settled(7) && !cursor.is_settled(6));
        cursor.settle(2);
        assert_eq!(cursor.floor, 6);
    }

    #[test]
    fn what_was_written_is_repeated() {
        let tried = Tried { attempts: 2, ..Tried::default() };
        let mut cursor = Cursor::at(0);
        cursor.replay(Record::Tried { slice: 0, start: 0, count: 4, tried });
        cursor.replay(Record::Settled { slice: 0, runs: vec![(0, 1), (2, 1)] });
        assert_eq!((cursor.floor, cursor.fetched), (1, 1));
        assert_eq!(cursor.tried.keys().copied().collect::<Vec<_>>(), [1, 3]);
        cursor.replay(Record::Tried { slice: 0, start: 3, count: 1, tried: Tried::default() });
        cursor.replay(Record::Settled { slice: 0, runs: vec![(1, 1)] });
        assert_eq!((cursor.floor, cursor.tried.len()), (3, 0));
        cursor.replay(Record::Moved { slice: 0, floor: 1, runs: vec![(2, 3)] });
        assert_eq!((cursor.floor, cursor.done.count(), cursor.lag(0, 9)), (1, 3, 5));
    }
}
