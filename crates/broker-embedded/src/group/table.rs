//! Items by number: the number of the next is one higher, and most of them go in the order in which they came.

use std::collections::VecDeque;

pub(crate) struct Table<T> {
    /// The number of the first slot.
    base: u64,
    slots: VecDeque<Option<T>>,
    live: usize,
}

impl<T> Table<T> {
    pub(crate) fn new() -> Self {
        Self { base: 1, slots: VecDeque::new(), live: 0 }
    }

    /// Adds an item; its number.
    pub(crate) fn push(&mut self, item: T) -> u64 {
        self.slots.push_back(Some(item));
        self.live += 1;
        self.base + self.slots.len() as u64 - 1
    }

    pub(crate) fn get(&self, number: u64) -> Option<&T> {
        self.slots.get(self.at(number)?)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        let at = self.at(number)?;
        self.slots.get_mut(at)?.as_mut()
    }

    pub(crate) fn remove(&mut self, number: u64) -> Option<T> {
        let at = self.at(number)?;
        let item = self.slots.get_mut(at)?.take()?;
        self.live -= 1;
        while let Some(None) = self.slots.front() {
            self.slots.pop_front();
            self.base += 1;
        }
        Some(item)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        (self.base..).zip(&self.slots).filter_map(|(number, item)| Some((number, item.as_ref()?)))
    }

    /// How many items there are.
    pub(crate) fn len(&self) -> usize {
        self.live
    }

    fn at(&self, number: u64) -> Option<usize> {
        usize::try_from(number.checked_sub(self.base)?).ok()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_map_of_numbers(steps in prop::collection::vec((any::<bool>(), 0_u64..30), 0..60)) {
            let (mut table, mut map) = (Table::new(), BTreeMap::new());
            for (add, number) in steps {
                if add {
                    map.insert(table.push(number), number);
                } else {
                    prop_assert_eq!(table.remove(number), map.remove(&number));
                }
                prop_assert_eq!(table.get(number), map.get(&number));
                prop_assert_eq!(table.get_mut(number), map.get_mut(&number));
                prop_assert_eq!(table.len(), map.len());
                prop_assert!(table.iter().eq(map.iter().map(|(number, item)| (*number, item))));
            }
        }
    }
}
