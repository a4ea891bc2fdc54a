//! Records what clients asked and were told, and when.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use futures_util::StreamExt;
use mainspring_event::{EventId, EventRef, Position};
use mainspring_store::{Append, AppendError, Appended, BatchStream, Conflict, Read};

use super::Handle;

/// A moment: every one is drawn once, and later ones are greater.
pub(super) type Moment = u64;

/// What the store under test runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// Nothing fails, so no call may.
    Sound,
    /// Calls may fail, if they say so truly.
    Failing,
}

/// Everything that was asked, in the order in which it began.
#[derive(Default)]
pub(super) struct History {
    now: AtomicU64,
    calls: Mutex<Vec<Call>>,
}

/// One call of a client.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) client: u64,
    pub(super) began: Moment,
    pub(super) said: Said,
}

/// What was asked, and what came of it so far.
#[derive(Clone, Debug)]
pub(super) enum Said {
    Append(Append, Option<(Moment, Answer)>),
    Head(Option<(Moment, Position)>),
    Read(Read, Vec<Seen>, End),
}

/// What an append was answered.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Answer {
    Written(Appended),
    Conflict(Conflict),
    Reused { id: EventId, position: Position },
    Failed,
    Unknown,
    Other(String),
}

/// One batch of a reading.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) at: Moment,
    pub(super) through: Position,
    pub(super) caught_up: bool,
    pub(super) events: Vec<(Position, Print)>,
}

/// How a reading ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Nobody went on.
    Open,
    Ended,
    Failed(String),
}

/// Stands for all that was said of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Print(u64);

impl Print {
    pub(super) fn of(event: &EventRef<'_>) -> Self {
        let mut hasher = DefaultHasher::new();
        (event.id, event.stream, event.event_type, event.schema_version, event.source).hash(&mut hasher);
        (event.content_type, event.metadata.as_bytes(), event.payload).hash(&mut hasher);
        (event.time.as_nanosecond(), event.recorded.as_nanosecond()).hash(&mut hasher);
        (event.version, event.position).hash(&mut hasher);
        event.tags.iter().for_each(|tag| tag.hash(&mut hasher));
        Self(hasher.finish())
    }
}

impl From<&Result<Appended, AppendError>> for Answer {
    fn from(result: &Result<Appended, AppendError>) -> Self {
        match result {
            Ok(appended) => Self::Written(appended.clone()),
            Err(AppendError::Conflict(conflict)) => Self::Conflict(conflict.clone()),
            Err(AppendError::IdReused { id, position }) => Self::Reused { id: *id, position: *position },
            Err(AppendError::Failed(_)) => Self::Failed,
            Err(AppendError::Unknown(_)) => Self::Unknown,
            Err(other) => Self::Other(format!("{other:?}")),
        }
    }
}

impl History {
    pub(super) fn calls(&self) -> MutexGuard<'_, Vec<Call>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn moment(&self) -> Moment {
        self.now.fetch_add(1, Ordering::SeqCst)
    }

    /// Notes that a call begins; answers its number.
    fn begin(&self, client: u64, said: Said) -> usize {
        let began = self.moment();
        let mut calls = self.calls();
        calls.push(Call { client, began, said });
        calls.len() - 1
    }

    fn note(&self, call: usize, note: impl FnOnce(&mut Said)) {
        note(&mut self.calls()[call].said);
    }
}

/// One client of the store, all of whose calls are recorded.
#[derive(Clone)]
pub(super) struct Client {
    pub(super) history: Arc<History>,
    pub(super) store: Handle,
    pub(super) number: u64,
}

impl Client {
    /// Appends. Dropping the future leaves a call without an answer.
    pub(super) async fn append(&self, append: Append) -> Answer {
        let call = self.history.begin(self.number, Said::Append(append.clone(), None));
        let answer = Answer::from(&self.store.append(append).await);
        let at = self.history.moment();
        self.history.note(call, |said| {
            if let Said::Append(_, answered) = said {
                *answered = Some((at, answer.clone()));
            }
        });
        answer
    }

    /// How far the store says it has come; `None` where it cannot say.
    pub(super) async fn head(&self) -> Option<Position> {
        let call = self.history.begin(self.number, Said::Head(None));
        let head = self.store.info().await.ok()?.head;
        let at = self.history.moment();
        self.history.note(call, |said| *said = Said::Head(Some((at, head))));
        Some(head)
    }

    /// Begins to read; the first poll comes soon.
    pub(super) fn read(&self, read: Read) -> Reading {
        let call = self.history.begin(self.number, Said::Read(read.clone(), Vec::new(), End::Open));
        Reading { history: self.history.clone(), call, batches: self.store.read(read) }
    }
}

/// A read under way.
pub(super) struct Reading {
    history: Arc<History>,
    call: usize,
    batches: BatchStream,
}

impl Reading {
    /// How far the next batch comes; `None` at the end.
    pub(super) async fn next(&mut self) -> Option<Position> {
        let next = self.batches.next().await;
        let at = self.history.moment();
        let mut calls = self.history.calls();
        let Said::Read(_, seen, end) = &mut calls[self.call].said else {
            unreachable!("a call keeps its kind");
        };
        match next {
            None => {
                *end = End::Ended;
                None
            }
            Some(Err(error)) => {
                *end = End::Failed(format!("{error:?}"));
                None
            }
            Some(Ok(batch)) => {
                let events = batch.iter().map(|event| (event.position, Print::of(&event))).collect();
                let through = batch.through();
                seen.push(Seen { at, through, caught_up: batch.caught_up(), events });
                Some(through)
            }
        }
    }
}
