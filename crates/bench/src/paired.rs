//! Paired slices: ours and the raw limit in turn, so that a machine that changes its speed changes both.

use std::time::{Duration, Instant};

/// How long one side runs before the other has its turn.
pub(crate) const SLICE: Duration = Duration::from_millis(200);

/// What several slices came to.
#[derive(Default)]
pub(crate) struct Slices {
    ours: Vec<f64>,
    raw: Vec<f64>,
    latencies: Vec<Duration>,
}

impl Slices {
    /// Notes one pair of rates, a second.
    pub(crate) fn pair(&mut self, ours: f64, raw: f64) {
        self.ours.push(ours);
        self.raw.push(raw);
    }

    /// Notes how long single operations of ours took.
    pub(crate) fn latencies(&mut self, latencies: impl IntoIterator<Item = Duration>) {
        self.latencies.extend(latencies);
    }

    pub(crate) fn ours(&self) -> f64 {
        median(self.ours.clone())
    }

    pub(crate) fn raw(&self) -> f64 {
        median(self.raw.clone())
    }

    /// The median of the ratios of the pairs.
    pub(crate) fn ratio(&self) -> f64 {
        median(self.ours.iter().zip(&self.raw).map(|(ours, raw)| ours / raw).collect())
    }

    /// The latency that this part of the operations did not exceed, in microseconds.
    pub(crate) fn percentile(&mut self, part: f64) -> Option<f64> {
        percentile(&mut self.latencies, part)
    }
}

/// The duration that this part of `durations` did not exceed, in microseconds.
pub(crate) fn percentile(durations: &mut [Duration], part: f64) -> Option<f64> {
    durations.sort_unstable();
    let last = durations.len().checked_sub(1)?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index of the list")]
    let index = (last as f64 * part).round() as usize;
    durations.get(index).map(|duration| duration.as_secs_f64() * 1e6)
}

/// The middle one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Repeats `step`, which answers how much it did, for one slice; answers the rate a second.
pub(crate) fn rate(mut step: impl FnMut() -> anyhow::Result<usize>) -> anyhow::Result<f64> {
    let (begun, mut done) = (Instant::now(), 0);
    while begun.elapsed() < SLICE {
        done += step()?;
    }
    Ok(done as f64 / begun.elapsed().as_secs_f64())
}
