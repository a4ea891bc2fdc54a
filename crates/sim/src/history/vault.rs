//! Where backups of the store are kept: a disk of its own, and what may be on it.

use std::sync::Arc;

use mainspring_store::Read;
use mainspring_store_disk::{BackupError, Disk, DiskStore, OpenError, Options, verify_on};

use super::{
    model::Model,
    queries::everything,
    reads::{agree, collect},
};
use crate::{Flaw, Injected, SimDisk, Unsynced};

/// A disk for backups.
pub(super) struct Vault {
    pub(super) disk: SimDisk,
    flaw: Option<Flaw>,
    /// What may be on it: what the last run that succeeded has left, and what those may have that failed after it. It is the
    /// history as far as so many appends that were taken, or nothing where no run has succeeded.
    held: Vec<Option<usize>>,
}

impl Vault {
    pub(super) fn new(seed: u64, flaw: Option<Flaw>) -> Self {
        Self { disk: SimDisk::new(seed ^ 0xbac2_0b5e), flaw, held: vec![None] }
    }

    /// The disk as those see it who write backups.
    pub(super) fn seen(&self) -> Arc<dyn Disk> {
        let disk = Arc::new(self.disk.clone());
        match self.flaw {
            Some(flaw) => flaw.in_vault(disk),
            None => disk,
        }
    }

    /// Notes a run that was to bring the backup up to there.
    pub(super) fn note(&mut self, held: usize, done: bool) {
        if done {
            self.held.clear();
        }
        if !self.held.contains(&Some(held)) {
            self.held.push(Some(held));
        }
    }

    /// Whether no run may have been completed yet.
    pub(super) fn may_be_unfinished(&self) -> bool {
        self.held.contains(&None)
    }

    /// Ends what goes wrong here; where power has gone, it comes back.
    pub(super) fn recover(&mut self, unsynced: Unsynced) {
        self.disk = recovered(&self.disk, unsynced);
    }

    /// Looks at what a crash would leave now: a backup that holds what one may hold, or none if there may be none.
    pub(super) async fn look(&self, options: Options, model: &Model, unsynced: Unsynced) -> Result<(), String> {
        let left = Arc::new(self.disk.if_crashed(unsynced));
        let store = match options.clone().open_read_only_on(left.clone()) {
            Ok(store) => store,
            Err(OpenError::Missing { .. } | OpenError::Unfinished { .. }) if self.may_be_unfinished() => return Ok(()),
            Err(error) => return Err(format!("the backup cannot be opened: {error:?}")),
        };
        self.find(&store, model).await?;
        drop(store);
        let refused = options.open_on(left.clone()).err();
        if !matches!(refused, Some(OpenError::Backup { .. })) {
            return Err(format!("a backup that is opened for writing must be refused as one, not so: {refused:?}"));
        }
        let found = verify_on(left).map_err(|error| format!("the backup cannot be verified: {error:?}"))?;
        if !found.is_intact() || found.torn_bytes > 0 {
            return Err(format!("verifying the backup finds {found:?}"));
        }
        Ok(())
    }

    /// The model as it was when what this store shows was backed up.
    ///
    /// # Errors
    /// How it differs from the newest that it can be.
    pub(super) async fn find(&self, store: &DiskStore, model: &Model) -> Result<Model, String> {
        let mut differs = "there is a backup, but none was taken".to_owned();
        for held in self.held.iter().flatten() {
            let then = model.as_of(*held).await?;
            match shows(store, &then).await {
                Ok(()) => return Ok(then),
                Err(what) => differs = what,
            }
        }
        Err(format!("what was backed up is not what was there: {differs}"))
    }
}

/// Whether a store shows what a model holds, as far as reading tells.
pub(super) async fn shows(store: &DiskStore, model: &Model) -> Result<(), String> {
    let read = Read::new(everything());
    let expected = collect(&model.reference, read.clone()).await.map_err(|error| format!("{error:?}"))?;
    let actual = collect(store, read.clone()).await.map_err(|error| format!("it cannot be read: {error:?}"))?;
    agree(&read, &expected, &actual)
}

/// A disk after what went wrong with it.
pub(super) fn recovered(disk: &SimDisk, unsynced: Unsynced) -> SimDisk {
    let disk = if disk.has_stopped() { disk.crash(unsynced) } else { disk.clone() };
    disk.heal();
    disk.set_capacity(None);
    disk.stop_at(u64::MAX);
    disk
}

/// Whether a failure of the disks that are copied from and to may show itself so. Each is told with what was injected into
/// it before.
pub(super) fn is_excused(error: &BackupError, from: (&SimDisk, &Injected), to: (&SimDisk, &Injected)) -> bool {
    let failed =
        |(disk, before): (&SimDisk, &Injected)| disk.has_stopped() || disk.injected().failures() > before.failures();
    match error {
        BackupError::Target(_) => failed(to),
        // What cannot be read counts as damage.
        BackupError::Source(_) | BackupError::BadBackup(_) => failed(from),
        BackupError::Open(OpenError::Io(_)) => failed(from) || failed(to),
        _ => false,
    }
}
