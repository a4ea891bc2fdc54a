//! What callers are told, and when: an answer rests on the flush that carries its frame, or on the next one.

use mainspring_store::{AppendError, Appended, StreamChange};
use tokio::sync::oneshot;

use super::{Committer, FlushError, again};
use crate::{prepare::Prepared, queue::Reply};

/// What is to be told to callers, at the latest when it is dropped. Waking them is the business of whoever leads: a runtime
/// is quickest to wake its own tasks.
#[must_use = "callers wait for their answers"]
pub(crate) struct Answers(pub(super) Vec<(oneshot::Sender<Reply>, Reply)>);

impl Answers {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        for (caller, reply) in self.0.drain(..) {
            // It may have gone away; it finds out by repeating the append.
            drop(caller.send(reply));
        }
    }
}

/// What waits for the next sync.
#[derive(Default)]
pub(super) struct Waiting {
    pub(super) answers: Vec<Answer>,
    pub(super) changes: Vec<StreamChange>,
}

/// An answer that is given when what it rests on is durable.
pub(super) struct Answer {
    pub(super) reply: oneshot::Sender<Reply>,
    pub(super) result: Result<Appended, AppendError>,
    pub(super) prepared: Box<Prepared>,
    /// Whether the append's own frame waits.
    pub(super) wrote: bool,
}

impl Committer {
    pub(super) fn tell_waiting(&mut self, outcome: &Result<(), FlushError>) {
        let waiting = std::mem::take(&mut self.waiting);
        self.tell(waiting, outcome);
    }

    /// Finds the answers that rest on a flush with this outcome.
    pub(super) fn tell(&mut self, waiting: Waiting, outcome: &Result<(), FlushError>) {
        for Answer { reply, result, prepared, wrote } in waiting.answers {
            let result = match (outcome, result) {
                (Err(FlushError::Unknown(error)), Ok(_)) if wrote => Err(AppendError::Unknown(again(error).into())),
                (Err(FlushError::Cut(error)), Ok(_)) if wrote => Err(AppendError::Failed(again(error).into())),
                (Err(FlushError::Unknown(error) | FlushError::Cut(error)), Err(AppendError::Conflict(_))) => {
                    Err(AppendError::Failed(again(error).into()))
                }
                // What rests only on what was durable before stands: a repeated append among others.
                (_, result) => result,
            };
            self.answers.push((reply, Reply { result, prepared }));
        }
    }
}
