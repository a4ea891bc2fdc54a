//! Group commit without a writer thread: whoever finds the store idle commits in place.
//!
//! Waking another thread costs about half a sync on a small machine, so a caller that finds nobody committing does it
//! itself, without a pause in which it could be left alone. What queues up meanwhile is committed by a task of the runtime,
//! group after group, until nothing waits: it does not depend on any caller being polled.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use mainspring_store::{AppendError, Appended};
use tokio::sync::oneshot;

use crate::{
    commit::{CommitPlace, Committer},
    prepare::Prepared,
};

/// The task lets others join for so many turns of the runtime …
const TURNS: usize = 8;

/// … or until so many wait.
const ENOUGH: usize = 128;

/// An append that waits for its commit.
pub(crate) struct Pending {
    pub(crate) prepared: Prepared,
    pub(crate) reply: oneshot::Sender<Reply>,
}

/// What came of an append, and the append: its caller frees it, while the committer goes on.
pub(crate) struct Reply {
    pub(crate) result: Result<Appended, AppendError>,
    pub(crate) prepared: Prepared,
}

/// The appends that wait, and the committer for whoever leads.
pub(crate) struct Queue {
    state: Mutex<State>,
    /// Locked by whoever leads, and by nobody else while appends go on.
    committer: Mutex<Committer>,
}

#[derive(Default)]
struct State {
    led: bool,
    waiting: VecDeque<Pending>,
}

/// The right and the duty to commit what has queued up.
struct Lead {
    queue: Arc<Queue>,
    /// Whether the duty was ended in order.
    resigned: bool,
}

impl Queue {
    pub(crate) fn new(committer: Committer) -> Self {
        Self { state: Mutex::default(), committer: Mutex::new(committer) }
    }

    /// Appends, in place if nobody else does.
    ///
    /// Dropping the future before it was polled does nothing; later, the append is committed or not, as a whole.
    pub(crate) async fn append(self: &Arc<Self>, prepared: Prepared) -> Result<Appended, AppendError> {
        let (reply, answer) = oneshot::channel();
        let pending = Pending { prepared, reply };
        if let Some(lead) = self.join(pending) {
            if self.commit_place() == CommitPlace::Caller {
                self.committer().commit(lead.drain());
                lead.pass_on();
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
        state.waiting.push_back(pending);
        let idle = !state.led;
        state.led = true;
        idle.then(|| Lead { queue: self.clone(), resigned: false })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn len(&self) -> usize {
        self.lock().waiting.len()
    }
}

impl Lead {
    /// Takes what has queued up. Callers that have gone away are left out: their appends have not begun.
    fn drain(&self) -> Vec<Pending> {
        let waiting = std::mem::take(&mut self.queue.lock().waiting);
        waiting.into_iter().filter(|pending| !pending.reply.is_closed()).collect()
    }

    /// Ends leading if nothing waits, or else lets a task go on.
    fn pass_on(mut self) {
        if !self.resign() {
            self.spawn();
        }
    }

    /// Ends leading if nothing waits.
    fn resign(&mut self) -> bool {
        let mut state = self.queue.lock();
        self.resigned = state.waiting.is_empty();
        state.led = !self.resigned;
        self.resigned
    }

    /// Leads in a task until nothing waits. It is not joined: it ends by itself, and closing the store waits for the
    /// commit it is at.
    fn spawn(mut self) {
        tokio::spawn(async move {
            loop {
                self.gather().await;
                self.commit().await;
                if self.resign() {
                    return;
                }
            }
        });
    }

    /// Lets others join while the queue still grows.
    async fn gather(&self) {
        let mut before = self.queue.len();
        for _ in 0..TURNS {
            tokio::task::yield_now().await;
            let now = self.queue.len();
            if now == before || now >= ENOUGH {
                return;
            }
            before = now;
        }
    }

    /// Commits what has queued up: in place, or on a blocking thread where syncs are slow.
    async fn commit(&self) {
        let group = self.drain();
        if self.queue.commit_place() != CommitPlace::BlockingThread {
            return self.queue.committer().commit(group);
        }
        let queue = self.queue.clone();
        let committed = tokio::task::spawn_blocking(move || queue.committer().commit(group)).await;
        if let Err(error) = committed {
            // The callers are told by their answers, and the committer takes no more events.
            tracing::error!(%error, "a commit did not come to its end");
        }
    }
}

impl Drop for Lead {
    /// The task ends early only with its runtime, and a commit in place only by a panic: then nobody is left to lead.
    fn drop(&mut self) {
        if !self.resigned {
            // Those whose commit panicked learn of it here, and not when the next append comes.
            drop(self.queue.committer());
            let mut state = self.queue.lock();
            state.led = false;
            for Pending { prepared, reply } in std::mem::take(&mut state.waiting) {
                let gone = AppendError::Failed(
                    "nobody is left to commit it: the runtime was shut down, or a commit panicked".into(),
                );
                drop(reply.send(Reply { result: Err(gone), prepared }));
            }
        }
    }
}
