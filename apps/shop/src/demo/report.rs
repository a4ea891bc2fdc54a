//! What a run came to, for programs as JSON and for people as text.

mod text;

use std::{path::PathBuf, time::Duration};

use serde::Serialize;

use super::{Difference, Done, Effort, Messages, Options, Phase, PhaseTime, Totals, footprint::Footprint};
use crate::data::{Input, Refused};

/// What a run came to. Money is in cents, times are in seconds or milliseconds as their names say.
///
/// [`Display`](std::fmt::Display) writes it for people.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The directory of the store.
    pub data: PathBuf,
    /// Where the purchases come from.
    pub input: String,
    /// Orders, as the replay has them.
    pub orders: i64,
    /// Customers who ordered, as the replay has them.
    pub customers: i64,
    /// CDs, as the replay has them.
    pub units: i64,
    /// Money that came in, as the replay has it.
    pub revenue_cents: i64,
    /// Days on which orders were placed, as the replay has them.
    pub days: i64,
    /// Events of orders in the store.
    pub events: u64,
    /// How many of these were stored by this run.
    pub events_appended: u64,
    /// How many commands this run carried out.
    pub commands: u64,
    /// How many of them were under way at once, at most.
    pub in_flight: usize,
    /// How long the whole run took.
    pub elapsed_s: f64,
    /// Events stored in each second in which commands were carried out; 0 when nothing was left to do.
    pub events_per_s: f64,
    /// How long commands took, from asking until the events were durable; `None` without any.
    pub latency: Option<Latency>,
    /// What is on disk.
    pub size: Size,
    /// How long each part of the run took, in order.
    pub phases: Vec<PhaseTime>,
    /// Where the time went.
    pub effort: Effort,
    /// The lines of the input that are not purchases.
    pub refused: Vec<Refused>,
    /// Whether an earlier run had not come to its end, or not been asked for as much.
    pub resumed: bool,
    /// Whether everything had been done before this run.
    pub already_complete: bool,
    /// The totals from the input, from the replay, and from the read models.
    pub totals: Totals,
    /// What others heard of orders, and what they made of it.
    pub messages: Messages,
    /// Whether every figure is the same in all three, and everything was made of the messages that had to be.
    pub reconciled: bool,
    /// How many figures are not the same in all three.
    pub differences_found: u64,
    /// The first hundred of them.
    pub differences: Vec<Difference>,
}

/// How long commands took.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Latency {
    /// Half of them took no longer.
    pub p50_ms: f64,
    /// 99 of 100 took no longer.
    pub p99_ms: f64,
    /// None took longer.
    pub max_ms: f64,
}

/// What is on disk, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Size {
    /// The store, with its indexes.
    pub store_bytes: u64,
    /// The read models.
    pub views_bytes: u64,
    /// The part of the store's log that is in use, divided by its events.
    pub log_bytes_per_event: f64,
}

impl Report {
    pub(super) fn new(
        options: &Options,
        input: Input,
        done: Done,
        footprint: Footprint,
        phases: Vec<PhaseTime>,
        elapsed: Duration,
    ) -> Self {
        let Done { reconciliation, messages, latencies, effort, found, stored, log_bytes, log_events } = done;
        let totals = reconciliation.totals;
        let (commands, events_appended) = (latencies.len() as u64, stored - found);
        let busy: f64 = phases.iter().filter(|time| time.phase == Phase::Commands).map(|time| time.seconds).sum();
        Self {
            data: options.data.clone(),
            input: input.name,
            orders: totals.orders.replay,
            customers: totals.customers.replay,
            units: totals.units.replay,
            revenue_cents: totals.revenue_cents.replay,
            days: totals.days.replay,
            events: stored,
            events_appended,
            commands,
            in_flight: super::commands::CLERKS,
            elapsed_s: elapsed.as_secs_f64(),
            events_per_s: ratio(events_appended as f64, busy),
            latency: Latency::of(latencies),
            size: Size {
                store_bytes: footprint.store,
                views_bytes: footprint.views,
                log_bytes_per_event: ratio(log_bytes as f64, log_events as f64),
            },
            phases,
            effort,
            refused: input.refused,
            resumed: found > 0 && commands > 0,
            already_complete: found > 0 && commands == 0,
            totals,
            reconciled: reconciliation.found == 0 && messages.differences_found == 0,
            messages,
            differences_found: reconciliation.found,
            differences: reconciliation.differences,
        }
    }
}

impl Latency {
    fn of(mut latencies: Vec<Duration>) -> Option<Self> {
        latencies.sort_unstable();
        let last = latencies.len().checked_sub(1)?;
        // The nearest rank: the smallest value that so many of them do not exceed.
        let percentile = |percent: usize| millis(latencies[(latencies.len() * percent).div_ceil(100) - 1]);
        Some(Self { p50_ms: percentile(50), p99_ms: percentile(99), max_ms: millis(latencies[last]) })
    }
}

pub(super) fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

/// 0 where there is nothing to divide by.
fn ratio(of: f64, by: f64) -> f64 {
    if by > 0.0 { of / by } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let latency = Latency::of((1..=200).rev().map(Duration::from_millis).collect());
        assert_eq!(latency, Some(Latency { p50_ms: 100.0, p99_ms: 198.0, max_ms: 200.0 }));
        let one = Latency::of(vec![Duration::from_millis(7)]);
        assert_eq!(one, Some(Latency { p50_ms: 7.0, p99_ms: 7.0, max_ms: 7.0 }));
        assert_eq!(Latency::of(Vec::new()), None);
    }
}
