//! Many histories, on as many threads as are wanted: to find what is wrong with the store, or to see that a planted bug is
//! found.

use std::{
    ops::Range,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use crate::{Flaw, Played, Totals, Violation, play};

/// A campaign ends early when it has found so many violations.
const ENOUGH: usize = 5;

/// What many histories came to.
#[derive(Clone, Debug, Default)]
pub struct Campaign {
    /// What was done in them.
    pub totals: Totals,
    /// What was found, in the order of the seeds.
    pub violations: Vec<Violation>,
}

/// What became of a planted bug.
#[derive(Clone, Debug)]
pub struct Catch {
    /// The bug.
    pub flaw: Flaw,
    /// How it was caught; `None` where it was not.
    pub violation: Option<Violation>,
    /// How many histories were played for that.
    pub seeds: u64,
}

/// Plays the histories of these seeds on so many threads.
pub fn play_all(seeds: Range<u64>, threads: usize) -> Campaign {
    let (next, over) = (AtomicU64::new(seeds.start), AtomicBool::new(false));
    let campaign = Mutex::new(Campaign::default());
    thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let Played { totals, violation, .. } = play(seed, None, false);
                    let mut campaign = campaign.lock().unwrap_or_else(PoisonError::into_inner);
                    campaign.totals += totals;
                    campaign.violations.extend(violation);
                    over.fetch_or(campaign.violations.len() >= ENOUGH, Ordering::Relaxed);
                }
            });
        }
    });
    let mut campaign = campaign.into_inner().unwrap_or_else(PoisonError::into_inner);
    campaign.violations.sort_by_key(|violation| violation.seed);
    campaign
}

/// Plays the histories of these seeds to a store with a bug until one catches it.
pub fn hunt(flaw: Flaw, seeds: Range<u64>) -> Catch {
    let start = seeds.start;
    let found = seeds.clone().find_map(|seed| play(seed, Some(flaw), false).violation);
    let last = found.as_ref().map_or(seeds.end, |violation| violation.seed + 1);
    Catch { flaw, violation: found, seeds: last - start }
}
