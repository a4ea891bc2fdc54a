//! `cargo xtask test --engines`: the questions in `spikes/`, asked of real brokers. An engine that was asked for and does
//! not come up is a failure.

use anyhow::Result;

use super::{Args, Tally, watch};
use crate::{
    cargo,
    engines::{self, Engine},
};

/// Brings the engines up and asks each of them; their figures are printed as they come.
pub(super) fn run(args: &Args, named: &[Engine]) -> Result<Tally> {
    let manifest = cargo::metadata()?.workspace_root.join("spikes/Cargo.toml");
    let mut all = Tally::default();
    for engine in engines::chosen(named) {
        println!("\n==> {engine}");
        let mut tally = Tally::default();
        match engines::ready(engine) {
            Ok((address, version)) => {
                println!("{engine} {version} at {address}");
                let (package, variable) = asked_by(engine);
                // One question at a time: what they measure would not bear company. A broken client is a broken engine.
                let mut command = cargo::command(&["test", "--locked", "--no-fail-fast", "--manifest-path"]);
                command.arg(&manifest).args(["-p", package]).args(&args.cargo);
                command.args(["--", "--nocapture", "--test-threads=1"]).args(&args.program);
                command.env(variable, address.to_string());
                let status = watch(command, &mut tally)?;
                tally.finished(status.success(), &format!("the questions to {engine}"));
            }
            Err(error) => tally.missing(&format!("{engine}: {error:#}")),
        }
        all.add(tally);
    }
    Ok(all)
}

/// The package that asks an engine, and the variable by which it learns where that is.
fn asked_by(engine: Engine) -> (&'static str, &'static str) {
    match engine {
        Engine::Rabbitmq | Engine::Rabbitmq4 => ("spike-rabbitmq", "MAINSPRING_RABBITMQ"),
        Engine::Kafka => ("spike-kafka", "MAINSPRING_KAFKA"),
    }
}
