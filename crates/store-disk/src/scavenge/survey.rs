//! What of one full segment can be removed, by its index and a few records.

use std::{collections::HashMap, sync::Arc};

use jiff::Timestamp;
use mainspring_event::Position;

use crate::{
    core::{Core, View},
    format::frame::Kind,
    index::{Index, List},
    records::Records,
    rules::{Limits, Rules},
    segment::{Segment, SegmentError},
};

/// What retention says at one moment, of what is durable.
pub(super) struct Moment {
    pub(super) view: View,
    pub(super) durable: Position,
    pub(super) rules: Arc<Rules>,
    pub(super) now: Timestamp,
}

/// What of one segment can be removed.
pub(super) struct Survey {
    pub(super) segment: Arc<Segment>,
    /// How many events it holds.
    pub(super) events: u32,
    /// How many of them can be removed.
    pub(super) removable: u32,
    /// How many bytes those take.
    pub(super) removable_bytes: u64,
    /// By the code of a stream, up to which version it can be removed and how many events these are.
    pub(super) streams: HashMap<u32, Removal>,
}

/// The oldest events of a stream in one segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Removal {
    /// The highest version that can be removed.
    pub(super) through: u64,
    pub(super) events: u32,
}

impl Moment {
    pub(super) fn now(core: &Core) -> Self {
        let rules = core.rules();
        let (view, durable) = core.snapshot();
        Self { view, durable, rules, now: core.clock.now() }
    }
}

impl Survey {
    pub(super) fn of(core: &Core, moment: &Moment, segment: &Arc<Segment>) -> Result<Self, SegmentError> {
        let names = segment.names(false)?;
        let (events, codes) = segment.with_index(|index| (index.events(), moment.rules.streams_of(index, &*names)))?;
        let mut survey =
            Self { segment: segment.clone(), events, removable: 0, removable_bytes: 0, streams: HashMap::new() };
        for code in codes {
            let stream = names.name(Kind::Stream, code);
            if let Some(limits) = moment.rules.limits(stream, moment.now) {
                let head = if limits.counts() { core.visible_head(&moment.view, stream, moment.durable)? } else { 0 };
                survey.look_at(code, &limits, head)?;
            }
        }
        Ok(survey)
    }

    /// Finds how many events of a stream can be removed. What a rule removes is always the oldest: versions and recorded
    /// times of a stream increase.
    fn look_at(&mut self, code: u32, limits: &Limits, head: u64) -> Result<(), SegmentError> {
        let segment = &self.segment;
        let ordinals: Vec<u32> = segment.with_index(|index| {
            let postings = index.postings(List::Stream(code));
            (0..postings.len()).map(|at| postings.get(at)).collect()
        })?;
        let (mut removable, mut kept_from, mut through) = (0, ordinals.len(), 0);
        while removable < kept_from {
            let middle = removable + (kept_from - removable) / 2;
            let place = Records::load(segment, &[ordinals[middle]])?.record(0).place();
            if limits.retains(place.version, place.recorded, head) {
                kept_from = middle;
            } else {
                (removable, through) = (middle + 1, place.version);
            }
        }
        if removable == 0 {
            return Ok(());
        }
        let end = segment.end();
        self.removable_bytes += segment.with_index(|index| {
            ordinals[..removable].iter().map(|ordinal| length(index, *ordinal, end)).sum::<u64>()
        })?;
        let events = u32::try_from(removable).expect("a segment holds fewer than 4 Gi events");
        self.removable += events;
        self.streams.insert(code, Removal { through, events });
        Ok(())
    }

    /// Leaves only the numbers, so that what is known of all segments at once stays small.
    pub(super) fn without_streams(self) -> Self {
        Self { streams: HashMap::new(), ..self }
    }

    /// Whether the rules of now, too, remove all that was found. They may have been relaxed.
    pub(super) fn still_holds(&self, core: &Core, moment: &Moment) -> Result<bool, SegmentError> {
        let rules = core.rules();
        if Arc::ptr_eq(&rules, &moment.rules) {
            return Ok(true);
        }
        let moment = Moment { view: moment.view.clone(), rules, ..*moment };
        let again = Self::of(core, &moment, &self.segment)?;
        let holds = |(code, removal): (&u32, &Removal)| {
            again.streams.get(code).is_some_and(|again| again.through >= removal.through)
        };
        Ok(self.streams.iter().all(holds))
    }

    /// Whether no event is kept.
    pub(super) fn keeps_nothing(&self) -> bool {
        self.removable == self.events
    }

    /// About how long the file would be without what can be removed.
    pub(super) fn kept_bytes(&self) -> u64 {
        self.segment.end().saturating_sub(self.removable_bytes)
    }

    /// Whether so many hundredths of the file, at least, can be removed.
    pub(super) fn is_worth(&self, percent: u64) -> bool {
        self.removable > 0 && self.removable_bytes.saturating_mul(100) >= self.segment.end().saturating_mul(percent)
    }

    /// Whether it holds events of this stream.
    pub(super) fn holds(&self, stream: &str) -> Result<bool, SegmentError> {
        Ok(self.segment.with_index(|index| {
            let code = index.find(Kind::Stream, stream);
            code.is_some_and(|code| index.postings(List::Stream(code)).len() > 0)
        })?)
    }

    /// When its last event was recorded, if it holds one.
    pub(super) fn newest(&self) -> Option<i64> {
        self.segment.summary().map(|summary| summary.recorded).filter(|recorded| *recorded > i64::MIN)
    }

    /// The highest position of an event with tags.
    pub(super) fn last_tagged(&self) -> Result<u64, SegmentError> {
        Ok(self.segment.with_index(|index| {
            let last = |code: u32| {
                let postings = index.postings(List::Tag(code));
                postings.len().checked_sub(1).map(|last| index.position(postings.get(last)))
            };
            (0..index.names_of(Kind::Tag)).filter_map(last).max().unwrap_or_default()
        })?)
    }
}

/// How many bytes a record takes, and what stands between it and the next.
fn length(index: &dyn Index, ordinal: u32, end: u64) -> u64 {
    let next = if ordinal + 1 < index.events() { u64::from(index.offset(ordinal + 1)) } else { end };
    next - u64::from(index.offset(ordinal))
}
