//! Reading: each batch continues after the position where the last one ended, from whatever segment holds it now.

use std::{collections::HashMap, sync::Arc};

use futures_util::{Stream, stream};
use mainspring_event::{EventBuffer, Position};
use mainspring_store::{Direction, EventBatch, Read, ReadError, ReadFrom};
use tokio::sync::watch;

use crate::{
    core::{Core, Seen, View},
    format::frame::Kind,
    index::Index,
    records::Records,
    rules::Rules,
    segment::{Segment, SegmentError},
    select::{Found, Wanted, select},
    tail::Tail,
    view::Matching,
};

/// A batch ends with the commit in which it reaches so many bytes …
const BATCH_BYTES: u64 = 1 << 20;

/// … or so many events.
const BATCH_EVENTS: usize = 4096;

/// A read that finds nothing says how far it came after so many segments.
const SILENT_SEGMENTS: usize = 64;

/// A read under way.
struct Cursor {
    core: Arc<Core>,
    /// Keeps up with a writer in another process.
    tail: Option<Arc<Tail>>,
    durable: watch::Receiver<Seen>,
    read: Read,
    /// The next batch begins next to this position, in the direction of the read.
    at: u64,
    remaining: u64,
    phase: Phase,
    /// Which segments may hold what is read, and the view for which that was found out.
    matching: Option<(View, Matching)>,
}

enum Phase {
    /// Not polled yet.
    New,
    Reading,
    /// Everything there was has been delivered; a follower waits.
    CaughtUp,
    Ended,
}

