//! Finds the runs that a directory of files holds.

use std::{io, sync::Arc};

use bytes::Bytes;
use mainspring_store::{Lineage, StoreId};

use super::run::Run;
use crate::{
    bell::Bell,
    disk::{Access, Disk},
};

/// The name of the run over these segments.
pub(super) fn run_name(first: u32, last: u32) -> String {
    format!("{first:08}-{last:08}.dir")
}

/// Whether a file of this name is a run.
pub(crate) fn is_run_name(name: &str) -> bool {
    range_of(name).is_some()
}

/// The segments that the run of this name is about.
fn range_of(name: &str) -> Option<(u32, u32)> {
    let (first, last) = name.strip_suffix(".dir")?.split_once('-')?;
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (run_name(first, last) == name).then_some((first, last))
}

/// Opens the runs among these files that can be used: of those where one is about all that another is about, the former.
/// Those that are `known` are not opened again. What cannot be used is left out.
pub(crate) fn load_runs(
    disk: &dyn Disk,
    (store, lineage): (StoreId, Lineage),
    bell: &Arc<Bell>,
    names: &[String],
    known: &[Arc<Run>],
) -> Vec<Arc<Run>> {
    let mut ranges: Vec<(u32, u32)> = names.iter().filter_map(|name| range_of(name)).collect();
    // The widest first: it was merged from the others.
    ranges.sort_unstable_by_key(|(first, last)| (std::cmp::Reverse(last.saturating_sub(*first)), *first));
    let mut runs: Vec<Arc<Run>> = Vec::new();
    for (first, last) in ranges {
        let within = |run: &Arc<Run>| *run.range().start() <= first && last <= *run.range().end();
        if runs.iter().any(within) {
            continue;
        }
        let name = run_name(first, last);
        if let Some(run) = known.iter().find(|run| run.name() == name && !run.is_bad()) {
            runs.push(run.clone());
            continue;
        }
        match open_run(disk, &name, bell) {
            Ok(run)
                if (run.identity.store, run.identity.lineage) == (store, lineage) && run.range() == (first..=last) =>
            {
                runs.push(Arc::new(run));
            }
            Ok(_) => tracing::info!(file = %disk.describe(&name), "a run of the directory is of another history"),
            Err(error) => tracing::info!(%error, file = %disk.describe(&name), "a run of the directory cannot be used"),
        }
    }
    runs.sort_by_key(|run| *run.range().start());
    runs
}

/// Whether these bytes are what was written to the file of this name.
pub(crate) fn is_whole_run(bytes: Bytes, name: &str) -> bool {
    let run = Run::open(bytes, name.to_owned(), Arc::default());
    run.is_ok_and(|run| range_of(name) == Some(run.range().into_inner()) && run.verify().is_ok())
}

fn open_run(disk: &dyn Disk, name: &str, bell: &Arc<Bell>) -> io::Result<Run> {
    let file = disk.open(name, Access::Read)?;
    let bytes = file.map(file.size()?)?;
    Run::open(bytes, name.to_owned(), bell.clone()).map_err(io::Error::other)
}
