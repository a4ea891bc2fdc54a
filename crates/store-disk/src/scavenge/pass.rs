//! One pass over all full segments.

use super::{
    Mode, ScavengeError, Scavenged, State, Work,
    exchange::{drop_segments, exchange},
    leftover::Leftover,
    pace::Pace,
    plan::{Group, groups},
    rewrite::rewrite,
    survey::{Moment, Survey},
};

pub(super) fn run(work: &Work, state: &mut State, mode: Mode) -> Result<Scavenged, ScavengeError> {
    let moment = Moment::now(&work.core);
    let mut done = Scavenged::default();
    let Some((_, full)) = moment.view.split_last() else { return Ok(done) };
    done.segments = full.len() as u64;
    if moment.rules.is_empty() {
        return Ok(done);
    }
    let mut pace = Pace::new(work, mode);
    let mut found = Found::default();
    for segment in full {
        found.add(&moment, Survey::of(&work.core, &moment, segment)?)?;
        pace.rest()?;
    }
    let surveys = found.drop_empty(work, &moment, &mut done)?;
    // Segments that keep events which could be removed, because they are not worth it.
    let mut passed: Vec<Survey> = Vec::new();
    let mut failed = None;
    for group in groups(surveys, work.terms.segment_bytes, mode) {
        let written =
            if group.worth { write_again(work, state, &moment, &group, &passed, &mut pace) } else { Ok(None) };
        match written {
            Ok(Some(written)) => done.add(&written),
            Ok(None) => passed.extend(group.surveys),
            Err(error @ ScavengeError::Io(_)) if !work.catalog.is_in_doubt() => {
                // What comes next may need less room than there is.
                passed.extend(group.surveys);
                failed = failed.or(Some(error));
            }
            Err(error) => return Err(error),
        }
    }
    failed.map_or(Ok(done), Err)
}

/// What a look at every full segment has found.
#[derive(Default)]
struct Found {
    kept: Vec<Survey>,
    /// Segments of which nothing is left.
    gone: Vec<Survey>,
}

impl Found {
    fn add(&mut self, moment: &Moment, survey: Survey) -> Result<(), ScavengeError> {
        let gone = survey.keeps_nothing() && {
            let older: Vec<&Survey> = remaining(&self.kept);
            Leftover::of(moment, std::slice::from_ref(&survey), &older)?.is_empty()
        };
        let list = if gone { &mut self.gone } else { &mut self.kept };
        list.push(survey.without_streams());
        Ok(())
    }

    /// Drops the segments of which nothing is left; answers the others. It comes first because it needs no room but for a
    /// manifest.
    fn drop_empty(self, work: &Work, moment: &Moment, done: &mut Scavenged) -> Result<Vec<Survey>, ScavengeError> {
        let Self { mut kept, gone } = self;
        if gone.is_empty() {
            return Ok(kept);
        }
        let events: u64 = gone.iter().map(|survey| u64::from(survey.events)).sum();
        match drop_segments(work, moment, &gone)? {
            Some(bytes) => {
                done.add(&Scavenged { removed: gone.len() as u64, events, bytes, ..Scavenged::default() });
            }
            // What is left behind such segments was found on the assumption that they go.
            None => {
                kept.extend(gone);
                kept.sort_unstable_by_key(|survey| survey.segment.number);
            }
        }
        Ok(kept)
    }
}

/// Those that keep events which could be removed.
fn remaining(surveys: &[Survey]) -> Vec<&Survey> {
    surveys.iter().filter(|survey| survey.removable > 0).collect()
}

/// Writes a group again; nothing where a rule was relaxed meanwhile, so that what was found of it does not hold.
fn write_again(
    work: &Work,
    state: &mut State,
    moment: &Moment,
    group: &Group,
    passed: &[Survey],
    pace: &mut Pace<'_>,
) -> Result<Option<Scavenged>, ScavengeError> {
    let again = group.surveys.iter().map(|survey| Survey::of(&work.core, moment, &survey.segment));
    let surveys = again.collect::<Result<Vec<_>, _>>()?;
    let leftover = Leftover::of(moment, &surveys, &remaining(passed))?;
    let rewritten = rewrite(&work.core, &surveys, &leftover, state.generation(), pace)?;
    let count = surveys.len() as u64;
    let (rewritten_count, removed_count) = if rewritten.file.is_some() { (count, 0) } else { (0, count) };
    let events = rewritten.removed;
    let bytes = exchange(work, moment, &surveys, rewritten, &leftover)?;
    let done = |bytes| Scavenged { segments: 0, rewritten: rewritten_count, removed: removed_count, events, bytes };
    Ok(bytes.map(done))
}

impl Scavenged {
    fn add(&mut self, other: &Self) {
        self.rewritten += other.rewritten;
        self.removed += other.removed;
        self.events += other.events;
        self.bytes += other.bytes;
    }
}
