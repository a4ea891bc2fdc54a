//! Sets of offsets that lie mostly side by side.

use std::collections::BTreeMap;

/// A set of offsets, kept as its runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ranges {
    /// The end of each run, by its start.
    runs: BTreeMap<u64, u64>,
    count: u64,
}

impl Ranges {
    /// Adds an offset. Says whether it was not there.
    pub(crate) fn insert(&mut self, offset: u64) -> bool {
        self.extend(offset, offset + 1) == 1
    }

    /// Adds the offsets from `start` to before `end`. Says how many were not there.
    pub(crate) fn extend(&mut self, mut start: u64, mut end: u64) -> u64 {
        if start >= end {
            return 0;
        }
        let mut there = 0;
        let wanted = end - start;
        if let Some((&before, &before_end)) = self.runs.range(..=start).next_back()
            && before_end >= start
        {
            if before_end >= end {
                return 0;
            }
            there += before_end - start;
            start = before;
        }
        while let Some((&next, &next_end)) = self.runs.range(start + u64::from(self.runs.contains_key(&start))..).next()
        {
            if next > end {
                break;
            }
            there += next_end.min(end) - next;
            end = end.max(next_end);
            self.runs.remove(&next);
        }
        self.runs.insert(start, end);
        self.count += wanted - there;
        wanted - there
    }

    /// Whether the offset is there, and where its run ends then.
    pub(crate) fn run_end(&self, offset: u64) -> Option<u64> {
        let (_, &end) = self.runs.range(..=offset).next_back()?;
        (end > offset).then_some(end)
    }

    /// Removes everything below `floor`, and the run that begins there. Says where that run ends.
    pub(crate) fn cut(&mut self, floor: u64) -> u64 {
        let mut floor = floor;
        while let Some(first) = self.runs.first_entry().filter(|first| *first.key() <= floor) {
            let (start, end) = first.remove_entry();
            self.count -= end - start;
            floor = floor.max(end);
        }
        floor
    }

    /// The first offset from `from` on that is not there.
    pub(crate) fn first_gap(&self, from: u64) -> u64 {
        self.run_end(from).unwrap_or(from)
    }

    /// How many offsets there are.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// How many offsets there are from `first` on.
    pub(crate) fn count_from(&self, first: u64) -> u64 {
        let split = self.run_end(first).map_or(0, |end| end - first);
        split + self.runs.range(first + 1..).map(|(start, end)| end - start).sum::<u64>()
    }

    /// How many runs they form.
    pub(crate) fn runs(&self) -> usize {
        self.runs.len()
    }

    /// Each run, as its start and its length.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        self.runs.iter().map(|(start, end)| (*start, end - start))
    }

    pub(crate) fn clear(&mut self) {
        self.runs.clear();
        self.count = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_set_of_numbers(
            runs in prop::collection::vec((0_u64..60, 0_u64..9), 0..30),
            floor in 0_u64..70,
        ) {
            let (mut ranges, mut set) = (Ranges::default(), BTreeSet::new());
            for (start, length) in runs {
                let before = set.len();
                set.extend(start..start + length);
                prop_assert_eq!(ranges.extend(start, start + length), (set.len() - before) as u64);
            }
            prop_assert_eq!(ranges.count(), set.len() as u64);
            let listed: Vec<_> = ranges.iter().flat_map(|(start, count)| start..start + count).collect();
            prop_assert_eq!(listed, set.iter().copied().collect::<Vec<_>>());
            let gaps = ranges.iter().zip(ranges.iter().skip(1)).all(|((start, count), (next, _))| start + count < next);
            prop_assert!(gaps, "runs that touch are one run");
            for offset in 0..70 {
                let expected = (offset..).find(|offset| !set.contains(offset)).unwrap();
                prop_assert_eq!(ranges.first_gap(offset), expected);
                prop_assert_eq!(ranges.run_end(offset).is_some(), set.contains(&offset));
            }
            let expected = (floor..).find(|offset| !set.contains(offset)).unwrap();
            prop_assert_eq!(ranges.count_from(floor), set.range(floor..).count() as u64);
            prop_assert_eq!(ranges.cut(floor), expected);
            let rest: BTreeSet<_> = ranges.iter().flat_map(|(start, count)| start..start + count).collect();
            prop_assert_eq!(rest, set.split_off(&expected));
            prop_assert_eq!(ranges.count(), ranges.iter().map(|(_, count)| count).sum::<u64>());
        }
    }
}
