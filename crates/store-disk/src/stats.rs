//! What a store holds, by its indexes: for operators, not for hot paths.

use std::{collections::BTreeMap, io};

use mainspring_event::{Position, StreamName, Version};
use mainspring_store::ReadError;

use crate::{
    disk::Access,
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
    /// Bytes of the index files; the last segment has none yet.
    pub index_bytes: u64,
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
    /// How many bytes its index files have.
    pub index_bytes: u64,
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
    /// How many bytes of the log those take.
    ///
    /// An event counts with what stands between it and the next one, which is the beginning of the next commit where it is
    /// the last of its own.
    pub bytes: u64,
}

/// The events of one type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeStats {
    /// Its name.
    pub name: String,
    /// How many events there are of it.
    pub events: u64,
    /// How many bytes of the log those take; counted as for [`CategoryStats::bytes`].
    pub bytes: u64,
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
        let (view, durable) = self.core.snapshot();
        let mut stats = Stats { head: durable, ..Stats::default() };
        let (mut types, mut categories) = (BTreeMap::<String, Sum>::new(), BTreeMap::<String, Sum>::new());
        for segment in view.iter() {
            let counted = count(segment, durable)?;
            let index_bytes = self.index_bytes(segment)?;
            stats.events += counted.events;
            stats.log_bytes += segment.end();
            stats.index_bytes += index_bytes;
            counted.types.into_iter().for_each(|(name, sum)| types.entry(name).or_default().add(sum));
            counted.categories.into_iter().for_each(|(name, sum)| categories.entry(name).or_default().add(sum));
            stats.segments.push(SegmentStats {
                number: segment.number,
                events: counted.events,
                bytes: segment.end(),
                index_bytes,
                sealed: segment.is_sealed(),
            });
        }
        let mut streams = BTreeMap::<String, u64>::new();
        for stream in self.streams()? {
            *streams.entry(stream.name.category().to_owned()).or_default() += 1;
            stats.streams += 1;
        }
        stats.types =
            types.into_iter().map(|(name, Sum { events, bytes })| TypeStats { name, events, bytes }).collect();
        let category = |(name, Sum { events, bytes }): (String, Sum)| {
            let streams = streams.get(&name).copied().unwrap_or_default();
            CategoryStats { name, streams, events, bytes }
        };
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

    /// The bytes of the index files of a segment, as far as they are written.
    fn index_bytes(&self, segment: &Segment) -> Result<u64, SegmentError> {
        let size = self.core.disk.open(&segment.index_name(), Access::Read).and_then(|file| file.size());
        match size {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            size => Ok(size?),
        }
    }
}

/// Events and the bytes that they take.
#[derive(Clone, Copy, Default)]
struct Sum {
    events: u64,
    bytes: u64,
}

impl Sum {
    fn add(&mut self, other: Self) {
        self.events += other.events;
        self.bytes += other.bytes;
    }
}

/// What one segment holds.
struct Counted {
    events: u64,
    types: Vec<(String, Sum)>,
    categories: Vec<(String, Sum)>,
}

/// Counts the events of a segment by where the index says that they begin.
fn count(segment: &Segment, durable: Position) -> Result<Counted, SegmentError> {
    let names = segment.names(false)?;
    let length = segment.end();
    Ok(segment.with_index(|index| {
        let end = index.ordinal_after(durable.0);
        let mut types = vec![Sum::default(); index.names_of(Kind::Type) as usize];
        let mut categories = vec![Sum::default(); index.categories() as usize];
        for ordinal in 0..end {
            let start = u64::from(index.offset(ordinal));
            // The index of a growing segment may know events that are not written yet.
            let next = if ordinal + 1 < end { u64::from(index.offset(ordinal + 1)) } else { length };
            let sum = Sum { events: 1, bytes: next.saturating_sub(start) };
            let event_type = types.get_mut(index.type_of(ordinal) as usize);
            let category = categories.get_mut(index.category_of(index.stream_of(ordinal)) as usize);
            event_type.into_iter().chain(category).for_each(|total| total.add(sum));
        }
        let present = |(_, sum): &(String, Sum)| sum.events > 0;
        let types = (0..).zip(types).map(|(code, sum)| (names.name(Kind::Type, code).to_owned(), sum));
        let categories = (0..).zip(categories).map(|(code, sum)| (index.category_name(code).to_owned(), sum));
        let (types, categories) = (types.filter(present).collect(), categories.filter(present).collect());
        Counted { events: u64::from(end), types, categories }
    })?)
}
