//! What the model holds, and what one append does to it.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use jiff::Timestamp;
use mainspring_event::{
    Category, EventId, EventRef, MetadataRef, NewEvent, Position, StoredEvent, StreamName, Version,
};

use crate::{
    Append, AppendError, Appended, Check, Conflict, Query, ReadError, RestoreError, Retained, Retention, StreamChange,
    Written,
};

/// One event with its metadata encoded, as readers borrow it.
pub(super) struct Record {
    pub(super) event: StoredEvent,
    /// Position of the first event of its commit.
    pub(super) commit: Position,
    metadata: Vec<u8>,
}

impl Record {
    fn new(event: StoredEvent, commit: Position) -> Self {
        let mut metadata = Vec::new();
        event.event.metadata.encode(&mut metadata);
        Self { event, commit, metadata }
    }

    pub(super) fn borrowed(&self) -> EventRef<'_> {
        self.event.borrowed(MetadataRef::new(&self.metadata))
    }
}

#[derive(Default)]
pub(super) struct State {
    pub(super) records: Vec<Arc<Record>>,
    ids: HashMap<EventId, usize>,
    streams: HashMap<StreamName, Stream>,
    categories: HashMap<Category, Retention>,
    recorded: Timestamp,
}

/// What is known of one stream, kept for ever.
#[derive(Clone, Default)]
struct Stream {
    head: Version,
    truncated_before: Version,
    tombstoned: bool,
    retention: Option<Retention>,
}

impl State {
    pub(super) fn head(&self) -> Position {
        self.records.last().map_or(Position::START, |record| record.event.position)
    }

    pub(super) fn first(&self, now: Timestamp) -> Position {
        let retained = self.records.iter().find(|record| self.is_retained(record, now));
        retained.map_or(Position(self.head().0 + 1), |record| record.event.position)
    }

    /// Whether `record` is still there for readers and checks.
    pub(super) fn is_retained(&self, record: &Record, now: Timestamp) -> bool {
        let event = &record.event;
        // A clock that runs backwards makes nothing older: time has come at least as far as the newest event.
        let now = now.max(self.recorded);
        let Some(stream) = self.streams.get(&event.event.stream) else { return true };
        let rule = stream.retention.or_else(|| {
            let category = Category::new(event.event.stream.category()).ok()?;
            self.categories.get(&category).copied()
        });
        let Retention { max_count, max_age } = rule.unwrap_or_default();
        let counted_out = max_count.is_some_and(|count| event.version.0.saturating_add(count) <= stream.head.0);
        let aged_out = max_age.is_some_and(|age| now.duration_since(event.recorded).unsigned_abs() > age);
        !stream.tombstoned && event.version >= stream.truncated_before && !counted_out && !aged_out
    }

    /// Refuses reads of a tombstoned stream, and of versions that are gone when `from` names one.
    pub(super) fn readable(&self, stream: &StreamName, from: Option<Version>, now: Timestamp) -> Result<(), ReadError> {
        let Some(known) = self.streams.get(stream) else { return Ok(()) };
        if known.tombstoned {
            return Err(ReadError::Tombstoned { stream: stream.clone() });
        }
        let retained =
            self.records.iter().find(|record| record.event.event.stream == *stream && self.is_retained(record, now));
        let first = retained.map_or(Version(known.head.0 + 1), |record| record.event.version);
        match from {
            Some(from) if from > Version::NONE && from < first => {
                Err(ReadError::Truncated { stream: stream.clone(), first })
            }
            _ => Ok(()),
        }
    }

    pub(super) fn append(&mut self, append: Append, now: Timestamp) -> Result<Appended, AppendError> {
        if let Some(original) = self.repeated(&append.events)? {
            return Ok(original);
        }
        self.writable(&append)?;
        for check in &append.checks {
            self.check(check, now)?;
        }
        let recorded = self.recorded.max(now);
        let commit = Position(self.head().0 + 1);
        let mut written = Vec::with_capacity(append.events.len());
        for event in append.events {
            let stream = self.streams.entry(event.stream.clone()).or_default();
            stream.head = Version(stream.head.0 + 1);
            let version = stream.head;
            let position = Position(self.head().0 + 1);
            written.push(Written { position, version });
            self.push(StoredEvent { event, version, position, recorded }, commit);
        }
        for change in append.changes {
            self.change(change);
        }
        Ok(Appended { position: self.head(), written })
    }

