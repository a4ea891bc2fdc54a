//! `cargo xtask ci`: everything that has to hold before a change goes in. Every step runs, whatever came of those before.

use std::{
    fmt,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use crate::{
    cargo,
    engines::Engine,
    test::{self, Tally},
    tidy,
};

/// What CI can do without.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// An engine that this machine cannot run; the last lines say that it was left out. Otherwise all of them are asked.
    #[arg(long, value_name = "ENGINE")]
    without: Vec<Engine>,
}

/// What became of one step.
struct Outcome {
    name: &'static str,
    green: bool,
    took: Duration,
}

/// Runs all steps, the cheap ones first and real brokers last; `true` when every one of them is green.
pub(crate) fn run(args: &Args) -> Result<bool> {
    let spikes = cargo::spikes()?;
    let spikes = spikes.to_str().context("the path of this workspace is not UTF-8")?;
    let mut counts = Tally::default();
    let outcomes = [
        step("fmt", || {
            let product = cargo_is_green(&["fmt", "--all", "--check"], &[])?;
            Ok(product & cargo_is_green(&["fmt", "--all", "--check", "--manifest-path", spikes], &[])?)
        }),
        step("tidy", tidy::run),
        step("clippy", || {
            let what = ["--workspace", "--all-targets", "--keep-going"];
            let deny = ["--", "-D", "warnings"];
            let product = cargo_is_green(&[&["clippy"], &what[..], &deny].concat(), &[])?;
            let other = ["clippy", "--locked", "--manifest-path", spikes];
            Ok(product & cargo_is_green(&[&other, &what[..], &deny].concat(), &[])?)
        }),
        step("rustdoc", || {
            cargo_is_green(&["doc", "--workspace", "--no-deps", "--keep-going"], &[("RUSTDOCFLAGS", "-D warnings")])
        }),
        step("test", || Ok(counts.include(test::run(&test::Args::default())?))),
        step("engines", || ask(args, &mut counts)),
    ];
    println!();
    for outcome in &outcomes {
        println!("{outcome}");
    }
    // The counts come last, where a reader of a long log looks first.
    println!("{counts}");
    Ok(outcomes.iter().all(|outcome| outcome.green))
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.green { "ok" } else { "FAILED" };
        write!(f, "{:<8} {word:<6} {:>7.1} s", self.name, self.took.as_secs_f64())
    }
}

/// Runs one step; an error of ours fails the step and not the run, so that it never hides the steps that follow.
fn step(name: &'static str, work: impl FnOnce() -> Result<bool>) -> Outcome {
    println!("\n==> {name}");
    let start = Instant::now();
    let green = work().unwrap_or_else(|error| {
        println!("error: {error:#}");
        false
    });
    let outcome = Outcome { name, green, took: start.elapsed() };
    println!("<== {outcome}");
    outcome
}

/// Asks the real brokers. Those that are left out are named beside the counts.
fn ask(args: &Args, counts: &mut Tally) -> Result<bool> {
    for engine in &args.without {
        counts.left_out(&format!("the questions to {engine}, because of `--without {engine}`"));
    }
    let asked: Vec<_> = Engine::ALL.into_iter().filter(|engine| !args.without.contains(engine)).collect();
    Ok(asked.is_empty() || counts.include(test::ask(&asked)?))
}

fn cargo_is_green(args: &[&str], env: &[(&str, &str)]) -> Result<bool> {
    println!("cargo {}", args.join(" "));
    let status = cargo::command(args).envs(env.iter().copied()).status().context("cannot start cargo")?;
    Ok(status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_fails_the_step_and_no_more() {
        assert!(step("good", || Ok(true)).green);
        assert!(!step("bad", || Ok(false)).green);
        assert!(!step("broken", || anyhow::bail!("no cargo here")).green);
    }

    #[test]
    fn engines_that_are_left_out_are_named_beside_the_counts() {
        let mut counts = Tally::default();
        let args = Args { without: Engine::ALL.to_vec() };
        assert!(ask(&args, &mut counts).unwrap(), "leaving out is no failure");
        let said = counts.to_string();
        assert!(said.contains("left out: the questions to rabbitmq4, because of `--without rabbitmq4`\n"), "{said}");
        assert_eq!(said.matches("left out").count(), Engine::ALL.len());
    }

    #[test]
    fn an_outcome_is_one_aligned_line() {
        let outcome = Outcome { name: "clippy", green: false, took: Duration::from_millis(12_340) };
        assert_eq!(outcome.to_string(), "clippy   FAILED    12.3 s");
    }
}
