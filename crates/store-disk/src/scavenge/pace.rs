//! Pacing: a pass in the background rests as long as it works, and ends early when the store is closed.

use std::{
    thread,
    time::{Duration, Instant},
};

use super::{Mode, ScavengeError, Work};

/// After so many bytes it is time to look up.
const PIECE: u64 = 1 << 20;

/// No rest is longer, so that closing never waits long.
const LONGEST_REST: Duration = Duration::from_millis(100);

/// The pace of one pass.
pub(super) struct Pace<'a> {
    work: &'a Work,
    rests: bool,
    moved: u64,
    since: Instant,
}

impl<'a> Pace<'a> {
    pub(super) fn new(work: &'a Work, mode: Mode) -> Self {
        Self { work, rests: mode == Mode::Background, moved: 0, since: Instant::now() }
    }

    /// Says that so many bytes were read or written.
    ///
    /// # Errors
    /// [`ScavengeError::Closed`] when the pass is to end.
    pub(super) fn moved(&mut self, bytes: u64) -> Result<(), ScavengeError> {
        self.moved += bytes;
        if self.moved >= PIECE { self.rest() } else { Ok(()) }
    }

    /// Rests as long as it has worked since the last rest.
    ///
    /// # Errors
    /// As [`moved`](Self::moved).
    pub(super) fn rest(&mut self) -> Result<(), ScavengeError> {
        if self.work.is_stopping() {
            return Err(ScavengeError::Closed);
        }
        if self.rests {
            thread::park_timeout(self.since.elapsed().min(LONGEST_REST));
        }
        (self.moved, self.since) = (0, Instant::now());
        Ok(())
    }
}
