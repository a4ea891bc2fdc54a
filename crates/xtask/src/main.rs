//! `cargo xtask`: the chores of this workspace, in Rust so that they are the same on every machine and in CI.

mod cargo;
mod ci;
mod engines;
mod fuzz;
mod process;
mod sim;
mod test;
mod tidy;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// The chores of the Mainspring workspace.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Run every test, doctests included, and end with the counts.
    Test(test::Args),
    /// Run everything that CI runs: fmt, tidy, clippy, rustdoc, tests, and the questions to real brokers.
    Ci(ci::Args),
    /// Play random histories to the store on a simulated disk that fails; each seed replays its own.
    Sim(sim::Args),
    /// Check the layering of the crates and the habits that no compiler checks.
    Tidy,
    /// Start, show and stop real brokers for tests.
    Engines(engines::Args),
    /// Let libFuzzer look for bytes that a decoder does not take.
    Fuzz(fuzz::Args),
}

fn main() -> Result<ExitCode> {
    let green = match Args::parse().chore {
        Chore::Test(args) => test::run_and_report(&args)?,
        Chore::Ci(args) => ci::run(&args)?,
        Chore::Sim(args) => return sim::run(&args),
        Chore::Tidy => tidy::run()?,
        Chore::Engines(args) => engines::run(&args)?,
        Chore::Fuzz(args) => fuzz::run(&args)?,
    };
    Ok(if green { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
