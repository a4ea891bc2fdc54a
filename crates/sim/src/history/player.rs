//! Plays a history: takes one step after the other, to the store and to the model, and compares what comes of it.

use std::rc::Rc;

use futures_util::{FutureExt, future::join_all};
use jiff::Timestamp;
use mainspring_conformance::Seed;
use mainspring_store::{Append, AppendError, Appended};
use tokio::task::yield_now;

use super::{
    Totals,
    model::Model,
    notes::Notes,
    plan::{self, Plan},
    scavenging::Freed,
    step::Step,
    subject::Subject,
    vault::Vault,
    watching::Followers,
};
use crate::{Flaw, Injected, Unsynced};

/// A history under way.
pub(super) struct Player {
    pub(super) plan: Plan,
    pub(super) subject: Subject,
    pub(super) model: Model,
    pub(super) notes: Notes,
    pub(super) totals: Totals,
    pub(super) followers: Vec<Followers>,
    pub(super) freed: Freed,
    pub(super) vault: Vault,
}

impl Player {
    pub(super) fn new(seed: u64, flaw: Option<Flaw>, notes: Notes) -> Self {
        let subject = Subject::new(seed, flaw, (plan::segment_bytes(seed), plan::alignment(seed)));
        Self {
            plan: Plan::new(seed),
            model: Model::new(subject.now()),
            subject,
            notes,
            totals: Totals::default(),
            followers: Vec::new(),
            freed: Freed::default(),
            vault: Vault::new(seed, flaw),
        }
    }

    /// What was done.
    pub(super) fn totals(&self) -> Totals {
        let mut totals = self.totals;
        totals.seeds = 1;
        totals.aligned = u64::from(self.subject.alignment > 1);
        totals.steps = self.notes.step();
        totals.events = self.model.head().0;
        totals.segments = self.subject.disk.names().iter().filter(|name| name.ends_with(".log")).count() as u64;
        totals.injected += self.subject.disk.injected();
        totals.injected += self.vault.disk.injected();
        totals
    }

    /// Plays to the end.
    ///
    /// # Errors
    /// What the store did that it must not, in words.
    pub(super) async fn play(&mut self) -> Result<(), String> {
        self.begin(Step::Begin).await?;
        while let Some(step) = self.plan.next(&self.model, &self.subject).await {
            self.begin(step).await?;
        }
        self.begin(Step::End).await?;
        self.notes.count(self.totals().injected.total());
        Ok(())
    }

    async fn begin(&mut self, step: Step) -> Result<(), String> {
        let step = Rc::new(step);
        self.notes.begin(step.clone());
        self.take(&step).await?;
        if self.subject.disk.has_stopped() {
            self.notes.say(|| "      power is gone".to_owned());
            let unsynced = self.plan.unsynced();
            self.crash(unsynced).await?;
        }
        self.model.set(self.subject.now());
        Ok(())
    }

