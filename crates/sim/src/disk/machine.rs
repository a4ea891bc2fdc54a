//! The state of a simulated machine, and the gate that every operation passes.

use std::{io, ops::Range, sync::Arc, time::Duration};

use mainspring_conformance::Seed;

use super::{Unsynced, entries::Entries, inode::Inode};
use crate::{
    Fault, Injected, Operation,
    fault::{io_error, no_room},
};

/// What runs just before an operation.
type Act = Box<dyn FnOnce() + Send>;

/// Everything behind a disk.
pub(super) struct Machine {
    pub(super) seed: Seed,
    pub(super) entries: Entries,
    pub(super) inodes: Vec<Inode>,
    pub(super) injected: Injected,
    pub(super) locked: bool,
    pub(super) capacity: Option<u64>,
    pub(super) shortens: bool,
    /// What writes of logs must be multiples of.
    pub(super) alignment: usize,
    /// How long operations of a kind take.
    pub(super) slow: Vec<(Operation, Duration)>,
    pub(super) faults: Vec<Fault>,
    pub(super) meanwhile: Vec<(Operation, String, Act)>,
    /// How many operations of each kind were begun.
    pub(super) begun: [u64; Operation::KINDS],
    /// How many of them can change something.
    pub(super) changes: u64,
    /// The number of the change in which power goes.
    pub(super) stop: Option<u64>,
    /// Whether power is gone.
    pub(super) stopped: bool,
}

/// How an operation is to go.
pub(super) enum Course {
    Well,
    /// It fails so.
    Badly(io::Error),
    /// Power goes while it is under way.
    Last,
}

impl Machine {
    pub(super) fn new(seed: Seed) -> Self {
        Self {
            seed,
            entries: Entries::default(),
            inodes: Vec::new(),
            injected: Injected::default(),
            locked: false,
            capacity: None,
            shortens: false,
            alignment: 1,
            slow: Vec::new(),
            faults: Vec::new(),
            meanwhile: Vec::new(),
            begun: [0; Operation::KINDS],
            changes: 0,
            stop: None,
            stopped: false,
        }
    }

    /// What somebody else does just before this operation.
    pub(super) fn take_meanwhile(&mut self, operation: Operation, file: &str) -> Option<Act> {
        let index = self.meanwhile.iter().position(|(at, name, _)| *at == operation && name == file)?;
        Some(self.meanwhile.remove(index).2)
    }

    /// How long an operation is to take; counts it if it takes any time.
    pub(super) fn time_of(&mut self, operation: Operation) -> Option<Duration> {
        let time = self.slow.iter().find(|(slow, _)| *slow == operation)?.1;
        self.injected.slow_operations += 1;
        Some(time)
    }

    /// Decides how an operation on these bytes of a file goes.
    pub(super) fn begin(&mut self, operation: Operation, file: &str, bytes: &Range<u64>) -> io::Result<Course> {
        self.check_power()?;
        self.begun[operation as usize] += 1;
        if operation.is_change() {
            self.changes += 1;
            if self.stop == Some(self.changes) {
                self.stopped = true;
                return Ok(Course::Last);
            }
        }
        let Some(index) = self.faults.iter_mut().position(|fault| fault.strikes(operation, file, bytes)) else {
            return Ok(Course::Well);
        };
        let full = self.faults[index].is_full();
        if self.faults[index].is_spent() {
            self.faults.remove(index);
        }
        Ok(Course::Badly(if full {
            self.refuse_for_room()
        } else {
            let count = if matches!(operation, Operation::Sync | Operation::SyncEntries) {
                &mut self.injected.failed_syncs
            } else {
                &mut self.injected.io_errors
            };
            *count += 1;
            self.injected.errors[operation as usize] += 1;
            io_error()
        }))
    }

    pub(super) fn check_power(&self) -> io::Result<()> {
        if self.stopped { Err(power_gone()) } else { Ok(()) }
    }

    pub(super) fn used(&self) -> u64 {
        self.entries.iter().map(|(_, inode)| self.inodes[inode].seen().len() as u64).sum()
    }

    /// How far a file may reach that is to reach `end`.
    pub(super) fn room_until(&self, inode: usize, end: u64) -> u64 {
        let len = self.inodes[inode].seen().len() as u64;
        match self.capacity {
            Some(capacity) if end > len => end.min(len + capacity.saturating_sub(self.used())),
            _ => end,
        }
    }

    pub(super) fn refuse_for_room(&mut self) -> io::Error {
        self.injected.full_disks += 1;
        no_room()
    }

    /// The machine as it is when power comes back after going now.
    pub(super) fn after_crash(&mut self, unsynced: Unsynced) -> Self {
        let mut seed = Seed::new(self.seed.draw());
        let mut injected = self.injected;
        injected.crashes += 1;
        let names = self.entries.after_crash(unsynced, &mut seed, &mut injected);
        let mut inodes = Vec::with_capacity(names.len());
        let names = names.into_iter().map(|(name, inode)| {
            inodes.push(self.inodes[inode].after_crash(unsynced, &mut seed, &mut injected));
            (name, inodes.len() - 1)
        });
        let entries = Entries::durable(names.collect());
        let (capacity, alignment, slow) = (self.capacity, self.alignment, self.slow.clone());
        Self { entries, inodes, injected, capacity, alignment, slow, ..Self::new(seed) }
    }
}

/// What everything answers once power is gone.
pub(super) fn power_gone() -> io::Error {
    io::Error::other("the simulated machine has lost power")
}

/// The machine as its disk and all open files share it.
pub(super) type Shared = Arc<std::sync::Mutex<Machine>>;
