//! `cargo xtask test --engines`: the questions in `spikes/`, asked of real brokers. An engine that was asked for and does
//! not come up is a failure.

use std::{net::SocketAddr, time::Duration};

use anyhow::Result;

use super::{Args, Tally, watch};
use crate::{
    cargo,
    engines::{self, Engine},
};

/// How long all questions of one program may take. The slowest takes a quarter of a minute on an idle machine;
/// more than this is a hang.
const LIMIT: Duration = Duration::from_secs(5 * 60);

/// Brings the engines up and asks each of them; their figures are printed as they come.
pub(super) fn run(args: &Args, engines: &[Engine]) -> Result<Tally> {
    let mut all = Tally::default();
    for &engine in engines {
        println!("\n==> {engine}");
        let mut tally = Tally::default();
        let work = |address: SocketAddr, version: &str| {
            println!("{engine} {version} at {address}");
            ask(args, engine, address, &mut tally)
        };
        let done = if args.down { engines::borrow(engine, work) } else { engines::keep(engine, work) };
        if let Err(error) = done {
            tally.missing(&format!("{engine}: {error:#}"));
        }
        all.add(tally);
    }
    Ok(all)
}

/// One question at a time: what they measure would not bear company.
fn ask(args: &Args, engine: Engine, address: SocketAddr, tally: &mut Tally) -> Result<()> {
    let (packages, variable) = asked_by(engine);
    let mut command = cargo::command(&["test", "--locked", "--no-fail-fast", "--manifest-path"]);
    command.arg(cargo::spikes()?).args(packages.iter().flat_map(|package| ["-p", *package])).args(&args.cargo);
    command.args(["--", "--nocapture", "--test-threads=1"]).args(&args.program);
    command.env(variable, address.to_string());
    let status = watch(command, Some(LIMIT), tally)?;
    // A client that cannot be built is a failure of the engine that it was to ask.
    tally.finished(status.success(), &format!("the questions to {engine}"));
    Ok(())
}

/// The packages that ask an engine, and the variable by which they learn where that is.
fn asked_by(engine: Engine) -> (&'static [&'static str], &'static str) {
    match engine {
        Engine::Rabbitmq | Engine::Rabbitmq4 => (&["spike-rabbitmq"], "MAINSPRING_RABBITMQ"),
        // What all questions share has tests that need no engine; once is enough for them.
        Engine::Kafka => (&["spike-kafka", "spike-driver"], "MAINSPRING_KAFKA"),
    }
}
