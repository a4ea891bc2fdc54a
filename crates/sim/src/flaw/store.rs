//! Stores that do wrong: another store, about which they do not tell the truth.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use mainspring_event::{EventBuffer, EventId, EventRef, Version};
use mainspring_store::{
    Append, AppendError, Appended, BatchStream, Capabilities, Check, Conflict, Direction, EventBatch, EventStore,
    Expected, Info, Query, Read, ReadError, ReadFrom,
};

/// What a store does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bug {
    AcknowledgesFailure,
    FailedForUnknown,
    DropsStreamChecks,
    DropsConditions,
    DropsChanges,
    TearsAppends,
    ForgetsIds,
    SkipsEvent,
    RepeatsEvent,
    ChangesPayload,
    ForgetsHeads,
    RemovesTooMany,
}

/// A store with a bug.
pub(super) struct BuggyStore {
    store: Arc<dyn EventStore>,
    bug: Bug,
}

impl BuggyStore {
    pub(super) fn new(store: Arc<dyn EventStore>, bug: Bug) -> Self {
        Self { store, bug }
    }

    /// Appends all but the last event, and then that one.
    async fn torn(&self, mut append: Append) -> Result<Appended, AppendError> {
        let Some(last) = append.events.pop().filter(|_| !append.events.is_empty()) else {
            return self.store.append(append).await;
        };
        let mut first = self.store.append(append).await?;
        let second = self.store.append(Append::new([last])).await?;
        first.written.extend(second.written);
        Ok(Appended { position: second.position, ..first })
    }

    /// Appends; what is there already is written once more.
    async fn again(&self, mut append: Append) -> Result<Appended, AppendError> {
        let head = self.store.info().await.map(|info| info.head).unwrap_or_default();
        let appended = self.store.append(append.clone()).await?;
        if append.events.is_empty() || appended.position > head {
            return Ok(appended);
        }
        append.events.iter_mut().for_each(|event| event.id = EventId::new());
        self.store.append(append).await
    }

    /// Appends as if every stream of which nothing is shown had never been.
    async fn anew(&self, mut append: Append) -> Result<Appended, AppendError> {
        let mut emptied = HashSet::new();
        for stream in append.open_streams() {
            let mut last = self.store.read(Read::new(Query::stream(stream.clone())).backwards().limit(1));
            if last.next().await.is_some_and(|batch| batch.is_ok_and(|batch| batch.is_empty())) {
                emptied.insert(stream.clone());
            }
        }
        let is_none = |check: &Check| matches!(check, Check::Stream { stream, expected: Expected::NoStream } if emptied.contains(stream));
        append.checks.retain(|check| !is_none(check));
        let streams: Vec<_> = append.events.iter().map(|event| event.stream.clone()).collect();
        match self.store.append(append).await {
            Err(AppendError::Conflict(Conflict::Stream { stream, expected, .. })) if emptied.contains(&stream) => {
                Err(Conflict::Stream { stream, expected, actual: Version::NONE }.into())
            }
            Ok(mut appended) => {
                let mut versions = HashMap::<_, u64>::new();
                for (written, stream) in appended.written.iter_mut().zip(streams) {
                    if emptied.contains(&stream) {
                        let version = versions.entry(stream).or_default();
                        *version += 1;
                        written.version = Version(*version);
                    }
                }
                Ok(appended)
            }
            answer => answer,
        }
    }
}

#[async_trait]
impl EventStore for BuggyStore {
    async fn append(&self, mut append: Append) -> Result<Appended, AppendError> {
        match self.bug {
            // Where nothing is to be written, nothing comes of dropping a check.
            Bug::DropsStreamChecks if !append.events.is_empty() => {
                append.checks.retain(|check| matches!(check, Check::NoMatch { .. }))
            }
            Bug::DropsConditions if !append.events.is_empty() => {
                append.checks.retain(|check| matches!(check, Check::Stream { .. }))
            }
            Bug::DropsChanges => append.changes.clear(),
            Bug::TearsAppends if append.events.len() > 1 => return self.torn(append).await,
            Bug::ForgetsIds => return self.again(append).await,
            Bug::ForgetsHeads => return self.anew(append).await,
            _ => {}
        }
        match (self.bug, self.store.append(append).await) {
            (Bug::AcknowledgesFailure, Err(AppendError::Failed(_) | AppendError::Unknown(_))) => {
                let head = self.store.info().await.map(|info| info.head).unwrap_or_default();
                Ok(Appended { position: head, written: Vec::new() })
            }
            (Bug::FailedForUnknown, Err(AppendError::Unknown(error))) => Err(AppendError::Failed(error)),
            (_, answer) => answer,
        }
    }

    fn read(&self, read: Read) -> BatchStream {
        let bug = self.bug;
        let spoils = match bug {
            Bug::SkipsEvent => read.follow,
            Bug::RemovesTooMany => read.direction == Direction::Forwards && read.from == ReadFrom::Start,
            Bug::RepeatsEvent => read.direction == Direction::Backwards,
            Bug::ChangesPayload => matches!(read.query, Query::Ids(_)),
            _ => false,
        };
        let spoil = move |batch: EventBatch| {
            if !spoils || batch.is_empty() {
                return batch;
            }
            let events = Spoilt::new(batch.buffer().clone(), bug);
            EventBatch::new(Arc::new(events), batch.through(), batch.caught_up())
        };
        self.store.read(read).map(move |batch| batch.map(spoil)).boxed()
    }

    async fn info(&self) -> Result<Info, ReadError> {
        self.store.info().await
    }

    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }
}

/// The events of a batch, not as they are.
struct Spoilt {
    events: Arc<dyn EventBuffer>,
    bug: Bug,
    /// The payload of the last event, changed.
    payload: Bytes,
}

impl Spoilt {
    fn new(events: Arc<dyn EventBuffer>, bug: Bug) -> Self {
        let mut payload = events.get(events.len() - 1).payload.to_owned();
        if let Some(last) = payload.last_mut() {
            *last ^= 1;
        }
        Self { events, bug, payload: payload.into() }
    }
}

impl EventBuffer for Spoilt {
    fn len(&self) -> usize {
        match self.bug {
            Bug::SkipsEvent | Bug::RemovesTooMany => self.events.len() - 1,
            Bug::RepeatsEvent => self.events.len() + 1,
            _ => self.events.len(),
        }
    }

    fn get(&self, index: usize) -> EventRef<'_> {
        let last = self.events.len() - 1;
        let index = if self.bug == Bug::RemovesTooMany { index + 1 } else { index };
        let event = self.events.get(index.min(last));
        if self.bug == Bug::ChangesPayload && index == last {
            return EventRef { payload: &self.payload, ..event };
        }
        event
    }
}
