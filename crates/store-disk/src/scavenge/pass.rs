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
    let mut surveys = Vec::with_capacity(full.len());
    for segment in full {
        surveys.push(Survey::of(&work.core, &moment, segment)?);
        pace.rest()?;
    }
    let surveys = drop_empty(work, &moment, surveys, &mut done)?;
    // Segments that keep events which could be removed, because they are not worth it.
    let mut passed: Vec<Group> = Vec::new();
    let mut failed = None;
    for group in groups(surveys, work.terms.segment_bytes, mode) {
        if !group.worth {
            passed.push(group);
            continue;
        }
        match write_again(work, state, &moment, &group, &passed, &mut pace) {
            Ok(written) => done.add(&written),
            Err(error @ ScavengeError::Io(_)) if !work.catalog.is_in_doubt() => {
                // What comes next may need less room than there is.
                passed.push(group);
                failed = failed.or(Some(error));
            }
            Err(error) => return Err(error),
        }
    }
    failed.map_or(Ok(done), Err)
}

/// Drops the segments of which nothing is left. It comes first because it needs no room but for a manifest.
fn drop_empty(
    work: &Work,
    moment: &Moment,
    surveys: Vec<Survey>,
    done: &mut Scavenged,
) -> Result<Vec<Survey>, ScavengeError> {
    let (mut gone, mut kept): (Vec<Survey>, Vec<Survey>) = (Vec::new(), Vec::new());
    for survey in surveys {
        let older: Vec<&Survey> = kept.iter().filter(|survey| survey.removable > 0).collect();
        let group = std::slice::from_ref(&survey);
        if survey.keeps_nothing() && Leftover::of(moment, group, &older)?.is_empty() {
            gone.push(survey);
        } else {
            kept.push(survey);
        }
    }
    if !gone.is_empty() {
        done.bytes += drop_segments(work, &gone)?;
        done.events += gone.iter().map(|survey| u64::from(survey.events)).sum::<u64>();
        done.removed += gone.len() as u64;
    }
    Ok(kept)
}

fn write_again(
    work: &Work,
    state: &mut State,
    moment: &Moment,
    group: &Group,
    passed: &[Group],
    pace: &mut Pace<'_>,
) -> Result<Scavenged, ScavengeError> {
    let older: Vec<&Survey> =
        passed.iter().flat_map(|group| &group.surveys).filter(|survey| survey.removable > 0).collect();
    let leftover = Leftover::of(moment, &group.surveys, &older)?;
    let rewritten = rewrite(&work.core, &group.surveys, &leftover, state.generation(), pace)?;
    let count = group.surveys.len() as u64;
    let (rewritten_count, removed_count) = if rewritten.file.is_some() { (count, 0) } else { (0, count) };
    let events = rewritten.removed;
    let bytes = exchange(work, &group.surveys, rewritten, &leftover)?;
    Ok(Scavenged { segments: 0, rewritten: rewritten_count, removed: removed_count, events, bytes })
}

impl Scavenged {
    fn add(&mut self, other: &Self) {
        self.rewritten += other.rewritten;
        self.removed += other.removed;
        self.events += other.events;
        self.bytes += other.bytes;
    }
}
