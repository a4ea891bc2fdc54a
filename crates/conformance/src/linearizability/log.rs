//! What the store holds in the end: the commits in their order, and what is true in each state between them.

use std::{
    cell::RefCell,
    collections::HashMap,
    ops::{Range, RangeInclusive},
};

use futures_util::StreamExt;
use mainspring_event::{EventId, MetadataRef, NewEvent, Position, StoredEvent, StreamName, Version};
use mainspring_store::{Append, Check, EventStore, Query, QueryItem, Read, Scope};

use super::{
    NotLinearizable,
    history::{Call, Print, Said},
};

/// States by number: state k is what the first k commits made.
pub(super) type States = RangeInclusive<usize>;

/// Every event there is, by position, and where commits end.
pub(super) struct Log {
    events: Vec<(StoredEvent, Print)>,
    by_id: HashMap<EventId, Position>,
    /// For each stream the positions of its events.
    streams: HashMap<StreamName, Vec<Position>>,
    /// The last position of each commit.
    ends: Vec<u64>,
    /// The positions of what queries select, each looked for once.
    selected: RefCell<Vec<(Query, Vec<u64>)>>,
}

impl Log {
    /// Reads everything that any call may have written; checks what must be true of every log.
    pub(super) async fn of(store: &dyn EventStore, calls: &[Call]) -> Result<Self, NotLinearizable> {
        let appended = calls.iter().filter_map(|call| match &call.said {
            Said::Append(append, _) => Some(&append.events),
            _ => None,
        });
        let mut internal: Vec<_> =
            appended.flatten().map(|event| &event.stream).filter(|stream| stream.is_internal()).cloned().collect();
        internal.sort_unstable();
        internal.dedup();
        let scopes = [Scope::Everywhere, Scope::Streams(internal)];
        let query = Query::Items(scopes.map(|scope| QueryItem { scope, ..QueryItem::default() }).into());
        let mut batches = store.read(Read::new(query));
        let mut events = Vec::new();
        while let Some(batch) = batches.next().await {
            let batch =
                batch.map_err(|error| NotLinearizable::because(format!("the end cannot be read: {error:?}")))?;
            events.extend(batch.iter().map(|event| (event.to_stored().expect("valid names"), Print::of(&event))));
        }
        Self::new(events)
    }

    fn new(events: Vec<(StoredEvent, Print)>) -> Result<Self, NotLinearizable> {
        let mut by_id = HashMap::new();
        let mut streams: HashMap<StreamName, Vec<Position>> = HashMap::new();
        let mut recorded = jiff::Timestamp::MIN;
        for ((stored, _), number) in events.iter().zip(1..) {
            let StoredEvent { event, version, position, .. } = stored;
            if position.0 != number {
                return Err(NotLinearizable::because(format!("event {number} of the log has position {position}")));
            }
            if let Some(first) = by_id.insert(event.id, *position) {
                let what = format!("the id {} is at position {first} and again at {position}", event.id);
                return Err(NotLinearizable::because(what));
            }
            let stream = streams.entry(event.stream.clone()).or_default();
            stream.push(*position);
            if version.0 != stream.len() as u64 {
                let what =
                    format!("event {} of stream `{}` has version {version}, at {position}", stream.len(), event.stream);
                return Err(NotLinearizable::because(what));
            }
            if stored.recorded < recorded {
                return Err(NotLinearizable::because(format!("the event at {position} was recorded before the last")));
            }
            recorded = stored.recorded;
        }
        Ok(Self { events, by_id, streams, ends: Vec::new(), selected: RefCell::default() })
    }

    pub(super) fn len(&self) -> usize {
        self.events.len()
    }

    /// Says that the next commit has so many events.
    pub(super) fn end_commit(&mut self, events: usize) {
        self.ends.push(self.ends.last().unwrap_or(&0) + events as u64);
    }

    /// Where the events of the next commit begin, counted from 0.
    pub(super) fn next_commit(&self) -> usize {
        self.ends.last().map_or(0, |end| *end as usize)
    }

    pub(super) fn commits(&self) -> usize {
        self.ends.len()
    }

    /// The position to which the first `state` commits lead.
    pub(super) fn end(&self, state: usize) -> Position {
        Position(state.checked_sub(1).map_or(0, |last| self.ends[last]))
    }

    /// The first state in which this position is there.
    pub(super) fn state_with(&self, position: Position) -> usize {
        if position == Position::START { 0 } else { self.ends.partition_point(|end| *end < position.0) + 1 }
    }

