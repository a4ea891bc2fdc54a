//! A disk in memory that keeps apart what was written and what is durable, and fails as it is told.

mod entries;
mod file;
mod inode;
mod machine;

use std::{
    any::Any,
    io,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use mainspring_store_disk::{Access, Disk, DiskFile, LockError};

use mainspring_conformance::Seed;

use crate::{Fault, Injected, Operation, fault::is_for_room};
use file::SimFile;
use inode::Inode;
use machine::{Course, Machine, Shared, power_gone};

/// A simulated disk. Clones are the same disk, as two processes of one machine see it.
///
/// The content of a file is durable once the file is synced, its name once the directory is. What happens to the rest in a
/// [`crash`](Self::crash) is up to [`Unsynced`].
#[derive(Clone)]
pub struct SimDisk {
    machine: Shared,
}

/// What a crash leaves of what was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsynced {
    /// All of it, as when only the process dies.
    Kept,
    /// Nothing.
    Dropped,
    /// Of each write on its own all, a part or nothing, whatever became of the writes before; of the changes of the
    /// directory those up to some point.
    Random,
}

impl SimDisk {
    /// An empty disk. Two with the same seed behave the same.
    pub fn new(seed: u64) -> Self {
        Self::on(Machine::new(Seed::new(seed)))
    }

    fn on(machine: Machine) -> Self {
        Self { machine: Arc::new(Mutex::new(machine)) }
    }

    /// Takes power from the machine and answers the disk as the next boot finds it: everything durable, nothing locked, no
    /// fault pending. The old disk fails everything from now on; asked again, it answers another possible outcome.
    pub fn crash(&self, unsynced: Unsynced) -> Self {
        self.machine().stopped = true;
        self.if_crashed(unsynced)
    }

    /// What [`crash`](Self::crash) would answer, while this disk goes on.
    pub fn if_crashed(&self, unsynced: Unsynced) -> Self {
        Self::on(self.machine().after_crash(unsynced))
    }

    /// How many operations that can change something were begun: the boundaries at which power can go.
    pub fn changes(&self) -> u64 {
        self.machine().changes
    }

    /// How many operations of this kind were begun since the last boot.
    pub fn count(&self, operation: Operation) -> u64 {
        self.machine().begun[operation as usize]
    }

    /// Lets power go in the change of this number, counted from 1 since the last boot. That change fails; what it wrote
    /// counts as unsynced, and a sync has done nothing yet. Everything later fails.
    pub fn stop_at(&self, change: u64) {
        self.machine().stop = Some(change);
    }

    /// Whether power is gone.
    pub fn has_stopped(&self) -> bool {
        self.machine().stopped
    }

    /// Makes an operation fail.
    pub fn inject(&self, fault: Fault) {
        self.machine().faults.push(fault);
    }

    /// Forgets every failure that is still to come.
    pub fn heal(&self) {
        self.machine().faults.clear();
    }

    /// Runs `act` just before the next such operation on this file, as if another process were quicker.
    pub fn meanwhile(&self, operation: Operation, file: &str, act: impl FnOnce() + Send + 'static) {
        self.machine().meanwhile.push((operation, file.to_owned(), Box::new(act)));
    }

    /// Leaves room for so many bytes in all files together; `None` for any number. A write takes what fits.
    pub fn set_capacity(&self, bytes: Option<u64>) {
        self.machine().capacity = bytes;
    }

    /// The bytes of all files together.
    pub fn used(&self) -> u64 {
        self.machine().used()
    }

    /// Lets every second write, about, take only a part of its bytes and say so.
    pub fn shorten_writes(&self, shorten: bool) {
        self.machine().shortens = shorten;
    }

    /// Lets logs be written past the cache in whole blocks: their offset, their length and where they lie in memory are
    /// multiples of this power of two, or the write fails with `EINVAL`. With 1, which is how a disk begins, they are
    /// files like any others. It holds for what is opened from now on.
    pub fn align_logs(&self, alignment: usize) {
        assert!(alignment.is_power_of_two() && alignment <= 4096, "a disk asks for a power of two up to 4096");
        self.machine().alignment = alignment;
    }

    /// Lets every operation of this kind take so long, until it is told otherwise.
    pub fn slow(&self, operation: Operation, time: Duration) {
        let slow = &mut self.machine().slow;
        slow.retain(|(other, _)| *other != operation);
        if !time.is_zero() {
            slow.push((operation, time));
        }
    }

    /// Forgets what is held in memory and counts as written, so that reads show what is really on the disk: after a failed
    /// sync that may be less.
    pub fn evict(&self) {
        self.machine().inodes.iter_mut().for_each(Inode::evict);
    }

    /// The names of all files, without asking the machine.
    pub fn names(&self) -> Vec<String> {
        self.machine().entries.iter().map(|(name, _)| name.to_owned()).collect()
    }

    /// What a read of the whole file would show; `None` where there is no file.
    pub fn contents(&self, name: &str) -> Option<Vec<u8>> {
        let machine = self.machine();
        machine.entries.get(name).map(|inode| machine.inodes[inode].seen().to_owned())
    }

    /// Changes the content of a file durably and unseen, as rot or a careless program does.
    ///
    /// # Panics
    /// When there is no file.
    pub fn tamper(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut machine = self.machine();
        let inode = machine.entries.get(name).unwrap_or_else(|| panic!("there is no file {name}"));
        machine.inodes[inode].tamper(change);
    }

