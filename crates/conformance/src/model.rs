//! Random histories, played to a store and to the reference model side by side.
//!
//! A seed makes a history and replays it. Answers are compared by their structure: receipts and events are equal, and
//! an error is one that the reference finds true of the same append, because a store may name any check that fails.

mod answers;
mod history;
mod reading;

use std::sync::Arc;

use mainspring_event::{NewEvent, Position, StoredEvent};
use mainspring_store::{Append, Clock, EventStore, MemoryStore};

use crate::{Backend, Capability, ManualClock, subject::Subject};
use history::{History, Step};

/// Plays the history that `seed` makes, `steps` calls long, to a fresh store of `backend` and to the reference model.
///
/// # Panics
/// At the first call that the two answer differently; the message names the seed and the step.
pub async fn agrees_with_the_reference(backend: &dyn Backend, seed: u64, steps: usize) {
    let lacks = |capability| backend.opt_outs().iter().any(|opt_out| opt_out.lacks == capability);
    let timed = !lacks(Capability::ManualClock);
    let (subject, clock) = Subject::open_with_clock(backend).await;
    let reference = MemoryStore::with_clock(clock.clone());
    let mut pair = Pair { subject, reference, clock, written: Vec::new(), removing: false, timed, call: String::new() };
    let mut history = History::new(seed, timed);
    for number in 1..=steps {
        let step = history.next(&pair).await;
        pair.call = format!("seed {seed}, step {number}: {step:?}");
        match step {
            Step::Append(append) => {
                if pair.append(append.clone()).await {
                    history.taken(append);
                }
            }
            Step::Read(read) => pair.read(read).await,
            Step::Wait(time) => pair.clock.advance(time),
            Step::SetBack(time) => pair.clock.set(pair.clock.now() - time),
            Step::Reopen if lacks(Capability::Reopen) => {}
            Step::Reopen => pair.subject = pair.subject.reopen().await,
        }
    }
}

/// A store and the reference, to which the same has been said.
struct Pair {
    subject: Subject,
    reference: MemoryStore,
    clock: Arc<ManualClock>,
    /// Every event ever written, removed or not, by position.
    written: Vec<StoredEvent>,
    /// Whether anything may have been removed: then only stream reads have to agree exactly.
    removing: bool,
    /// Whether the store takes its time from the clock of the reference.
    timed: bool,
    /// What is being done, for the message of a difference.
    call: String,
}

impl Pair {
    /// Appends to both and says whether both have taken it.
    async fn append(&mut self, append: Append) -> bool {
        let recorded = self.clock.now().max(self.written.last().map_or(jiff::Timestamp::MIN, |last| last.recorded));
        let head = Position(self.written.len() as u64);
        let expected = self.reference.append(append.clone()).await;
        let actual = self.subject.within(self.subject.append(append.clone()), &self.call).await;
        match (expected, actual) {
            (Ok(expected), Ok(actual)) => {
                assert_eq!(actual, expected, "{}", self.call);
                let new = append.events.into_iter().zip(expected.written);
                self.written.extend(new.filter(|(_, at)| at.position > head).map(|(event, at)| StoredEvent {
                    event,
                    version: at.version,
                    position: at.position,
                    recorded,
                }));
                self.removing |= !append.changes.is_empty();
                true
            }
            (Err(expected), Err(actual)) => {
                self.assert_true(&append, &expected, &actual).await;
                false
            }
            (expected, actual) => panic!("{}\nis answered with {actual:?}\nand must be with {expected:?}", self.call),
        }
    }

    /// Where the reference has come to.
    fn head(&self) -> Position {
        Position(self.written.len() as u64)
    }

    /// Whether every one of these events is retained, so that its id is surely known.
    async fn retains(&self, events: &[NewEvent]) -> bool {
        let ids = mainspring_store::Query::Ids(events.iter().map(|event| event.id).collect());
        let found = crate::subject::collect(&self.reference, mainspring_store::Read::new(ids)).await;
        found.len() == events.len()
    }
}
