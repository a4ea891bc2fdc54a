//! The disk of the operating system.

use std::{
    any::Any,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use memmap2::Mmap;

use super::{Access, Disk, DiskFile, LockError};
use crate::image::PAGE;

/// The name of the file whose lock means "this directory has a writer".
pub(crate) const LOCK: &str = "LOCK";

/// A directory of the file system.
pub struct OsDisk {
    directory: PathBuf,
}

impl OsDisk {
    /// The files of `directory`, which is created when it does not exist.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn create(directory: impl AsRef<Path>) -> io::Result<Self> {
        create_durably(directory.as_ref())?;
        Ok(Self { directory: directory.as_ref().to_owned() })
    }

    /// The files of a `directory` that exists.
    ///
    /// # Errors
    /// What the operating system says; `NotFound` when there is none.
    pub fn existing(directory: impl AsRef<Path>) -> io::Result<Self> {
        fs::metadata(&directory)?;
        Ok(Self { directory: directory.as_ref().to_owned() })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

/// Creates a directory and those above it that are missing, so that no loss of power takes away what is synced in it.
fn create_durably(directory: &Path) -> io::Result<()> {
    let missing = directory.ancestors().take_while(|above| !above.as_os_str().is_empty() && !above.exists());
    let missing: Vec<_> = missing.collect();
    fs::create_dir_all(directory)?;
    for created in missing {
        let above = created.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(above)?.sync_all()?;
    }
    Ok(())
}

impl Disk for OsDisk {
    fn describe(&self, name: &str) -> String {
        let path = if name.is_empty() { self.directory.clone() } else { self.path(name) };
        path.display().to_string()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            if let (true, Ok(name)) = (entry.file_type()?.is_file(), entry.file_name().into_string()) {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(self.path(name))?;
        Ok(Arc::new(OsFile(file)))
    }

    fn create_log(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.create(name)?;
        self.open_log(name)
    }

    fn open_log(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let path = self.path(name);
        let cached = OsFile(OpenOptions::new().read(true).write(true).open(&path)?);
        Ok(match open_uncached(&path) {
            Ok(uncached) => Arc::new(LogFile { uncached, cached }),
            // A file system that has no such thing is used as it is.
            Err(_) => Arc::new(cached),
        })
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(access == Access::Write).open(self.path(name))?;
        Ok(Arc::new(OsFile(file)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(name))
    }

    fn place_of(&self, name: &str) -> Option<PathBuf> {
        Some(self.path(name))
    }

    fn link(&self, original: &Path, name: &str) -> io::Result<()> {
        fs::hard_link(original, self.path(name))
    }

    fn sync_entries(&self) -> io::Result<()> {
        File::open(&self.directory)?.sync_all()
    }

    fn lock(&self) -> Result<Box<dyn Any + Send + Sync>, LockError> {
        let path = self.path(LOCK);
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
        if let Err(error) = file.try_lock() {
            return Err(match error {
                fs::TryLockError::WouldBlock => {
                    let mut holder = String::new();
                    file.read_to_string(&mut holder)?;
                    let holder = holder.trim();
                    let known = holder.parse::<u32>().is_ok();
                    let holder = if known { format!("process {holder}") } else { "another process".to_owned() };
                    LockError::Held { holder }
                }
                fs::TryLockError::Error(error) => LockError::Io(error),
            });
        }
        // The number is for messages only, so it need not be durable.
        file.set_len(0)?;
        file.write_all(std::process::id().to_string().as_bytes())?;
        Ok(Box::new(Locked(file)))
    }
}

/// The locked file.
struct Locked(File);

impl Drop for Locked {
    /// A child process that is just being started holds the file too, until it begins its own program; closing it here
    /// alone would leave it locked until then.
    fn drop(&mut self) {
        if let Err(error) = self.0.unlock() {
            tracing::warn!(%error, "the lock of a store could not be released");
        }
    }
}

struct OsFile(File);

impl DiskFile for OsFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(into, offset)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_at(bytes, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn map(&self, len: u64) -> io::Result<Bytes> {
        if len == 0 {
            return Ok(Bytes::new());
        }
        if self.size()? < len {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file is shorter than it was written"));
        }
        let length = usize::try_from(len).map_err(io::Error::other)?;
        // SAFETY: a mapped file is never written, cut or replaced in place by this store: sealed segments and their
        // indexes are written once under another name or before they are mapped, and removed only as a whole. That no
        // other program writes into the directory is a documented condition of using it.
        #[expect(unsafe_code, reason = "mapping a file is the only way to read without copying")]
        let map = unsafe { memmap2::MmapOptions::new().len(length).map(&self.0)? };
        Ok(Bytes::from_owner(Mapped(map)))
    }
}

/// A file whose writes go past the cache: a new block need not get a page of it first, which costs more than a large write.
struct LogFile {
    uncached: File,
    cached: OsFile,
}

#[cfg(target_os = "linux")]
fn open_uncached(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;

    let direct = rustix::fs::OFlags::DIRECT.bits().cast_signed();
    OpenOptions::new().write(true).custom_flags(direct).open(path)
}

#[cfg(not(target_os = "linux"))]
fn open_uncached(_: &Path) -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}

impl DiskFile for LogFile {
    fn size(&self) -> io::Result<u64> {
        self.cached.size()
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.cached.read_at(offset, into)
    }

    fn alignment(&self) -> usize {
        PAGE
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        match self.uncached.write_at(bytes, offset) {
            // Some file systems open such a file and then refuse to write to it.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => self.cached.write_at(offset, bytes),
            written => written,
        }
    }

    #[cfg(target_os = "linux")]
    fn write_both_at(&self, offset: u64, first: &[u8], second: &[u8]) -> io::Result<usize> {
        if first.is_empty() || second.is_empty() {
            return self.write_at(offset, if first.is_empty() { second } else { first });
        }
        match rustix::io::pwritev(&self.uncached, &[io::IoSlice::new(first), io::IoSlice::new(second)], offset) {
            Err(rustix::io::Errno::INVAL) => self.cached.write_at(offset, first),
            written => Ok(written?),
        }
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.cached.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.cached.sync()
    }

    fn map(&self, len: u64) -> io::Result<Bytes> {
        self.cached.map(len)
    }
}

struct Mapped(Mmap);

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests;
