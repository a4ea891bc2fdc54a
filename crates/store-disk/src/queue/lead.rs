//! Who leads: gathers, and sees that what is ready is carried to the disk.

use std::{
    sync::{Arc, Weak},
    time::{Duration, Instant},
};

use mainspring_store::AppendError;

use super::{ENOUGH, Pending, Queue, Reply};
use crate::commit::CommitPlace;

/// The task lets others join until enough events have come, or for so many turns of the runtime in which nobody came …
const IDLE_TURNS: usize = 2;

/// … or, while those who were answered last may come again, for this long: a part of what a sync takes.
pub(super) const PATIENCE: Duration = Duration::from_micros(40);

/// The right and the duty to commit what has queued up.
pub(super) struct Lead {
    /// Waiting for more does not keep a store open that everyone has dropped.
    queue: Weak<Queue>,
    /// Whether the duty was ended in order.
    resigned: bool,
}

impl Lead {
    pub(super) fn of(queue: &Arc<Queue>) -> Self {
        Self { queue: Arc::downgrade(queue), resigned: false }
    }

    /// Ends leading if nothing waits, or else lets a task go on.
    pub(super) fn pass_on(mut self, queue: &Queue) {
        if !self.resign(queue) {
            self.spawn();
        }
    }

    /// Ends leading if nothing waits.
    fn resign(&mut self, queue: &Queue) -> bool {
        let mut state = queue.lock();
        self.resigned = state.open == 0 && state.waiting.is_empty();
        state.led = !self.resigned;
        self.resigned
    }

    /// Leads in a task until nothing waits, or the store is dropped. It is not joined: it ends by itself, and closing the
    /// store waits for the commit it is at.
    pub(super) fn spawn(mut self) {
        tokio::spawn(async move {
            let mut expected = 0;
            while self.gather(expected).await
                && let Some(answered) = self.commit().await
                && let Some(queue) = self.queue.upgrade()
            {
                // Who came too late for this group belongs to the next one.
                expected = answered + queue.open().0;
                // Of several who were answered together the first to come again would commit alone, while the others wait.
                if expected <= 1 && self.resign(&queue) {
                    return;
                }
            }
        });
    }

    /// Lets others join while the queue still grows, or until as many as were answered together last have come again:
    /// without that, callers who append one event after the other would fall into groups that wait for each other's syncs.
    /// Says no if the store is dropped meanwhile: then nobody waits.
    async fn gather(&self, expected: usize) -> bool {
        let begun = Instant::now();
        let mut before = 0;
        let mut idle = 0;
        loop {
            let Some(queue) = self.queue.upgrade() else { return false };
            let (appends, events) = queue.open();
            idle = if appends == before { idle + 1 } else { 0 };
            let awaited = appends < expected && begun.elapsed() < queue.patience;
            if events >= ENOUGH || (!awaited && (idle >= IDLE_TURNS || appends >= expected)) {
                return true;
            }
            drop(queue);
            before = appends;
            tokio::task::yield_now().await;
        }
    }

    /// Commits what has queued up: in place, or on a blocking thread where that takes long. Answers how many were answered.
    async fn commit(&self) -> Option<usize> {
        let queue = self.queue.upgrade()?;
        let slow = queue.commit_place() == CommitPlace::BlockingThread;
        if !slow {
            queue.get_ready();
        }
        let answers = match queue.commit_place() {
            CommitPlace::Caller => queue.fly(),
            CommitPlace::Task => {
                drop(queue);
                // What really happens at the same time comes in between here.
                for _ in 0..IDLE_TURNS {
                    tokio::task::yield_now().await;
                }
                self.queue.upgrade()?.fly()
            }
            CommitPlace::BlockingThread => {
                let carried = tokio::task::spawn_blocking(move || {
                    // Taking up may flush, too.
                    if slow {
                        queue.get_ready();
                    }
                    queue.fly()
                });
                match carried.await {
                    Ok(answers) => answers,
                    // The callers are told by there being no answer, and the committer takes no more events.
                    Err(error) => {
                        tracing::error!(%error, "a commit did not come to its end");
                        return Some(0);
                    }
                }
            }
        };
        Some(answers.len())
    }
}

impl Drop for Lead {
    /// The task ends early only with its runtime, and a commit in place only by a panic: then nobody is left to lead.
    fn drop(&mut self) {
        if !self.resigned
            && let Some(queue) = self.queue.upgrade()
        {
            // Those whose commit panicked learn of it here, and not when the next append comes.
            let mut committer = queue.landed();
            // First, so that others may lead whatever becomes of the rest.
            let left = std::mem::take(&mut *queue.lock()).waiting;
            committer.settle();
            let answers = committer.answers();
            drop(committer);
            drop(answers);
            for Pending { prepared, reply } in left {
                let gone = AppendError::Failed(
                    "nobody is left to commit it: the runtime was shut down, or a commit panicked".into(),
                );
                drop(reply.send(Reply { result: Err(gone), prepared }));
            }
        }
    }
}
