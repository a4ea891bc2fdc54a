//! Files in memory that can only be read, so that a change of one costs no copy of the others.

use std::{any::Any, collections::HashMap, io, sync::Arc};

use bytes::Bytes;
use mainspring_sim::SimDisk;
use mainspring_store_disk::{Access, Disk, DiskFile, LockError};

/// The files of a store, one of them changed.
#[derive(Clone)]
pub(super) struct Files(HashMap<String, Bytes>);

struct File(Bytes);

impl Files {
    pub(super) fn of(disk: &SimDisk) -> Self {
        let names = disk.list().unwrap();
        Self(names.into_iter().map(|name| (name.clone(), disk.contents(&name).unwrap().into())).collect())
    }

    pub(super) fn with(&self, name: &str, content: Vec<u8>) -> Self {
        let mut files = self.clone();
        files.0.insert(name.to_owned(), content.into());
        files
    }
}

fn read_only<T>() -> io::Result<T> {
    Err(io::ErrorKind::ReadOnlyFilesystem.into())
}

impl Disk for Files {
    fn describe(&self, name: &str) -> String {
        name.to_owned()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.0.keys().cloned().collect())
    }

    fn create(&self, _: &str) -> io::Result<Arc<dyn DiskFile>> {
        read_only()
    }

    fn open(&self, name: &str, _: Access) -> io::Result<Arc<dyn DiskFile>> {
        let content = self.0.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(File(content.clone())))
    }

    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        read_only()
    }

    fn remove(&self, _: &str) -> io::Result<()> {
        read_only()
    }

    fn sync_entries(&self) -> io::Result<()> {
        read_only()
    }

    fn lock(&self) -> Result<Box<dyn Any + Send + Sync>, LockError> {
        Ok(Box::new(()))
    }
}

impl DiskFile for File {
    fn size(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.0.get(offset..)).unwrap_or_default();
        let length = rest.len().min(into.len());
        into[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }

    fn write_at(&self, _: u64, _: &[u8]) -> io::Result<usize> {
        read_only()
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        read_only()
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn map(&self, len: u64) -> io::Result<Bytes> {
        Ok(self.0.slice(..usize::try_from(len).map_err(io::Error::other)?))
    }
}
