//! What a store holds, by its indexes: for operators, not for hot paths.

use std::collections::BTreeMap;

use mainspring_event::{Position, StreamName, Version};
use mainspring_store::ReadError;

use crate::{
    format::frame::Kind,
    index::List,
    segment::{Segment, SegmentError},
    store::DiskStore,
};

/// What a store holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// How many events.
    pub events: u64,
    /// How many streams.
    pub streams: u64,
    /// Position of the newest event.
    pub head: Position,
    /// Bytes of the log that are in use.
    pub log_bytes: u64,
    /// Its segments in order.
    pub segments: Vec<SegmentStats>,
    /// Its categories by name.
    pub categories: Vec<CategoryStats>,
    /// Its event types by name.
    pub types: Vec<TypeStats>,
}

/// One segment of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentStats {
    /// Its number.
    pub number: u32,
    /// How many events it holds.
    pub events: u64,
    /// How many bytes of it are in use.
    pub bytes: u64,
    /// Whether it is full and will not be written again.
    pub sealed: bool,
}

/// The streams of one category.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CategoryStats {
    /// Its name.
    pub name: String,
    /// How many streams it has.
    pub streams: u64,
    /// How many events they hold.
    pub events: u64,
}

/// The events of one type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeStats {
    /// Its name.
    pub name: String,
    /// How many events there are of it.
    pub events: u64,
}

/// One stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamStats {
    /// Its name.
    pub name: StreamName,
    /// The version it stands at.
    pub version: Version,
    /// How many events of it are stored.
    pub events: u64,
    /// Position of its newest event.
    pub last: Position,
}

impl DiskStore {
    /// What the store holds. Events that retention hides count as long as they take room.
    ///
    /// # Errors
    /// [`ReadError`] when an index cannot be read.
    pub fn stats(&self) -> Result<Stats, ReadError> {
        self.refresh()?;
        let mut stats = Stats { head: self.core.durable(), ..Stats::default() };
        let (mut types, mut categories) = (BTreeMap::<String, u64>::new(), BTreeMap::<String, (u64, u64)>::new());
        for segment in self.core.view().iter() {
            let counted = self.count(segment)?;
            stats.events += counted.events;
            stats.log_bytes += segment.end();
            for (name, events) in counted.types {
                *types.entry(name).or_default() += events;
            }
            stats.segments.push(SegmentStats {
                number: segment.number,
                events: counted.events,
                bytes: segment.end(),
                sealed: segment.sealed_bytes().is_some(),
            });
        }
        for stream in self.streams()? {
            let (streams, events) = categories.entry(stream.name.category().to_owned()).or_default();
            *streams += 1;
            *events += stream.events;
            stats.streams += 1;
        }
        stats.types = types.into_iter().map(|(name, events)| TypeStats { name, events }).collect();
        let category = |(name, (streams, events))| CategoryStats { name, streams, events };
        stats.categories = categories.into_iter().map(category).collect();
        Ok(stats)
    }

    /// Every stream, by name. Takes memory for all of them at once.
    ///
    /// # Errors
    /// [`ReadError`] when an index cannot be read.
    pub fn streams(&self) -> Result<Vec<StreamStats>, ReadError> {
        self.refresh()?;
        let durable = self.core.durable().0;
        let mut streams = BTreeMap::<String, StreamStats>::new();
        for segment in self.core.view().iter() {
            let names = segment.names(false).map_err(SegmentError::from)?;
            let found = segment.with_index(|index| {
                let end = index.ordinal_after(durable);
                let last = |code: u32| {
                    let postings = index.postings(List::Stream(code));
                    let visible = postings.below(end);
                    let last = visible.checked_sub(1).map(|last| index.position(postings.get(last)))?;
                    Some((code, visible as u64, last))
                };
                (0..index.names_of(Kind::Stream)).filter_map(last).collect::<Vec<_>>()
            });
            for (code, events, last) in found.map_err(SegmentError::from)? {
                let name = names.name(Kind::Stream, code);
                let stream = StreamName::new(name).map_err(|error| ReadError::Damaged(error.into()))?;
                let entry = streams.entry(name.to_owned()).or_insert_with(|| StreamStats {
                    name: stream,
                    version: Version::NONE,
                    events: 0,
                    last: Position::START,
                });
                entry.events += events;
                entry.last = Position(last);
            }
        }
        let (view, durable) = self.core.snapshot();
        let mut all: Vec<StreamStats> = streams.into_values().collect();
        for stream in &mut all {
            stream.version = Version(self.core.visible_head(&view, stream.name.as_str(), durable)?);
        }
        Ok(all)
    }

    fn count(&self, segment: &Segment) -> Result<Counted, SegmentError> {
        let durable = self.core.durable().0;
        let names = segment.names(false)?;
        Ok(segment.with_index(|index| {
            let end = index.ordinal_after(durable);
            let events_of = |code: u32| index.postings(List::Type(code)).below(end) as u64;
            let types = (0..index.names_of(Kind::Type))
                .map(|code| (names.name(Kind::Type, code).to_owned(), events_of(code)))
                .filter(|(_, events)| *events > 0)
                .collect();
            Counted { events: u64::from(end), types }
        })?)
    }
}

/// What one segment holds.
struct Counted {
    events: u64,
    types: Vec<(String, u64)>,
}
