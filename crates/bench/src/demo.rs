//! The demo of one binary beside that of another, in turn and on the same file system, so that a machine that changes its
//! speed changes both.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::paired::median;

/// What to compare, and how often.
#[derive(Args, Clone)]
pub(crate) struct Settings {
    /// The other `mainspring` binary: built from an earlier commit, say.
    #[arg(long, value_name = "BINARY")]
    against: PathBuf,
    /// Ours; the `mainspring` beside this program unless said otherwise.
    #[arg(long, value_name = "BINARY")]
    ours: Option<PathBuf>,
    /// How often each of the two runs.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Where to write; each run has a fresh directory inside it that is removed at its end.
    #[arg(long, default_value = "target/bench")]
    directory: PathBuf,
    /// Print one JSON object a row.
    #[arg(long)]
    json: bool,
    /// What both are told besides, such as `-- --orders 10000`.
    #[arg(last = true)]
    arguments: Vec<String>,
}

/// What the benchmark reads of a report.
#[derive(Deserialize)]
struct Report {
    elapsed_s: f64,
    events: u64,
    events_per_s: f64,
    latency: Latency,
    reconciled: bool,
}

#[derive(Deserialize)]
struct Latency {
    p50_ms: f64,
    p99_ms: f64,
}

/// One figure of both.
#[derive(Debug, PartialEq, Serialize)]
struct Row {
    name: &'static str,
    ours: f64,
    against: f64,
    /// How many times better ours is: the median of the ratios of two neighbouring runs …
    better: f64,
    /// … and the least and the most of them.
    least: f64,
    most: f64,
}

/// Whether more is better.
#[derive(Clone, Copy)]
enum Good {
    More,
    Less,
}

/// A figure: what it is called, where it stands, and which way is good.
type Figure = (&'static str, fn(&Report) -> f64, Good);

const FIGURES: [Figure; 4] = [
    ("whole run, s", |report| report.elapsed_s, Good::Less),
    ("events a second", |report| report.events_per_s, Good::More),
    ("command p50, ms", |report| report.latency.p50_ms, Good::Less),
    ("command p99, ms", |report| report.latency.p99_ms, Good::Less),
];

pub(crate) fn run(settings: &Settings) -> anyhow::Result<()> {
    fs::create_dir_all(&settings.directory)?;
    let ours = match &settings.ours {
        Some(ours) => ours.clone(),
        None => std::env::current_exe()?.with_file_name("mainspring"),
    };
    let mut pairs = Vec::new();
    for round in 0..settings.runs {
        let ours = || demo(&ours, settings);
        let against = || demo(&settings.against, settings);
        // Each goes first in every other round, because the second finds the disk as the first has left it.
        let pair = if round % 2 == 0 {
            let ours = ours()?;
            (ours, against()?)
        } else {
            let against = against()?;
            (ours()?, against)
        };
        ensure!(
            pair.0.events == pair.1.events,
            "the two did not do the same: {} and {} events",
            pair.0.events,
            pair.1.events
        );
        pairs.push(pair);
    }
    print(settings, &ours, &pairs)
}

/// Runs the demo of a binary in a fresh directory.
fn demo(binary: &Path, settings: &Settings) -> anyhow::Result<Report> {
    let directory = tempfile::Builder::new().prefix("demo-").tempdir_in(&settings.directory)?;
    let mut command = Command::new(binary);
    command.arg("--data").arg(directory.path()).args(["demo", "--json"]).args(&settings.arguments);
    let output = command.stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("`{}` cannot be run: build it first", binary.display()))?;
    ensure!(output.status.success(), "the demo of `{}` failed: {}", binary.display(), output.status);
    let report: Report = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("the report of `{}` cannot be read", binary.display()))?;
    ensure!(report.reconciled, "the demo of `{}` did not reconcile", binary.display());
    Ok(report)
}

fn print(settings: &Settings, ours: &Path, pairs: &[(Report, Report)]) -> anyhow::Result<()> {
    if !settings.json {
        println!(
            "The demo of {} (ours) beside {} (against) in {}\n\
             Medians of {} runs of each, in turn; better is the median of how many times better ours is than its neighbour,\n\
             with the least and the most of them.\n",
            ours.display(),
            settings.against.display(),
            settings.directory.display(),
            pairs.len(),
        );
        println!("{:<18} {:>12} {:>12} {:>8} {:>8} {:>8}", "name", "ours", "against", "better", "least", "most");
    }
    for row in FIGURES.map(|figure| row(figure, pairs)) {
        if settings.json {
            println!("{}", serde_json::to_string(&row)?);
            continue;
        }
        let Row { name, ours, against, better, least, most } = row;
        println!("{name:<18} {ours:>12.2} {against:>12.2} {better:>8.2} {least:>8.2} {most:>8.2}");
    }
    Ok(())
}

fn row((name, figure, good): Figure, pairs: &[(Report, Report)]) -> Row {
    let ratios: Vec<_> = pairs
        .iter()
        .map(|(ours, against)| match good {
            Good::More => figure(ours) / figure(against),
            Good::Less => figure(against) / figure(ours),
        })
        .collect();
    Row {
        name,
        ours: median(pairs.iter().map(|pair| figure(&pair.0)).collect()),
        against: median(pairs.iter().map(|pair| figure(&pair.1)).collect()),
        least: ratios.iter().copied().fold(f64::INFINITY, f64::min),
        most: ratios.iter().copied().fold(0.0, f64::max),
        better: median(ratios),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(elapsed_s: f64, events_per_s: f64) -> Report {
        Report { elapsed_s, events_per_s, events: 1, latency: Latency { p50_ms: 1.0, p99_ms: 1.0 }, reconciled: true }
    }

    #[test]
    fn less_time_and_more_events_are_better() {
        let pairs = [
            (report(2.0, 30.0), report(4.0, 10.0)),
            (report(1.0, 20.0), report(1.0, 10.0)),
            (report(4.0, 20.0), report(12.0, 20.0)),
        ];
        let time = Row { name: "whole run, s", ours: 2.0, against: 4.0, better: 2.0, least: 1.0, most: 3.0 };
        let rate = Row { name: "events a second", ours: 20.0, against: 10.0, better: 2.0, least: 1.0, most: 3.0 };
        assert_eq!([row(FIGURES[0], &pairs), row(FIGURES[1], &pairs)], [time, rate]);
    }
}
