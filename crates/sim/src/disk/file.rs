//! An open file of a simulated disk.

use std::{io, ops::Range};

use bytes::Bytes;
use mainspring_store_disk::{Access, DiskFile};

use super::{
    course,
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

    /// Writes what fits; of that, a part where writes are shortened.
    fn write_some(&self, machine: &mut Machine, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        let room = machine.room_until(self.inode, offset + bytes.len() as u64).saturating_sub(offset);
        let mut len = index(room)?.min(bytes.len());
        if len < bytes.len() {
            if len == 0 {
                return Err(machine.refuse_for_room());
            }
            machine.injected.short_writes += 1;
        } else if machine.shortens && len > 1 && machine.seed.once_in(2) {
            len = 1 + machine.seed.index(len - 1);
            machine.injected.short_writes += 1;
        }
        machine.inodes[self.inode].write(index(offset)?, &bytes[..len]);
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

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        self.check_writable()?;
        let range = offset..offset + bytes.len() as u64;
        course(&self.machine, Operation::Write, &self.name, range, |machine, course| match course {
            Course::Well => self.write_some(machine, offset, bytes),
            Course::Badly(error) => {
                let all = machine.seed.once_in(4);
                let part = if all { bytes.len() } else { machine.seed.index(bytes.len() + 1) };
                machine.inodes[self.inode].write(index(offset)?, &bytes[..part]);
                Err(error)
            }
            Course::Last => {
                machine.inodes[self.inode].write(index(offset)?, bytes);
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
