//! Records of one segment as a batch buffer: verified once, then borrowed without copying.

use std::{io, sync::Arc};

use bytes::Bytes;
use jiff::Timestamp;
use mainspring_event::{EventBuffer, EventRef, MetadataRef, Position, Tags, Version};

use crate::{
    disk::DiskFile,
    format::{
        frame::Kind,
        record::{Place, Record},
    },
    index::Index,
    names::Names,
    segment::{Log, Segment, SegmentError},
};

/// Records that lie no further apart than this are read together.
const GAP: u32 = 4096;

/// The records of a batch.
pub(crate) struct Records {
    data: Bytes,
    /// Where each record begins in `data`.
    starts: Vec<u32>,
    names: Arc<dyn Names>,
}

impl Records {
    /// Reads and verifies the records of these events, given in increasing order.
    pub(crate) fn load(segment: &Segment, ordinals: &[u32]) -> Result<Self, SegmentError> {
        let (data, starts) = Self::read(segment, ordinals)?;
        let tagged = starts.iter().any(|start| !record_at(&data, *start).tags().is_empty());
        Ok(Self { data, starts, names: segment.names(tagged)? })
    }

    /// What the store says of these events, without the names that their authors gave.
    pub(crate) fn places(segment: &Segment, ordinals: &[u32]) -> Result<Vec<Place>, SegmentError> {
        let (data, starts) = Self::read(segment, ordinals)?;
        Ok(starts.iter().map(|start| record_at(&data, *start).place()).collect())
    }

    /// Verified records, and where each begins.
    fn read(segment: &Segment, ordinals: &[u32]) -> Result<(Bytes, Vec<u32>), SegmentError> {
        let (data, starts) = match segment.log() {
            Log::Memory(bytes) => {
                let starts =
                    |index: &dyn Index| -> Vec<u32> { ordinals.iter().map(|ordinal| index.offset(*ordinal)).collect() };
                (bytes, segment.with_unlisted_index(starts)?)
            }
            Log::File(file) => Self::copy(segment, file, ordinals)?,
        };
        for (start, ordinal) in starts.iter().zip(ordinals) {
            if data.get(*start as usize..).and_then(Record::verify).is_none() {
                let offset = segment.with_unlisted_index(|index| index.offset(*ordinal))?;
                return Err(segment.damage(u64::from(offset), "the checksum of an event does not match").into());
            }
        }
        Ok((data, starts))
    }

    /// Reads runs of neighbouring records of a segment that another process writes into one buffer.
    fn copy(segment: &Segment, file: &dyn DiskFile, ordinals: &[u32]) -> Result<(Bytes, Vec<u32>), SegmentError> {
        let places = segment.with_unlisted_index(|index| {
            let events = index.events();
            let next = |ordinal: u32| (ordinal < events).then(|| index.offset(ordinal));
            ordinals.iter().map(|ordinal| (index.offset(*ordinal), next(ordinal + 1))).collect::<Vec<_>>()
        })?;
        let end = segment.end();
        // The index may know records that are not written yet.
        let end_of = |next: Option<u32>| next.map_or(end, |next| end.min(u64::from(next)));
        let (mut buffer, mut starts) = (Vec::new(), Vec::with_capacity(places.len()));
        let mut run = 0;
        while run < places.len() {
            let first = places[run].0;
            let mut last = run;
            while last + 1 < places.len() && places[last + 1].0 - places[last].0 <= GAP {
                last += 1;
            }
            let base = buffer.len();
            let length = end_of(places[last].1).saturating_sub(u64::from(first));
            let length = usize::try_from(length).map_err(io::Error::other)?;
            buffer.extend_from_slice(&file.read_exact_at(u64::from(first), length)?);
            starts.extend(
                places[run..=last]
                    .iter()
                    .map(|(start, _)| u32::try_from(base).expect("a batch is smaller than 4 GiB") + (start - first)),
            );
            run = last + 1;
        }
        Ok((buffer.into(), starts))
    }

    /// Keeps the records for which `keep` holds.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(Record<'_>) -> bool) {
        let data = &self.data;
        self.starts.retain(|start| keep(record_at(data, *start)));
    }

    /// Turns the order round.
    pub(crate) fn reverse(&mut self) {
        self.starts.reverse();
    }

    pub(crate) fn record(&self, index: usize) -> Record<'_> {
        record_at(&self.data, self.starts[index])
    }

    pub(crate) fn names(&self) -> &dyn Names {
        &*self.names
    }
}

fn record_at(data: &Bytes, start: u32) -> Record<'_> {
    Record::trusted(&data[start as usize..]).expect("verified when the batch was loaded")
}

impl EventBuffer for Records {
    fn len(&self) -> usize {
        self.starts.len()
    }

    fn get(&self, index: usize) -> EventRef<'_> {
        let record = self.record(index);
        let place = record.place();
        EventRef {
            id: record.id(),
            stream: self.names.name(Kind::Stream, place.stream),
            event_type: self.names.name(Kind::Type, place.event_type),
            schema_version: record.schema_version(),
            time: record.time(),
            source: self.names.name(Kind::Source, place.source),
            content_type: self.names.name(Kind::ContentType, place.content_type),
            tags: Tags::coded(&*self.names, record.tags()),
            metadata: MetadataRef::new(record.metadata()),
            payload: record.payload(),
            version: Version(place.version),
            position: Position(place.position),
            recorded: timestamp(place.recorded),
        }
    }
}

/// The moment that many nanoseconds after 1970; every such number is within the range of timestamps.
pub(crate) fn timestamp(nanoseconds: i64) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(nanoseconds)).unwrap_or_default()
}
