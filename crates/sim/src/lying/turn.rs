//! A manifest that waits for its turn while files are removed on its account.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use mainspring_store_disk::Disk;

/// The file whose turn is put off.
const MANIFEST: &str = "MANIFEST";

/// A rename to the manifest, which was answered and is done just before something else than a removal happens.
pub(super) struct Turn {
    disk: Arc<dyn Disk>,
    /// The present name of what is to be the manifest.
    waiting: Mutex<Option<String>>,
}

impl Turn {
    pub(super) fn of(disk: Arc<dyn Disk>) -> Self {
        Self { disk, waiting: Mutex::default() }
    }

    /// Whether a rename to this name is put off.
    pub(super) fn is_for(&self, name: &str) -> bool {
        name == MANIFEST
    }

    /// Puts off the rename of this file.
    pub(super) fn wait(&self, from: &str) {
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = Some(from.to_owned());
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Does, durably, the rename that waits.
    pub(super) fn come(&self) -> io::Result<()> {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take();
        waiting.map_or(Ok(()), |from| self.disk.rename(&from, MANIFEST).and_then(|()| self.disk.sync_entries()))
    }

    /// As [`come`](Self::come), where a file of this name is opened: only the manifest shows that its turn has not come.
    pub(super) fn come_for(&self, name: &str) -> io::Result<()> {
        if self.is_for(name) { self.come() } else { Ok(()) }
    }
}
