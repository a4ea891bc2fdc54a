//! The segments of the log at one moment, and which of them hold what is looked for.

use std::{
    ops::{Deref, RangeInclusive},
    sync::{Arc, PoisonError},
};

use mainspring_event::EventId;
use mainspring_store::{Query, QueryItem, Scope};

use crate::{
    damage::Damage,
    directory::{Key, Run},
    format::frame::Kind,
    index::{IdHint, milliseconds},
    segment::Segment,
};

/// The segments in the order of the log, the last one of which grows, and the runs of the directory over the others.
pub(crate) struct Segments {
    list: Vec<Arc<Segment>>,
    runs: Vec<Arc<Run>>,
    /// The number of each segment. A segment covers the numbers from its own to that of the next.
    numbers: Vec<u32>,
    /// Where in the list the segments are that no run covers.
    direct: Vec<u32>,
    /// What is known of the event ids of each segment; nothing of one that grows.
    ids: Vec<Option<IdHint>>,
    /// The newest time of a time-ordered id in each segment and all before it.
    newest: Vec<u64>,
}

/// Where an event is.
pub(crate) struct Found {
    pub(crate) segment: Arc<Segment>,
    pub(crate) ordinal: u32,
    pub(crate) position: u64,
}

/// Which segments of a view may hold what a query selects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Matching {
    All,
    /// These, increasing.
    Some(Vec<u32>),
}

impl Deref for Segments {
    type Target = [Arc<Segment>];

    fn deref(&self) -> &[Arc<Segment>] {
        &self.list
    }
}

impl Segments {
    pub(crate) fn new(list: Vec<Arc<Segment>>, runs: Vec<Arc<Run>>) -> Self {
        let numbers: Vec<u32> = list.iter().map(|segment| segment.number).collect();
        let ids: Vec<_> = list.iter().map(|segment| segment.summary().map(|summary| summary.ids)).collect();
        let mut newest = 0;
        let upto = |ids: &Option<IdHint>| {
            newest = newest.max(ids.map_or(u64::MAX, IdHint::newest));
            newest
        };
        let newest = ids.iter().map(upto).collect();
        let mut view = Self { list, runs, numbers, direct: Vec::new(), ids, newest };
        let direct =
            (0..view.list.len()).filter(|index| view.covered(*index).is_none_or(|numbers| !view.has_run(&numbers)));
        view.direct = direct.map(number).collect();
        view
    }

    pub(crate) fn runs(&self) -> &[Arc<Run>] {
        &self.runs
    }

    /// The sealed segments that no run covers, with the numbers that each covers.
    pub(crate) fn without_run(&self) -> impl Iterator<Item = (&Arc<Segment>, RangeInclusive<u32>)> {
        self.direct.iter().filter_map(|index| {
            let index = *index as usize;
            Some((&self.list[index], self.covered(index)?))
        })
    }

    /// Whether no segment has a number behind one range and before another.
    pub(crate) fn nothing_between(&self, range: RangeInclusive<u32>, next: RangeInclusive<u32>) -> bool {
        let behind = self.numbers.partition_point(|number| number <= range.end());
        self.numbers.get(behind).is_none_or(|number| number >= next.start())
    }

    /// The numbers that a segment covers, if there is one behind it.
    fn covered(&self, index: usize) -> Option<RangeInclusive<u32>> {
        Some(self.numbers[index]..=self.numbers.get(index + 1)? - 1)
    }

    fn has_run(&self, numbers: &RangeInclusive<u32>) -> bool {
        let covers = |run: &Arc<Run>| run.range().contains(numbers.start()) && run.range().contains(numbers.end());
        self.runs.iter().any(|run| !run.is_bad() && covers(run))
    }

    /// Where in the list the segment is that covers a number.
    fn covering(&self, covered: u32) -> Option<u32> {
        self.numbers.partition_point(|number| *number <= covered).checked_sub(1).map(number)
    }

    /// The segments that may hold `key`, increasing; all that do are among them.
    fn holders(&self, key: Key) -> Vec<u32> {
        let (mut holders, mut numbers) = (Vec::new(), Vec::new());
        for run in &self.runs {
            match run.find(key, &mut numbers) {
                Ok(()) => holders.extend(numbers.iter().filter_map(|number| self.covering(*number))),
                Err(_) => {
                    let end = self.covering(*run.range().end()).map_or(0, |last| last + 1);
                    holders.extend(self.covering(*run.range().start()).unwrap_or(0)..end);
                }
            }
            numbers.clear();
        }
        holders.extend(&self.direct);
        sorted(holders)
    }

    /// The segments that may hold a stream, in the order of the log; all that do are among them.
    pub(crate) fn holding(&self, stream: &str) -> impl DoubleEndedIterator<Item = &Arc<Segment>> {
        self.holders(Key::stream(stream)).into_iter().map(|index| &self.list[index as usize])
    }

    /// The version that a stream stands at in the segments that are sealed; 0 if it has no event there.
    pub(crate) fn sealed_head(&self, stream: &str) -> Result<u64, Damage> {
        self.head_among(self.holding(stream).filter(|segment| segment.summary().is_some()), stream)
    }

    /// The version that a stream stands at; 0 if it has no event.
    pub(crate) fn head(&self, stream: &str) -> Result<u64, Damage> {
        if let Some(last) = self.list.last()
            && let Some(head) = head_in(last, stream)?
        {
            return Ok(head);
        }
        self.head_among(self.holding(stream), stream)
    }

