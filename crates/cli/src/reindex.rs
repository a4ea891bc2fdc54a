//! Building indexes again from the log.

use std::path::Path;

use mainspring::disk::{Reindexed, Which, reindex};
use serde::Serialize;

use crate::{exit::Exit, open, output::Output, units};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Build all of them, also those that look sound.
    #[arg(long)]
    all: bool,
}

/// What was done, for programs.
#[derive(Serialize)]
struct Answer<'a> {
    segments: usize,
    built: &'a [String],
}

pub(crate) fn run(directory: &Path, args: &Args, output: &mut Output) -> anyhow::Result<Exit> {
    let which = if args.all { Which::All } else { Which::Damaged };
    let Reindexed { segments, built, .. } =
        reindex(directory, which).map_err(|error| open::explained(directory, error))?;
    if output.is_json() {
        output.json(&Answer { segments, built: &built })?;
        return Ok(Exit::Done);
    }
    for file in &built {
        output.line(&format!("{file} built again"))?;
    }
    let sealed = units::count(segments as u64, "full segment");
    output.line(&format!(
        "{}: {sealed}, {} built again",
        directory.display(),
        units::count(built.len() as u64, "index file")
    ))?;
    Ok(Exit::Done)
}
