//! `cargo xtask test`: every test of the workspace through `cargo test`, with the counts of the whole run at the end.

mod brokers;
mod engines;
mod tally;
mod watch;

use std::process::ExitStatus;

use anyhow::Result;

use crate::{
    cargo,
    engines::{self as servers, Engine},
};
use brokers::Reports;
pub(crate) use tally::Tally;
use watch::watch;

/// What to test.
#[derive(clap::Args, Default)]
pub(crate) struct Args {
    /// Ask real brokers instead (`spikes/`): these engines, or all when none is named. They are started if need be.
    #[arg(long, value_name = "NAME", num_args = 0..)]
    engines: Option<Vec<Engine>>,
    /// Stop the engines afterwards that had to be started; otherwise they stay up.
    #[arg(long, requires = "engines")]
    down: bool,
    /// Passed to `cargo test`: `-p mainspring-store`, `--doc`, a part of a test's name; all tests when absent.
    // A `--` and what follows it end up here, too, unless the `--` comes first.
    #[arg(allow_hyphen_values = true, value_name = "CARGO ARGUMENT")]
    cargo: Vec<String>,
    /// Passed to the test programs: `--nocapture`, `--exact`.
    #[arg(last = true, value_name = "TEST ARGUMENT")]
    program: Vec<String>,
}

/// Runs the tests and prints the counts as the last line; `true` when they are green.
pub(crate) fn run_and_report(args: &Args) -> Result<bool> {
    let tally = run(args)?;
    println!("\n{tally}");
    Ok(tally.is_green())
}

/// Asks these engines, and stops afterwards those that had to be started.
pub(crate) fn ask(engines: &[Engine]) -> Result<Tally> {
    engines::run(&Args { down: true, ..Args::default() }, engines)
}

/// Runs the tests, showing their output as it comes, and then the brokers side by side.
pub(crate) fn run(args: &Args) -> Result<Tally> {
    if let Some(named) = &args.engines {
        return engines::run(args, &servers::chosen(named));
    }
    let reports = Reports::begin()?;
    let mut tally = Tally::default();
    if args.names_packages() {
        let status = cargo_test(args, &[], &reports, &mut tally)?;
        tally.finished(status.success(), "the selected tests");
    } else {
        test_workspace(args, &reports, &mut tally)?;
    }
    match reports.print() {
        Ok(false) if args.all().next().is_none() => {
            tally.missing("no law of the Broker contract was asked of any broker");
        }
        Ok(_) => {}
        Err(error) => tally.missing(&format!("the brokers cannot be shown side by side: {error:#}")),
    }
    Ok(tally)
}

fn test_workspace(args: &Args, reports: &Reports, tally: &mut Tally) -> Result<()> {
    let status = cargo_test(args, &["--workspace"], reports, tally)?;
    if tally.ran_nothing() && tally.could_not_compile() {
        // Cargo runs nothing at all when anything does not compile. One broken crate must not hide the other results.
        println!("\nSomething does not compile; the crates are tested one by one.");
        for package in cargo::metadata()?.packages {
            let mut own = Tally::default();
            let status = cargo_test(args, &["-p", &package.name], reports, &mut own)?;
            own.finished(status.success(), &format!("`-p {}`", package.name));
            tally.add(own);
        }
    }
    tally.finished(status.success(), "the workspace");
    Ok(())
}

impl Args {
    /// What to pass to `cargo test`.
    fn all(&self) -> impl Iterator<Item = &str> {
        let separator = if self.program.is_empty() { None } else { Some("--") };
        self.cargo.iter().map(String::as_str).chain(separator).chain(self.program.iter().map(String::as_str))
    }

    /// Whether the caller chose packages, so that we must not choose all of them.
    fn names_packages(&self) -> bool {
        let chooses = |arg: &str| arg.starts_with("-p") || arg.starts_with("--package") || arg == "--workspace";
        self.all().take_while(|&arg| arg != "--").any(chooses)
    }
}

/// One call of `cargo test`. Both outputs go through one pipe, so that cargo's words about a test program stay next to
/// those of the program.
fn cargo_test(args: &Args, scope: &[&str], reports: &Reports, tally: &mut Tally) -> Result<ExitStatus> {
    let mut command = cargo::command(&["test", "--no-fail-fast"]);
    command.args(scope).args(args.all()).env(brokers::VARIABLE, reports.dir());
    watch(command, None, tally)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    #[track_caller]
    fn check(line: &str, expected: &str, names_packages: bool) {
        let args = Line::parse_from(line.split_whitespace()).args;
        assert_eq!(args.all().collect::<Vec<_>>().join(" "), expected);
        assert_eq!(args.names_packages(), names_packages);
    }

    #[test]
    fn engines_are_named_or_all() {
        let engines = |line: &str| Line::parse_from(line.split_whitespace()).args.engines;
        assert_eq!(engines("test"), None);
        assert_eq!(engines("test --engines"), Some(Vec::new()));
        assert_eq!(engines("test --engines kafka rabbitmq"), Some(vec![Engine::Kafka, Engine::Rabbitmq]));
        check("test --engines kafka -- stale", "-- stale", false);
        let down = |line: &str| Line::try_parse_from(line.split_whitespace()).map(|line| line.args.down).ok();
        assert_eq!(down("test --engines"), Some(false));
        assert_eq!(down("test --engines kafka --down"), Some(true));
        assert_eq!(down("test --down"), None, "nothing is started without --engines");
        let error = Line::try_parse_from(["test", "--engines", "redis"]).err().unwrap().to_string();
        assert!(error.contains("there is no engine `redis`"), "{error}");
    }

    #[test]
    fn arguments_reach_cargo_and_the_test_programs() {
        check("test", "", false);
        check("test --doc atomic", "--doc atomic", false);
        check("test -p mainspring-store", "-p mainspring-store", true);
        check("test --package=mainspring-store", "--package=mainspring-store", true);
        check("test -- --nocapture", "-- --nocapture", false);
        check("test atomic -- --exact -p", "atomic -- --exact -p", false);
        check("test -p x name -- --exact", "-p x name -- --exact", true);
    }
}
