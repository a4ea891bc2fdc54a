//! Files that rot or are lost: what is the truth must be told as damage, what is derived is built again.

use std::sync::Arc;

use mainspring_conformance::Seed;
use mainspring_store::{Read, ReadError};
use mainspring_store_disk::{Disk, OpenError, verify_on};

use super::{
    player::Player,
    queries::everything,
    reads::{agree, collect},
};
use crate::{SimDisk, Unsynced};

/// What became of a store in which a bit has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It shows everything.
    Whole,
    /// It says that something is damaged, on opening or on reading.
    Told,
}

/// Whether a file of this name can be built again from others.
fn is_derived(name: &str) -> bool {
    [".idx", ".dir"].iter().any(|end| name.ends_with(end)) || name == "SYNCED"
}

impl Player {
    /// Closes the store, loses some of its derived files, and opens it again.
    pub(super) async fn lose_derived(&mut self, seed: &mut Seed) -> Result<(), String> {
        self.shut(true)?;
        for name in self.subject.disk.names().into_iter().filter(|name| is_derived(name)) {
            if seed.once_in(2) {
                self.subject.disk.lose(&name);
                self.totals.lost_files += 1;
                self.notes.say(|| format!("      {name} is lost"));
            }
        }
        self.open_and_settle().await
    }

    /// Changes a bit in a copy of the directory.
    pub(super) async fn rot(&mut self, seed: &mut Seed) -> Result<(), String> {
        // Before it is settled what is there, nothing can be said of what must be there. And what the store could not mark
        // as synced may look like a torn end.
        if self.subject.sick || self.subject.was_hurt() {
            return Ok(());
        }
        let copy = self.subject.disk.if_crashed(Unsynced::Kept);
        copy.set_capacity(None);
        let before = copy.injected();
        let names: Vec<_> = copy.names().into_iter().filter(|name| !name.ends_with(".new")).collect();
        let name = &names[seed.index(names.len())];
        let used = copy.contents(name).and_then(|bytes| bytes.iter().rposition(|byte| *byte != 0));
        let Some(last) = used else { return Ok(()) };
        let (offset, bit) = (seed.index(last + 1), seed.pick(&[0, 1, 2, 3, 4, 5, 6, 7]));
        copy.flip(name, offset, bit);
        self.notes.say(|| format!("      bit {bit} at {offset} of {name}"));
        let found = verify_on(Arc::new(copy.if_crashed(Unsynced::Kept)));
        let intact = found.is_ok_and(|found| found.is_intact());
        let fate = self.fate(&copy).await.map_err(|what| format!("bit {bit} at {offset} of {name} changed: {what}"))?;
        self.totals.injected += copy.injected().since(&before);
        self.judge(&copy, name, (fate, intact))
    }

    /// Opens a store in which a bit has changed and reads all of it.
    async fn fate(&self, disk: &SimDisk) -> Result<Fate, String> {
        let store = match self.subject.options().open_on(Arc::new(disk.clone())) {
            Ok(store) => store,
            Err(OpenError::Damaged(_)) => return Ok(Fate::Told),
            Err(error) => return Err(format!("that is damage, but it says {error:?}")),
        };
        let read = Read::new(everything());
        let expected = collect(&self.model.reference, read.clone()).await.map_err(|error| format!("{error:?}"))?;
        let fate = match collect(&store, read.clone()).await {
            Ok(actual) => agree(&read, &expected, &actual).map(|()| Fate::Whole),
            Err(ReadError::Damaged(_)) => Ok(Fate::Told),
            Err(error) => Err(format!("that is damage, but it says {error:?}")),
        };
        store.close().map_err(|error| format!("it cannot be closed: {error}"))?;
        fate
    }

    fn judge(&mut self, disk: &SimDisk, name: &str, (fate, intact): (Fate, bool)) -> Result<(), String> {
        match fate {
            Fate::Told => self.totals.rot_told += 1,
            Fate::Whole => self.totals.rot_harmless += 1,
        }
        self.notes.count(if fate == Fate::Told { 5 } else { 6 });
        if fate == Fate::Told && intact {
            return Err(format!("{name} is told as damaged, but verifying finds nothing"));
        }
        if name == "MANIFEST" && fate == Fate::Whole {
            return Err("a bit of the manifest has changed, and it was opened".to_owned());
        }
        if is_derived(name) && fate == Fate::Told {
            return Err(format!("{name} can be built again, but it is told as damage"));
        }
        if name.ends_with(".idx") {
            let verified = verify_on(Arc::new(disk.clone())).map_err(|error| format!("{error:?}"))?;
            // What nobody asked of an index may stay damaged.
            if verified.damages().any(|damage| !damage.kind.is_harmless() || damage.file != disk.describe(name)) {
                return Err(format!("{name} alone was spoilt: {verified:?}"));
            }
            self.totals.rebuilt += u64::from(verified.is_intact());
        }
        Ok(())
    }

    /// Verifies the directory, which the store has open.
    pub(super) fn verify(&mut self) -> Result<(), String> {
        let before = self.subject.disk.injected();
        self.totals.verified += 1;
        match verify_on(self.subject.seen()) {
            Err(OpenError::Io(_)) if self.subject.has_failed_since(&before) => Ok(()),
            Err(error) => Err(format!("it cannot be verified: {error:?}")),
            Ok(_) if self.subject.has_failed_since(&before) => Ok(()),
            Ok(found) if !found.is_intact() => Err(format!("verifying finds {:?}", found.findings)),
            // Frames of unknown fate count where they are whole.
            Ok(_) if self.subject.sick => Ok(()),
            Ok(found) => self.check_freed(found.events),
        }
    }
}
