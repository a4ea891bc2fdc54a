//! Backups that are not what was there: they are taken of another directory than that of the store.

use std::sync::Arc;

use mainspring_store::EventStore;
use mainspring_store_disk::{BackupError, BackupReport, Disk, DiskStore, Options};

use crate::{SimDisk, Unsynced};

/// What is wrong with what a backup holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Neglect {
    /// The last commit is not in it.
    LastCommit,
    /// Commits that were never synced are in it.
    Unsynced,
}

impl Neglect {
    /// Takes a backup of `store`, which lies on a disk and is opened so. It says that it holds everything.
    pub(super) async fn back_up(
        self,
        store: &DiskStore,
        target: Arc<dyn Disk>,
        (disk, options): (&SimDisk, Options),
    ) -> Result<BackupReport, BackupError> {
        let copy = disk.if_crashed(Unsynced::Kept);
        if self == Self::LastCommit && !lose_last_commit(&copy) {
            return store.backup_on(target);
        }
        let whole = options.open_read_only_on(Arc::new(copy))?;
        let mut report = whole.backup_on(target)?;
        report.position = store.info().await.map(|info| info.head).unwrap_or_default();
        Ok(report)
    }
}

/// Cuts into the last frame of the log, if there is one in its last segment.
fn lose_last_commit(disk: &SimDisk) -> bool {
    const HEAD: usize = 64;
    let log = disk.names().into_iter().rfind(|name| name.ends_with(".log"));
    let used = |name: &String| disk.contents(name).and_then(|bytes| bytes.iter().rposition(|byte| *byte != 0));
    let Some((log, last)) = log.and_then(|log| Some((log.clone(), used(&log).filter(|last| *last > HEAD)?))) else {
        return false;
    };
    disk.tamper(&log, |bytes| bytes.truncate(last));
    // Otherwise it would be told as damage.
    disk.lose("SYNCED");
    true
}
