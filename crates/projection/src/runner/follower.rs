//! Follows the store and writes one generation: in large transactions while catching up and where events keep coming, at
//! once when they come after a quiet time, and event by event where something failed.

use futures_util::StreamExt;
use jiff::Timestamp;
use mainspring_event::{Position, Recorded};
use mainspring_retry::{Failure, with_causes};
use mainspring_store::{BatchStream, Checkpoint, CheckpointError, EventBatch, Info, Read, ReadError, ReadFrom};
use tokio::time::{Duration, Instant, sleep_until, timeout_at};

use super::{
    engine::{Engine, Model, Tx},
    setback::{Attempts, Setback, What},
    work::Work,
};
use crate::{EventPlace, FailureReport, Projection, ProjectionError, View};

/// What a generation is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Readers see it.
    Current,
    /// It is to replace what readers see.
    Next,
}

pub(super) struct Follower<'a, P: Projection> {
    engine: &'a Engine<P>,
    model: &'a Model<P>,
    role: Role,
    /// The committed checkpoint; `None` before it was read.
    saved: Option<Checkpoint>,
    /// Everything up to here is committed or does not match. The checkpoint follows at intervals.
    done: Position,
    /// Up to here each event has a transaction of its own.
    careful_through: Position,
    /// Where the head was when building began.
    goal: Option<Position>,
    attempts: Attempts,
    head_asked: Instant,
    save_due: Instant,
    /// What comes before this moment gathers in the store.
    lingers_until: Instant,
}

/// How often the head is asked for while catching up, so that the lag shown is true.
const HEAD_EVERY: Duration = Duration::from_secs(1);

impl<'a, P: Projection> Follower<'a, P> {
    pub(super) fn new(engine: &'a Engine<P>, model: &'a Model<P>, role: Role) -> Self {
        let now = Instant::now();
        Self {
            engine,
            model,
            role,
            saved: None,
            done: Position::START,
            careful_through: Position::START,
            goal: None,
            attempts: Attempts::default(),
            head_asked: now,
            save_due: now,
            lingers_until: now,
        }
    }

    /// Follows the store for ever, or until what is being built can replace what readers see.
    pub(super) async fn follow(&mut self) -> Result<(), ProjectionError> {
        loop {
            match self.attempt().await {
                Ok(()) => return Ok(()),
                Err(setback) => self.recover(setback).await?,
            }
        }
    }

    /// Makes what was built current.
    pub(super) async fn take_over(&mut self) -> Result<(), ProjectionError> {
        while let Err(setback) = self.promote().await {
            self.recover(setback).await?;
            self.follow().await?;
        }
        self.engine.publisher.switched::<P>(self.model, self.done);
        Ok(())
    }

    /// Commits progress over nothing before the follower goes. Without it the next run reads a little more.
    pub(super) async fn save_at_the_end(mut self) {
        if let Err(setback) = self.save().await
            && let Setback::Failed { failure, .. } = setback
        {
            tracing::warn!(projection = P::NAME, error = %failure, "the last progress was not saved");
        }
    }

    /// One pass from the checkpoint on. It ends when the goal is reached or something fails.
    async fn attempt(&mut self) -> Result<(), Setback> {
        let info = self.engine.store.info().await.map_err(|error| self.store_failed(error))?;
        self.engine.publisher.head(info.head);
        self.head_asked = Instant::now();
        if self.role == Role::Next {
            self.goal.get_or_insert(info.head);
        }
        self.resume(&info).await?;
        let read = Read::new(self.engine.query.clone()).from(ReadFrom::After(self.done)).follow();
        let mut batches = self.engine.store.read(read);
        let mut work = None;
        loop {
            let deadline = work.as_ref().map(|work: &Work<P>| work.deadline);
            self.linger().await;
            match self.next(&mut batches, deadline).await? {
                Some(batch) => self.take(batch, &mut work).await?,
                None => match work.take() {
                    Some(work) => self.commit(work, false).await?,
                    None => self.save().await?,
                },
            }
            if self.has_arrived() {
                return Ok(());
            }
        }
    }

    /// Finds out where to go on: after the checkpoint, or after what is known not to match behind it.
    async fn resume(&mut self, info: &Info) -> Result<(), Setback> {
        let mut found = self.engine.view.checkpoint(self.model).await.map_err(|error| view_failed(error, self.done))?;
        if found.is_none() {
            let created = self.engine.create(self.model, info).await;
            created.map_err(|failure| Setback::Failed { what: What::Create, failure, beyond: Position::START })?;
            found = self.engine.view.checkpoint(self.model).await.map_err(|error| view_failed(error, self.done))?;
        }
        let checkpoint = found.unwrap_or(info.checkpoint(Position::START));
        info.admits(&checkpoint)
            .map_err(|source| Setback::Fatal(ProjectionError::Checkpoint { name: P::NAME, source }))?;
        if self.saved != Some(checkpoint) {
            (self.saved, self.done) = (Some(checkpoint), checkpoint.position);
            self.engine.publisher.progress(self.role, self.done, false);
        }
        Ok(())
    }

