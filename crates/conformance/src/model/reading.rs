//! Whether a read is right: exactly what the reference reads, except that what was removed may still be shown to reads
//! of more than one stream.

use futures_util::StreamExt;
use jiff::Timestamp;
use mainspring_event::{MetadataRef, StoredEvent};
use mainspring_store::{Direction, EventBatch, EventStore, Query, Read, ReadError, ReadFrom};

use super::Pair;
use crate::subject::stored;

impl Pair {
    /// Reads from both.
    pub(super) async fn read(&self, read: Read) {
        let expected = whole(&self.reference, read.clone()).await;
        let actual = self.subject.within(whole(&*self.subject.store, read.clone()), &self.call).await;
        match (expected, actual) {
            (Ok(expected), Ok(actual)) => self.assert_read(&read, &expected, &actual).await,
            (Err(expected), Err(actual)) => {
                assert_eq!(format!("{actual:?}"), format!("{expected:?}"), "{}", self.call);
            }
            (expected, actual) => panic!("{}\nis answered with {actual:?}\nand must be with {expected:?}", self.call),
        }
    }

    async fn assert_read(&self, read: &Read, expected: &[EventBatch], actual: &[EventBatch]) {
        let last = actual.last().unwrap_or_else(|| panic!("{} ended without a word", self.call));
        let events = self.events(actual);
        let limited = read.limit.is_some_and(|limit| events.len() as u64 >= limit);
        if !limited {
            let end = if read.direction == Direction::Backwards { 0 } else { self.head().0 };
            assert_eq!((last.through().0, last.caught_up()), (end, true), "{}", self.call);
        }
        if !self.removing || read.query.single_stream().is_some() {
            assert_eq!(events, self.events(expected), "{}", self.call);
            return;
        }
        let without_limit = Read { limit: None, ..read.clone() };
        let retained = whole(&self.reference, without_limit).await.expect("a limit does not make a read succeed");
        let retained = self.events(&retained);
        for event in &events {
            assert!(self.selects(read, event), "{}\nhas read {event:?}", self.call);
        }
        assert!(events.is_sorted_by(|one, next| is_before(read.direction, one, next)), "{} is out of order", self.call);
        assert!(events.len() as u64 <= read.limit.unwrap_or(u64::MAX), "{} went over its limit", self.call);
        for event in retained {
            let covered = !limited || events.last().is_some_and(|last| !is_before(read.direction, last, &event));
            assert!(!covered || events.contains(&event), "{}\nhas not read {event:?}", self.call);
        }
    }

    /// The events of these batches, their recorded times left out where the store has a clock of its own.
    fn events(&self, batches: &[EventBatch]) -> Vec<StoredEvent> {
        let recorded = |event: StoredEvent| match self.timed {
            true => event,
            false => StoredEvent { recorded: Timestamp::UNIX_EPOCH, ..event },
        };
        batches.iter().flat_map(stored).map(recorded).collect()
    }

    /// Whether this event was once written as it is, and lies where the read looks.
    fn selects(&self, read: &Read, event: &StoredEvent) -> bool {
        let Some(written) = event.position.0.checked_sub(1).and_then(|index| self.written.get(index as usize)) else {
            return false;
        };
        let backwards = read.direction == Direction::Backwards;
        let in_range = match read.from {
            ReadFrom::Start => !backwards,
            ReadFrom::End => backwards,
            ReadFrom::After(position) if backwards => event.position < position,
            ReadFrom::After(position) => event.position > position,
            ReadFrom::Time(time) if backwards => event.recorded <= time,
            ReadFrom::Time(time) => event.recorded >= time,
            ReadFrom::Version(_) => unreachable!("a version is read from one stream, and those agree exactly"),
        };
        let same = written.event == event.event && written.version == event.version;
        let timed = !self.timed || written.recorded == event.recorded;
        in_range && same && timed && matches(&read.query, event)
    }
}

fn matches(query: &Query, event: &StoredEvent) -> bool {
    let mut metadata = Vec::new();
    event.event.metadata.encode(&mut metadata);
    query.matches(&event.borrowed(MetadataRef::new(&metadata)))
}

fn is_before(direction: Direction, one: &StoredEvent, next: &StoredEvent) -> bool {
    match direction {
        Direction::Forwards => one.position < next.position,
        Direction::Backwards => one.position > next.position,
    }
}

async fn whole(store: &dyn EventStore, read: Read) -> Result<Vec<EventBatch>, ReadError> {
    let mut stream = store.read(read);
    let mut batches = Vec::new();
    while let Some(batch) = stream.next().await {
        batches.push(batch?);
    }
    Ok(batches)
}
