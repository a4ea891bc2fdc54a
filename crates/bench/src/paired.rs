//! Paired slices: ours and what it is compared with in turn, so that a machine that changes its speed changes both.

use std::time::{Duration, Instant};

use crate::machine::Meter;

/// How long one side runs before the other has its turn.
pub(crate) const SLICE: Duration = Duration::from_millis(200);

/// Rounds that bring both sides into their stride.
const WARM_UP: usize = 3;

/// A round is disturbed when others kept so much of one processor busy.
pub(crate) const DISTURBED: f64 = 0.25;

/// Rounds of a row: each runs every side for a slice. Rounds that other processes disturbed are repeated, up to twice as
/// many as were wanted; where too few were quiet, all count and the row says so.
pub(crate) struct Rounds {
    wanted: usize,
    tried: usize,
    meter: Meter,
    /// The sides' figures of each round, and how many processors others used.
    rounds: Vec<(Vec<f64>, f64)>,
    latencies: Vec<Duration>,
}

impl Rounds {
    pub(crate) fn new(wanted: usize) -> Self {
        Self { wanted, tried: 0, meter: Meter::start(), rounds: Vec::new(), latencies: Vec::new() }
    }

    /// Begins a round, unless there were enough.
    pub(crate) fn begin(&mut self) -> bool {
        self.meter = Meter::start();
        let enough = self.quiet().count() >= self.wanted || self.rounds.len() >= 2 * self.wanted;
        self.tried += 1;
        !enough
    }

    /// Notes what the sides came to in the round that has begun, ours first, and how long single operations of ours took.
    pub(crate) fn end(&mut self, figures: &[f64], latencies: impl IntoIterator<Item = Duration>) {
        if self.tried > WARM_UP {
            self.rounds.push((figures.to_vec(), self.meter.foreign()));
            self.latencies.extend(latencies);
        }
    }

    /// The median figure of a side; 0 is ours.
    pub(crate) fn figure(&self, side: usize) -> f64 {
        median(self.counting().map(|figures| figures[side]).collect())
    }

    /// The median of ours divided by a side, round by round.
    pub(crate) fn ratio(&self, side: usize) -> f64 {
        median(self.counting().map(|figures| figures[0] / figures[side]).collect())
    }

    /// How long single operations of ours took: all that were noted, disturbed or not.
    pub(crate) fn latencies(&mut self) -> &mut [Duration] {
        &mut self.latencies
    }

    /// How many rounds others disturbed, and of how many, if there were too few quiet ones.
    pub(crate) fn disturbed(&self) -> Option<(usize, usize)> {
        let quiet = self.quiet().count();
        (!self.is_quiet()).then(|| (self.rounds.len() - quiet, self.rounds.len()))
    }

    fn quiet(&self) -> impl Iterator<Item = &Vec<f64>> {
        self.rounds.iter().filter(|(_, foreign)| *foreign < DISTURBED).map(|(figures, _)| figures)
    }

    fn is_quiet(&self) -> bool {
        2 * self.quiet().count() >= self.wanted
    }

    /// The quiet rounds, or all where too few were quiet.
    fn counting(&self) -> impl Iterator<Item = &Vec<f64>> {
        let quiet = self.is_quiet();
        let counts = move |(_, foreign): &&(Vec<f64>, f64)| !quiet || *foreign < DISTURBED;
        self.rounds.iter().filter(counts).map(|(figures, _)| figures)
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

/// The middle one, or the mean of the two in the middle.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = values.get(middle).copied().unwrap_or(f64::NAN);
    // Of an even number of values two are in the middle.
    match values.len() % 2 {
        0 if middle > 0 => f64::midpoint(values[middle - 1], upper),
        _ => upper,
    }
}

/// Repeats `step`, which answers how much it did, for one slice; answers the rate a second.
pub(crate) fn rate(mut step: impl FnMut() -> anyhow::Result<usize>) -> anyhow::Result<f64> {
    let (begun, mut done) = (Instant::now(), 0);
    while begun.elapsed() < SLICE {
        done += step()?;
    }
    Ok(done as f64 / begun.elapsed().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_of_two_is_between_them() {
        assert_eq!(median(vec![3.0, 1.0]).to_bits(), 2.0_f64.to_bits());
        assert_eq!(median(vec![9.0, 1.0, 3.0]).to_bits(), 3.0_f64.to_bits());
        assert_eq!(median(vec![9.0, 1.0, 3.0, 4.0]).to_bits(), 3.5_f64.to_bits());
        assert!(median(Vec::new()).is_nan());
    }
}
