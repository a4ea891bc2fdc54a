//! Group commit without a writer thread: whoever finds the store idle commits in place.
//!
//! Waking another thread costs about half a sync on a small machine, so a caller that finds nobody committing does it
//! itself, without a pause in which it could be left alone. What queues up meanwhile is committed by a task of the runtime,
//! group after group, until nothing waits: it does not depend on any caller being polled.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use mainspring_store::{AppendError, Appended};
use tokio::sync::oneshot;

use crate::{
    commit::{CommitPlace, Committer},
    prepare::Prepared,
};

/// The task lets others join until so many events wait …
const ENOUGH: usize = 512;

/// … or for so many turns of the runtime in which nobody came …
const IDLE_TURNS: usize = 2;

/// … or, while those who were answered last may come again, for this long: a part of what a sync takes.
const PATIENCE: Duration = Duration::from_micros(40);

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

/// The appends that wait, and the committer for whoever leads.
pub(crate) struct Queue {
    state: Mutex<State>,
    /// Locked by whoever leads, and by nobody else while appends go on.
    committer: Mutex<Committer>,
    /// How long those are waited for who were answered last.
    patience: Duration,
}

#[derive(Default)]
struct State {
    led: bool,
    waiting: Vec<Pending>,
    /// How many events they have.
    events: usize,
}

/// The right and the duty to commit what has queued up.
struct Lead {
    /// Waiting for more does not keep a store open that everyone has dropped.
    queue: Weak<Queue>,
    /// Whether the duty was ended in order.
    resigned: bool,
}

impl Queue {
    pub(crate) fn new(committer: Committer) -> Self {
        let patience = if committer.is_replayable() { Duration::ZERO } else { PATIENCE };
        Self { state: Mutex::default(), committer: Mutex::new(committer), patience }
    }

    /// Appends, in place if nobody else does.
    ///
    /// Dropping the future before it was polled does nothing; later, the append is committed or not, as a whole.
    pub(crate) async fn append(self: &Arc<Self>, prepared: Box<Prepared>) -> Result<Appended, AppendError> {
        let (reply, answer) = oneshot::channel();
        let pending = Pending { prepared, reply };
        if let Some(lead) = self.join(pending) {
            if self.commit_place() == CommitPlace::Caller {
                let answers = self.committer().commit(self.drain());
                answers.give();
                lead.pass_on(self);
            } else {
                lead.spawn();
            }
        }
        match answer.await {
            Ok(Reply { result, prepared }) => {
                drop(prepared);
                result
            }
            Err(_) => Err(AppendError::Unknown("its commit was abandoned by a panic".into())),
        }
    }

    /// The committer. After a panic it takes no more events.
    pub(crate) fn committer(&self) -> MutexGuard<'_, Committer> {
        self.committer.lock().unwrap_or_else(|panicked| {
            self.committer.clear_poison();
            let mut committer = panicked.into_inner();
            committer.abandon();
            committer
        })
    }

    fn commit_place(&self) -> CommitPlace {
        self.committer().commit_place()
    }

    /// Queues an append; its caller leads if nobody does.
    fn join(self: &Arc<Self>, pending: Pending) -> Option<Lead> {
        let mut state = self.lock();
        state.events += pending.prepared.append.events.len();
        state.waiting.push(pending);
        let idle = !state.led;
        state.led = true;
        idle.then(|| Lead { queue: Arc::downgrade(self), resigned: false })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what has queued up. Callers that have gone away are left out: their appends have not begun.
    fn drain(&self) -> Vec<Pending> {
        let mut waiting = {
            let mut state = self.lock();
            state.events = 0;
            std::mem::take(&mut state.waiting)
        };
        waiting.retain(|pending| !pending.reply.is_closed());
        waiting
    }

    /// How many appends wait, and how many events they have.
    fn waiting(&self) -> (usize, usize) {
        let state = self.lock();
        (state.waiting.len(), state.events)
    }
}

impl Lead {
    /// Ends leading if nothing waits, or else lets a task go on.
    fn pass_on(mut self, queue: &Queue) {
        if !self.resign(queue) {
            self.spawn();
        }
    }

    /// Ends leading if nothing waits.
    fn resign(&mut self, queue: &Queue) -> bool {
        let mut state = queue.lock();
        self.resigned = state.waiting.is_empty();
        state.led = !self.resigned;
        self.resigned
    }

    /// Leads in a task until nothing waits. It is not joined: it ends by itself, and closing the store waits for the
    /// commit it is at.
    fn spawn(mut self) {
        tokio::spawn(async move {
            let mut expected = 0;
            while let Some(queue) = self.gather(expected).await {
                // Who came too late for this group belongs to the next one.
                expected = commit(&queue).await + queue.waiting().0;
                // Of several who were answered together the first to come again would commit alone, while the others wait.
                if expected <= 1 && self.resign(&queue) {
                    return;
                }
            }
        });
    }

    /// Lets others join while the queue still grows, or until as many as were answered together last have come again:
    /// without that, callers who append one event after the other would fall into groups that wait for each other's syncs.
    /// Nothing if the store is dropped meanwhile: then nobody waits.
    async fn gather(&self, expected: usize) -> Option<Arc<Queue>> {
        let begun = Instant::now();
        let mut before = 0;
        let mut idle = 0;
        loop {
            let queue = self.queue.upgrade()?;
            let (appends, events) = queue.waiting();
            idle = if appends == before { idle + 1 } else { 0 };
            let awaited = appends < expected && begun.elapsed() < queue.patience;
            if events >= ENOUGH || (!awaited && (idle >= IDLE_TURNS || appends >= expected)) {
                return Some(queue);
            }
            drop(queue);
            before = appends;
            tokio::task::yield_now().await;
        }
    }
}

/// Commits what has queued up: in place, or on a blocking thread where syncs are slow. Answers how many it were.
async fn commit(queue: &Arc<Queue>) -> usize {
    let group = queue.drain();
    let appends = group.len();
    if group.is_empty() {
        return appends;
    }
    if queue.commit_place() != CommitPlace::BlockingThread {
        let answers = queue.committer().commit(group);
        answers.give();
        return appends;
    }
    let queue = queue.clone();
    match tokio::task::spawn_blocking(move || queue.committer().commit(group)).await {
        Ok(answers) => answers.give(),
        // The callers are told by there being no answer, and the committer takes no more events.
        Err(error) => tracing::error!(%error, "a commit did not come to its end"),
    }
    appends
}

impl Drop for Lead {
    /// The task ends early only with its runtime, and a commit in place only by a panic: then nobody is left to lead.
    fn drop(&mut self) {
        if !self.resigned
            && let Some(queue) = self.queue.upgrade()
        {
            // Those whose commit panicked learn of it here, and not when the next append comes.
            drop(queue.committer());
            let mut state = queue.lock();
            state.led = false;
            state.events = 0;
            for Pending { prepared, reply } in std::mem::take(&mut state.waiting) {
                let gone = AppendError::Failed(
                    "nobody is left to commit it: the runtime was shut down, or a commit panicked".into(),
                );
                drop(reply.send(Reply { result: Err(gone), prepared }));
            }
        }
    }
}
