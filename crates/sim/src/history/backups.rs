//! Takes backups of the running store and restores them, while the disks that are written to fail.

use std::sync::Arc;

use mainspring_conformance::Seed;
use mainspring_store::EventStore;
use mainspring_store_disk::{BackupError, Disk, DiskStore, OpenError, restore_backup_on};

use super::{
    mishap::Mishap,
    player::Player,
    vault::{is_excused, recovered, shows},
    watching::stands,
};
use crate::{Fault, Operation, SimDisk, Unsynced};

/// After so many attempts to restore a backup nothing fails any more, and then it must be restored.
const ATTEMPTS: u32 = 3;

impl Player {
    /// Takes a backup, or brings the one there is up to date; something may go wrong with the disk that it is on.
    pub(super) async fn backup(&mut self, mishap: &Mishap, unsynced: Unsynced) -> Result<(), String> {
        let (before, vault_before) = (self.subject.disk.injected(), self.vault.disk.injected());
        mishap.befall(&self.vault.disk);
        let taken = self.subject.backup(self.vault.seen()).await;
        self.notes.say(|| format!("      {taken:?}"));
        self.vault.note(self.model.log(), taken.is_ok());
        let done = taken.is_ok();
        match taken {
            Ok(report) if report.position != self.model.head() => {
                let (position, head) = (report.position, self.model.head());
                return Err(format!("the backup goes up to {position}, and the store up to {head}"));
            }
            Ok(report) => {
                self.totals.backups += 1;
                self.notes.count(report.bytes);
            }
            Err(error) => {
                let (from, to) = ((&self.subject.disk, &before), (&self.vault.disk, &vault_before));
                if !is_excused(&error, from, to) {
                    return Err(format!("no backup can be taken although nothing has failed: {error:?}"));
                }
                self.totals.failed_backups += 1;
            }
        }
        self.vault.recover(unsynced);
        self.model.set(self.subject.now());
        let left = if done { Unsynced::Dropped } else { unsynced };
        self.vault.look(self.subject.options(), &self.model, left).await
    }

    /// Restores the backup on a third disk, and finds in it what was backed up, as a store of another lineage.
    pub(super) async fn restore(&mut self, mishap: &Mishap, seed: &mut Seed) -> Result<(), String> {
        let target = SimDisk::new(seed.draw());
        target.align_logs(self.subject.alignment);
        mishap.befall(&target);
        if matches!(mishap, Mishap::Fail(_)) && seed.once_in(2) {
            let kind = seed.pick(&[Operation::Read, Operation::Map, Operation::Open, Operation::Size]);
            self.vault.disk.inject(Fault::on(kind).after(seed.within(0..=12)));
        }
        let Some(target) = self.restore_on(target, seed).await? else { return Ok(()) };
        self.totals.restored += 1;
        self.totals.injected += target.injected();
        self.live_on(&target, seed).await
    }

    /// Restores the backup, if there may be one, however often something fails.
    async fn restore_on(&mut self, mut target: SimDisk, seed: &mut Seed) -> Result<Option<SimDisk>, String> {
        for attempt in 1.. {
            let (from, to) = (self.vault.disk.clone(), target.clone());
            let (from_before, to_before) = (from.injected(), to.injected());
            let restored = restore_backup_on(Arc::new(from.clone()), self.subject.target(&target));
            let unsynced = self.plan.unsynced();
            self.vault.recover(unsynced);
            target = recovered(&target, unsynced);
            let error = match restored {
                // What was restored is durable.
                Ok(restored) if restored.from == self.subject.identity().1 => {
                    return Ok(Some(target.crash(Unsynced::Dropped)));
                }
                Ok(restored) => return Err(format!("it is restored from another lineage: {restored:?}")),
                Err(error) => error,
            };
            self.notes.say(|| format!("      not restored: {error:?}"));
            match error {
                BackupError::Open(OpenError::Missing { .. } | OpenError::Unfinished { .. })
                    if self.vault.may_be_unfinished() =>
                {
                    return Ok(None);
                }
                // The run before had come to its end and could not say so.
                BackupError::Occupied { .. } if attempt > 1 => return Ok(Some(target)),
                error if is_excused(&error, (&from, &from_before), (&to, &to_before)) && attempt <= ATTEMPTS => {
                    self.totals.failed_restores += 1;
                }
                error => return Err(format!("it cannot be restored in {attempt} attempts: {error:?}")),
            }
            let begun = self.subject.options().open_read_only_on(Arc::new(target.if_crashed(Unsynced::Kept)));
            match begun {
                Ok(_) | Err(OpenError::Missing { .. } | OpenError::Unfinished { .. }) => {}
                Err(error) => return Err(format!("a store that was half restored is not told as such: {error:?}")),
            }
            if seed.once_in(2) {
                target.shorten_writes(true);
            }
        }
        unreachable!("attempts end")
    }

    /// Goes on with a store that was restored.
    async fn live_on(&mut self, disk: &SimDisk, seed: &mut Seed) -> Result<(), String> {
        disk.shorten_writes(false);
        let store = self.open_restored(disk).await?;
        let mut then = self.vault.find(&store, &self.model).await?;
        stands(&store, &then).await?;
        for _ in 0..seed.within(1..=3) {
            let append = self.plan.plain();
            then.set(self.subject.now());
            let expected = then.append(&append, self.subject.now()).await;
            let answer = store.append(append).await;
            if format!("{expected:?}") != format!("{answer:?}") {
                return Err(format!("restored, an append must be answered {expected:?}, and is answered {answer:?}"));
            }
        }
        if seed.once_in(2) {
            store.scavenge().await.map_err(|error| format!("restored, it cannot free space: {error:?}"))?;
        }
        drop(store);
        let left = disk.crash(Unsynced::Dropped);
        let store = self.open_restored(&left).await?;
        shows(&store, &then).await.map_err(|what| format!("restored, it has lost something: {what}"))?;
        stands(&store, &then).await
    }

    /// Opens a store that was restored, which is the same store of another lineage.
    async fn open_restored(&self, disk: &SimDisk) -> Result<DiskStore, String> {
        let disk: Arc<dyn Disk> = Arc::new(disk.clone());
        let opened = self.subject.options().open_on(disk);
        let store = opened.map_err(|error| format!("restored, it cannot be opened: {error:?}"))?;
        let info = store.info().await.map_err(|error| format!("restored, it cannot say where it is: {error:?}"))?;
        let (id, lineage) = self.subject.identity();
        if info.store != id || info.lineage == lineage {
            return Err(format!("restored, it must be store {id} of another lineage than {lineage}, and is {info:?}"));
        }
        Ok(store)
    }
}
