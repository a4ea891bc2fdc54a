//! Measures Mainspring beside the raw limit of the same machine or beside another build of itself, in the same run and on
//! the same directory.
//!
//! Absolute figures depend on the machine and on what else it does; ratios of one run are what counts.

mod cache;
mod child;
mod demo;
mod machine;
mod markdown;
mod messaging;
mod paired;
mod store;
mod table;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use table::Table;

#[derive(Parser)]
#[command(name = "mainspring-bench", about = "Measures Mainspring beside the raw limit of the same machine")]
struct Cli {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Subcommand)]
enum Bench {
    /// The embedded event store: append, read, load an aggregate, open, memory, size; with `--peers` beside others.
    Store(Settings),
    /// The embedded broker: throughput, latency, requests, fan-out, schedules, and a consumer that is stuck.
    Messaging(Settings),
    /// A part of a benchmark that needs a process of its own.
    #[command(hide = true)]
    Child(child::Job),
    /// The demo of this binary beside that of another one.
    Demo(demo::Settings),
}

/// What every benchmark can be told.
#[derive(Args, Clone)]
struct Settings {
    /// Print one JSON object a row.
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// Print the tables of docs/benchmarks.md when all runs are over; rows go to standard error as they come.
    #[arg(long)]
    markdown: bool,
    /// Repeat everything so many times; the tables in Markdown show the spread.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// A twentieth of the events and short rows: shows that it works, measures little.
    #[arg(long)]
    quick: bool,
    /// Measure single appends and batches beside other stores instead; see peers/README.md.
    #[arg(long)]
    peers: bool,
    /// Where to write, up to 10 GB; a fresh directory inside it is removed at the end.
    #[arg(long, default_value = "target/bench")]
    directory: PathBuf,
    /// Seconds for each row of paired slices.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Run only rows whose name contains this.
    #[arg(long)]
    only: Option<String>,
}

impl Settings {
    fn wants(&self, name: &str) -> bool {
        self.only.as_ref().is_none_or(|only| name.contains(only.as_str()))
    }

    /// So many events, or a part of them when it has to be quick.
    fn scaled(&self, count: usize) -> usize {
        if self.quick { count / 20 } else { count }
    }

    /// How many rounds of two slices fill the time of a row.
    fn rounds(&self) -> usize {
        let seconds = if self.quick { self.seconds.min(0.6) } else { self.seconds };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small positive number")]
        let rounds = (seconds / (2.0 * paired::SLICE.as_secs_f64())).ceil() as usize;
        rounds.max(3)
    }
}

fn main() -> anyhow::Result<()> {
    let Cli { bench } = Cli::parse();
    let runtime = tokio::runtime::Runtime::new()?;
    match bench {
        Bench::Store(settings) => {
            let mut table = Table::begin(&settings);
            for _ in 0..settings.runs {
                runtime.block_on(store::run(&settings, &mut table))?;
            }
            table.end();
            Ok(())
        }
        Bench::Messaging(settings) => {
            anyhow::ensure!(!settings.peers, "`--peers` is for the store: this has no peers to be measured beside");
            let mut table = Table::begin(&settings);
            for _ in 0..settings.runs {
                runtime.block_on(messaging::run(&settings, &mut table))?;
            }
            table.end();
            Ok(())
        }
        Bench::Child(job) => runtime.block_on(child::run(job)),
        Bench::Demo(settings) => demo::run(&settings),
    }
}
