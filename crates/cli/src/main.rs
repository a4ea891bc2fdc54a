//! The `mainspring` program: what an operator or a script does with an event store, and with the broker in
//! it, from a terminal.
//!
//! Data goes to standard output and everything else to standard error, so that every command can stand in a pipe.

mod append;
mod appender;
mod args;
mod backup;
mod bar;
mod broker;
mod completions;
mod consume;
mod dead_letters;
mod demo;
mod events;
mod exit;
mod export;
mod import;
mod incoming;
mod lines;
mod message;
mod notices;
mod open;
mod output;
mod printable;
mod projections;
mod publish;
mod reindex;
mod request;
mod restore;
mod scavenge;
mod schedule;
mod state;
mod stats;
mod streams;
mod style;
mod subscriptions;
mod table;
mod topics;
mod units;
mod verify;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;

use crate::{
    args::{Args, Command},
    exit::Exit,
    output::Output,
};

fn main() -> ExitCode {
    let args = Args::parse();
    notices::show();
    let exit = run(args).unwrap_or_else(|error| {
        let exit = Exit::of(&error);
        if exit != Exit::Done {
            message::error(&error);
        }
        exit
    });
    exit.into()
}

fn run(Args { global, command }: Args) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Runtime::new().context("the threads of the program cannot be started")?;
    let mut output = Output::new(global.json);
    let exit = match command {
        Command::Demo(args) => runtime.block_on(demo::run(&global.data, args, &mut output)),
        Command::Append(args) => runtime.block_on(append::run(&global.data, args, &mut output)),
        Command::Events(args) => runtime.block_on(events::run(&global.data, args, &mut output)),
        Command::Streams(args) => streams::run(&global.data, args, &mut output),
        Command::Stats => runtime.block_on(stats::run(&global.data, &mut output)),
        Command::Scavenge => runtime.block_on(scavenge::run(&global.data, &mut output)),
        Command::Verify => verify::run(&global.data, &mut output),
        Command::Backup(args) => backup::run(&global.data, &args, &mut output),
        Command::Restore(args) => restore::run(&global.data, &args, &mut output),
        Command::Reindex(args) => reindex::run(&global.data, &args, &mut output),
        Command::Export(args) => runtime.block_on(export::run(&global.data, args, &mut output)),
        Command::Import(args) => runtime.block_on(import::run(&global.data, args, &mut output)),
        Command::State(args) => runtime.block_on(state::run(&global.data, args, &mut output)),
        Command::Projections(args) => runtime.block_on(projections::run(&global.data, args, &mut output)),
        Command::Topics(args) => runtime.block_on(topics::run(&global.data, args, &mut output)),
        Command::Subscriptions(args) => runtime.block_on(subscriptions::run(&global.data, args, &mut output)),
        Command::Publish(args) => runtime.block_on(publish::run(&global.data, args, &mut output)),
        Command::Request(args) => runtime.block_on(request::run(&global.data, args, &mut output)),
        Command::Consume(args) => runtime.block_on(consume::run(&global.data, args, &mut output)),
        Command::DeadLetters(args) => runtime.block_on(dead_letters::run(&global.data, args, &mut output)),
        Command::Schedule(args) => runtime.block_on(schedule::run(&global.data, args, &mut output)),
        Command::Completions(args) => completions::run(args, &mut output),
    }?;
    output.flush()?;
    Ok(exit)
}
