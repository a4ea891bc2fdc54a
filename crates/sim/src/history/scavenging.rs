//! Frees space in the running store, which must change nothing of what it shows.

use mainspring_store_disk::{ScavengeError, Scavenged};

use super::{mishap::Mishap, player::Player};

/// How many events are gone from the disk.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Freed {
    /// At least so many.
    events: u64,
    /// A pass has failed, so there may be more.
    doubtful: bool,
}

impl Player {
    /// Frees space, in which something may go wrong.
    pub(super) async fn scavenge(&mut self, mishap: &Mishap) -> Result<(), String> {
        let before = self.subject.disk.injected();
        mishap.befall(&self.subject.disk);
        let done = self.subject.scavenge().await;
        self.notes.say(|| format!("      {done:?}"));
        match done {
            Ok(done) => {
                self.count_scavenged(&done);
                if !self.subject.has_failed_since(&before) && self.plan.seed().once_in(3) {
                    self.scavenge_again().await?;
                }
            }
            Err(ScavengeError::Io(_)) if self.subject.has_failed_since(&before) => self.note_failed_pass(),
            Err(ScavengeError::InDoubt) if self.subject.was_hurt() => self.note_failed_pass(),
            Err(error) => return Err(format!("space cannot be freed although nothing has failed: {error:?}")),
        }
        if self.subject.disk.has_stopped() { Ok(()) } else { self.look().await }
    }

    /// A pass that is asked for leaves nothing that another could remove.
    async fn scavenge_again(&mut self) -> Result<(), String> {
        let before = self.subject.disk.injected();
        match self.subject.scavenge().await {
            Ok(done) if done.events > 0 => Err(format!("another pass removes more at once: {done:?}")),
            Ok(done) => {
                self.count_scavenged(&done);
                Ok(())
            }
            Err(_) if self.subject.has_failed_since(&before) => {
                self.note_failed_pass();
                Ok(())
            }
            Err(error) => Err(format!("another pass fails although nothing has failed: {error:?}")),
        }
    }

    fn count_scavenged(&mut self, done: &Scavenged) {
        self.totals.scavenged += 1;
        self.totals.rewritten += done.rewritten;
        self.totals.removed += done.removed;
        self.totals.removed_events += done.events;
        self.freed.events += done.events;
        self.notes.count(done.events << 16 | done.rewritten << 8 | done.removed);
        self.notes.count(done.bytes);
    }

    fn note_failed_pass(&mut self) {
        self.totals.failed_passes += 1;
        self.freed.doubtful = true;
    }

    /// Sees whether so many events can be on the disk.
    pub(super) fn check_freed(&mut self, found: u64) -> Result<(), String> {
        let head = self.model.head().0;
        let Some(gone) = head.checked_sub(found) else {
            return Err(format!("verifying finds {found} events of {head}"));
        };
        let Freed { events, doubtful } = self.freed;
        if gone != events && !(doubtful && gone > events) {
            return Err(format!("verifying finds {found} events of {head}, of which {events} were removed"));
        }
        // Until the store is opened again a failed pass may yet be undone.
        if !self.subject.was_hurt() {
            self.freed = Freed { events: gone, doubtful: false };
        }
        Ok(())
    }
}
