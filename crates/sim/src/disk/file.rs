//! An open file of a simulated disk.

use std::{io, ops::Range};

use bytes::Bytes;
use mainspring_store_disk::{Access, DiskFile};

use super::{
    course,
    inode::SECTOR,
    machine::{Course, Machine, Shared, power_gone},
    run, run_on,
};
use crate::Operation;

pub(super) struct SimFile {
    pub(super) machine: Shared,
    /// What it was called when it was opened.
    pub(super) name: String,
    pub(super) inode: usize,
    pub(super) access: Access,
    /// What is written past the cache must be a multiple of it; 1 where the cache takes any bytes.
    pub(super) alignment: usize,
}

impl SimFile {
    fn run<T>(&self, operation: Operation, act: impl FnOnce(&mut Machine) -> io::Result<T>) -> io::Result<T> {
        run(&self.machine, operation, &self.name, act)
    }

    fn run_on<T>(
        &self,
        operation: Operation,
        bytes: Range<u64>,
        act: impl FnOnce(&mut Machine) -> io::Result<T>,
    ) -> io::Result<T> {
        run_on(&self.machine, operation, &self.name, bytes, act)
    }

    fn check_writable(&self) -> io::Result<()> {
        if self.access == Access::Write { Ok(()) } else { Err(io::ErrorKind::PermissionDenied.into()) }
    }

    /// Refuses what a file refuses that is written past the cache.
    fn check_aligned(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        const EINVAL: i32 = 22;
        let aligned = index(offset)?.is_multiple_of(self.alignment)
            && bytes.len().is_multiple_of(self.alignment)
            && bytes.as_ptr().addr().is_multiple_of(self.alignment);
        if aligned { Ok(()) } else { Err(io::Error::from_raw_os_error(EINVAL)) }
    }

    /// Takes a write, of which a crash may leave any sectors or, where it went to the cache, any bytes.
    fn take(&self, machine: &mut Machine, offset: u64, bytes: &[u8]) -> io::Result<()> {
        machine.inodes[self.inode].write(index(offset)?, bytes, self.alignment > 1);
        Ok(())
    }

    /// Writes what fits; of that, a part where writes are shortened.
    fn write_some(&self, machine: &mut Machine, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        let room = machine.room_until(self.inode, offset + bytes.len() as u64).saturating_sub(offset);
        let mut len = index(room)?.min(bytes.len()) / self.alignment * self.alignment;
        if len < bytes.len() {
            if len == 0 {
                return Err(machine.refuse_for_room());
            }
            machine.injected.short_writes += 1;
        } else if machine.shortens && len > self.alignment && machine.seed.once_in(2) {
            len = self.alignment * (1 + machine.seed.index(len / self.alignment - 1));
            machine.injected.short_writes += 1;
        }
        self.take(machine, offset, &bytes[..len])?;
        Ok(len)
    }
}

fn index(offset: u64) -> io::Result<usize> {
    usize::try_from(offset).map_err(io::Error::other)
}

impl DiskFile for SimFile {
    fn size(&self) -> io::Result<u64> {
        self.run(Operation::Size, |machine| Ok(machine.inodes[self.inode].seen().len() as u64))
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.run_on(Operation::Read, offset..offset + into.len() as u64, |machine| {
            let seen = machine.inodes[self.inode].seen();
            let rest = seen.get(index(offset)?..).unwrap_or_default();
            let len = rest.len().min(into.len());
            into[..len].copy_from_slice(&rest[..len]);
            Ok(len)
        })
    }

    fn alignment(&self) -> usize {
        self.alignment
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        self.check_writable()?;
        self.check_aligned(offset, bytes)?;
        let range = offset..offset + bytes.len() as u64;
        course(&self.machine, Operation::Write, &self.name, range, |machine, course| match course {
            Course::Well => self.write_some(machine, offset, bytes),
            Course::Badly(error) => {
                let all = machine.seed.once_in(4);
                let part = if all { bytes.len() } else { machine.seed.index(bytes.len() + 1) };
                let whole = if self.alignment > 1 { part / SECTOR * SECTOR } else { part };
                self.take(machine, offset, &bytes[..whole])?;
                Err(error)
            }
            Course::Last => {
                self.take(machine, offset, bytes)?;
                Err(power_gone())
            }
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check_writable()?;
        self.run(Operation::SetLen, |machine| {
            if machine.room_until(self.inode, len) < len {
                return Err(machine.refuse_for_room());
            }
            machine.inodes[self.inode].set_len(index(len)?);
            Ok(())
        })
    }

    fn sync(&self) -> io::Result<()> {
        course(&self.machine, Operation::Sync, &self.name, 0..0, |machine, course| match course {
            Course::Well => {
                machine.inodes[self.inode].sync();
                Ok(())
            }
            Course::Badly(error) => {
                let Machine { inodes, seed, .. } = machine;
                inodes[self.inode].fail_sync(seed);
                Err(error)
            }
            Course::Last => Err(power_gone()),
        })
    }

    fn map(&self, len: u64) -> io::Result<Bytes> {
        self.run_on(Operation::Map, 0..len, |machine| {
            let seen = machine.inodes[self.inode].seen();
            let mapped = seen.get(..index(len)?).ok_or(io::ErrorKind::UnexpectedEof)?;
            Ok(Bytes::copy_from_slice(mapped))
        })
    }
}
