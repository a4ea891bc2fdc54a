//! Appending what was decided: what is not known is settled by repetition, what was overtaken is decided again.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use mainspring_store::{Append, AppendError, Appended, BoxError, Store};

use crate::{CommandError, Receipt, idempotency::Key};

/// How often a command is decided at most.
const ATTEMPTS: u32 = 10;

/// How often an append is repeated at most after the store could not say what became of it.
const REPETITIONS: u32 = 8;

/// Bounds the wait before the third attempt; each later bound is three times the one before. Timers tick in milliseconds,
/// so bounds have to grow beyond the number of rivals before all of them fall out of step: these part a hundred.
const FIRST_WAIT: Duration = Duration::from_millis(1);

/// No wait is longer. All waits of a command together stay below 1.4 s.
const LONGEST_WAIT: Duration = Duration::from_millis(500);

/// The attempts of one command.
pub(crate) struct Attempts<'a> {
    store: &'a Store,
    key: Option<&'a Key>,
    failed: u32,
}

/// What became of an attempt.
pub(crate) enum Attempt {
    /// The store took it, now or when it was made before.
    Appended(Receipt),
    /// Others got ahead: read and decide again.
    Again,
}

impl<'a> Attempts<'a> {
    pub(crate) fn new(store: &'a Store, key: Option<&'a Key>) -> Self {
        Self { store, key, failed: 0 }
    }

    /// Makes one attempt, and waits if the next one should not follow at once.
    pub(crate) async fn append<E>(&mut self, append: &Append) -> Result<Attempt, CommandError<E>> {
        let error = match settled(self.store, append).await {
            Ok(appended) => return Ok(Attempt::Appended(Receipt::of(append, &appended))),
            Err(error) => error,
        };
        match (error, self.key) {
            (last @ (AppendError::Conflict(_) | AppendError::Stale { .. }), _) => {
                self.failed += 1;
                if self.failed == ATTEMPTS {
                    return Err(CommandError::Conflict { attempts: self.failed, last });
                }
                pause(self.failed).await;
                Ok(Attempt::Again)
            }
            // The same command was faster and decided in another state.
            (reused @ AppendError::IdReused { .. }, Some(key)) => match key.original(self.store).await? {
                Some(receipt) => Ok(Attempt::Appended(receipt)),
                None => Err(CommandError::refused(reused)),
            },
            (error, _) => Err(CommandError::refused(error)),
        }
    }
}

/// Appends, and repeats the identical append while the store cannot say whether it was written.
///
/// Whatever the repetition is answered holds for the first try too, because ids are looked up before checks, with one
/// exception: `Failed` says that the repetition was not written, and nothing about the first try.
pub(crate) async fn settled(store: &Store, append: &Append) -> Result<Appended, AppendError> {
    let mut unknown: Option<BoxError> = None;
    let mut repetitions = 0;
    loop {
        let source = match (store.append(append.clone()).await, unknown.take()) {
            (Err(AppendError::Unknown(source)), before) => before.unwrap_or(source),
            (Err(AppendError::Failed(_)), Some(source)) => source,
            (settled, _) => return settled,
        };
        repetitions += 1;
        if repetitions > REPETITIONS {
            return Err(AppendError::Unknown(source));
        }
        unknown = Some(source);
        pause(repetitions).await;
    }
}

async fn pause(failures: u32) {
    let wait = wait(failures);
    // A sleep of no length still takes a tick of the timer.
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
}

/// The wait after so many failures: none after the first, then anything up to a growing bound.
fn wait(failures: u32) -> Duration {
    if failures < 2 {
        return Duration::ZERO;
    }
    // Each hasher has keys of its own, which makes it the random number of the standard library.
    let random = RandomState::new().hash_one(failures) as f64 / u64::MAX as f64;
    let bound = FIRST_WAIT.saturating_mul(3_u32.saturating_pow(failures - 2)).min(LONGEST_WAIT);
    bound.mul_f64(random)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_differ() {
        assert_eq!(wait(1), Duration::ZERO);
        for (failures, millis) in [(2, 1), (3, 3), (4, 9), (7, 243), (8, 500), (u32::MAX, 500)] {
            assert!(wait(failures) <= Duration::from_millis(millis), "after {failures} failures");
        }
        let waits: std::collections::HashSet<_> = (0..8).map(|_| wait(9)).collect();
        assert!(waits.len() > 1);
    }
}
