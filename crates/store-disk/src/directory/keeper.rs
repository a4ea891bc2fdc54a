//! Keeps the derived files of sealed segments: writes indexes that are missing or damaged, and the runs of the directory.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
};

use super::{
    build::build,
    merge::merge,
    run::{Identity, Run},
};
use crate::{
    commit::write_index,
    core::{Core, View},
    segment::Segment,
};

/// So many runs of one level become one of the next.
const FAN_IN: usize = 8;

/// Who keeps the derived files of a store, if it may: only its one writer does.
#[derive(Default)]
pub(crate) struct Keeper {
    place: Mutex<Place>,
}

/// Where the work is done.
#[derive(Default)]
enum Place {
    /// Nowhere.
    #[default]
    None,
    /// Whenever there may be something to do, by whoever says so.
    Foreground,
    /// By a thread that waits for the bell.
    Background(JoinHandle<()>),
}

/// Something to do.
enum Task {
    /// Write the index file of the segment of this number.
    Index(u32),
    /// Forget this run and remove its file.
    Remove(Arc<Run>),
    /// Write the run of this segment.
    Build(Arc<Segment>, Identity),
    /// Make one of these runs.
    Merge(Vec<Arc<Run>>, Identity),
}

impl Keeper {
    /// Begins to keep the files: at once and whenever it is told that there may be something to do, in the foreground or by
    /// a thread beside.
    pub(crate) fn start(core: &Arc<Core>, foreground: bool) -> io::Result<()> {
        if foreground {
            *core.keeper.place() = Place::Foreground;
        } else {
            let thread = thread::Builder::new().name("mainspring-directory".to_owned());
            let shared = core.clone();
            *core.keeper.place() = Place::Background(thread.spawn(move || {
                while shared.bell.wait() {
                    keep(&shared);
                }
            })?);
        }
        Self::wake(core);
        Ok(())
    }

    /// There may be something to do.
    pub(crate) fn wake(core: &Core) {
        // Not within the `if`: the work itself must not hold the lock.
        let foreground = matches!(*core.keeper.place(), Place::Foreground);
        if foreground {
            keep(core);
        } else {
            core.bell.ring();
        }
    }

    /// Ends the work, once what is missing for opening quickly is written.
    pub(crate) fn stop(core: &Core) {
        core.bell.stop();
        let place = std::mem::take(&mut *core.keeper.place());
        if let Place::Background(thread) = place
            && thread.join().is_err()
        {
            tracing::warn!("keeping the derived files of the store panicked; opening writes what is missing");
        }
    }

    fn place(&self) -> std::sync::MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does what there is to do. What fails is tried again when there may be something to do the next time.
fn keep(core: &Core) {
    while let Some(task) = next_task(&core.view(), core) {
        // Indexes are missed by the next opening, runs are not.
        if core.bell.is_stopped() && !matches!(task, Task::Index(_)) {
            return;
        }
        match perform(core, task) {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                tracing::warn!(%error, "a derived file of the store could not be kept up; it is tried again later");
                return;
            }
        }
    }
}

/// Does a task; `false` if it was told to stop.
fn perform(core: &Core, task: Task) -> io::Result<bool> {
    match task {
        Task::Index(number) => write_index(core, number)?,
        Task::Remove(run) => {
            core.change_runs(|runs| runs.retain(|other| !Arc::ptr_eq(other, &run)));
            core.disk.remove(run.name())?;
        }
        Task::Build(segment, identity) => {
            let Some(index) = segment.index_file() else { return Ok(true) };
            let run = build(&*core.disk, &core.bell, identity, index);
            if run.is_err() && index.is_damaged() {
                // Asking it has it built again.
                segment.with_index(|index| index.events()).map_err(io::Error::other)?;
                return Ok(true);
            }
            add(core, Arc::new(run?));
        }
        Task::Merge(runs, identity) => {
            let merged = match merge(&*core.disk, &core.bell, identity, &runs) {
                Ok(Some(merged)) => Arc::new(merged),
                Ok(None) => return Ok(false),
                // Those that are damaged are removed next.
                Err(_) if runs.iter().any(|run| run.is_bad()) => return Ok(true),
                Err(error) => return Err(error),
            };
            add(core, merged);
        }
    }
    Ok(true)
}

/// Adds a run, and removes those that it makes unnecessary.
fn add(core: &Core, added: Arc<Run>) {
    let mut unnecessary = Vec::new();
    core.change_runs(|runs| {
        let (first, last) = (*added.range().start(), *added.range().end());
        let within = |run: &Arc<Run>| first <= *run.range().start() && *run.range().end() <= last;
        unnecessary.extend(runs.extract_if(.., |run| within(run)));
        runs.push(added.clone());
        runs.sort_by_key(|run| *run.range().start());
    });
    for run in unnecessary.iter().filter(|run| run.name() != added.name()) {
        if let Err(error) = core.disk.remove(run.name()) {
            tracing::debug!(%error, run = run.name(), "a run that was merged is left until the store is opened");
        }
    }
}

/// What is to be done next, if anything.
fn next_task(view: &View, core: &Core) -> Option<Task> {
    let sealed = || view.iter().filter(|segment| segment.summary().is_some());
    if let Some(segment) = sealed().find(|segment| segment.memory_index().is_some()) {
        return Some(Task::Index(segment.number));
    }
    if let Some(run) = view.runs().iter().find(|run| run.is_bad()) {
        return Some(Task::Remove(run.clone()));
    }
    let identity = |first, last, level| Identity { store: core.store, lineage: core.lineage, first, last, level };
    if let Some((segment, numbers)) = view.without_run().find(|(segment, _)| segment.index_file().is_some()) {
        return Some(Task::Build(segment.clone(), identity(*numbers.start(), *numbers.end(), 0)));
    }
    let runs = view.runs().windows(FAN_IN).find(|runs| {
        let level = runs[0].identity.level;
        let together = |runs: &[Arc<Run>]| view.nothing_between(runs[0].range(), runs[1].range());
        runs.iter().all(|run| run.identity.level == level) && runs.windows(2).all(together)
    })?;
    let Identity { first, level, .. } = runs.first()?.identity;
    let last = runs.iter().map(|run| run.identity.last).max()?;
    Some(Task::Merge(runs.to_vec(), identity(first, last, level + 1)))
}
