//! Whether what many clients saw at once could have been seen one after the other, in an order that time allows.
//!
//! A [`ConcurrentHistory`] lets clients append, read and follow at once and records of each call when it began, when it was
//! answered and what was said. Both moments come from one counter: the first is drawn before the store is asked, the second
//! after it has answered, so a call that ended below where another began was over before it.
//!
//! # What is looked for
//!
//! A *linearization*: a moment for each call, between its beginning and its answer, such that the calls, carried out whole
//! and one after the other at these moments, give the answers that were given. A call without an answer, and one whose
//! answer was `Unknown`, may have a moment at any time after its beginning, or none. One that was answered `Failed` has none.
//!
//! # Why this search is complete
//!
//! In general such a search is exponential. Here the store tells the order of all effects itself: positions. What it holds in
//! the end falls into *commits* 1, 2, … n, each the events of one append; *state k* is what the first k commits made. An
//! append that wrote commit k leads from state k − 1 to state k, and every other call leaves the state as it is. No stream
//! changes are made, so nothing is ever removed.
//!
//! So only the moments T(1) < T(2) < … < T(n) of the commits have to be found.
//!
//! - The writer of commit k is among the appends of just these events that were not refused, and its checks hold in state
//!   k − 1. Which of several identical ones it was does not matter to the others, to whom it is known then; so T(k) lies after
//!   the *first* of them began.
//! - Any other answer is right in the states from some a to some b, and in no other; the rules are in `answers` and `views`.
//!   A call has a moment within its time in one of these states exactly if T(a) lies before its answer and T(b + 1) after its
//!   beginning. (Then the later of T(a) and the beginning is such a moment.)
//!
//! All that time demands is therefore a lower and an upper bound for each T(k). Increasing moments within such bounds exist
//! exactly if no lower bound of a commit lies above the upper bound of the same or of a later one: where none does, the highest
//! lower bound among the first k commits, and just above the moment before, is a choice for T(k). So an answer that is right
//! in no state, a commit that nobody can have written, and two calls in the wrong order are all that can be wrong, and each of
//! them is found and told.
//!
//! A reading is more than one call: each batch is one, which begins with the reading's first poll, for a store may have
//! prepared it then. A batch tells everything between the progress before it and its own, in a state that has come at least
//! so far; one that says that the end was reached tells the state itself.

mod answers;
mod history;
mod log;
mod order;
mod play;
mod views;

use std::{fmt, sync::Arc, time::Duration};

use mainspring_store::EventStore;

use crate::{Backend, Capability, subject::Subject};

pub use history::Machine;
pub use play::ConcurrentHistory;

/// How many calls each writer of [`linearizable`] makes.
const CALLS: u64 = 70;

/// Plays what `seed` makes to a fresh store of `backend`, from many tasks and every handle there is, and looks for a
/// linearization.
///
/// # Panics
/// When there is none. The message names the seed, the call, and the window in which its answer was looked for.
pub async fn linearizable(backend: &dyn Backend, seed: u64) -> Linearization {
    linearizable_of(backend, seed, CALLS).await
}

/// As [`linearizable`], with so many calls of each writer.
///
/// # Panics
/// As for [`linearizable`].
pub async fn linearizable_of(backend: &dyn Backend, seed: u64, calls: u64) -> Linearization {
    let subject = Subject::open(backend).await;
    let mut handles = vec![subject.store.clone()];
    if !backend.opt_outs().iter().any(|opt_out| opt_out.lacks == Capability::SecondHandle) {
        handles.push(subject.second().await);
    }
    let history = ConcurrentHistory::new(seed, Machine::Sound, backend.patience());
    history.play(&handles, calls).await;
    history.judge(&*subject.store).await.unwrap_or_else(|error| panic!("{}, seed {seed}: {error}", backend.name()))
}

/// What was found to have a linear order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Linearization {
    /// Calls of all kinds; a reading counts as one for each batch.
    pub calls: usize,
    /// Appends that wrote.
    pub commits: usize,
    /// The events they wrote.
    pub events: usize,
    /// Appends that were refused because of a check.
    pub conflicts: usize,
    /// Appends that were answered with what was there before, together with what wrote it.
    pub repeats: usize,
    /// Appends that were refused because of their ids.
    pub reused: usize,
    /// Appends whose answer was `Unknown`, or that were dropped before their answer.
    pub open: usize,
    /// Appends that were surely not written.
    pub failed: usize,
    /// Batches of reads and followers.
    pub batches: usize,
}

/// Why a history has no linear order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotLinearizable(String);

impl fmt::Display for NotLinearizable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no linear order: {}", self.0)
    }
}

impl std::error::Error for NotLinearizable {}

impl NotLinearizable {
    fn because(what: impl fmt::Display) -> Self {
        Self(what.to_string())
    }
}

impl Linearization {
    fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.commits += other.commits;
        self.events += other.events;
        self.conflicts += other.conflicts;
        self.repeats += other.repeats;
        self.reused += other.reused;
        self.open += other.open;
        self.failed += other.failed;
        self.batches += other.batches;
    }
}

impl std::iter::Sum for Linearization {
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        iter.fold(Self::default(), |mut sum, one| {
            sum.add(&one);
            sum
        })
    }
}

/// A handle that clients share.
type Handle = Arc<dyn EventStore>;

/// How long what must come is waited for.
type Patience = Duration;

#[cfg(test)]
mod tests;
