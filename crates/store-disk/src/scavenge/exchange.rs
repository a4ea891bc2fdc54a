//! Puts new files in the place of old ones: first in the manifest, then for readers, and then the old ones are removed.

use std::{io, sync::Arc};

use super::{
    ScavengeError, Work,
    leftover::Leftover,
    rewrite::{NewFile, Rewritten, head_of, remove},
    survey::{Moment, Survey},
};
use crate::{core::View, disk::Access, segment::Segment};

/// Drops segments of which nothing is left; answers by how many bytes the files have become smaller. Nothing where a rule was
/// relaxed meanwhile: then nothing is done.
pub(super) fn drop_segments(work: &Work, moment: &Moment, gone: &[Survey]) -> Result<Option<u64>, ScavengeError> {
    let core = &work.core;
    let _kept = core.keep_rules();
    for survey in gone {
        // The streams were not kept in memory for all of them at once.
        let rules = core.rules();
        let now = Moment { view: moment.view.clone(), rules, ..*moment };
        if !Arc::ptr_eq(&now.rules, &moment.rules) && !Survey::of(core, &now, &survey.segment)?.keeps_nothing() {
            return Ok(None);
        }
    }
    let view = core.view();
    let mut tagged = 0;
    let mut change = work.catalog.begin();
    for survey in gone {
        tagged = tagged.max(survey.last_tagged()?);
        change.manifest.replaced_recorded = change.manifest.replaced_recorded.max(survey.newest());
        let number = survey.segment.number;
        change.manifest.compact((number, number), chain_behind(&view, number)?, None);
    }
    change.manifest.removed_tagged = change.manifest.removed_tagged.max(tagged);
    let prepared = change.prepare(&*core.disk)?;
    change.publish(&*core.disk, prepared)?;
    core.note_removed_tagged(tagged);
    let segments: Vec<_> = gone.iter().map(|survey| survey.segment.clone()).collect();
    core.supersede(&segments, None);
    core.bell.ring();
    Ok(Some(remove_files(work, &segments)))
}

/// Puts what was written again of `group` in its place; answers by how many bytes the files have become smaller. Nothing
/// where a rule was relaxed meanwhile: then nothing is done.
pub(super) fn exchange(
    work: &Work,
    moment: &Moment,
    group: &[Survey],
    rewritten: Rewritten,
    leftover: &Leftover,
) -> Result<Option<u64>, ScavengeError> {
    let core = &work.core;
    let Rewritten { file, removed_tagged, .. } = rewritten;
    let kept = core.keep_rules();
    for survey in group {
        if !survey.still_holds(core, moment)? {
            remove(core, file.iter().flat_map(|file| names(&file.segment)));
            return Ok(None);
        }
    }
    let numbers = (group[0].segment.number, group[group.len() - 1].segment.number);
    let mut change = work.catalog.begin();
    let prepared = chain_behind(&core.view(), numbers.1).and_then(|chain| {
        let named = file.as_ref().map(|NewFile { segment, .. }| (segment.generation, segment.end()));
        change.manifest.compact(numbers, chain, named);
        change.manifest.removed_tagged = change.manifest.removed_tagged.max(removed_tagged);
        let newest = group.iter().filter_map(Survey::newest).max();
        change.manifest.replaced_recorded = change.manifest.replaced_recorded.max(newest);
        Ok(change.prepare(&*core.disk)?)
    });
    let prepared = match prepared {
        Ok(prepared) => prepared,
        Err(error) => {
            remove(core, file.iter().flat_map(|file| names(&file.segment)));
            return Err(error);
        }
    };
    // Should this fail, either manifest may hold after a crash, so the files of both stay.
    change.publish(&*core.disk, prepared)?;
    core.note_removed_tagged(removed_tagged);
    if !leftover.truncations.is_empty() {
        core.change_rules_under(&kept, |rules| leftover.truncations.iter().for_each(|change| rules.apply(change)));
    }
    let segments: Vec<_> = group.iter().map(|survey| survey.segment.clone()).collect();
    let new_bytes = file.as_ref().map_or(0, |file| file.bytes);
    core.supersede(&segments, file.map(|file| file.segment));
    drop(kept);
    core.bell.ring();
    Ok(Some(remove_files(work, &segments).saturating_sub(new_bytes)))
}

/// What the segment behind the one of this number names as the last frame before it. Where segments between them are
/// gone, the manifest knows it and this is not needed.
fn chain_behind(view: &View, number: u32) -> Result<u32, ScavengeError> {
    let behind = view.iter().find(|segment| segment.number > number);
    Ok(behind.map(|segment| head_of(segment)).transpose()?.map_or(0, |head| head.previous))
}

/// Removes the files of segments that the manifest has ceased to name; answers how long they were. Whoever has mapped them
/// keeps what is in them.
fn remove_files(work: &Work, segments: &[Arc<Segment>]) -> u64 {
    let core = &work.core;
    let mut bytes = 0;
    for segment in segments {
        let [log, index] = names(segment);
        let index_bytes = core.disk.open(&index, Access::Read).and_then(|file| file.size());
        bytes += segment.end() + missing_is_empty(index_bytes);
        remove(core, [log, index]);
    }
    bytes
}

/// An index may be missing; its length is only reported.
fn missing_is_empty(bytes: io::Result<u64>) -> u64 {
    bytes.unwrap_or_default()
}

fn names(segment: &Segment) -> [String; 2] {
    [segment.log_name(), segment.index_name()]
}
