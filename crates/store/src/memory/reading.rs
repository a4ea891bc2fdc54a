//! Reading the model: each batch is one scan from where the last one ended.

use std::sync::Arc;

use futures_util::{Stream, stream};
use jiff::Timestamp;
use mainspring_event::{EventBuffer, EventRef, Position};
use tokio::sync::watch;

use super::{
    Shared,
    state::{Record, State},
};
use crate::{Direction, EventBatch, Read, ReadError, ReadFrom};

/// A batch ends with the commit in which it reaches so many events or so many bytes of payload.
const BATCH_EVENTS: usize = 512;
const BATCH_BYTES: usize = 1 << 20;

/// The records of one batch, shared with the store.
struct Records(Vec<Arc<Record>>);

impl EventBuffer for Records {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn get(&self, index: usize) -> EventRef<'_> {
        self.0[index].borrowed()
    }
}

/// A read under way.
struct Cursor {
    shared: Arc<Shared>,
    head: watch::Receiver<Position>,
    read: Read,
    /// Where the next batch begins: events next to this position, in the direction of the read.
    at: Position,
    remaining: u64,
    phase: Phase,
}

enum Phase {
    /// Not polled yet.
    New,
    /// Reading history, or the next live events.
    Reading,
    /// Everything there was has been delivered; a follower waits.
    CaughtUp,
    Ended,
}

pub(super) fn stream(shared: Arc<Shared>, read: Read) -> impl Stream<Item = Result<EventBatch, ReadError>> {
    let remaining = read.limit.unwrap_or(u64::MAX);
    let head = shared.head.subscribe();
    let cursor = Cursor { shared, head, read, at: Position::START, remaining, phase: Phase::New };
    stream::unfold(cursor, |mut cursor| async {
        let item = cursor.next().await?;
        if item.is_err() {
            cursor.phase = Phase::Ended;
        }
        Some((item, cursor))
    })
}

impl Cursor {
    async fn next(&mut self) -> Option<Result<EventBatch, ReadError>> {
        loop {
            match self.phase {
                Phase::New => match self.start() {
                    Ok(()) => self.phase = Phase::Reading,
                    Err(error) => return Some(Err(error)),
                },
                Phase::Reading => return Some(Ok(self.batch())),
                Phase::CaughtUp => {
                    let at = self.at;
                    // The store outlives its readers: this cursor shares it.
                    self.head.wait_for(|head| *head > at).await.ok()?;
                    self.phase = Phase::Reading;
                }
                Phase::Ended => return None,
            }
        }
    }

    fn start(&mut self) -> Result<(), ReadError> {
        self.read.validate()?;
        let state = self.shared.lock();
        let now = self.shared.clock.now();
        let version = match self.read.from {
            ReadFrom::Version(version) => Some(version),
            _ => None,
        };
        if let Some(stream) = self.read.query.single_stream() {
            state.readable(stream, version, now)?;
        }
        let backwards = self.read.direction == Direction::Backwards;
        let past_end = Position(state.head().0 + 1);
        self.at = match self.read.from {
            ReadFrom::Start => Position::START,
            ReadFrom::End if backwards => past_end,
            ReadFrom::End => state.head(),
            ReadFrom::After(position) if position > state.head() && !backwards => {
                return Err(ReadError::BeyondHead { position, head: state.head() });
            }
            ReadFrom::After(position) => position,
            ReadFrom::Version(version) => next_to(&state, backwards, |record| {
                self.read.query.single_stream() == Some(&record.event.event.stream)
                    && if backwards { record.event.version <= version } else { record.event.version >= version }
            }),
            ReadFrom::Time(time) => next_to(&state, backwards, |record| {
                if backwards { record.event.recorded <= time } else { record.event.recorded >= time }
            }),
        };
        Ok(())
    }

    /// The next events, and how far looking for them has come.
    fn batch(&mut self) -> EventBatch {
        let state = self.shared.lock();
        let now = self.shared.clock.now();
        let end = state.head().max(self.at);
        let (found, stopped) = match self.read.direction {
            Direction::Forwards => {
                let start = state.records.partition_point(|record| record.event.position <= self.at);
                self.scan(state.records[start..].iter(), &state, now)
            }
            Direction::Backwards => {
                let start = state.records.partition_point(|record| record.event.position < self.at);
                self.scan(state.records[..start].iter().rev(), &state, now)
            }
        };
        let caught_up = stopped.is_none();
        let at_end = if self.read.direction == Direction::Backwards { Position::START } else { end };
        self.at = stopped.unwrap_or(at_end);
        self.remaining -= found.len() as u64;
        self.phase = match (caught_up, self.remaining) {
            (_, 0) => Phase::Ended,
            (false, _) => Phase::Reading,
            (true, _) if self.read.follow => Phase::CaughtUp,
            (true, _) => Phase::Ended,
        };
        EventBatch::new(Arc::new(Records(found)), self.at, caught_up)
    }

    /// Whether a forward read from a version or a time has come to it: both may lie in the future of a follower.
    fn has_begun(&self, record: &Record) -> bool {
        match (self.read.direction, self.read.from) {
            (Direction::Forwards, ReadFrom::Version(version)) => record.event.version >= version,
            (Direction::Forwards, ReadFrom::Time(time)) => record.event.recorded >= time,
            _ => true,
        }
    }

    /// Collects what matches until the limit is reached, or the commit that filled the batch ends. Says how far it came
    /// if it did not come to the end.
    fn scan<'a>(
        &self,
        records: impl Iterator<Item = &'a Arc<Record>>,
        state: &State,
        now: Timestamp,
    ) -> (Vec<Arc<Record>>, Option<Position>) {
        let (mut found, mut bytes) = (Vec::new(), 0);
        let mut last: Option<&Record> = None;
        for record in records {
            if found.len() as u64 == self.remaining {
                return (found, Some(last.map_or(self.at, |record| record.event.position)));
            }
            if let Some(last) = last
                && (found.len() >= BATCH_EVENTS || bytes >= BATCH_BYTES)
                && last.commit != record.commit
            {
                return (found, Some(last.event.position));
            }
            if self.has_begun(record) && self.read.query.matches(&record.borrowed()) && state.is_retained(record, now) {
                bytes += record.event.event.payload.len();
                found.push(record.clone());
            }
            last = Some(record);
        }
        (found, None)
    }
}

/// The position just before the first record, in the direction of the read, for which `wanted` holds.
fn next_to(state: &State, backwards: bool, wanted: impl Fn(&Record) -> bool) -> Position {
    if backwards {
        let found = state.records.iter().rfind(|record| wanted(record));
        found.map_or(Position::START, |record| Position(record.event.position.0 + 1))
    } else {
        let found = state.records.iter().find(|record| wanted(record));
        found.map_or(state.head(), |record| Position(record.event.position.0 - 1))
    }
}
