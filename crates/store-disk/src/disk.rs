//! The seam between the store and the machine: a flat directory of files.
//!
//! The store asks the operating system for nothing else, so that a simulated disk can crash, tear, lose and refuse at
//! every boundary.

mod os;

use std::{
    any::Any,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;

pub(crate) use os::LOCK;
pub use os::OsDisk;

/// A directory of files without sub-directories.
pub trait Disk: Send + Sync + 'static {
    /// Where a file is, for messages; the directory itself where `name` is empty.
    fn describe(&self, name: &str) -> String;

    /// The names of all files.
    ///
    /// # Errors
    /// What the machine says.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Creates an empty file, replacing one of the same name. Its entry is durable only after [`sync_entries`].
    ///
    /// [`sync_entries`]: Disk::sync_entries
    ///
    /// # Errors
    /// What the machine says.
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>>;

    /// As [`create`](Disk::create), for a log: what is written goes past the cache of the machine where it can, and then
    /// asks for an [`alignment`](DiskFile::alignment).
    ///
    /// # Errors
    /// What the machine says.
    fn create_log(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.create(name)
    }

    /// As [`open`](Disk::open) to read and write, for a log as [`create_log`](Disk::create_log) makes it.
    ///
    /// # Errors
    /// What the machine says; `NotFound` when there is none.
    fn open_log(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.open(name, Access::Write)
    }

    /// Opens a file, to read or also to write.
    ///
    /// # Errors
    /// What the machine says; `NotFound` when there is none.
    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn DiskFile>>;

    /// Renames a file, replacing one of the new name atomically. Durable only after [`Disk::sync_entries`].
    ///
    /// # Errors
    /// What the machine says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// What the machine says.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Where the operating system finds a file; `None` where it knows nothing of these files.
    fn place_of(&self, _name: &str) -> Option<PathBuf> {
        None
    }

    /// Gives the file at `original`, which will never be written again, a second name in this directory. Nothing is
    /// copied. Durable only after [`Disk::sync_entries`].
    ///
    /// # Errors
    /// What the machine says; also where one file cannot have two names, or not in these two places.
    fn link(&self, _original: &Path, _name: &str) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Makes creations, renames and removals durable.
    ///
    /// # Errors
    /// What the machine says.
    fn sync_entries(&self) -> io::Result<()>;

    /// Takes the directory for one writer, until the returned guard is dropped or the process dies.
    ///
    /// # Errors
    /// [`LockError`]; it names the holder where that is known.
    fn lock(&self) -> Result<Box<dyn Any + Send + Sync>, LockError>;
}

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Only to read.
    Read,
    /// To read and to write.
    Write,
}

/// One open file.
pub trait DiskFile: Send + Sync {
    /// Its length in bytes.
    ///
    /// # Errors
    /// What the machine says.
    fn size(&self) -> io::Result<u64>;

    /// Reads up to `into.len()` bytes from `offset`; fewer only at the end of the file.
    ///
    /// # Errors
    /// What the machine says.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize>;

    /// What the offset, the length and the address in memory of everything that is written must be multiples of: a power
    /// of two, at most 4096.
    fn alignment(&self) -> usize {
        1
    }

    /// Writes some of `bytes` at `offset` and says how many.
    ///
    /// # Errors
    /// What the machine says; part of the bytes may have been written.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize>;

    /// Writes some of `first` and then of `second`, which follows it, at `offset`, and says how many bytes; at once where
    /// it can.
    ///
    /// # Errors
    /// As [`write_at`](DiskFile::write_at).
    fn write_both_at(&self, offset: u64, first: &[u8], second: &[u8]) -> io::Result<usize> {
        self.write_at(offset, if first.is_empty() { second } else { first })
    }

    /// Cuts or extends the file.
    ///
    /// # Errors
    /// What the machine says.
    fn set_len(&self, len: u64) -> io::Result<()>;

    /// Makes everything written so far durable.
    ///
    /// # Errors
    /// What the machine says. After a failure nothing is known of what was written since the last success.
    fn sync(&self) -> io::Result<()>;

    /// The first `len` bytes of a file that will never be written again, mapped or copied.
    ///
    /// # Errors
    /// What the machine says; `UnexpectedEof` when the file is shorter.
    fn map(&self, len: u64) -> io::Result<Bytes>;
}

/// Why a directory could not be taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LockError {
    /// Another process has it.
    #[error("held by {holder}")]
    Held {
        /// Who, as far as it is known.
        holder: String,
    },
    /// It could not be tried.
    #[error("the lock file cannot be used")]
    Io(#[from] io::Error),
}

impl dyn DiskFile + '_ {
    /// Writes all of `bytes`, or says how many were not written as an error of kind `WriteZero`.
    pub(crate) fn write_all_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_all_of_both_at(offset, bytes, &[])
    }

    /// As [`write_all_at`](Self::write_all_at), for two pieces that follow each other.
    pub(crate) fn write_all_of_both_at(&self, mut offset: u64, mut first: &[u8], mut second: &[u8]) -> io::Result<()> {
        while !first.is_empty() || !second.is_empty() {
            match self.write_both_at(offset, first, second) {
                Ok(0) => {
                    let message = format!("{} bytes at offset {offset} were not taken", first.len() + second.len());
                    return Err(io::Error::new(io::ErrorKind::WriteZero, message));
                }
                Ok(written) => {
                    let of_first = written.min(first.len());
                    first = &first[of_first..];
                    second = &second[written - of_first..];
                    offset += written as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Reads exactly `len` bytes.
    pub(crate) fn read_exact_at(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        self.read_exact_into(offset, &mut bytes)?;
        Ok(bytes)
    }

    /// Fills `into` from `offset`.
    pub(crate) fn read_exact_into(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        let mut filled = 0;
        while filled < into.len() {
            match self.read_at(offset + filled as u64, &mut into[filled..]) {
                Ok(0) => {
                    let message = format!("the file ends at offset {}", offset + filled as u64);
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
                }
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
