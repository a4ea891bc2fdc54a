//! Measures Mainspring beside the raw limit of the same machine or beside another build of itself, in the same run and on
//! the same directory.
//!
//! Absolute figures depend on the machine and on what else it does; ratios of one run are what counts.

mod demo;
mod paired;
mod store;
mod table;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

#[derive(Parser)]
#[command(name = "mainspring-bench", about = "Measures Mainspring beside the raw limit of the same machine")]
struct Cli {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Subcommand)]
enum Bench {
    /// The embedded event store: append, read, load an aggregate.
    Store(Settings),
    /// The demo of this binary beside that of another one.
    Demo(demo::Settings),
}

/// What every benchmark can be told.
#[derive(Args, Clone)]
struct Settings {
    /// Print one JSON object a row.
    #[arg(long)]
    json: bool,
    /// Where to write; a fresh directory inside it is removed at the end.
    #[arg(long, default_value = "target/bench")]
    directory: PathBuf,
    /// Seconds for each append row.
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
}

fn main() -> anyhow::Result<()> {
    let Cli { bench } = Cli::parse();
    match bench {
        Bench::Store(settings) => tokio::runtime::Runtime::new()?.block_on(store::run(&settings)),
        Bench::Demo(settings) => demo::run(&settings),
    }
}
