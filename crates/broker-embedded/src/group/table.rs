//! Items by number: the number of the next is one higher.

use hashbrown::HashMap;

/// Items that come in order and go in any. What has gone leaves nothing behind, however long another stays.
pub(crate) struct Table<T> {
    next: u64,
    items: HashMap<u64, T>,
}

impl<T> Table<T> {
    pub(crate) fn new() -> Self {
        Self { next: 1, items: HashMap::new() }
    }

    /// Adds an item; its number.
    pub(crate) fn push(&mut self, item: T) -> u64 {
        let number = self.next;
        self.next += 1;
        self.items.insert(number, item);
        number
    }

    pub(crate) fn get(&self, number: u64) -> Option<&T> {
        self.items.get(&number)
    }

    pub(crate) fn get_mut(&mut self, number: u64) -> Option<&mut T> {
        self.items.get_mut(&number)
    }

    pub(crate) fn remove(&mut self, number: u64) -> Option<T> {
        self.items.remove(&number)
    }

    /// All of them, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &T)> {
        self.items.iter().map(|(number, item)| (*number, item))
    }

    /// How many items there are.
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every number after that of the one that stayed had kept its room.
    #[test]
    fn one_item_that_stays_keeps_room_for_no_others() {
        let mut table = Table::new();
        let stays = table.push(());
        for _ in 0..10_000 {
            let goes = table.push(());
            assert!(table.remove(goes).is_some());
        }
        assert!(table.get(stays).is_some());
        assert!(table.items.capacity() < 100, "room for {}", table.items.capacity());
    }
}
