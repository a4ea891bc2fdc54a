//! Group commit without a writer thread: callers take their appends up themselves, and whoever finds the store idle
//! carries them to the disk.
//!
//! Waking another thread costs about half a sync on a small machine, so a caller that finds nobody committing does it
//! itself, without a pause in which it could be left alone. What comes meanwhile is taken up at once, by whoever comes,
//! behind what is on its way to the disk; a task of the runtime carries it there, group after group, until nothing waits:
//! it does not depend on any caller being polled.

mod lead;

use std::{
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError},
    time::Duration,
};

use mainspring_store::{AppendError, Appended};
use tokio::sync::oneshot;

use crate::{
    commit::{Answers, CommitPlace, Committer, Flight},
    prepare::Prepared,
};
use lead::{Lead, PATIENCE};

/// So many events are enough for a flight; a caller that takes up for others takes so many at once.
const ENOUGH: usize = 512;

/// An append that waits for its commit.
pub(crate) struct Pending {
    pub(crate) prepared: Box<Prepared>,
    pub(crate) reply: oneshot::Sender<Reply>,
}

/// What came of an append, and the append: its caller frees it, while the committer goes on.
pub(crate) struct Reply {
    pub(crate) result: Result<Appended, AppendError>,
    pub(crate) prepared: Box<Prepared>,
}

/// The appends that wait, and the committer for whoever is quick.
pub(crate) struct Queue {
    state: Mutex<State>,
    /// Locked while appends are taken up, and not during a flight.
    committer: Mutex<Committer>,
    /// Told when a flight has landed.
    landed: Condvar,
    /// How long those are waited for who were answered last.
    patience: Duration,
}

#[derive(Default)]
struct State {
    led: bool,
    /// Nobody has taken these up.
    waiting: Vec<Pending>,
    /// They are left to whoever leads: the first depends on a flush, or a flight is about to land.
    left: bool,
    /// How many appends are not answered yet, those that wait among them. After a panic it may be too small, and the store
    /// takes nothing more.
    open: usize,
    /// How many events were brought since the last flight departed, taken up or not.
    events: usize,
}

impl Queue {
    pub(crate) fn new(committer: Committer) -> Self {
        let patience = if committer.is_replayable() { Duration::ZERO } else { PATIENCE };
        Self { state: Mutex::default(), committer: Mutex::new(committer), landed: Condvar::new(), patience }
    }

    /// Appends, in place if nobody else does.
    ///
    /// Dropping the future before it was polled does nothing; later, the append is committed or not, as a whole.
    pub(crate) async fn append(self: &Arc<Self>, prepared: Box<Prepared>) -> Result<Appended, AppendError> {
        let (reply, answer) = oneshot::channel();
        match self.join(Pending { prepared, reply }) {
            Some(lead) if self.commit_place() == CommitPlace::Caller => {
                self.get_ready();
                drop(self.fly());
                lead.pass_on(self);
            }
            Some(lead) => lead.spawn(),
            None => self.take_up_ahead(),
        }
        match answer.await {
            Ok(Reply { result, prepared }) => {
                drop(prepared);
                result
            }
            Err(_) => Err(AppendError::Unknown("its commit was abandoned by a panic".into())),
        }
    }

    /// Commits what has been taken up, and closes the log.
    pub(crate) fn close(&self) -> io::Result<()> {
        let mut committer = self.grounded();
        let closed = committer.close();
        let answers = self.answers(&mut committer);
        drop(committer);
        drop(answers);
        closed
    }

