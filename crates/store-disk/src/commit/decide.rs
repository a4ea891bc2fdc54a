//! Decides an append: known already, in conflict, or to be written.

use mainspring_event::{EventBuffer, NewEvent, Position, StreamName, Version};
use mainspring_store::{Append, AppendError, Appended, Check, Conflict, Query, Written};

use super::Committer;
use crate::{
    core::View,
    damage::Damage,
    prepare::Prepared,
    records::Records,
    rules::Rules,
    segment::{Segment, SegmentError},
    select,
    view::Matching,
};

/// What is to be done with an append.
pub(super) enum Decision {
    /// All of it is stored already.
    Original(Appended),
    Write,
    /// It depends on events that are not durable yet.
    FlushFirst,
}

impl Committer {
    pub(super) fn decide(&self, prepared: &Prepared) -> Result<Decision, AppendError> {
        let append = &prepared.append;
        let view = &self.view;
        // Before anything else: what a failed sync left in doubt may be this very append.
        if view.any_known(prepared.ids()).map_err(failed)? {
            return self.repeated(view, &append.events);
        }
        self.check_open().map_err(|refused| AppendError::Failed(refused.into()))?;
        let rules = &*self.rules;
        if !rules.is_empty()
            && let Some(stream) = tombstoned(rules, append, self.core.clock.now())
        {
            return Err(AppendError::Tombstoned { stream: stream.clone() });
        }
        for check in &append.checks {
            match check {
                Check::Stream { stream, expected } => {
                    let actual = Version(view.head(stream.as_str()).map_err(failed)?);
                    if !expected.holds(actual) {
                        return Err(Conflict::Stream { stream: stream.clone(), expected: *expected, actual }.into());
                    }
                }
                Check::NoMatch { after, .. } if self.is_waiting() && self.reads_back(*after) => {
                    return Ok(Decision::FlushFirst);
                }
                Check::NoMatch { query, after } => self.no_match(query, *after, rules)?,
            }
        }
        Ok(Decision::Write)
    }

    /// The version a stream stands at, written or waiting to be.
    pub(super) fn head_of(&self, stream: &str) -> Result<u64, Damage> {
        self.view.head(stream)
    }

    /// The original answer, if every event is known, in the same order and with the same content.
    fn repeated(&self, view: &View, events: &[NewEvent]) -> Result<Decision, AppendError> {
        let known = events.iter().map(|event| view.find_id(event.id)).collect::<Result<Vec<_>, _>>().map_err(failed)?;
        let durable = self.core.durable().0;
        if known.iter().flatten().any(|known| known.position > durable) {
            self.check_open().map_err(|refused| AppendError::Unknown(refused.into()))?;
            return Ok(Decision::FlushFirst);
        }
        let complete = known.iter().all(Option::is_some)
            && known.iter().flatten().is_sorted_by(|one, next| one.position < next.position);
        let mut written = Vec::with_capacity(events.len());
        for (event, known) in events.iter().zip(&known) {
            let Some(known) = known else { continue };
            let records = Records::load(&known.segment, &[known.ordinal]).map_err(failed)?;
            if !complete || !event.has_content_of(&records.get(0)) {
                return Err(AppendError::IdReused { id: event.id, position: Position(known.position) });
            }
            let version = Version(records.record(0).place().version);
            written.push(Written { position: Position(known.position), version });
        }
        let position = written.last().map_or(Position::START, |last| last.position);
        Ok(Decision::Original(Appended { position, written }))
    }

    /// Whether a condition is decided by reading events back, which have to be durable for that: what a rule hides, and what
    /// has gone with what was removed, their index cannot tell.
    fn reads_back(&self, after: Option<Position>) -> bool {
        !self.rules.is_empty() || after.is_some_and(|after| self.core.removed_tagged() > after.0)
    }

    fn no_match(&self, query: &Query, after: Option<Position>, rules: &Rules) -> Result<(), AppendError> {
        let after_position = after.unwrap_or_default().0;
        let view = &self.view;
        let begin = view.partition_point(|segment| segment.first_position <= after_position).saturating_sub(1);
        // Conditions mostly look at what is new, which is in the segment that grows.
        let matching = if begin + 1 < view.len() { view.matching(query) } else { Matching::All };
        for (_, segment) in view.iter().enumerate().skip(begin).filter(|(index, _)| matching.contains(*index)) {
            let found = segment
                .with_index(|index| {
                    let range = index.ordinal_after(after_position)..index.events();
                    if rules.is_empty() {
                        select::first(index, query, range).into_iter().collect()
                    } else {
                        let all = select::Wanted { batch: usize::MAX, limit: u64::MAX };
                        select::select(index, query, range, false, all).ordinals
                    }
                })
                .map_err(failed)?;
            for ordinal in found {
                let retained = rules.is_empty() || self.is_retained(segment, ordinal, rules).map_err(failed)?;
                if retained {
                    let position = segment.with_unlisted_index(|index| index.position(ordinal)).map_err(failed)?;
                    let position = Position(position);
                    return Err(Conflict::Match { query: query.clone(), after, position }.into());
                }
            }
        }
        match after {
            Some(_) if rules.may_hide_tags() || self.core.removed_tagged() > after_position => {
                self.nothing_removed(after_position, rules)
            }
            _ => Ok(()),
        }
    }

    /// Refuses a condition over a range from which an event with tags was removed.
    fn nothing_removed(&self, after: u64, rules: &Rules) -> Result<(), AppendError> {
        // What is gone for good: noted before the segments that held it are replaced.
        let removed = self.core.removed_tagged();
        for segment in self.view.iter().rev() {
            let from = after.max(removed);
            let range =
                segment.with_unlisted_index(|index| index.ordinal_after(from)..index.events()).map_err(failed)?;
            for ordinal in range.clone().rev() {
                let records = Records::load(segment, &[ordinal]).map_err(failed)?;
                let tagged = !records.get(0).tags.is_empty();
                if tagged && !self.is_retained(segment, ordinal, rules).map_err(failed)? {
                    return Err(AppendError::Stale { floor: records.get(0).position });
                }
            }
            if segment.first_position <= from {
                break;
            }
        }
        if removed > after {
            return Err(AppendError::Stale { floor: Position(removed) });
        }
        Ok(())
    }

    fn is_retained(&self, segment: &Segment, ordinal: u32, rules: &Rules) -> Result<bool, SegmentError> {
        let records = Records::load(segment, &[ordinal])?;
        let event = records.get(0);
        let Some(limits) = rules.limits(event.stream, self.core.clock.now()) else { return Ok(true) };
        let place = records.record(0).place();
        Ok(limits.retains(place.version, place.recorded, self.head_of(event.stream)?))
    }
}

/// A tombstoned stream that the append names, other than to tombstone it again.
fn tombstoned<'a>(rules: &Rules, append: &'a Append, now: jiff::Timestamp) -> Option<&'a StreamName> {
    let closed = |stream: &&StreamName| rules.limits(stream.as_str(), now).is_some_and(|limits| limits.tombstoned);
    append.open_streams().find(closed)
}

fn failed(error: impl Into<SegmentError>) -> AppendError {
    AppendError::Failed(error.into().into())
}