pub(crate) fn stream(
    core: Arc<Core>,
    tail: Option<Arc<Tail>>,
    read: Read,
) -> impl Stream<Item = Result<EventBatch, ReadError>> {
    let remaining = read.limit.unwrap_or(u64::MAX);
    let durable = core.watch();
    let cursor = Cursor { core, tail, durable, read, at: 0, remaining, phase: Phase::New, matching: None };
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
                Phase::Reading => return Some(self.batch()),
                Phase::CaughtUp => {
                    let at = Position(self.at);
                    match &self.tail {
                        Some(tail) => {
                            if let Err(error) = tail.wait_beyond(&self.core, at).await {
                                return Some(Err(error));
                            }
                        }
                        None => {
                            // The core, which this cursor shares, holds the sender.
                            let seen = self.durable.wait_for(|seen| seen.closed || seen.durable > at).await.ok()?;
                            if seen.durable <= at {
                                return Some(Err(ReadError::Failed("the store was closed".into())));
                            }
                        }
                    }
                    self.phase = Phase::Reading;
                }
                Phase::Ended => return None,
            }
        }
    }

    fn backwards(&self) -> bool {
        self.read.direction == Direction::Backwards
    }

    fn start(&mut self) -> Result<(), ReadError> {
        self.read.validate()?;
        if let Some(tail) = &self.tail {
            tail.refresh(&self.core)?;
        }
        let (view, durable) = self.core.snapshot();
        self.check_stream(&view, durable)?;
        let past_end = durable.0 + 1;
        self.at = match self.read.from {
            ReadFrom::Start => 0,
            ReadFrom::End if self.backwards() => past_end,
            ReadFrom::End => durable.0,
            ReadFrom::After(position) if position > durable && !self.backwards() => {
                return Err(ReadError::BeyondHead { position, head: durable });
            }
            ReadFrom::After(position) => position.0.min(past_end),
            ReadFrom::Version(version) => {
                let stream = self.read.query.single_stream().map(|stream| stream.as_str()).unwrap_or_default();
                let backwards = self.backwards();
                let found = self.core.position_of_version(&view, stream, version.0, durable, backwards)?;
                match (found, backwards) {
                    (Some(position), false) => position - 1,
                    (Some(position), true) => position + 1,
                    (None, false) => durable.0,
                    (None, true) => 0,
                }
            }
            ReadFrom::Time(time) if self.backwards() => {
                let later = time.checked_add(jiff::SignedDuration::from_nanos(1)).unwrap_or(time);
                self.core.position_before(&view, later, durable).map_err(SegmentError::from)? + 1
            }
            ReadFrom::Time(time) => self.core.position_before(&view, time, durable).map_err(SegmentError::from)?,
        };
        Ok(())
    }

    /// Refuses to read a tombstoned stream, or one from a version that is gone.
    fn check_stream(&self, view: &View, durable: Position) -> Result<(), ReadError> {
        let Some(stream) = self.read.query.single_stream() else { return Ok(()) };
        let rules = self.core.rules();
        let Some(limits) = rules.limits(stream.as_str(), self.core.clock.now()) else { return Ok(()) };
        if limits.tombstoned {
            return Err(ReadError::Tombstoned { stream: stream.clone() });
        }
        if let ReadFrom::Version(version) = self.read.from
            && version.0 > 0
        {
            let (first, _) = self.core.first_retained(view, stream.as_str(), &limits, durable)?;
            if version.0 < first {
                let first = mainspring_event::Version(first);
                return Err(ReadError::Truncated { stream: stream.clone(), first });
            }
        }
        Ok(())
    }

    /// The next events, and how far looking for them has come.
    fn batch(&mut self) -> Result<EventBatch, ReadError> {
        if let Some(tail) = &self.tail {
            tail.refresh(&self.core)?;
        }
        // Before the segments: a rule that is relaxed later shows nothing again that was removed under it.
        let rules = self.core.rules();
        let (view, durable) = self.core.snapshot();
        let backwards = self.backwards();
        let mut silent = 0;
        self.find_matching(&view);
        loop {
            let Some((segment, bounds)) = self.segment(&view, durable) else {
                self.at = if backwards { 0 } else { self.at.max(durable.0) };
                return Ok(self.finish(None, true));
            };
            let (found, through) = self.search(&segment, bounds)?;
            let mut records = Records::load(&segment, &found.ordinals)?;
            self.hide(&rules, &view, durable, &mut records)?;
            self.at = through;
            silent += 1;
            if !records.is_empty() || silent == SILENT_SEGMENTS || found.stopped.is_some() {
                if backwards {
                    records.reverse();
                }
                let ended = found.stopped.is_none() && self.segment(&view, durable).is_none();
                if ended {
                    self.at = if backwards { 0 } else { self.at.max(durable.0) };
                }
                return Ok(self.finish(Some(records), ended));
            }
        }
    }

    /// Finds out which segments have to be searched.
    fn find_matching(&mut self, view: &View) {
        if self.matching.as_ref().is_none_or(|(of, _)| !Arc::ptr_eq(of, view)) {
            self.matching = Some((view.clone(), view.matching(&self.read.query)));
        }
    }

    /// The next segment that may hold what is read, and the positions of it that are to be searched.
    fn segment(&self, view: &View, durable: Position) -> Option<(Arc<Segment>, std::ops::RangeInclusive<u64>)> {
        let (_, matching) = self.matching.as_ref()?;
        let holds = |position: u64| {
            let after = view.partition_point(|segment| segment.first_position <= position);
            after.checked_sub(1)
        };
        let last = |index: usize| {
            let next = view.get(index + 1).map_or(u64::MAX, |segment| segment.first_position);
            durable.0.min(next - 1)
        };
        if self.backwards() {
            let from = self.at.checked_sub(1).filter(|from| *from > 0)?;
            let index = matching.at_or_before(holds(from)?)?;
            Some((view[index].clone(), view[index].first_position..=from.min(last(index))))
        } else {
            let from = self.at + 1;
            // What came before the oldest segment was removed.
            let index = matching.at_or_after(holds(from).unwrap_or(0))?;
            let from = from.max(view.get(index)?.first_position);
            (from <= durable.0).then(|| (view[index].clone(), from..=last(index)))
        }
    }

    /// Searches a part of a segment; answers also the position through which everything was looked at.
    fn search(&self, segment: &Segment, bounds: std::ops::RangeInclusive<u64>) -> Result<(Found, u64), SegmentError> {
        let backwards = self.backwards();
        let end = segment.end();
        Ok(segment.with_index(|index| {
            let wanted = Wanted { batch: BATCH_EVENTS, limit: self.remaining };
            let range = index.ordinal_after(bounds.start() - 1)..index.ordinal_after(*bounds.end());
            let mut found = select(index, &self.read.query, range, backwards, wanted);
            bound(index, &mut found, end, backwards);
            let through = match found.stopped {
                Some(ordinal) => index.position(ordinal),
                None if backwards => *bounds.start(),
                None => *bounds.end(),
            };
            if backwards {
                found.ordinals.reverse();
            }
            (found, through)
        })?)
    }

    /// Leaves out what retention has removed.
    fn hide(&self, rules: &Rules, view: &View, durable: Position, records: &mut Records) -> Result<(), SegmentError> {
        // The version or the time to begin with may be yet to come.
        match self.read.from {
            ReadFrom::Version(version) if !self.backwards() => {
                records.retain(|record| record.place().version >= version.0);
            }
            ReadFrom::Time(time) if !self.backwards() => {
                records.retain(|record| i128::from(record.place().recorded) >= time.as_nanosecond());
            }
            _ => {}
        }
        if rules.is_empty() {
            return Ok(());
        }
        let now = self.core.clock.now();
        let mut streams = HashMap::new();
        for index in 0..records.len() {
            let code = records.record(index).place().stream;
            if let std::collections::hash_map::Entry::Vacant(entry) = streams.entry(code) {
                let stream = records.names().name(Kind::Stream, code);
                let limits = match rules.limits(stream, now) {
                    Some(limits) => Some((limits, self.core.visible_head(view, stream, durable)?)),
                    None => None,
                };
                entry.insert(limits);
            }
        }
        records.retain(|record| {
            let place = record.place();
            let limits = streams.get(&place.stream).copied().flatten();
            limits.is_none_or(|(limits, head)| limits.retains(place.version, place.recorded, head))
        });
        Ok(())
    }

    fn finish(&mut self, records: Option<Records>, caught_up: bool) -> EventBatch {
        let through = Position(self.at);
        let found = records.as_ref().map_or(0, |records| records.len() as u64);
        self.remaining -= found.min(self.remaining);
        self.phase = match (caught_up, self.remaining) {
            (_, 0) => Phase::Ended,
            (false, _) => Phase::Reading,
            (true, _) if self.read.follow => Phase::CaughtUp,
            (true, _) => Phase::Ended,
        };
        match records {
            Some(records) if found > 0 => EventBatch::new(Arc::new(records), through, caught_up),
            _ => EventBatch::empty(through, caught_up),
        }
    }
}

/// Cuts what was found at the end of the commit in which it reaches the size of a batch.
fn bound(index: &dyn Index, found: &mut Found, end: u64, backwards: bool) {
    let mut bytes = 0;
    let full = found.ordinals.iter().position(|ordinal| {
        let next = if ordinal + 1 < index.events() { u64::from(index.offset(ordinal + 1)) } else { end };
        bytes += next.saturating_sub(u64::from(index.offset(*ordinal)));
        bytes >= BATCH_BYTES
    });
    let Some(full) = full else { return };
    let commit = index.commit_of(found.ordinals[full]);
    let keep = full + found.ordinals[full..].iter().take_while(|ordinal| commit.contains(ordinal)).count();
    if keep < found.ordinals.len() {
        found.ordinals.truncate(keep);
        found.stopped = Some(if backwards { commit.start } else { commit.end.saturating_sub(1) });
    }
}