    pub(super) fn restore(&mut self, events: Vec<StoredEvent>) -> Result<(), RestoreError> {
        let (mut head, mut recorded) = (self.head(), self.recorded);
        let (mut heads, mut ids) = (HashMap::new(), HashSet::new());
        for event in &events {
            let refuse = |reason: String| Err(RestoreError::OutOfOrder { position: event.position, reason });
            let known = self.streams.get(&event.event.stream).map_or(Version::NONE, |stream| stream.head);
            let stream = heads.entry(&event.event.stream).or_insert(known);
            if event.position <= head {
                return refuse(format!("the store is at position {head}"));
            }
            if event.version <= *stream {
                return refuse(format!("its stream is at version {stream}"));
            }
            if self.ids.contains_key(&event.event.id) || !ids.insert(event.event.id) {
                return refuse(format!("its id {} is stored already", event.event.id));
            }
            if event.recorded < recorded {
                return refuse(format!("the event before it was recorded at {recorded}"));
            }
            (head, *stream, recorded) = (event.position, event.version, event.recorded);
        }
        let commit = events.first().map_or(Position::START, |first| first.position);
        for event in events {
            let stream = self.streams.entry(event.event.stream.clone()).or_default();
            if event.version.0 > stream.head.0 + 1 {
                stream.truncated_before = event.version;
            }
            stream.head = event.version;
            self.push(event, commit);
        }
        Ok(())
    }

    fn push(&mut self, event: StoredEvent, commit: Position) {
        self.recorded = self.recorded.max(event.recorded);
        self.ids.insert(event.event.id, self.records.len());
        self.records.push(Arc::new(Record::new(event, commit)));
    }

    /// The original answer when every event of the append is known, in the same order and with the same content.
    fn repeated(&self, events: &[NewEvent]) -> Result<Option<Appended>, AppendError> {
        let mut distinct = HashSet::new();
        if let Some(twice) = events.iter().find(|event| !distinct.insert(event.id)) {
            let reason = format!("event id {} occurs twice in it", twice.id);
            return Err(AppendError::Invalid { reason });
        }
        let found: Vec<_> = events.iter().filter_map(|event| Some((event, *self.ids.get(&event.id)?))).collect();
        let Some(&(first, at)) = found.first() else { return Ok(None) };
        let reused = |event: &NewEvent, index: usize| AppendError::IdReused {
            id: event.id,
            position: self.records[index].event.position,
        };
        if found.len() < events.len() || !found.is_sorted_by_key(|(_, index)| *index) {
            return Err(reused(first, at));
        }
        let mut written = Vec::with_capacity(found.len());
        for (event, index) in found {
            let stored = &self.records[index].event;
            if !event.has_content_of(&self.records[index].borrowed()) {
                return Err(reused(event, index));
            }
            written.push(Written { position: stored.position, version: stored.version });
        }
        Ok(written.last().map(|last| Appended { position: last.position, written: written.clone() }))
    }

    /// A tombstoned stream takes neither events nor checks nor changes, but it can be tombstoned again.
    fn writable(&self, append: &Append) -> Result<(), AppendError> {
        let closed = |stream: &&StreamName| self.streams.get(*stream).is_some_and(|known| known.tombstoned);
        match append.open_streams().find(closed) {
            Some(stream) => Err(AppendError::Tombstoned { stream: stream.clone() }),
            None => Ok(()),
        }
    }

    fn check(&self, check: &Check, now: Timestamp) -> Result<(), AppendError> {
        match check {
            Check::Stream { stream, expected } => {
                let actual = self.streams.get(stream).map_or(Version::NONE, |known| known.head);
                if expected.holds(actual) {
                    return Ok(());
                }
                Err(Conflict::Stream { stream: stream.clone(), expected: *expected, actual }.into())
            }
            Check::NoMatch { query, after } => self.no_match(query, *after, now),
        }
    }

    fn no_match(&self, query: &Query, after: Option<Position>, now: Timestamp) -> Result<(), AppendError> {
        let since = self.records.iter().filter(|record| record.event.position > after.unwrap_or_default());
        let (retained, removed): (Vec<_>, Vec<_>) = since.partition(|record| self.is_retained(record, now));
        if let Some(record) = retained.iter().find(|record| query.matches(&record.borrowed())) {
            let position = record.event.position;
            return Err(Conflict::Match { query: query.clone(), after, position }.into());
        }
        let floor = removed.iter().rfind(|record| !record.event.event.tags.is_empty());
        match (after, floor) {
            (Some(_), Some(record)) => Err(AppendError::Stale { floor: record.event.position }),
            _ => Ok(()),
        }
    }

    fn change(&mut self, change: StreamChange) {
        match change {
            StreamChange::Retain { target: Retained::Stream(stream), retention } => {
                self.streams.entry(stream).or_default().retention = Some(retention);
            }
            StreamChange::Retain { target: Retained::Category(category), retention } => {
                self.categories.insert(category, retention);
            }
            StreamChange::TruncateBefore { stream, version } => {
                let stream = self.streams.entry(stream).or_default();
                // Only what is there can be removed: a version to come is not hidden before it is written.
                let version = version.min(Version(stream.head.0 + 1));
                stream.truncated_before = stream.truncated_before.max(version);
            }
            StreamChange::Tombstone { stream } => self.streams.entry(stream).or_default().tombstoned = true,
        }
    }
}