    /// The state that ends with this position, if one does.
    pub(super) fn state_at(&self, position: Position) -> Option<usize> {
        let state = self.state_with(position);
        (state <= self.commits() && self.end(state) == position).then_some(state)
    }

    pub(super) fn get(&self, position: Position) -> Option<&StoredEvent> {
        self.events.get((position.0 as usize).checked_sub(1)?).map(|(event, _)| event)
    }

    pub(super) fn print(&self, position: u64) -> Print {
        self.events[position as usize - 1].1
    }

    /// Whether `event` is stored at this position, as it was sent.
    pub(super) fn holds(&self, event: &NewEvent, position: Position) -> bool {
        self.get(position).is_some_and(|stored| {
            stored.event.id == event.id && event.has_content_of(&stored.borrowed(MetadataRef::new(&[])))
        })
    }

    /// Whether these events stand in the log one after the other, the first at `start`, counted from 0.
    pub(super) fn stands(&self, events: &[NewEvent], start: usize) -> bool {
        events.iter().zip(start as u64 + 1..).all(|(event, position)| self.holds(event, Position(position)))
    }

    pub(super) fn position_of(&self, id: EventId) -> Option<Position> {
        self.by_id.get(&id).copied()
    }

    /// The id of the event that is number `index`, counted from 0.
    pub(super) fn id(&self, index: usize) -> EventId {
        self.events[index].0.event.id
    }

    /// The last position that these events have, if all are stored as they were sent, in this order.
    pub(super) fn all_known(&self, events: &[NewEvent]) -> Option<Position> {
        let mut last = Position::START;
        for event in events {
            let position = self.position_of(event.id).filter(|position| *position > last)?;
            last = Some(position).filter(|position| self.holds(event, *position))?;
        }
        Some(last)
    }

    /// The states in which a stream is at this version.
    pub(super) fn states_with_head(&self, stream: &StreamName, version: Version) -> Range<usize> {
        let positions = self.streams.get(stream).map_or(&[][..], Vec::as_slice);
        let state_of = |version: u64| {
            let position = positions.get((version as usize).checked_sub(1)?)?;
            Some(self.state_with(*position))
        };
        let Some(first) = (if version == Version::NONE { Some(0) } else { state_of(version.0) }) else { return 0..0 };
        first..state_of(version.0 + 1).unwrap_or(self.commits() + 1)
    }

    /// Where a stream is in a state.
    pub(super) fn head(&self, stream: &StreamName, state: usize) -> Version {
        let end = self.end(state);
        let positions = self.streams.get(stream).map_or(&[][..], Vec::as_slice);
        Version(positions.partition_point(|position| *position <= end) as u64)
    }

    /// Whether every check of an append holds in a state; the first that does not.
    pub(super) fn failing<'a>(&self, append: &'a Append, state: usize) -> Option<&'a Check> {
        append.checks.iter().find(|check| match check {
            Check::Stream { stream, expected } => !expected.holds(self.head(stream, state)),
            Check::NoMatch { query, after } => {
                let first = self.next_match(query, after.unwrap_or_default());
                first.is_some_and(|position| position <= self.end(state))
            }
        })
    }

    /// The first event above a position that a query selects.
    pub(super) fn next_match(&self, query: &Query, after: Position) -> Option<Position> {
        self.select(query, |positions| {
            positions
                .get(positions.partition_point(|position| *position <= after.0))
                .map(|position| Position(*position))
        })
    }

    /// The positions in `range` of what a query selects.
    pub(super) fn matches(&self, query: &Query, range: RangeInclusive<u64>) -> Vec<u64> {
        self.select(query, |positions| {
            let first = positions.partition_point(|position| position < range.start());
            positions[first..].iter().copied().take_while(|position| range.contains(position)).collect()
        })
    }

    fn select<T>(&self, query: &Query, ask: impl FnOnce(&[u64]) -> T) -> T {
        let mut selected = self.selected.borrow_mut();
        let known = selected.iter().position(|(known, _)| known == query).unwrap_or_else(|| {
            let matching =
                self.events.iter().filter(|(event, _)| query.matches(&event.borrowed(MetadataRef::new(&[]))));
            let positions = matching.map(|(event, _)| event.position.0).collect();
            selected.push((query.clone(), positions));
            selected.len() - 1
        });
        ask(&selected[known].1)
    }
}