    async fn take(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Begin => self.start().await,
            Step::Append(group, apart) => self.send(group, *apart).await,
            Step::Abandon(append, turns) => self.abandon(append, *turns).await,
            Step::Read(read) => self.read(read).await,
            Step::Resume(read) => self.resume(read).await,
            Step::Follow(read) => self.follow(read).await,
            Step::Beside(read) => self.beside(read).await,
            Step::Beholder(read) => self.behold(read).await,
            Step::Scavenge(mishap) => self.scavenge(mishap).await,
            Step::Backup(mishap, unsynced) => self.backup(mishap, *unsynced).await,
            Step::Restore(mishap, lot) => self.restore(mishap, &mut Seed::new(*lot)).await,
            Step::Reopen { close } => self.reopen(*close).await,
            Step::LoseDerived(lot) => self.lose_derived(&mut Seed::new(*lot)).await,
            Step::Crash(unsynced) => self.crash(*unsynced).await,
            Step::Rot(lot) => self.rot(&mut Seed::new(*lot)).await,
            Step::Verify => self.verify(),
            Step::End => self.end().await,
            other => {
                self.arrange(other);
                Ok(())
            }
        }
    }

    /// Takes a step that asks nothing of the store.
    fn arrange(&mut self, step: &Step) {
        let Subject { disk, clock, .. } = &self.subject;
        match step {
            Step::Wait(time) => clock.advance(*time),
            Step::SetBack(time) => clock.set(self.subject.now() - *time),
            Step::PowerCut(after) => disk.stop_at(disk.changes() + after),
            Step::Fail(fault) => disk.inject(fault.clone()),
            Step::Heal => disk.heal(),
            Step::Fill(room) => disk.set_capacity(Some(disk.used() + room)),
            Step::Free => disk.set_capacity(None),
            Step::ShortWrites(shorten) => disk.shorten_writes(*shorten),
            Step::Slow(operation, time) => disk.slow(*operation, *time),
            Step::Evict => disk.evict(),
            _ => unreachable!("every other step asks something of the store"),
        }
    }

    /// Sends appends together, each so many turns after the one before, and compares each answer, in the order in which the
    /// store takes them.
    pub(super) async fn send(&mut self, group: &[Append], apart: u64) -> Result<(), String> {
        let (handle, now, before) = (self.subject.handle(), self.subject.now(), self.subject.disk.injected());
        let send = async |(append, at): (&Append, u64)| {
            for _ in 0..apart * at {
                yield_now().await;
            }
            handle.append(append.clone()).await
        };
        let answers = join_all(group.iter().zip(0..).map(send)).await;
        for (append, answer) in group.iter().zip(answers) {
            self.judge_answer(append, answer, &before, now).await?;
        }
        Ok(())
    }

    /// Sees whether an append that was sent at this time can be answered so.
    async fn judge_answer(
        &mut self,
        append: &Append,
        answer: Result<Appended, AppendError>,
        before: &Injected,
        sent: Timestamp,
    ) -> Result<(), String> {
        self.notes.say(|| format!("      {answer:?}"));
        match answer {
            Err(AppendError::Failed(error)) => {
                self.totals.failed += 1;
                self.subject.failed = true;
                self.notes.count(2);
                self.excuse(&*error, before, "failed")
            }
            Err(AppendError::Unknown(error)) => {
                self.totals.unknown += 1;
                self.notes.count(3);
                self.excuse(&*error, before, "unknown")?;
                self.subject.sick = true;
                self.model.in_doubt(append, sent);
                Ok(())
            }
            answer => self.compare(append, answer).await,
        }
    }

    /// Sees that a failure has a cause: something failed on the disk since `before`, or the store is waiting to be opened
    /// again for something that failed earlier.
    pub(super) fn excuse(
        &mut self,
        error: &dyn std::error::Error,
        before: &Injected,
        what: &str,
    ) -> Result<(), String> {
        let text = error.to_string();
        let waits = text.contains("until it is reopened");
        if waits && self.subject.was_hurt() {
            self.subject.sick = true;
            return Ok(());
        }
        if self.subject.has_failed_since(before) {
            return Ok(());
        }
        Err(format!("it is answered as {what} ({text}) although nothing has failed"))
    }

    /// Compares an answer that nothing has hindered with what the model says.
    async fn compare(&mut self, append: &Append, answer: Result<Appended, AppendError>) -> Result<(), String> {
        let (head, now) = (self.model.head(), self.subject.now());
        let expected = self.model.append(append, now).await;
        let same = match (&expected, &answer) {
            (Ok(expected), Ok(answer)) => expected == answer,
            (Err(expected), Err(answer)) => format!("{expected:?}") == format!("{answer:?}"),
            _ => false,
        };
        if !same {
            return Err(format!("{append:?}\n  must be answered {expected:?},\n  and is answered {answer:?}"));
        }
        match answer {
            Ok(answer) => {
                self.totals.acknowledged += 1;
                self.totals.repeated += u64::from(!append.events.is_empty() && answer.position <= head);
                self.notes.count(answer.position.0 << 8);
            }
            Err(_) => {
                self.totals.refused += 1;
                self.notes.count(4);
            }
        }
        Ok(())
    }

    /// Begins an append and goes away; then finds out what came of it.
    async fn abandon(&mut self, append: &Append, turns: u64) -> Result<(), String> {
        let (handle, now, before) = (self.subject.handle(), self.subject.now(), self.subject.disk.injected());
        let mut begun = Box::pin(handle.append(append.clone()));
        let mut answered = begun.as_mut().now_or_never();
        for _ in 0..turns {
            if answered.is_none() {
                yield_now().await;
                answered = begun.as_mut().now_or_never();
            }
        }
        if let Some(answer) = answered {
            return self.judge_answer(append, answer, &before, now).await;
        }
        drop(begun);
        self.totals.abandoned += 1;
        // What is sent later is answered later.
        let later = handle.append(Append::default()).await;
        self.notes.say(|| format!("      an append after it is answered {later:?}"));
        match later {
            // It was not begun, or it was refused or has failed, which its caller would have been told.
            Ok(Appended { position, .. }) if position == self.model.head() => Ok(()),
            Ok(Appended { position, .. }) => self.found(append, position).await,
            Err(AppendError::Failed(error) | AppendError::Unknown(error)) => {
                self.excuse(&*error, &before, "failed or unknown")?;
                self.subject.sick = true;
                self.model.in_doubt(append, now);
                // Nothing else can be said of what the store must answer before this is settled.
                if self.subject.disk.has_stopped() { Ok(()) } else { self.reopen(true).await }
            }
            Err(error) => Err(format!("an append of nothing is answered {error:?}")),
        }
    }

    /// Takes it that an append was written, which moved the head to `position`.
    async fn found(&mut self, append: &Append, position: mainspring_event::Position) -> Result<(), String> {
        let now = self.subject.now();
        match self.model.append(append, now).await {
            Ok(appended) if appended.position == position => Ok(()),
            other => Err(format!("{append:?}\n  led to {position}, and the model answers {other:?}")),
        }
    }

    /// Ends everything that fails; what is there must then survive a clean end and a crash.
    async fn end(&mut self) -> Result<(), String> {
        let disk = &self.subject.disk;
        disk.heal();
        disk.set_capacity(None);
        disk.shorten_writes(false);
        self.reopen(true).await?;
        self.crash(Unsynced::Dropped).await?;
        self.verify()
    }
}
