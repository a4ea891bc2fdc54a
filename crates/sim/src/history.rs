//! A random history of one store: what is asked of it and what goes wrong meanwhile, each step checked against the
//! reference model.

mod appends;
mod backups;
mod decay;
mod lifetimes;
mod mishap;
mod model;
mod notes;
mod plan;
mod player;
mod queries;
mod reads;
mod scavenging;
mod step;
mod subject;
mod totals;
mod vault;
mod watching;

use std::{fmt, panic::AssertUnwindSafe, time::Duration};

use crate::Flaw;
use notes::Notes;
use player::Player;
pub use totals::Totals;

/// A history that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// A history that was played to its end, or to the first thing that is not as it must be.
#[derive(Clone, Debug)]
pub struct Played {
    /// Which one.
    pub seed: u64,
    /// What was done in it.
    pub totals: Totals,
    /// A number that stands for all that happened: the same each time.
    pub digest: u64,
    /// What happened, a line each, where that was asked for.
    pub log: Vec<String>,
    /// What was wrong with the store.
    pub violation: Option<Violation>,
}

/// Something that a store must not do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// In which history.
    pub seed: u64,
    /// At which step of it, counted from 1.
    pub step: u64,
    /// What was being done.
    pub doing: String,
    /// What was expected, and what came.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, step, doing, what } = self;
        write!(f, "seed {seed}, step {step}: {doing}\n  {what}\n  replay: cargo xtask sim --seed {seed}")
    }
}

/// Plays the history of a seed to a store on a simulated disk, with a bug planted or without, and checks each step.
pub fn play(seed: u64, flaw: Option<Flaw>, log: bool) -> Played {
    thread_local! {
        /// Histories do not outlive their playing, so one runtime serves them all.
        static RUNTIME: tokio::runtime::Runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime of one thread asks nothing of the machine");
    }
    let notes = Notes::new(log);
    let mut player = Player::new(seed, flaw, notes.clone());
    let ended = RUNTIME.with(|runtime| {
        let play = AssertUnwindSafe(|| {
            runtime.block_on(async {
                let ended = tokio::time::timeout(PATIENCE, player.play()).await;
                ended.unwrap_or_else(|_| Err(format!("no end of it within {PATIENCE:?}")))
            })
        });
        std::panic::catch_unwind(play).unwrap_or_else(|panic| Err(format!("it panicked: {}", message(&*panic))))
    });
    let violation = ended.err().map(|what| {
        notes.say(|| format!("      WRONG: {what}"));
        Violation { seed, step: notes.step(), doing: notes.doing(), what }
    });
    Played { seed, totals: player.totals(), digest: notes.digest(), log: notes.lines(), violation }
}

/// What a panic said.
fn message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a word")
}
