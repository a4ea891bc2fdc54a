//! What a projection has done and what that took, for reports and metrics. Taken once for each transaction, because
//! measuring must not cost what it measures.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;

/// What a projection has done since it was prepared, and how long it took. Times are those of the clock on the wall: in
/// applying and committing, waiting for the database and for a processor is contained.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// Events whose rows are committed.
    pub events: u64,
    /// Transactions with events that are committed.
    pub transactions: u64,
    /// Decoding events.
    pub decoding: Duration,
    /// In [`Projection::apply_batch`](crate::Projection::apply_batch).
    pub applying: Duration,
    /// Beginning transactions and committing them, progress over nothing included.
    pub committing: Duration,
    /// From the moment when the store took an event to the moment when its rows were committed. Only events that the
    /// store took since the projection was prepared count: how long it had not run before says nothing about it.
    pub lag: Lag,
}

/// How long events took, as a distribution. Durations are told apart to 1/16 of their length.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// How many events fell into each range of durations; ranges without any at the end are left out.
    counts: Vec<u64>,
    longest: Duration,
}

/// So many ranges between a power of two and the next, as a power of two itself.
const RANGES: u32 = 4;

impl Metrics {
    /// All the time it was at work.
    pub fn busy(&self) -> Duration {
        self.decoding + self.applying + self.committing
    }
}

impl Lag {
    /// The longest.
    pub fn max(&self) -> Duration {
        self.longest
    }

    /// The duration that so many of a hundred did not exceed, rounded up by 1/16 at most; nothing without events.
    pub fn percentile(&self, percent: f64) -> Option<Duration> {
        let all: u64 = self.counts.iter().sum();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of a count")]
        let rank = ((all as f64 * percent / 100.0).ceil() as u64).clamp(1, all.max(1));
        let mut seen = 0;
        let range = self.counts.iter().position(|count| {
            seen += count;
            seen >= rank
        });
        range.map(|range| longest_of(range).min(self.longest))
    }

    fn add(&mut self, lag: Duration, events: u64) {
        let range = range_of(lag);
        if self.counts.len() <= range {
            self.counts.resize(range + 1, 0);
        }
        self.counts[range] += events;
        self.longest = self.longest.max(lag);
    }
}

/// The range of a duration: by its highest binary digits, in microseconds.
fn range_of(lag: Duration) -> usize {
    let micros = u64::try_from(lag.as_micros()).unwrap_or(u64::MAX);
    let shift = (u64::BITS - micros.leading_zeros()).saturating_sub(RANGES + 1);
    ((shift as usize) << RANGES) + usize::try_from(micros >> shift).unwrap_or(usize::MAX)
}

/// The longest duration of a range.
fn longest_of(range: usize) -> Duration {
    let shift = (range >> RANGES).saturating_sub(1);
    let digits = range - (shift << RANGES);
    let next = u128::try_from(digits + 1).unwrap_or(u128::MAX) << shift;
    Duration::from_micros(u64::try_from(next - 1).unwrap_or(u64::MAX))
}

/// Where a runner notes what it does and others read it.
#[derive(Clone)]
pub(crate) struct Meter {
    /// Events that the store took before do not count for the lag.
    since: Timestamp,
    metrics: Arc<Mutex<Metrics>>,
}

impl Meter {
    pub(crate) fn new() -> Self {
        Self { since: Timestamp::now(), metrics: Arc::default() }
    }

    pub(crate) fn read(&self) -> Metrics {
        self.lock().clone()
    }

    pub(crate) fn decoded(&self, took: Duration) {
        self.lock().decoding += took;
    }

    pub(crate) fn applied(&self, took: Duration) {
        self.lock().applying += took;
    }

    /// Begun or committed, or tried to.
    pub(crate) fn committing(&self, took: Duration) {
        self.lock().committing += took;
    }

    /// Whether the lag of an event that was recorded then counts.
    pub(crate) fn counts(&self, recorded: Timestamp) -> bool {
        recorded >= self.since
    }

    /// A transaction of so many events is committed. The store took so many of them at these moments; those whose lag
    /// does not count may be left out.
    pub(crate) fn committed(&self, events: u64, recorded: &[(Timestamp, u64)]) {
        let now = Timestamp::now();
        let mut metrics = self.lock();
        metrics.events += events;
        metrics.transactions += 1;
        for (recorded, events) in recorded.iter().filter(|(recorded, _)| self.counts(*recorded)) {
            // A clock that was set back shows as no lag at all.
            let lag = Duration::try_from(now.duration_since(*recorded)).unwrap_or_default();
            metrics.lag.add(lag, *events);
        }
    }

    /// Additions are complete whenever the lock is free, so a panic elsewhere leaves nothing half-done.
    fn lock(&self) -> MutexGuard<'_, Metrics> {
        self.metrics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_duration_lies_in_its_range() {
        let mut last = 0;
        for micros in (0..100_000).chain((17..40).map(|power| 1 << power)) {
            let (duration, range) = (Duration::from_micros(micros), range_of(Duration::from_micros(micros)));
            assert!(range == last || range == last + 1 || micros >= 100_000, "{micros} µs: no range is left out");
            let longest = longest_of(range);
            assert!(duration <= longest, "{micros} µs are in a range up to {longest:?}");
            assert!(
                longest.as_micros() as f64 <= micros as f64 * 17.0 / 16.0,
                "{micros} µs: {longest:?} is too coarse"
            );
            last = range;
        }
        assert!(longest_of(range_of(Duration::MAX)) >= Duration::from_micros(u64::MAX / 2));
    }

    #[test]
    fn percentiles_are_of_events() {
        let mut lag = Lag::default();
        assert_eq!((lag.percentile(50.0), lag.max()), (None, Duration::ZERO));
        lag.add(Duration::from_micros(10), 98);
        lag.add(Duration::from_millis(7), 1);
        lag.add(Duration::from_secs(3), 1);
        assert_eq!(lag.percentile(50.0), Some(Duration::from_micros(10)));
        assert_eq!(lag.percentile(98.0), Some(Duration::from_micros(10)));
        let p99 = lag.percentile(99.0).unwrap();
        assert!(p99 >= Duration::from_millis(7) && p99 < Duration::from_micros(7_500), "{p99:?}");
        assert_eq!((lag.percentile(100.0), lag.max()), (Some(Duration::from_secs(3)), Duration::from_secs(3)));
    }
}
