//! The directory: which names there are, and which of them would survive a crash.

use std::collections::BTreeMap;

use mainspring_conformance::Seed;

use super::Unsynced;
use crate::Injected;

/// The names, as programs see them and as the disk holds them.
#[derive(Clone, Debug, Default)]
pub(super) struct Entries {
    seen: BTreeMap<String, usize>,
    durable: BTreeMap<String, usize>,
    unsynced: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Create { name: String, inode: usize },
    Rename { from: String, to: String },
    Remove { name: String },
}

impl Entries {
    /// What was in the directory when it was last durable: a crash leaves it so.
    pub(super) fn durable(names: BTreeMap<String, usize>) -> Self {
        Self { seen: names.clone(), durable: names, unsynced: Vec::new() }
    }

    pub(super) fn get(&self, name: &str) -> Option<usize> {
        self.seen.get(name).copied()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, usize)> {
        self.seen.iter().map(|(name, inode)| (name.as_str(), *inode))
    }

    pub(super) fn create(&mut self, name: &str, inode: usize) {
        self.change(Change::Create { name: name.to_owned(), inode });
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) {
        self.change(Change::Rename { from: from.to_owned(), to: to.to_owned() });
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.change(Change::Remove { name: name.to_owned() });
    }

    /// Removes a name from the directory and from what is durable of it.
    pub(super) fn lose(&mut self, name: &str) {
        Change::Remove { name: name.to_owned() }.apply(&mut self.durable);
        self.remove(name);
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.seen);
        self.unsynced.push(change);
    }

    pub(super) fn sync(&mut self) {
        self.durable.clone_from(&self.seen);
        self.unsynced.clear();
    }

    /// The names as a crash leaves them. File systems keep changes of a directory in order, so what is lost is the end.
    pub(super) fn after_crash(
        &self,
        unsynced: Unsynced,
        seed: &mut Seed,
        injected: &mut Injected,
    ) -> BTreeMap<String, usize> {
        let kept = match unsynced {
            Unsynced::Kept => self.unsynced.len(),
            Unsynced::Dropped => 0,
            Unsynced::Random => seed.index(self.unsynced.len() + 1),
        };
        injected.dropped_entries += (self.unsynced.len() - kept) as u64;
        let mut names = self.durable.clone();
        self.unsynced[..kept].iter().for_each(|change| change.apply(&mut names));
        names
    }
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Create { name, inode } => {
                names.insert(name.clone(), *inode);
            }
            Self::Rename { from, to } => {
                if let Some(inode) = names.remove(from) {
                    names.insert(to.clone(), inode);
                }
            }
            Self::Remove { name } => {
                names.remove(name);
            }
        }
    }
}