    /// The committer, with the log at hand. Waits for a flight that somebody carries, and carries one that is ready.
    pub(crate) fn grounded(&self) -> MutexGuard<'_, Committer> {
        let mut committer = self.landed();
        committer.finish_flight();
        committer
    }

    /// The committer, once nobody carries a flight.
    fn landed(&self) -> MutexGuard<'_, Committer> {
        let mut committer = self.committer();
        while committer.is_away() {
            committer = self.landed.wait(committer).unwrap_or_else(|panicked| self.recover(panicked));
        }
        committer
    }

    /// The committer. After a panic it takes no more events.
    fn committer(&self) -> MutexGuard<'_, Committer> {
        self.committer.lock().unwrap_or_else(|panicked| self.recover(panicked))
    }

    fn commit_place(&self) -> CommitPlace {
        self.committer().commit_place()
    }

    fn recover<'a>(&self, panicked: PoisonError<MutexGuard<'a, Committer>>) -> MutexGuard<'a, Committer> {
        self.committer.clear_poison();
        let mut committer = panicked.into_inner();
        committer.abandon();
        self.forget_taken();
        committer
    }

    /// Notes that a panic has answered all that was taken up.
    fn forget_taken(&self) {
        let mut state = self.lock();
        state.open = state.waiting.len();
    }

    /// Queues an append; its caller leads if nobody does.
    fn join(self: &Arc<Self>, pending: Pending) -> Option<Lead> {
        let mut state = self.lock();
        state.open += 1;
        state.events += pending.prepared.append.events.len();
        state.waiting.push(pending);
        let idle = !state.led;
        state.led = true;
        idle.then(|| Lead::of(self))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes up what has queued up, and gets ready what is to be carried to the disk.
    fn get_ready(&self) {
        let mut committer = self.grounded();
        let group = {
            let mut state = self.lock();
            (state.events, state.left) = (0, false);
            state.take(usize::MAX)
        };
        committer.take_up(group);
        committer.get_ready();
    }

    /// Takes up, behind a flight that somebody carries, what has queued up as far as it need not be flushed for. Whoever is
    /// at it already takes up all.
    ///
    /// As long as nobody is in the air it is left to whoever leads: one processor after the other would wait for what the
    /// one before has just written.
    fn take_up_ahead(&self) {
        while self.has_free_work() {
            let mut committer = match self.committer.try_lock() {
                Ok(committer) => committer,
                Err(TryLockError::Poisoned(panicked)) => self.recover(panicked),
                Err(TryLockError::WouldBlock) => return,
            };
            if !committer.is_flying() {
                return;
            }
            // The flight cannot land meanwhile, so no more than a part at once.
            let group = self.lock().take(ENOUGH);
            let left = committer.take_up_ahead(group);
            if !left.is_empty() {
                let mut state = self.lock();
                state.waiting.splice(..0, left);
                state.left = true;
            }
        }
    }

    /// Whether something waits that may be taken up by anybody.
    fn has_free_work(&self) -> bool {
        let state = self.lock();
        !state.left && !state.waiting.is_empty()
    }

    /// Carries what is ready to the disk; meanwhile others take up more. Answers what is to be told.
    fn fly(&self) -> Answers {
        let flight = {
            let mut committer = self.committer();
            match committer.take_off() {
                Some(flight) => flight,
                // Nothing had to be written, or somebody who needed the log has carried it.
                None => return self.answers(&mut committer),
            }
        };
        let mut carried = Carried { queue: self, flight: Some(flight) };
        if let Some(flight) = &mut carried.flight {
            flight.fly();
        }
        carried.land()
    }

    /// What is to be told by now. It counts as answered, whoever tells it, and before callers come again.
    fn answers(&self, committer: &mut Committer) -> Answers {
        let answers = committer.answers();
        self.lock().end(answers.len());
        answers
    }

    /// How many appends are not answered yet, and how many events have come since the last flight departed.
    fn open(&self) -> (usize, usize) {
        let state = self.lock();
        (state.open, state.events)
    }
}

impl State {
    /// Takes the first appends with about so many events. Callers that have gone away are left out: their appends have not
    /// begun.
    fn take(&mut self, events: usize) -> Vec<Pending> {
        let mut taken = 0;
        let enough = |pending: &Pending| {
            taken += pending.prepared.append.events.len();
            taken >= events
        };
        let last = self.waiting.iter().position(enough).map_or(self.waiting.len(), |last| last + 1);
        let mut group: Vec<Pending> = if last == self.waiting.len() {
            std::mem::take(&mut self.waiting)
        } else {
            self.waiting.drain(..last).collect()
        };
        group.retain(|pending| !pending.reply.is_closed());
        self.end(last - group.len());
        group
    }

    /// Counts appends as answered. A panic may have forgotten them already.
    fn end(&mut self, appends: usize) {
        self.open = self.open.saturating_sub(appends);
    }
}

/// A flight in the hands of whoever carries it.
struct Carried<'a> {
    queue: &'a Queue,
    flight: Option<Box<Flight>>,
}

impl Carried<'_> {
    fn land(mut self) -> Answers {
        // Others are not to keep it from landing.
        self.queue.lock().left = true;
        let mut committer = self.queue.committer();
        if let Some(flight) = self.flight.take() {
            committer.land(*flight);
        }
        self.queue.answers(&mut committer)
    }
}

impl Drop for Carried<'_> {
    /// The disk panicked: what was on its way is lost.
    fn drop(&mut self) {
        if self.flight.take().is_some() {
            self.queue.committer().lose();
            self.queue.forget_taken();
        }
        // Landed, lost, or landing panicked: in any case nobody carries it any more.
        self.queue.landed.notify_all();
    }
}