    fn head_among<'a>(
        &self,
        segments: impl DoubleEndedIterator<Item = &'a Arc<Segment>>,
        stream: &str,
    ) -> Result<u64, Damage> {
        for segment in segments.rev() {
            if let Some(head) = head_in(segment, stream)? {
                return Ok(head);
            }
        }
        Ok(0)
    }

    /// The segments that may hold an event with this id, increasing.
    fn holders_of_id(&self, id: EventId) -> Vec<u32> {
        let may_have = |index: usize| self.ids[index].is_none_or(|ids| ids.may_have(id));
        match milliseconds(id) {
            // The newest first, until nothing before can be as new.
            Some(time) => {
                let new = (0..self.list.len()).rev().take_while(|index| self.newest[*index] >= time);
                let mut holders: Vec<u32> = new.filter(|index| may_have(*index)).map(number).collect();
                holders.reverse();
                holders
            }
            None => {
                let mut holders = self.holders(Key::id(id));
                holders.retain(|index| may_have(*index as usize));
                holders
            }
        }
    }

    /// Whether any of these ids is known.
    pub(crate) fn any_known(&self, ids: impl Iterator<Item = EventId> + Clone) -> Result<bool, Damage> {
        // The one that grows, all at once; the others only where they may have an id.
        let Some((last, sealed)) = self.list.split_last() else { return Ok(false) };
        let growing = last.memory_index().expect("the segment that grows has its index in memory");
        if growing.read().unwrap_or_else(PoisonError::into_inner).knows_any(ids.clone()) {
            return Ok(true);
        }
        let newest = sealed.len().checked_sub(1).map(|last| self.newest[last]);
        // Most ids are newer than all that is sealed.
        let is_new = |id: &EventId| milliseconds(*id).is_some_and(|time| newest.is_none_or(|newest| time > newest));
        for id in ids.filter(|id| !is_new(id)) {
            for index in self.holders_of_id(id).into_iter().rev() {
                if let Some(segment) = sealed.get(index as usize)
                    && segment.with_unlisted_index(|index| index.find_id(id).is_some())?
                {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Where the event with this id is.
    pub(crate) fn find_id(&self, id: EventId) -> Result<Option<Found>, Damage> {
        for index in self.holders_of_id(id).into_iter().rev() {
            let segment = &self.list[index as usize];
            let found = segment.with_unlisted_index(|index| {
                let ordinal = index.find_id(id)?;
                Some((ordinal, index.position(ordinal)))
            })?;
            if let Some((ordinal, position)) = found {
                return Ok(Some(Found { segment: segment.clone(), ordinal, position }));
            }
        }
        Ok(None)
    }

    /// The segments that may hold something that a query selects.
    pub(crate) fn matching(&self, query: &Query) -> Matching {
        match query {
            Query::All => Matching::All,
            Query::Ids(ids) => Matching::Some(sorted(ids.iter().flat_map(|id| self.holders_of_id(*id)).collect())),
            Query::Items(items) => {
                let holders: Option<Vec<_>> = items.iter().map(|item| self.holders_of_item(item)).collect();
                holders.map_or(Matching::All, |holders| Matching::Some(sorted(holders.concat())))
            }
        }
    }

    /// The segments that may hold what an item selects, increasing; `None` for all of them.
    fn holders_of_item(&self, item: &QueryItem) -> Option<Vec<u32>> {
        let tags = item.tags.iter().map(|tag| self.holders(Key::tag(tag.as_str())));
        let streams = match &item.scope {
            Scope::Streams(streams) => {
                let holders = streams.iter().flat_map(|stream| self.holders(Key::stream(stream.as_str())));
                Some(sorted(holders.collect()))
            }
            Scope::Everywhere | Scope::Category(_) => None,
        };
        tags.chain(streams).reduce(|one, other| {
            let both = one.into_iter().filter(|index| other.binary_search(index).is_ok());
            both.collect()
        })
    }
}

impl Matching {
    /// Whether the segment at this place of the view is among them.
    pub(crate) fn contains(&self, index: usize) -> bool {
        match self {
            Self::All => true,
            Self::Some(indexes) => indexes.binary_search(&number(index)).is_ok(),
        }
    }

    /// The first of them at this place or behind it.
    pub(crate) fn at_or_after(&self, index: usize) -> Option<usize> {
        match self {
            Self::All => Some(index),
            Self::Some(indexes) => {
                indexes.get(indexes.partition_point(|other| *other < number(index))).map(|index| *index as usize)
            }
        }
    }

    /// The last of them at this place or before it.
    pub(crate) fn at_or_before(&self, index: usize) -> Option<usize> {
        match self {
            Self::All => Some(index),
            Self::Some(indexes) => {
                let behind = indexes.partition_point(|other| *other <= number(index));
                behind.checked_sub(1).map(|last| indexes[last] as usize)
            }
        }
    }
}

/// The version that a stream stands at in a segment, if that has the stream.
pub(crate) fn head_in(segment: &Segment, stream: &str) -> Result<Option<u64>, Damage> {
    segment.with_unlisted_index(|index| index.find(Kind::Stream, stream).map(|code| index.head(code)))
}

fn sorted(mut indexes: Vec<u32>) -> Vec<u32> {
    indexes.sort_unstable();
    indexes.dedup();
    indexes
}

fn number(index: usize) -> u32 {
    u32::try_from(index).expect("a store has fewer than 4 Gi segments, whose numbers have 32 bits")
}

#[cfg(test)]
mod tests;