    /// Lets events gather for a moment where they keep coming, unless somebody waits for them. Nothing is read meanwhile and
    /// no transaction is open, so there is nothing to lose and nothing to undo.
    async fn linger(&self) {
        if Instant::now() < self.lingers_until {
            tokio::select! {
                () = sleep_until(self.lingers_until) => {}
                () = self.engine.waiting.someone() => {}
            }
        }
    }

    /// The next batch; `None` when something is to be committed first.
    async fn next(
        &mut self,
        batches: &mut BatchStream,
        deadline: Option<Instant>,
    ) -> Result<Option<EventBatch>, Setback> {
        let unsaved = self.saved.is_some_and(|saved| saved.position < self.done);
        let deadline = deadline.or(unsaved.then_some(self.save_due));
        let next = match deadline {
            Some(deadline) => match timeout_at(deadline, batches.next()).await {
                Ok(next) => next,
                Err(_) => return Ok(None),
            },
            None => batches.next().await,
        };
        match next {
            Some(Ok(batch)) => Ok(Some(batch)),
            Some(Err(error)) => Err(self.store_failed(error)),
            None => Err(self.store_failed(ReadError::Failed("a read that follows has ended".into()))),
        }
    }

    /// Brings one batch into the read model.
    async fn take(&mut self, batch: EventBatch, work: &mut Option<Work<P>>) -> Result<(), Setback> {
        if batch.caught_up() {
            self.lingers_until = Instant::now() + self.engine.options.linger;
        }
        if self.attempts.store_answered() {
            self.engine.publisher.failure(self.role, None);
        }
        match batch.iter().next() {
            Some(first) if first.position <= self.careful_through => self.apply_singly(&batch).await?,
            Some(_) => {
                let mut under_way = match work.take() {
                    Some(work) => work,
                    None => {
                        let tx = self.begin_at_checkpoint(batch.through()).await?;
                        Work::new(tx, &batch, self.done, &self.engine.options)
                    }
                };
                self.apply(&mut under_way, &batch).await?;
                *work = Some(under_way);
            }
            None => {}
        }
        match work.take() {
            Some(mut done) => {
                done.through = batch.through();
                if done.is_full(&self.engine.options) || batch.caught_up() {
                    self.commit(done, batch.caught_up()).await?;
                } else {
                    *work = Some(done);
                }
            }
            None => self.reached(batch.through(), batch.caught_up()),
        }
        if !batch.caught_up() && self.head_asked.elapsed() >= HEAD_EVERY {
            let info = self.engine.store.info().await.map_err(|error| self.store_failed(error))?;
            self.engine.publisher.head(info.head);
            self.head_asked = Instant::now();
        }
        Ok(())
    }

    /// Begins a transaction, if the read model is still where this follower left it.
    async fn begin_at_checkpoint(&mut self, beyond: Position) -> Result<Tx<P>, Setback> {
        let begun = Instant::now();
        let (tx, checkpoint) = self.engine.view.begin(self.model).await.map_err(|error| view_failed(error, beyond))?;
        self.engine.meter.committing(begun.elapsed());
        if checkpoint == self.saved { Ok(tx) } else { Err(Setback::Moved) }
    }

    /// Applies a batch in the transaction under way.
    async fn apply(&mut self, work: &mut Work<P>, batch: &EventBatch) -> Result<(), Setback> {
        let (through, begun) = (batch.through(), Instant::now());
        let decoded: Result<Vec<_>, _> =
            (0..batch.len()).map(|index| Recorded::decode(batch.buffer(), index)).collect();
        let events = decoded.map_err(|error| Setback::Narrow { through, error: with_causes(&error) })?;
        work.count(batch, &self.engine.meter);
        self.engine.meter.decoded(begun.elapsed());
        let applied = self.engine.apply(&mut work.tx, &events).await;
        applied.map_err(|failure| failed_together(work.events, &work.first, through, failure))
    }

    /// Applies each event of a batch in a transaction of its own.
    async fn apply_singly(&mut self, batch: &EventBatch) -> Result<(), Setback> {
        for index in 0..batch.len() {
            let envelope = batch.buffer().get(index);
            let (place, beyond) = (EventPlace::of(&envelope), envelope.position);
            let event = Recorded::decode(batch.buffer(), index).map_err(|source| {
                Setback::Fatal(ProjectionError::Undecodable {
                    name: P::NAME,
                    event: place.clone(),
                    source: source.into(),
                })
            })?;
            let mut tx = self.begin_at_checkpoint(beyond).await?;
            let failed = |failure| Setback::Failed { what: What::Event(place), failure, beyond };
            if let Err(failure) = self.engine.apply(&mut tx, std::slice::from_ref(&event)).await {
                return Err(failed(failure));
            }
            if let Err(error) = self.commit_at(tx, beyond).await {
                return Err(failed(error));
            }
            self.engine.meter.committed(1, &[(envelope.recorded, 1)]);
            self.reached(beyond, false);
        }
        Ok(())
    }

