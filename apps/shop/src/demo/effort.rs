//! Where the time of a run goes: what a command waits for, what each projection does, and who uses the processors.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use mainspring::{Projected, Projection, projection::Metrics};
use serde::Serialize;

use super::{metered::Appending, report::millis, shop::Shop};

/// Where the time goes. What goes on at the same time is counted for each, so the parts add up to more than the whole.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Effort {
    /// What an average command spent its time on; `None` without commands.
    pub command: Option<CommandEffort>,
    /// Who used the processors; `None` where the operating system does not say.
    pub processors: Option<Processors>,
    /// What each projection did in this run.
    pub projections: Vec<ProjectionEffort>,
}

/// What an average command spent its time on, on the clock on the wall: waiting for others is contained.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CommandEffort {
    /// Reading the order's events, deciding, and encoding what was decided.
    pub deciding_ms: f64,
    /// From handing the events to the store until they were durable: queueing, encoding, writing and syncing.
    pub appending_ms: f64,
}

/// The time on processors, in seconds, by the kind of thread. Threads that have ended are in `other_s`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Processors {
    /// How many there are.
    pub count: usize,
    /// The whole process.
    pub total_s: f64,
    /// Commands, the store, and the projections but for SQLite.
    pub runtime_s: f64,
    /// SQLite.
    pub sqlite_s: f64,
    /// The thread that reads the input and reconciles.
    pub main_s: f64,
    /// Everything else.
    pub other_s: f64,
}

/// What a projection did, on the clock on the wall: waiting for SQLite and for a processor is contained.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ProjectionEffort {
    /// Which one.
    pub name: &'static str,
    /// Events whose rows were committed.
    pub events: u64,
    /// Transactions with events.
    pub transactions: u64,
    /// Decoding, applying and committing together.
    pub busy_s: f64,
    /// Decoding events.
    pub decoding_s: f64,
    /// Writing rows.
    pub applying_s: f64,
    /// Beginning and committing transactions.
    pub committing_s: f64,
    /// From an event's being recorded to its rows' being committed; `None` where no event was recorded in this run.
    pub lag: Option<LagEffort>,
}

/// How far events were behind in a read model.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LagEffort {
    /// Half of them no longer.
    pub p50_ms: f64,
    /// 99 of 100 no longer.
    pub p99_ms: f64,
    /// None longer.
    pub max_ms: f64,
}

impl Effort {
    /// What the run has come to so far.
    pub(super) fn of(shop: &Shop, appending: &Appending, latencies: &[Duration]) -> Self {
        Self {
            command: CommandEffort::of(appending.total(), latencies),
            processors: Processors::measure(),
            projections: vec![
                ProjectionEffort::of(&shop.summary),
                ProjectionEffort::of(&shop.customers),
                ProjectionEffort::of(&shop.revenue),
            ],
        }
    }
}

impl CommandEffort {
    fn of(appending: Duration, latencies: &[Duration]) -> Option<Self> {
        let commands = u32::try_from(latencies.len()).ok().filter(|commands| *commands > 0)?;
        let all: Duration = latencies.iter().sum();
        let deciding = all.saturating_sub(appending);
        Some(Self { deciding_ms: millis(deciding / commands), appending_ms: millis(appending / commands) })
    }
}

impl ProjectionEffort {
    fn of<P: Projection>(projected: &Projected<P>) -> Self {
        let metrics = projected.metrics();
        let busy_s = metrics.busy().as_secs_f64();
        let Metrics { events, transactions, decoding, applying, committing, ref lag, .. } = metrics;
        let lag = lag.percentile(50.0).zip(lag.percentile(99.0)).map(|(p50, p99)| LagEffort {
            p50_ms: millis(p50),
            p99_ms: millis(p99),
            max_ms: millis(lag.max()),
        });
        let [decoding_s, applying_s, committing_s] = [decoding, applying, committing].map(|time| time.as_secs_f64());
        Self { name: P::NAME, events, transactions, busy_s, decoding_s, applying_s, committing_s, lag }
    }
}

impl Processors {
    /// What this process has used since it began, as Linux tells; nothing elsewhere.
    fn measure() -> Option<Self> {
        let own = std::process::id();
        let mut threads = BTreeMap::<&str, f64>::new();
        for thread in fs::read_dir("/proc/self/task").ok()? {
            let path = thread.ok()?.path();
            // A thread that ends meanwhile counts among those that have ended.
            let Ok(name) = fs::read_to_string(path.join("comm")) else { continue };
            let Some(seconds) = used(&path.join("schedstat")) else { continue };
            let kind = match name.trim_end() {
                name if name.starts_with("sqlx-sqlite") => "sqlite",
                name if name.starts_with("tokio") => "runtime",
                _ if path.ends_with(own.to_string()) => "main",
                _ => "other",
            };
            *threads.entry(kind).or_default() += seconds;
        }
        let [runtime_s, sqlite_s, main_s] =
            ["runtime", "sqlite", "main"].map(|kind| threads.get(kind).copied().unwrap_or_default());
        let total_s = whole_process()?;
        let count = std::thread::available_parallelism().ok()?.get();
        let other_s = (total_s - runtime_s - sqlite_s - main_s).max(0.0);
        Some(Self { count, total_s, runtime_s, sqlite_s, main_s, other_s })
    }
}

/// How long a thread has been on a processor, in seconds.
fn used(schedstat: &Path) -> Option<f64> {
    let text = fs::read_to_string(schedstat).ok()?;
    let nanos: u64 = text.split_whitespace().next()?.parse().ok()?;
    Some(nanos as f64 / 1e9)
}

/// How long the process has been on processors, with the threads that have ended, in seconds.
fn whole_process() -> Option<f64> {
    /// Linux counts in these units for programs, whatever it counts in for itself.
    const TICKS: f64 = 100.0;
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    // The name of the program stands in parentheses and may contain anything.
    let fields: Vec<_> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some((ticks(11)? + ticks(12)?) as f64 / TICKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_decides_while_it_does_not_append() {
        let latencies = [Duration::from_millis(3), Duration::from_millis(5)];
        let command = CommandEffort::of(Duration::from_millis(6), &latencies);
        assert_eq!(command, Some(CommandEffort { deciding_ms: 1.0, appending_ms: 3.0 }));
        assert_eq!(CommandEffort::of(Duration::ZERO, &[]), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn work_shows_as_time_of_the_thread_that_did_it() {
        let before = Processors::measure().unwrap();
        let begun = std::time::Instant::now();
        let mut after = before;
        while after.total_s < before.total_s + 0.05 {
            assert!(begun.elapsed() < Duration::from_secs(30), "{after:?} after {before:?}");
            after = Processors::measure().unwrap();
        }
        assert!(after.other_s > before.other_s, "tests run on threads of their own");
    }
}
