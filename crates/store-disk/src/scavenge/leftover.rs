//! What must outlive the events of a segment: where its streams stood, and what was changed of streams.

use std::collections::HashMap;

use mainspring_event::{StreamName, Version};
use mainspring_store::{Retained, StreamChange};

use super::survey::{Moment, Survey};
use crate::{
    damage::Damage,
    format::frame::Kind,
    index::List,
    segment::{Segment, SegmentError},
};

/// In so many segments at each end of what follows is looked for a later mention of a stream. Not finding one that is
/// there costs a few bytes and nothing else.
const LOOKED_THROUGH: usize = 8;

/// What the file that takes the place of some segments says before its events.
#[derive(Debug, Default)]
pub(super) struct Leftover {
    /// Streams of which nothing is left there or later, and where they stand.
    pub(super) emptied: Vec<(String, u64)>,
    /// The changes of streams, as far as later ones do not make them void.
    pub(super) changes: Vec<StreamChange>,
    /// Those of them that no append has made: older events are not shown again when a rule is relaxed, because newer ones
    /// of the same stream are gone.
    pub(super) truncations: Vec<StreamChange>,
}

/// What becomes of a stream in the segments of a group.
#[derive(Default)]
struct Fate {
    kept: usize,
    head: u64,
    removed_through: u64,
}

impl Leftover {
    /// What is left of the segments of `group`, while those of `older` keep events that could be removed.
    pub(super) fn of(moment: &Moment, group: &[Survey], older: &[&Survey]) -> Result<Self, SegmentError> {
        let mut leftover = Self::default();
        let mut changes = Vec::new();
        for survey in group {
            changes.extend(survey.segment.changes()?);
        }
        for (stream, fate) in fates(group)? {
            if fate.kept == 0 && !is_known_later(moment, group, &stream)? {
                leftover.emptied.push((stream.clone(), fate.head));
            }
            let below = fate.removed_through + 1;
            if fate.removed_through > 0 && !moment.rules.is_gone_for_ever(&stream, below) {
                let remains = older.iter().map(|survey| survey.holds(&stream)).collect::<Result<Vec<_>, _>>()?;
                if remains.contains(&true) {
                    let name = StreamName::new(&*stream).map_err(|error| unreadable(&group[0].segment, &error))?;
                    leftover.truncations.push(StreamChange::TruncateBefore { stream: name, version: Version(below) });
                }
            }
        }
        leftover.emptied.sort_unstable();
        leftover.truncations.sort_unstable_by_key(|change| key(change).1);
        changes.extend_from_slice(&leftover.truncations);
        leftover.changes = condense(changes);
        Ok(leftover)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.emptied.is_empty() && self.changes.is_empty()
    }
}

fn fates(group: &[Survey]) -> Result<HashMap<String, Fate>, Damage> {
    let mut fates = HashMap::<String, Fate>::new();
    for survey in group {
        let names = survey.segment.names(false)?;
        let streams = survey.segment.with_index(|index| {
            let stream = |code: u32| (code, index.postings(List::Stream(code)).len(), index.head(code));
            (0..index.names_of(Kind::Stream)).map(stream).collect::<Vec<_>>()
        })?;
        for (code, events, head) in streams {
            let fate = fates.entry(names.name(Kind::Stream, code).to_owned()).or_default();
            let removal = survey.streams.get(&code);
            fate.kept += events - removal.map_or(0, |removal| removal.events as usize);
            fate.head = fate.head.max(head);
            fate.removed_through = fate.removed_through.max(removal.map_or(0, |removal| removal.through));
        }
    }
    Ok(fates)
}

/// Whether a segment behind the group says where the stream stands, and will go on to.
fn is_known_later(moment: &Moment, group: &[Survey], stream: &str) -> Result<bool, Damage> {
    let last = group.last().map_or(0, |survey| survey.segment.number);
    let later = &moment.view[moment.view.partition_point(|segment| segment.number <= last)..];
    let known = |segment: &Segment| {
        segment.with_index(|index| {
            let Some(code) = index.find(Kind::Stream, stream) else { return false };
            // What is not durable may be cut off again.
            segment.is_sealed() || index.postings(List::Stream(code)).below(index.ordinal_after(moment.durable.0)) > 0
        })
    };
    let (next, newest) = later.split_at(later.len().saturating_sub(LOOKED_THROUGH));
    for segment in newest.iter().rev().chain(next.iter().take(LOOKED_THROUGH)) {
        if known(segment)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Leaves out what a later change of the same thing makes void.
pub(super) fn condense(changes: Vec<StreamChange>) -> Vec<StreamChange> {
    let mut kept: Vec<Option<StreamChange>> = Vec::with_capacity(changes.len());
    let mut places = HashMap::<(u8, String), usize>::new();
    for change in changes {
        if let StreamChange::Tombstone { stream } = &change {
            for kind in [OF_STREAM, TRUNCATION] {
                if let Some(place) = places.remove(&(kind, stream.as_str().to_owned())) {
                    kept[place] = None;
                }
            }
        }
        let place = *places.entry(key(&change)).or_insert(kept.len());
        if place == kept.len() {
            kept.push(None);
        }
        let lower = matches!((&kept[place], &change), (
            Some(StreamChange::TruncateBefore { version: one, .. }),
            StreamChange::TruncateBefore { version: other, .. },
        ) if other < one);
        if !lower {
            kept[place] = Some(change);
        }
    }
    kept.into_iter().flatten().collect()
}

const OF_STREAM: u8 = 0;
const OF_CATEGORY: u8 = 1;
const TRUNCATION: u8 = 2;
const TOMBSTONE: u8 = 3;

/// Two changes of the same key are about the same thing.
fn key(change: &StreamChange) -> (u8, String) {
    match change {
        StreamChange::Retain { target: Retained::Stream(stream), .. } => (OF_STREAM, stream.as_str().to_owned()),
        StreamChange::Retain { target: Retained::Category(name), .. } => (OF_CATEGORY, name.as_str().to_owned()),
        StreamChange::TruncateBefore { stream, .. } => (TRUNCATION, stream.as_str().to_owned()),
        StreamChange::Tombstone { stream } => (TOMBSTONE, stream.as_str().to_owned()),
    }
}

fn unreadable(segment: &Segment, error: &mainspring_event::NameError) -> Damage {
    segment.damage(0, format!("it names a stream that cannot be one: {error}"))
}

#[cfg(test)]
mod tests;
