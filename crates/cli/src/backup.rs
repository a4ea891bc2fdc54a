//! Taking a backup, beside the program that writes the store if there is one.

use std::path::{Path, PathBuf};

use mainspring::disk::{BackupError, BackupReport};
use serde::Serialize;

use crate::{exit::Exit, open, output::Output, units};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The directory of the backup: a new or empty one, or that of an earlier backup, which is brought up to date.
    #[arg(value_name = "DIR")]
    backup: PathBuf,
}

/// What was done, for programs.
#[derive(Serialize)]
struct Answer {
    backup: String,
    position: u64,
    linked: usize,
    copied: usize,
    kept: usize,
    bytes: u64,
}

pub(crate) fn run(directory: &Path, args: &Args, output: &mut Output) -> anyhow::Result<Exit> {
    let store = open::for_reading(directory)?;
    let BackupReport { position, linked, copied, kept, bytes, .. } =
        store.backup(&args.backup).map_err(|error| explained(directory, error))?;
    let backup = args.backup.display().to_string();
    if output.is_json() {
        output.json(&Answer { backup, position: position.0, linked, copied, kept, bytes })?;
    } else {
        let upto = match position.0 {
            0 => "no event yet".to_owned(),
            position => format!("every event up to position {}", units::number(position)),
        };
        output.line(&format!("{backup}: {upto}; {}", files((linked, copied, kept), bytes)))?;
    }
    Ok(Exit::Done)
}

/// What became of the segments.
pub(crate) fn files((linked, copied, kept): (usize, usize, usize), bytes: u64) -> String {
    let bytes = units::bytes(bytes);
    let all = units::count((linked + copied + kept) as u64, "segment");
    format!("{all}, of which {linked} linked, {copied} copied, {kept} kept; {bytes} copied")
}

/// The error in the words of this program.
pub(crate) fn explained(directory: &Path, error: BackupError) -> anyhow::Error {
    match error {
        BackupError::Open(error) => open::explained(directory, error),
        error => error.into(),
    }
}