    /// Commits a transaction of several events.
    async fn commit(&mut self, work: Work<P>, caught_up: bool) -> Result<(), Setback> {
        let Work { tx, events, through, first, recorded, .. } = work;
        if let Err(failure) = self.commit_at(tx, through).await {
            return Err(failed_together(events, &first, through, failure));
        }
        self.engine.meter.committed(events as u64, &recorded);
        self.reached(through, caught_up);
        Ok(())
    }

    /// Commits progress over nothing, if there is any.
    async fn save(&mut self) -> Result<(), Setback> {
        let through = self.done;
        if self.saved.is_none_or(|saved| saved.position >= through) {
            return Ok(());
        }
        let tx = self.begin_at_checkpoint(through).await?;
        let committed = self.commit_at(tx, through).await;
        committed.map_err(|failure| Setback::Failed { what: What::View, failure, beyond: through })?;
        self.reached(through, true);
        Ok(())
    }

    /// Commits `tx` with the checkpoint at `position`.
    async fn commit_at(&mut self, tx: Tx<P>, position: Position) -> Result<(), Failure> {
        let checkpoint = Checkpoint { position, ..self.saved.ok_or("there is no checkpoint to move")? };
        let begun = Instant::now();
        self.engine.view.commit(tx, checkpoint).await?;
        self.engine.meter.committing(begun.elapsed());
        self.saved = Some(checkpoint);
        Ok(())
    }

    async fn promote(&mut self) -> Result<(), Setback> {
        self.save().await?;
        let promoted = self.engine.view.promote(self.model).await;
        promoted.map_err(|error| view_failed(error, self.done))
    }

    /// Everything up to `through` is committed or does not match: tells readers, and ends a row of failures.
    fn reached(&mut self, through: Position, caught_up: bool) {
        let saved = self.saved.map_or(Position::START, |saved| saved.position);
        if saved >= self.done {
            self.save_due = Instant::now() + self.engine.options.progress_every;
        }
        self.done = self.done.max(through);
        if self.attempts.reached(saved, self.done) {
            self.engine.publisher.failure(self.role, None);
            tracing::info!(projection = P::NAME, position = %self.done, "the projection goes on");
        }
        self.engine.publisher.progress(self.role, self.done, caught_up);
    }

    /// Whether what is being built has all that was there when it began, and all that readers see.
    fn has_arrived(&self) -> bool {
        self.goal.is_some_and(|goal| self.done >= goal && self.done >= self.engine.publisher.at())
    }

    /// Reports what went wrong and waits until it is to be tried again.
    async fn recover(&mut self, setback: Setback) -> Result<(), ProjectionError> {
        let projection = P::NAME;
        match setback {
            Setback::Moved => {
                self.saved = None;
                tracing::warn!(projection, "the checkpoint was moved by another writer; reading on from there");
                Ok(())
            }
            Setback::Narrow { through, error } => {
                self.careful_through = through;
                tracing::warn!(projection, %through, error, "a batch failed; its events are applied one by one");
                Ok(())
            }
            Setback::Failed { what, failure, beyond } => {
                let retry = &self.engine.options.retry;
                let (report, wait) = self.attempts.failed(&what, &failure, beyond, retry);
                let FailureReport { event, error, attempts, .. } = &report;
                let event = event.as_ref().map(tracing::field::display);
                tracing::error!(projection, event, attempts, error, ?wait, "the projection cannot go on");
                self.engine.publisher.failure(self.role, Some(report.clone()));
                let wait = wait.ok_or_else(|| what.into_error::<P>(report.attempts, failure.into_source()))?;
                tokio::time::sleep(wait).await;
                Ok(())
            }
            Setback::Fatal(error) => {
                let event = match &error {
                    ProjectionError::Undecodable { event, .. } => Some(event.clone()),
                    _ => None,
                };
                let (text, since) = (with_causes(&error), Timestamp::now());
                let report = FailureReport { event, error: text, attempts: 1, since, next: None };
                self.engine.publisher.failure(self.role, Some(report));
                Err(error)
            }
        }
    }

    fn store_failed(&self, error: ReadError) -> Setback {
        match error {
            ReadError::Failed(_) => {
                let beyond = Position(self.done.0 + 1);
                Setback::Failed { what: What::Store, failure: error.into(), beyond }
            }
            ReadError::BeyondHead { position, head } => {
                let source = CheckpointError::BeyondHead { position, head };
                Setback::Fatal(ProjectionError::Checkpoint { name: P::NAME, source })
            }
            error => Setback::Fatal(ProjectionError::Store { name: P::NAME, source: error.into() }),
        }
    }
}

fn view_failed(error: impl Into<Failure>, beyond: Position) -> Setback {
    Setback::Failed { what: What::View, failure: error.into(), beyond }
}

/// What a failed transaction of so many events means: one event is to blame itself, several are to be told apart.
fn failed_together(events: usize, first: &EventPlace, through: Position, failure: Failure) -> Setback {
    if events == 1 {
        Setback::Failed { what: What::Event(first.clone()), failure, beyond: first.position }
    } else {
        Setback::Narrow { through, error: failure.to_string() }
    }
}
