//! Which sealed segments hold a stream, a tag, or an event id that is not time-ordered.
//!
//! Without it every look-up of something new would ask every segment. A *run* is an immutable file over a range of
//! consecutive segments: sorted pairs of a hash and the number of a segment. The *keeper* writes one for each sealed
//! segment and merges eight into one, again and again, so that there are few, whatever the size of the store.
//!
//! Runs are derived. One that is missing, stale or damaged is ignored, its segments are asked directly, and it is written
//! again. A run may name a segment that lacks what is looked for: whoever asks looks into the segment. It never leaves out
//! one that has it, because the content of a segment of one number is only ever reduced.

mod build;
mod filter;
#[cfg(any(test, feature = "fuzzing"))]
mod fuzzing;
mod hash;
mod keeper;
mod load;
mod merge;
mod run;
mod write;

#[cfg(test)]
pub(crate) use fuzzing::level_of_run;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) use fuzzing::{ask_run, repair_run};
pub(crate) use hash::Key;
pub(crate) use keeper::Keeper;
pub(crate) use load::{is_run_name, is_whole_run, load_runs};
pub(crate) use run::Run;

/// A run with these entries about streams, for tests of those who ask it.
#[cfg(test)]
pub(crate) fn write_run(
    disk: &dyn crate::disk::Disk,
    (store, lineage): (mainspring_store::StoreId, mainspring_store::Lineage),
    numbers: std::ops::RangeInclusive<u32>,
    entries: impl Iterator<Item = (Key, u32)>,
) -> Run {
    let (first, last) = numbers.into_inner();
    let mut entries: Vec<_> = entries.map(|(key, number)| (key.hash, number)).collect();
    entries.sort_unstable();
    let identity = run::Identity { store, lineage, first, last, level: 0 };
    let mut writer = write::RunWriter::create(disk, identity).expect("a test has room");
    for topic in hash::Topic::ALL {
        let entries = if topic == hash::Topic::Stream { entries.as_slice() } else { &[] };
        writer.begin_topic(topic, entries.len()).expect("a test has room");
        entries.iter().for_each(|(hash, number)| writer.push(*hash, *number).expect("a test has room"));
        writer.end_topic();
    }
    writer.finish(&std::sync::Arc::default()).expect("a test has room")
}
