//! Merges runs into one, streaming: in memory are a page of each and what is to be written next.

use std::{cmp::Reverse, collections::BinaryHeap, io, sync::Arc};

use super::{
    hash::Topic,
    run::{Identity, Run},
    write::RunWriter,
};
use crate::{bell::Bell, disk::Disk};

/// The bell is asked whether to go on once for so many entries.
const ASK_EVERY: usize = 4096;

/// Writes one run that says what all of these say; `None` if it was told to stop.
///
/// # Errors
/// What the machine says, or that one of the runs is damaged.
pub(super) fn merge(
    disk: &dyn Disk,
    bell: &Arc<Bell>,
    identity: Identity,
    runs: &[Arc<Run>],
) -> io::Result<Option<Run>> {
    let mut writer = RunWriter::create(disk, identity)?;
    for topic in Topic::ALL {
        match merge_topic(&mut writer, bell, topic, runs) {
            Ok(true) => writer.end_topic(),
            Ok(false) => {
                writer.abandon();
                return Ok(None);
            }
            Err(error) => {
                writer.abandon();
                return Err(error);
            }
        }
    }
    writer.finish(bell).map(Some)
}

/// Merges what runs say of one topic; `false` if it was told to stop.
fn merge_topic(writer: &mut RunWriter<'_>, bell: &Bell, topic: Topic, runs: &[Arc<Run>]) -> io::Result<bool> {
    let mut sources: Vec<_> = runs.iter().map(|run| run.entries(topic)).collect();
    let mut next = BinaryHeap::new();
    for (source, entries) in sources.iter_mut().enumerate() {
        if let Some(entry) = entries.next() {
            next.push(Reverse((entry.map_err(io::Error::other)?, source)));
        }
    }
    writer.begin_topic(topic, runs.iter().map(|run| run.len(topic)).sum())?;
    let mut written: usize = 0;
    while let Some(Reverse(((hash, number), source))) = next.pop() {
        writer.push(hash, number)?;
        if let Some(entry) = sources[source].next() {
            next.push(Reverse((entry.map_err(io::Error::other)?, source)));
        }
        written += 1;
        if written.is_multiple_of(ASK_EVERY) && bell.is_stopped() {
            return Ok(false);
        }
    }
    Ok(true)
}
