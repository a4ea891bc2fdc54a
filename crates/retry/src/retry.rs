//! Retry schedules: how long to wait before each further attempt.

use std::time::Duration;

/// The waits between attempts, the last of which may repeat for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    delays: Vec<Duration>,
    forever: bool,
}

impl Retry {
    /// One further attempt after each delay, then no more.
    pub fn schedule(delays: impl IntoIterator<Item = Duration>) -> Self {
        Self { delays: delays.into_iter().collect(), forever: false }
    }

    /// `attempts` further attempts without waiting.
    pub fn times(attempts: usize) -> Self {
        Self::schedule(std::iter::repeat_n(Duration::ZERO, attempts))
    }

    /// No further attempt.
    pub fn never() -> Self {
        Self::schedule([])
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
        self.delays.get(index).or(last).copied()
    }
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
}
