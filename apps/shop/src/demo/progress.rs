//! What a run is doing, for whoever watches, and how long each part of it took.

use std::time::Instant;

use serde::Serialize;

/// Watches a run.
pub trait Progress: Sync {
    /// A part of the run begins. It has `total` steps, or 0 where they are not counted.
    fn phase(&self, phase: Phase, total: u64);

    /// So many steps of the present part are done; called ten times a second.
    fn at(&self, done: u64);
}

/// Nobody watches.
impl Progress for () {
    fn phase(&self, _: Phase, _: u64) {}
    fn at(&self, _: u64) {}
}

/// A part of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Phase {
    /// Reads the input.
    Input,
    /// Opens the store and the read models.
    Open,
    /// Finds out which orders there are and how far they have come.
    Resume,
    /// Places, has paid, and ships.
    Commands,
    /// Waits for those who hear of orders.
    Messages,
    /// Waits for the read models.
    CatchUp,
    /// Replays the events, and meanwhile asks the read models.
    Figures,
    /// Compares.
    Compare,
    /// Closes the store.
    Close,
}

/// How long a part of a run took.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PhaseTime {
    /// Which part.
    pub phase: Phase,
    /// How long, in seconds.
    pub seconds: f64,
}

impl Phase {
    /// What it does, in a few words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Input => "read the input",
            Self::Open => "open store and read models",
            Self::Resume => "find out what is there",
            Self::Commands => "place, pay and ship",
            Self::CatchUp => "let the read models catch up",
            Self::Messages => "let messages be handled",
            Self::Figures => "replay, ask the read models",
            Self::Compare => "compare",
            Self::Close => "measure and close",
        }
    }
}

/// Takes the time of each part and tells whoever watches.
pub(super) struct Stopwatch<'a, P> {
    progress: &'a P,
    running: Option<(Phase, Instant)>,
    times: Vec<PhaseTime>,
}

impl<'a, P: Progress> Stopwatch<'a, P> {
    pub(super) fn new(progress: &'a P) -> Self {
        Self { progress, running: None, times: Vec::new() }
    }

    /// The part before is over; this one begins.
    pub(super) fn phase(&mut self, phase: Phase, total: u64) {
        self.stop();
        self.running = Some((phase, Instant::now()));
        self.progress.phase(phase, total);
    }

    pub(super) fn at(&self, done: u64) {
        self.progress.at(done);
    }

    pub(super) fn finish(mut self) -> Vec<PhaseTime> {
        self.stop();
        self.times
    }

    fn stop(&mut self) {
        if let Some((phase, begun)) = self.running.take() {
            self.times.push(PhaseTime { phase, seconds: begun.elapsed().as_secs_f64() });
        }
    }
}
