//! The store under test: its disk, its clock, and how it is opened.

use std::sync::Arc;

use jiff::Timestamp;
use mainspring_conformance::ManualClock;
use mainspring_store::{Clock, EventStore, Lineage, StoreId};
use mainspring_store_disk::{BackupError, BackupReport, Disk, DiskStore, OpenError, Options, ScavengeError, Scavenged};

use crate::{Flaw, Injected, SimDisk, Unsynced};

/// A store on a simulated disk, with what is planted between it and those who use it.
pub(super) struct Subject {
    pub(super) disk: SimDisk,
    pub(super) clock: Arc<ManualClock>,
    flaw: Option<Flaw>,
    segment_bytes: u64,
    pub(super) alignment: usize,
    identity: (StoreId, Lineage),
    /// The disk as the store sees it.
    seen: Arc<dyn Disk>,
    open: Option<Open>,
    /// The store as another process sees it that has had it open for some time.
    pub(super) beholder: Option<Arc<dyn EventStore>>,
    /// What had been injected when the store was opened.
    injected_then: Injected,
    /// Whether the store takes no more events until it is opened again.
    pub(super) sick: bool,
    /// Whether an append has failed since it was opened.
    pub(super) failed: bool,
    /// Whether events were removed from the disk.
    freed: bool,
}

/// A store that is open.
struct Open {
    store: DiskStore,
    /// The same as its users see it.
    handle: Arc<dyn EventStore>,
}

impl Subject {
    pub(super) fn new(seed: u64, flaw: Option<Flaw>, (segment_bytes, alignment): (u64, usize)) -> Self {
        let disk = SimDisk::new(seed ^ 0x5eed_d15c);
        disk.align_logs(alignment);
        let now = Timestamp::from_second(1_000_000_000).expect("a time of this era");
        let half = seed.to_be_bytes();
        let id: [u8; 16] = [half, half].concat().try_into().expect("two times eight bytes are sixteen");
        Self {
            seen: see(flaw, &disk),
            disk,
            clock: Arc::new(ManualClock::at(now)),
            flaw,
            segment_bytes,
            alignment,
            identity: (StoreId::from_bytes(id), Lineage::from_bytes(id)),
            open: None,
            beholder: None,
            injected_then: Injected::default(),
            sick: false,
            failed: false,
            freed: false,
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The store as its users see it.
    pub(super) fn handle(&self) -> Arc<dyn EventStore> {
        self.open.as_ref().expect("every step begins and ends with an open store").handle.clone()
    }

    /// How it is opened, also on other disks.
    pub(super) fn options(&self) -> Options {
        let (store, lineage) = self.identity;
        Options::default()
            .segment_bytes(self.segment_bytes)
            .clock(self.clock.clone())
            .replayable()
            .identity(store, lineage)
    }

    pub(super) fn identity(&self) -> (StoreId, Lineage) {
        self.identity
    }

    /// Opens it, which must not be open.
    pub(super) fn open(&mut self) -> Result<(), OpenError> {
        let store = self.options().open_on(self.seen.clone())?;
        let handle: Arc<dyn EventStore> = Arc::new(store.clone());
        let handle = self.flaw.map_or(handle.clone(), |flaw| flaw.in_store(handle, self.freed));
        self.open = Some(Open { store, handle });
        self.injected_then = self.disk.injected();
        self.sick = false;
        self.failed = false;
        Ok(())
    }

    /// Opens it to read only, as another process of the same machine.
    pub(super) fn open_beside(&self) -> Result<Arc<dyn EventStore>, OpenError> {
        let handle: Arc<dyn EventStore> = Arc::new(self.options().open_read_only_on(self.seen.clone())?);
        Ok(self.flaw.map_or(handle.clone(), |flaw| flaw.in_store(handle, self.freed)))
    }

    /// Frees space.
    pub(super) async fn scavenge(&mut self) -> Result<Scavenged, ScavengeError> {
        let open = self.open.as_mut().expect("every step begins and ends with an open store");
        let done = open.store.scavenge().await;
        if let (Some(flaw), Ok(Scavenged { events: 1.., .. })) = (self.flaw, &done) {
            self.freed = true;
            open.handle = flaw.in_store(Arc::new(open.store.clone()), self.freed);
        }
        done
    }

    /// Takes a backup.
    pub(super) async fn backup(&self, target: Arc<dyn Disk>) -> Result<BackupReport, BackupError> {
        let store = &self.open.as_ref().expect("every step begins and ends with an open store").store;
        match self.flaw {
            Some(flaw) => flaw.back_up(store, target, (&self.disk, self.options())).await,
            None => store.backup_on(target),
        }
    }

    /// The disk that a backup is restored on, as those see it who do.
    pub(super) fn target(&self, disk: &SimDisk) -> Arc<dyn Disk> {
        let disk = Arc::new(disk.clone());
        match self.flaw {
            Some(flaw) => flaw.in_target(disk),
            None => disk,
        }
    }

    /// The disk as the store sees it.
    pub(super) fn seen(&self) -> Arc<dyn Disk> {
        self.seen.clone()
    }

    /// Closes it, or drops it only.
    pub(super) fn shut(&mut self, close: bool) -> std::io::Result<()> {
        let Some(Open { store, handle }) = self.open.take() else { return Ok(()) };
        drop(handle);
        if close { store.close() } else { Ok(()) }
    }

    /// Takes power from the machine.
    pub(super) fn crash(&mut self, unsynced: Unsynced) {
        self.disk = self.disk.crash(unsynced);
        (self.open, self.beholder) = (None, None);
        self.seen = see(self.flaw, &self.disk);
    }

    /// Whether anything failed on this disk since the store was opened.
    pub(super) fn was_hurt(&self) -> bool {
        self.has_failed_since(&self.injected_then)
    }

    /// Whether an operation of the disk failed since then.
    pub(super) fn has_failed_since(&self, then: &Injected) -> bool {
        self.disk.has_stopped() || self.disk.injected().failures() > then.failures()
    }
}

/// The disk as a store sees it.
fn see(flaw: Option<Flaw>, disk: &SimDisk) -> Arc<dyn Disk> {
    let disk = Arc::new(disk.clone());
    match flaw {
        Some(flaw) => flaw.in_disk(disk),
        None => disk,
    }
}
