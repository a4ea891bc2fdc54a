//! Scavenging: frees the space of events that retention has removed, beside appends and reads.
//!
//! A pass looks at every full segment by its index. Segments of which nothing is left are dropped; those with enough to
//! remove are written again without it, in order, together with small neighbours; see `docs/retention.md`. A new file
//! takes the place of the old ones by a new manifest, and readers under way keep what they have.

mod exchange;
mod leftover;
mod pace;
mod pass;
mod pieces;
mod plan;
mod rewrite;
mod survey;

use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::{catalog::Catalog, core::Core, damage::Damage, segment::SegmentError};

/// What one pass has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Scavenged {
    /// How many full segments it looked at.
    pub segments: u64,
    /// How many of them were written again, alone or together.
    pub rewritten: u64,
    /// How many of them are gone, because nothing was left of them.
    pub removed: u64,
    /// How many events were removed.
    pub events: u64,
    /// By how many bytes the files have become smaller.
    pub bytes: u64,
}

/// Why space was not freed. What a pass had freed before it failed stays free; nothing else has changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScavengeError {
    /// The store was opened read-only.
    #[error("the store was opened read-only; only the process that writes to it can free space")]
    ReadOnly,
    /// The store was closed, or is being closed.
    #[error("the store is closed")]
    Closed,
    /// An earlier pass failed so late that the files it would have replaced may still be needed.
    #[error("the manifest could not be replaced; reopen the store before space is freed again")]
    InDoubt,
    /// What is stored is not what was written. It was left as it is.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// A file could not be used. The new file was removed again, and the old ones are as they were.
    #[error("no space could be freed")]
    Io(#[from] io::Error),
}

impl From<SegmentError> for ScavengeError {
    fn from(error: SegmentError) -> Self {
        match error {
            SegmentError::Damaged(damage) => Self::Damaged(damage),
            SegmentError::Io(error) => Self::Io(error),
        }
    }
}

/// What a pass goes by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// The length of a full segment; several small ones are put together up to this.
    pub(crate) segment_bytes: u64,
    /// A pass that is called for runs in its caller.
    pub(crate) in_place: bool,
}

/// How thorough a pass is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Beside everything else: only what is worth it, with rests.
    Background,
    /// Because somebody asked for it: whatever can be removed, at once.
    Asked,
}

/// Runs passes, one at a time.
pub(crate) struct Scavenger {
    work: Arc<Work>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What a pass works on.
struct Work {
    core: Arc<Core>,
    catalog: Arc<Catalog>,
    terms: Terms,
    stop: AtomicBool,
    /// Locked while a pass runs.
    state: Mutex<State>,
}

/// What passes leave to the next.
struct State {
    /// Higher than that of any file so far, so that no name is ever used twice.
    next_generation: u32,
}

impl Scavenger {
    pub(crate) fn new(core: Arc<Core>, catalog: Arc<Catalog>, terms: Terms) -> Self {
        let used = catalog.manifest().segments.iter().map(|entry| entry.generation()).max();
        let state = Mutex::new(State { next_generation: used.unwrap_or_default() + 1 });
        let work = Work { core, catalog, terms, stop: AtomicBool::new(false), state };
        Self { work: Arc::new(work), thread: Mutex::default() }
    }

    /// Runs a pass whenever a segment is full, and after each `interval`, in a thread until it is stopped.
    pub(crate) fn run_every(&self, interval: Duration) -> io::Result<()> {
        let work = self.work.clone();
        let builder = thread::Builder::new().name("mainspring-scavenge".to_owned());
        let thread = builder.spawn(move || work.run_every(interval))?;
        *self.thread() = Some(thread);
        Ok(())
    }

    /// Runs one pass now, or as soon as the one under way has ended.
    pub(crate) async fn run(&self) -> Result<Scavenged, ScavengeError> {
        if self.work.terms.in_place {
            return self.work.pass(Mode::Asked);
        }
        let work = self.work.clone();
        let ran = tokio::task::spawn_blocking(move || work.pass(Mode::Asked)).await;
        ran.unwrap_or_else(|error| Err(ScavengeError::Io(io::Error::other(error))))
    }

    /// Ends the pass under way as soon as it can be, and runs no other.
    pub(crate) fn stop(&self) {
        self.work.stop.store(true, Ordering::Release);
        self.work.catalog.wake();
        if let Some(thread) = self.thread().take()
            && thread.join().is_err()
        {
            tracing::error!("scavenging panicked; space that retention has removed was not freed");
        }
        // A pass that somebody asked for may still run on another thread.
        drop(self.work.lock());
    }

    fn thread(&self) -> MutexGuard<'_, Option<JoinHandle<()>>> {
        self.thread.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Scavenger {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Work {
    fn run_every(&self, interval: Duration) {
        loop {
            let active = self.catalog.active();
            self.catalog.wait(active, interval, || self.is_stopping());
            match self.pass(Mode::Background) {
                Err(ScavengeError::Closed) => return,
                Err(error) => {
                    let error: &dyn std::error::Error = &error;
                    tracing::warn!(error, "space that retention has removed could not be freed");
                }
                Ok(done) if done.rewritten + done.removed > 0 => tracing::info!(?done, "space was freed"),
                Ok(_) => {}
            }
        }
    }

    fn pass(&self, mode: Mode) -> Result<Scavenged, ScavengeError> {
        let mut state = self.lock();
        if self.is_stopping() {
            return Err(ScavengeError::Closed);
        }
        if self.catalog.is_in_doubt() {
            return Err(ScavengeError::InDoubt);
        }
        pass::run(self, &mut state, mode)
    }

    fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// The state, of which a panic leaves at most a number that is not used.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn generation(&mut self) -> u32 {
        self.next_generation += 1;
        self.next_generation - 1
    }
}