    /// Loses a file durably, behind the back of every program.
    ///
    /// # Panics
    /// When there is no file.
    pub fn lose(&self, name: &str) {
        let mut machine = self.machine();
        assert!(machine.entries.get(name).is_some(), "there is no file {name}");
        machine.entries.lose(name);
    }

    /// Changes one bit of a file as [`tamper`](Self::tamper) does, and counts it.
    ///
    /// # Panics
    /// When there is no file, or it is shorter.
    pub fn flip(&self, name: &str, offset: usize, bit: u8) {
        self.tamper(name, |bytes| bytes[offset] ^= 1 << bit);
        self.machine().injected.bit_flips += 1;
    }

    /// What was done to those who use it, since the first boot.
    pub fn injected(&self) -> Injected {
        self.machine().injected
    }

    fn machine(&self) -> MutexGuard<'_, Machine> {
        lock(&self.machine)
    }

    fn file(&self, name: &str, inode: usize, access: Access, alignment: usize) -> Arc<dyn DiskFile> {
        Arc::new(SimFile { machine: self.machine.clone(), name: name.to_owned(), inode, access, alignment })
    }

    fn create_aligned(&self, name: &str, alignment: usize) -> io::Result<Arc<dyn DiskFile>> {
        let inode = run(&self.machine, Operation::Create, name, |machine| {
            if let Some(inode) = machine.entries.get(name) {
                machine.inodes[inode].set_len(0);
                return Ok(inode);
            }
            machine.inodes.push(Inode::default());
            machine.entries.create(name, machine.inodes.len() - 1);
            Ok(machine.inodes.len() - 1)
        })?;
        Ok(self.file(name, inode, Access::Write, alignment))
    }

    fn open_aligned(&self, name: &str, access: Access, alignment: usize) -> io::Result<Arc<dyn DiskFile>> {
        let inode = run(&self.machine, Operation::Open, name, |machine| {
            machine.entries.get(name).ok_or_else(|| io::ErrorKind::NotFound.into())
        })?;
        Ok(self.file(name, inode, access, alignment))
    }

    fn alignment(&self) -> usize {
        self.machine().alignment
    }
}

fn lock(machine: &Shared) -> MutexGuard<'_, Machine> {
    machine.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Does an operation that either happens or does not: when power goes in it, it is done and not known to be.
fn run<T>(
    machine: &Shared,
    operation: Operation,
    file: &str,
    act: impl FnOnce(&mut Machine) -> io::Result<T>,
) -> io::Result<T> {
    run_on(machine, operation, file, 0..0, act)
}

/// As [`run`], where bytes of the file are concerned.
fn run_on<T>(
    machine: &Shared,
    operation: Operation,
    file: &str,
    bytes: Range<u64>,
    act: impl FnOnce(&mut Machine) -> io::Result<T>,
) -> io::Result<T> {
    course(machine, operation, file, bytes, |machine, course| match course {
        Course::Well => act(machine),
        Course::Badly(error) if operation.may_be_done() && !is_for_room(&error) && machine.seed.once_in(2) => {
            act(machine).and(Err(error))
        }
        Course::Badly(error) => Err(error),
        Course::Last => act(machine).and(Err(power_gone())),
    })
}

/// Does an operation as its course is.
fn course<T>(
    machine: &Shared,
    operation: Operation,
    file: &str,
    bytes: Range<u64>,
    act: impl FnOnce(&mut Machine, Course) -> io::Result<T>,
) -> io::Result<T> {
    while let Some(meanwhile) = { lock(machine).take_meanwhile(operation, file) } {
        meanwhile();
    }
    // It takes its time without holding up other operations.
    let time = lock(machine).time_of(operation);
    time.into_iter().for_each(thread::sleep);
    let mut machine = lock(machine);
    let course = machine.begin(operation, file, &bytes)?;
    act(&mut machine, course)
}

impl Disk for SimDisk {
    fn describe(&self, name: &str) -> String {
        format!("sim:{name}")
    }

    fn list(&self) -> io::Result<Vec<String>> {
        run(&self.machine, Operation::List, "", |machine| {
            Ok(machine.entries.iter().map(|(name, _)| name.to_owned()).collect())
        })
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.create_aligned(name, 1)
    }

    fn create_log(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.create_aligned(name, self.alignment())
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        self.open_aligned(name, access, 1)
    }

    fn open_log(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.open_aligned(name, Access::Write, self.alignment())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        run(&self.machine, Operation::Rename, from, |machine| {
            machine.entries.get(from).ok_or(io::ErrorKind::NotFound)?;
            machine.entries.rename(from, to);
            Ok(())
        })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        run(&self.machine, Operation::Remove, name, |machine| {
            machine.entries.get(name).ok_or(io::ErrorKind::NotFound)?;
            machine.entries.remove(name);
            Ok(())
        })
    }

    fn sync_entries(&self) -> io::Result<()> {
        course(&self.machine, Operation::SyncEntries, "", 0..0, |machine, course| match course {
            Course::Well => {
                machine.entries.sync();
                Ok(())
            }
            Course::Badly(error) => Err(error),
            Course::Last => Err(power_gone()),
        })
    }

    fn lock(&self) -> Result<Box<dyn Any + Send + Sync>, LockError> {
        let mut machine = self.machine();
        machine.check_power()?;
        if machine.locked {
            return Err(LockError::Held { holder: "another process of the simulation".to_owned() });
        }
        machine.locked = true;
        Ok(Box::new(Guard(self.machine.clone())))
    }
}

/// Holds the directory.
struct Guard(Shared);

impl Drop for Guard {
    fn drop(&mut self) {
        lock(&self.0).locked = false;
    }
}
