//! Taking over events that `export` wrote: as they were into an empty store, or as new events into any store.

mod check;
mod copy;
mod join;

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use mainspring::{
    disk::{DiskStore, OpenError},
    event::Position,
    store::EventStore as _,
};
use serde::Serialize;

use crate::{append, exit::Exit, lines::Lines, open, output::Output, units};

#[derive(clap::Args)]
#[command(after_help = "\
Into an empty store, or a directory where there is none yet, events keep their positions, versions and recorded times.

With --append they get new ones. Events whose ids are stored already are passed over, so that repeating an import is safe.

A file is checked before anything is written, so that one bad line keeps all of it out. From standard input, what comes
before the bad line has been imported by then; the message says how much.")]
pub(crate) struct Args {
    /// The file; standard input without it.
    file: Option<PathBuf>,
    /// Append the events with new positions and versions.
    #[arg(long)]
    append: bool,
}

/// What was imported.
#[derive(Serialize)]
struct Report {
    /// How many events are new in the store.
    events: u64,
    /// How many it had already.
    known: u64,
    /// Position of its newest event now.
    head: u64,
}

pub(crate) async fn run(directory: &Path, args: Args, output: &mut Output) -> anyhow::Result<Exit> {
    if !args.append {
        refuse_unless_empty(directory, present_head(directory).await?)?;
    }
    if let Some(file) = &args.file {
        check::file(file, args.append)?;
    }
    let store = open::for_writing(directory)?;
    let head = store.info().await?.head;
    if !args.append {
        refuse_unless_empty(directory, head)?;
    }
    let lines = Lines::new(input(args.file.as_deref())?);
    let imported = if args.append { join::run(&store, lines, head).await } else { copy::run(&store, lines).await };
    let head = store.info().await?.head.0;
    append::close(&store)?;
    let Imported { events, known } = imported?;
    if output.is_json() {
        output.json(&Report { events, known, head })?;
    } else {
        let known = if known == 0 { String::new() } else { format!(", {} known already", units::number(known)) };
        let (events, head) = (units::count(events, "event"), units::number(head));
        output.line(&format!("{events} imported{known}; the store is at position {head}"))?;
    }
    Ok(Exit::Done)
}

/// How much was taken over.
#[derive(Clone, Copy, Default)]
struct Imported {
    events: u64,
    known: u64,
}

/// Where the store is that may be there already. Looking creates nothing.
async fn present_head(directory: &Path) -> anyhow::Result<Position> {
    match DiskStore::open_read_only(directory) {
        Err(OpenError::Missing { .. }) => Ok(Position::START),
        Err(error) => Err(open::explained(directory, error)),
        Ok(store) => Ok(store.info().await?.head),
    }
}

fn refuse_unless_empty(directory: &Path, head: Position) -> anyhow::Result<()> {
    if head > Position::START {
        let directory = directory.display();
        bail!(
            "the event store in {directory} is not empty (it is at position {head}): import into another directory, \
             or give the events new positions with `--append`"
        );
    }
    Ok(())
}

fn input(file: Option<&Path>) -> anyhow::Result<Box<dyn Read>> {
    Ok(match file {
        Some(file) => Box::new(File::open(file).with_context(|| cannot_read(Some(file)))?),
        None => Box::new(io::stdin().lock()),
    })
}

fn cannot_read(file: Option<&Path>) -> String {
    file.map_or_else(|| "standard input cannot be read".to_owned(), |file| format!("{} cannot be read", file.display()))
}
