//! One file: what programs see of it, what the disk holds of it, and the writes that lie between.

use mainspring_conformance::Seed;

use super::Unsynced;
use crate::Injected;

/// What a disk writes as a whole or not at all.
pub(super) const SECTOR: usize = 512;

/// The content of a file.
#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    /// What a read shows.
    seen: Vec<u8>,
    /// What surely survives a crash.
    durable: Vec<u8>,
    /// What was written since and may survive.
    unsynced: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    /// Where `sectors`, it went past the cache, and each sector of it is written or is not.
    Write {
        offset: usize,
        bytes: Vec<u8>,
        sectors: bool,
    },
    SetLen(usize),
}

impl Inode {
    pub(super) fn seen(&self) -> &[u8] {
        &self.seen
    }

    pub(super) fn write(&mut self, offset: usize, bytes: &[u8], sectors: bool) {
        if !bytes.is_empty() {
            self.change(Change::Write { offset, bytes: bytes.to_owned(), sectors });
        }
    }

    pub(super) fn set_len(&mut self, len: usize) {
        self.change(Change::SetLen(len));
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.seen);
        self.unsynced.push(change);
    }

    pub(super) fn sync(&mut self) {
        for change in self.unsynced.drain(..) {
            change.apply(&mut self.durable);
        }
    }

    /// Leaves each unsynced write durable, still unsynced, or forgotten: seen, but never to be written. File systems note
    /// lengths in a journal: these are not forgotten, and what was written before a cut does not come back behind it.
    pub(super) fn fail_sync(&mut self, seed: &mut Seed) {
        for change in std::mem::take(&mut self.unsynced) {
            if let Change::SetLen(_) = change {
                if seed.once_in(2) {
                    change.apply(&mut self.durable);
                }
                self.unsynced.push(change);
                continue;
            }
            match seed.within(0..=2) {
                0 => change.apply(&mut self.durable),
                1 => self.unsynced.push(change),
                _ => {}
            }
        }
    }

    /// Shows again what is on the disk where nothing is to be written, as when the machine needed the memory.
    pub(super) fn evict(&mut self) {
        self.seen.clone_from(&self.durable);
        for change in &self.unsynced {
            change.apply(&mut self.seen);
        }
    }

    /// Changes what is on the disk, behind the back of every program.
    pub(super) fn tamper(&mut self, change: impl FnOnce(&mut Vec<u8>)) {
        change(&mut self.seen);
        self.durable.clone_from(&self.seen);
        self.unsynced.clear();
    }

    /// The file as a crash leaves it.
    pub(super) fn after_crash(&self, unsynced: Unsynced, seed: &mut Seed, injected: &mut Injected) -> Self {
        let mut durable = self.durable.clone();
        for change in &self.unsynced {
            let kept = match unsynced {
                Unsynced::Kept => Some(change.clone()),
                Unsynced::Dropped => None,
                Unsynced::Random => match seed.within(0..=2) {
                    0 => Some(change.clone()),
                    1 => None,
                    _ => change.torn(seed, &mut durable, injected),
                },
            };
            match kept {
                Some(change) => change.apply(&mut durable),
                None => injected.dropped_writes += 1,
            }
        }
        Self { seen: durable.clone(), durable, unsynced: Vec::new() }
    }
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write { offset, bytes, .. } => {
                if content.len() < *offset {
                    content.resize(*offset, 0);
                }
                let (over, behind) = bytes.split_at(bytes.len().min(content.len() - offset));
                content[*offset..offset + over.len()].copy_from_slice(over);
                content.extend_from_slice(behind);
            }
            Self::SetLen(len) => content.resize(*len, 0),
        }
    }

    /// What is left of it when power goes while it is written: some of its sectors; or, where it went to the cache, its
    /// beginning, its end, or both without the middle. All but the last part of it this applies, and answers that one.
    fn torn(&self, seed: &mut Seed, content: &mut Vec<u8>, injected: &mut Injected) -> Option<Self> {
        let Self::Write { offset, bytes, sectors } = self else { return None };
        if bytes.len() < if *sectors { SECTOR + 1 } else { 2 } {
            return None;
        }
        let part = |from: usize, to: usize| Self::Write {
            offset: offset + from,
            bytes: bytes[from..to].to_owned(),
            sectors: *sectors,
        };
        if *sectors {
            let starts = (0..bytes.len()).step_by(SECTOR).filter(|_| seed.once_in(2));
            let mut kept: Vec<_> = starts.map(|start| part(start, bytes.len().min(start + SECTOR))).collect();
            let last = kept.pop()?;
            kept.iter().for_each(|sector| sector.apply(content));
            injected.torn_writes += 1;
            return Some(last);
        }
        injected.torn_writes += 1;
        let cut = 1 + seed.index(bytes.len() - 1);
        Some(match seed.within(0..=2) {
            0 => part(0, cut),
            1 => part(cut, bytes.len()),
            _ => {
                part(0, seed.index(cut)).apply(content);
                part(cut, bytes.len())
            }
        })
    }
}
