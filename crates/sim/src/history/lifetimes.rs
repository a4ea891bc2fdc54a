//! How a store ends and begins again in a history, and what must be there then.

use mainspring_store::{Append, Info, Read};
use mainspring_store_disk::OpenError;

use super::{player::Player, queries::everything};
use crate::Unsynced;

/// After so many attempts to open the store nothing fails any more …
const PATIENCE: u32 = 3;

/// … and after so many it must have been opened.
const ATTEMPTS: u32 = 8;

impl Player {
    /// Opens the store for the first time.
    pub(super) async fn start(&mut self) -> Result<(), String> {
        self.open().await?;
        self.look().await
    }

    /// Ends the store in order, or just drops it, and opens it again.
    pub(super) async fn reopen(&mut self, close: bool) -> Result<(), String> {
        self.shut(close)?;
        self.look_without_writer().await?;
        self.open_and_settle().await
    }

    /// Sometimes looks at the store as a process that only reads, while none writes.
    async fn look_without_writer(&mut self) -> Result<(), String> {
        // What is there of appends of unknown fate only the next writer settles.
        if self.model.pending.is_empty() && self.plan.seed().once_in(3) {
            self.notes.say(|| "      looks at it while nobody writes".to_owned());
            self.beside(&Read::new(everything()).backwards()).await?;
        }
        Ok(())
    }

    /// Opens the store and finds what must be there.
    pub(super) async fn open_and_settle(&mut self) -> Result<(), String> {
        self.open().await?;
        self.settle().await
    }

    pub(super) fn shut(&mut self, close: bool) -> Result<(), String> {
        let (before, sick) = (self.subject.disk.injected(), self.subject.sick);
        self.followers.clear();
        match self.subject.shut(close) {
            Err(error) if !sick && !self.subject.has_failed_since(&before) && !self.subject.was_hurt() => {
                Err(format!("it cannot be closed although nothing has failed: {error}"))
            }
            _ => Ok(()),
        }
    }

    /// Takes power from the machine and opens the store again.
    pub(super) async fn crash(&mut self, unsynced: Unsynced) -> Result<(), String> {
        self.followers.clear();
        self.subject.crash(unsynced);
        if let Some(fault) = self.plan.fault_after_crash() {
            self.notes.say(|| format!("      and then {fault:?}"));
            self.subject.disk.inject(fault);
        }
        self.look_without_writer().await?;
        self.open_and_settle().await
    }

    /// Opens the store. What hinders that passes sooner or later.
    async fn open(&mut self) -> Result<(), String> {
        for attempt in 1..=ATTEMPTS {
            if attempt > PATIENCE {
                self.subject.disk.heal();
                self.subject.disk.set_capacity(None);
            }
            let before = self.subject.disk.injected();
            let opened = self.subject.open();
            if self.subject.disk.has_stopped() {
                let unsynced = self.plan.unsynced();
                self.notes.say(|| format!("      power goes while it is opened: {unsynced:?}"));
                self.subject.crash(unsynced);
                continue;
            }
            match opened {
                Ok(()) => {
                    self.totals.reopened += 1;
                    return Ok(());
                }
                Err(error) if is_excused(&error) && self.subject.has_failed_since(&before) => {
                    self.notes.say(|| format!("      not opened: {error:?}"));
                    self.totals.failed_opens += 1;
                }
                Err(error) => return Err(format!("it cannot be opened: {error:?}")),
            }
        }
        Err(format!("it cannot be opened in {ATTEMPTS} attempts"))
    }

    /// Finds out which appends of unknown fate are there, and looks at everything.
    ///
    /// They come one after the other, so that those that are there are the first ones. One that holds no event shows only
    /// when it is repeated.
    async fn settle(&mut self) -> Result<(), String> {
        loop {
            self.settle_once().await?;
            if !self.subject.disk.has_stopped() {
                return Ok(());
            }
            let unsynced = self.plan.unsynced();
            self.notes.say(|| format!("      power goes again: {unsynced:?}"));
            self.subject.crash(unsynced);
            self.open().await?;
        }
    }

    async fn settle_once(&mut self) -> Result<(), String> {
        let before = self.subject.disk.injected();
        let info = match self.subject.handle().info().await {
            Ok(info) => info,
            Err(_) if self.subject.has_failed_since(&before) => return Ok(()),
            Err(error) => return Err(format!("it cannot say where it is: {error:?}")),
        };
        self.check_identity(&info)?;
        let pending = std::mem::take(&mut self.model.pending);
        let mut pending = pending.into_iter().peekable();
        let mut repeats = Vec::new();
        while self.model.head() < info.head {
            let Some((append, sent)) = pending.next() else {
                let head = self.model.head();
                return Err(format!("its head is {}, but nothing that was sent leads beyond {head}", info.head));
            };
            if let Err(error) = self.model.append(&append, sent).await {
                return Err(format!("{append:?}\n  would have to be there, but must be answered {error:?}"));
            }
            self.notes.say(|| "      an append of unknown fate is there".to_owned());
            self.totals.unknown_written += 1;
            repeats.push((append, true));
        }
        if self.model.head() != info.head {
            return Err(format!("its head is {}, the one it must be at is {}", info.head, self.model.head()));
        }
        for (append, _) in pending {
            self.totals.unknown_lost += u64::from(!append.events.is_empty());
            let shows = !append.events.is_empty();
            repeats.push((append, shows));
        }
        self.notes.count(info.head.0);
        self.repeat(repeats).await?;
        if self.subject.disk.has_stopped() { Ok(()) } else { self.look().await }
    }

    /// Repeats appends whose fate was unknown: all those that do not show otherwise, and some of the others.
    async fn repeat(&mut self, appends: Vec<(Append, bool)>) -> Result<(), String> {
        for (append, shows) in appends {
            if shows && self.plan.seed().once_in(2) {
                continue;
            }
            // What does not show must be settled now. Only power may go.
            self.subject.disk.heal();
            self.subject.disk.set_capacity(None);
            self.notes.say(|| format!("      repeats {append:?}"));
            let doubts = self.model.pending.len();
            self.send(std::slice::from_ref(&append), 0).await?;
            let failed = self.subject.disk.has_stopped() && self.model.pending.len() == doubts;
            if failed && !shows {
                // This time it was surely not written, but that says nothing of the first time.
                self.model.in_doubt(&append, self.subject.now());
            }
            if self.subject.disk.has_stopped() {
                return Ok(());
            }
        }
        Ok(())
    }

    fn check_identity(&self, info: &Info) -> Result<(), String> {
        let (store, lineage) = self.subject.identity();
        if (info.store, info.lineage) == (store, lineage) {
            return Ok(());
        }
        Err(format!("it is store {store} of lineage {lineage}, and says {info:?}"))
    }
}

/// Whether a failure of the machine may show itself so.
fn is_excused(error: &OpenError) -> bool {
    matches!(error, OpenError::Io(_))
}
