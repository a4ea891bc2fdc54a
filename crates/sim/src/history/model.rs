//! What must be true of a store: what the reference model holds after all that was acknowledged, and what may be there
//! beside, because its answer was `Unknown`.

use std::{collections::HashMap, sync::Arc};

use jiff::Timestamp;
use mainspring_conformance::ManualClock;
use mainspring_event::{EventId, NewEvent, Position, StreamName};
use mainspring_store::{Append, AppendError, Appended, Clock, EventStore, MemoryStore, Query, Read};

use super::reads::collect;

pub(super) struct Model {
    pub(super) reference: MemoryStore,
    clock: Arc<ManualClock>,
    head: Position,
    heads: HashMap<StreamName, u64>,
    /// The id of every event, by position.
    ids: Vec<EventId>,
    /// What was appended, to be repeated.
    taken: Vec<Append>,
    /// Everything that changed something, with the time at which it was sent.
    log: Vec<(Append, Timestamp)>,
    /// Appends whose fate is unknown, in the order in which they were sent, with the time at which that was.
    pub(super) pending: Vec<(Append, Timestamp)>,
}

impl Model {
    pub(super) fn new(now: Timestamp) -> Self {
        let clock = Arc::new(ManualClock::at(now));
        Self {
            reference: MemoryStore::with_clock(clock.clone()),
            clock,
            head: Position::START,
            heads: HashMap::new(),
            ids: Vec::new(),
            taken: Vec::new(),
            log: Vec::new(),
            pending: Vec::new(),
        }
    }

    /// Tells it what time it is.
    pub(super) fn set(&self, now: Timestamp) {
        self.clock.set(now);
    }

    /// What the store must answer to an append that was sent at this time and not hindered by anything.
    pub(super) async fn append(&mut self, append: &Append, sent: Timestamp) -> Result<Appended, AppendError> {
        self.clock.set(sent);
        let appended = self.reference.append(append.clone()).await?;
        let new = appended.written.last().is_some_and(|last| last.position > self.head);
        if new {
            for (event, written) in append.events.iter().zip(&appended.written) {
                self.heads.insert(event.stream.clone(), written.version.0);
                self.ids.push(event.id);
            }
            self.head = appended.position;
            self.taken.push(append.clone());
        }
        if new || (append.events.is_empty() && !append.changes.is_empty()) {
            self.log.push((append.clone(), sent));
        }
        Ok(appended)
    }

    /// How many appends have changed something.
    pub(super) fn log(&self) -> usize {
        self.log.len()
    }

    /// A model of the history as it was after so many of these.
    ///
    /// # Errors
    /// When that history cannot be told twice.
    pub(super) async fn as_of(&self, log: usize) -> Result<Self, String> {
        let now = self.clock.now();
        let mut then = Self::new(now);
        for (append, sent) in &self.log[..log] {
            let again = then.append(append, *sent).await;
            again.map_err(|error| format!("{append:?}\n  was taken once, and is answered {error:?}"))?;
        }
        then.set(now);
        Ok(then)
    }

    /// Notes an append that may or may not be written.
    ///
    /// One with the id of another whose fate is unknown is not written beside that: ids are looked up first.
    pub(super) fn in_doubt(&mut self, append: &Append, sent: Timestamp) {
        let known = |event: &NewEvent| self.pending.iter().any(|(other, _)| has_id(other, event.id));
        if !append.events.iter().any(known) {
            self.pending.push((append.clone(), sent));
        }
    }

    /// Whether the fate of an append with one of these ids is unknown.
    pub(super) fn doubts(&self, append: &Append) -> bool {
        append.events.iter().any(|event| self.pending.iter().any(|(other, _)| has_id(other, event.id)))
    }

    /// Position of the newest event.
    pub(super) fn head(&self) -> Position {
        self.head
    }

    /// The version a stream stands at.
    pub(super) fn version(&self, stream: &StreamName) -> u64 {
        self.heads.get(stream).copied().unwrap_or(0)
    }

    /// The ids of all events, by position.
    pub(super) fn ids(&self) -> &[EventId] {
        &self.ids
    }

    /// What was appended.
    pub(super) fn taken(&self) -> &[Append] {
        &self.taken
    }

    /// Whether every one of these events is retained, so that its id is surely known.
    pub(super) async fn retains(&self, events: &[NewEvent]) -> bool {
        let ids = Query::Ids(events.iter().map(|event| event.id).collect());
        let found = collect(&self.reference, Read::new(ids)).await;
        found.is_ok_and(|batches| batches.iter().map(|batch| batch.len()).sum::<usize>() == events.len())
    }
}

fn has_id(append: &Append, id: EventId) -> bool {
    append.events.iter().any(|event| event.id == id)
}
