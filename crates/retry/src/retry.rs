//! Retry schedules: how long to wait before each further attempt.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

/// The waits between attempts, the last of which may repeat for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    delays: Vec<Duration>,
    forever: bool,
    /// Each wait is drawn from the second half of what the schedule says.
    jitter: bool,
}

impl Retry {
    /// One further attempt after each delay, then no more.
    pub fn schedule(delays: impl IntoIterator<Item = Duration>) -> Self {
        Self { delays: delays.into_iter().collect(), forever: false, jitter: false }
    }

    /// `attempts` further attempts without waiting.
    pub fn times(attempts: usize) -> Self {
        Self::schedule(std::iter::repeat_n(Duration::ZERO, attempts))
    }

    /// No further attempt.
    pub fn never() -> Self {
        Self::schedule([])
    }

    /// So many further attempts. The first comes after `first`, and each later wait is twice the one before, up to
    /// `longest`. Each is drawn at random from its second half, so that what failed together does not come back together.
    ///
    /// ```
    /// use std::time::Duration;
    /// use mainspring_retry::Retry;
    /// let retry = Retry::exponential(Duration::from_secs(1), Duration::from_secs(60), 8);
    /// let third = retry.delay(3).unwrap();
    /// assert!(third >= Duration::from_secs(2) && third <= Duration::from_secs(4));
    /// ```
    pub fn exponential(first: Duration, longest: Duration, attempts: u32) -> Self {
        let wait = |doublings: u32| first.saturating_mul(2_u32.saturating_pow(doublings)).min(longest);
        Self { jitter: true, ..Self::schedule((0..attempts).map(wait)) }
    }

    /// After the schedule is used up, its last delay repeats for ever.
    pub fn then_forever(mut self) -> Self {
        self.forever = true;
        self
    }

    /// The wait after `failures` failed attempts (1 or more); `None` when there is to be no further attempt.
    pub fn delay(&self, failures: u32) -> Option<Duration> {
        let index = usize::try_from(failures).unwrap_or(usize::MAX).saturating_sub(1);
        let last = if self.forever { self.delays.last() } else { None };
        let delay = self.delays.get(index).or(last).copied()?;
        Some(if self.jitter { jittered(delay) } else { delay })
    }

    /// How many attempts there are at most, the first included; `None` when there is no end to them.
    pub fn attempts(&self) -> Option<u32> {
        let endless = self.forever && !self.delays.is_empty();
        (!endless).then(|| u32::try_from(self.delays.len()).unwrap_or(u32::MAX).saturating_add(1))
    }

    /// The longest wait; zero when every further attempt comes at once.
    pub fn longest(&self) -> Duration {
        self.delays.iter().max().copied().unwrap_or_default()
    }
}

/// Anything between half of `delay` and the whole.
fn jittered(delay: Duration) -> Duration {
    // Each hasher has keys of its own, which makes it the random number of the standard library.
    let random = RandomState::new().hash_one(delay) as f64 / u64::MAX as f64;
    delay / 2 + (delay / 2).mul_f64(random)
}

impl Default for Retry {
    /// Immediately, then after 1 s, 5 s, 30 s and 2 min: about three minutes in all.
    fn default() -> Self {
        Self::schedule([0, 1, 5, 30, 120].map(Duration::from_secs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_schedule_ends_after_five_retries() {
        let delays: Vec<_> = (1..=6).map(|failures| Retry::default().delay(failures).map(|d| d.as_secs())).collect();
        assert_eq!(delays, [Some(0), Some(1), Some(5), Some(30), Some(120), None]);
    }

    #[test]
    fn the_last_delay_can_repeat_for_ever() {
        let retry = Retry::schedule([Duration::ZERO, Duration::from_secs(9)]).then_forever();
        assert_eq!(retry.delay(1_000_000), Some(Duration::from_secs(9)));
        assert_eq!(Retry::never().then_forever().delay(1), None);
    }

    #[test]
    fn exponential_waits_grow_to_their_bound_and_differ() {
        let retry = Retry::exponential(Duration::from_secs(1), Duration::from_secs(10), 6);
        for (failures, longest) in [(1, 1), (2, 2), (3, 4), (4, 8), (5, 10), (6, 10)] {
            let (wait, longest) = (retry.delay(failures).unwrap(), Duration::from_secs(longest));
            assert!(wait >= longest / 2 && wait <= longest, "after {failures} failures: {wait:?}");
        }
        assert_eq!(retry.delay(7), None);
        let waits: std::collections::HashSet<_> = (0..8).map(|_| retry.delay(5)).collect();
        assert!(waits.len() > 1);
    }

    #[test]
    fn a_schedule_knows_its_bounds() {
        assert_eq!((Retry::default().attempts(), Retry::default().longest()), (Some(6), Duration::from_secs(120)));
        assert_eq!((Retry::never().attempts(), Retry::never().longest()), (Some(1), Duration::ZERO));
        assert_eq!(Retry::times(2).then_forever().attempts(), None);
        assert_eq!(Retry::never().then_forever().attempts(), Some(1));
    }
}
