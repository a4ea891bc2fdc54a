//! The one owner of the manifest: roll-overs and scavenging change it one after the other, so that neither loses what the
//! other did.

use std::{
    io,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{
    disk::Disk,
    format::manifest::{Manifest, Prepared},
};

/// The manifest as it holds on disk.
pub(crate) struct Catalog {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    manifest: Manifest,
    /// Whether a manifest could not be published to its end, so that either may hold after a crash.
    in_doubt: bool,
}

/// A change of the manifest under way. Nobody else changes it meanwhile.
pub(crate) struct Change<'a> {
    catalog: &'a Catalog,
    state: MutexGuard<'a, State>,
    /// What is to hold.
    pub(crate) manifest: Manifest,
}

impl Catalog {
    pub(crate) fn new(manifest: Manifest) -> Self {
        Self { state: Mutex::new(State { manifest, in_doubt: false }), changed: Condvar::new() }
    }

    /// Begins a change, which is given up when it is dropped.
    pub(crate) fn begin(&self) -> Change<'_> {
        let state = self.lock();
        let manifest = state.manifest.clone();
        Change { catalog: self, state, manifest }
    }

    /// The manifest as it is now.
    pub(crate) fn manifest(&self) -> Manifest {
        self.lock().manifest.clone()
    }

    /// Whether a change failed so late that either manifest may hold after a crash. The files that both name are needed.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.lock().in_doubt
    }

    /// The number of the segment at the end of the log.
    pub(crate) fn active(&self) -> u32 {
        self.lock().active()
    }

    /// Waits until `active` is not the number of the segment at the end of the log any more, but no longer than `patience`
    /// and not at all once `stop` holds.
    pub(crate) fn wait(&self, active: u32, patience: Duration, stop: impl Fn() -> bool) {
        let state = self.lock();
        let waited = self.changed.wait_timeout_while(state, patience, |state| !stop() && state.active() == active);
        drop(waited);
    }

    /// Makes those who wait look whether they are to stop.
    pub(crate) fn wake(&self) {
        // With the lock, nobody is between looking and waiting.
        let _state = self.lock();
        self.changed.notify_all();
    }

    /// The state, which no panic leaves half-changed: it is replaced as a whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn active(&self) -> u32 {
        self.manifest.segments.last().map_or(0, |entry| entry.number)
    }
}

impl Change<'_> {
    /// Writes the manifest beside the old one. A failure has changed nothing.
    pub(crate) fn prepare(&self, disk: &dyn Disk) -> io::Result<Prepared> {
        self.manifest.prepare(disk)
    }

    /// Makes it the manifest. After a failure either may hold.
    pub(crate) fn publish(mut self, disk: &dyn Disk, prepared: Prepared) -> io::Result<()> {
        if let Err(error) = prepared.publish(disk) {
            self.state.in_doubt = true;
            return Err(error);
        }
        self.state.manifest = self.manifest;
        self.catalog.changed.notify_all();
        Ok(())
    }
}
