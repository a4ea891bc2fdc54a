//! Making a store of a backup.

use std::path::{Path, PathBuf};

use mainspring::disk::{Restored, restore_backup};
use serde::Serialize;

use crate::{
    backup::{explained, files},
    exit::Exit,
    message,
    output::Output,
    units,
};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The directory of the backup. The store is made in `--data`, which must be new or empty.
    #[arg(value_name = "BACKUP")]
    backup: PathBuf,
}

/// What was done, for programs.
#[derive(Serialize)]
struct Answer {
    store: String,
    lineage: String,
    old_lineage: String,
    position: u64,
    linked: usize,
    copied: usize,
    kept: usize,
    bytes: u64,
}

pub(crate) fn run(directory: &Path, args: &Args, output: &mut Output) -> anyhow::Result<Exit> {
    let Restored { store, from, lineage, position, linked, copied, kept, bytes, .. } =
        restore_backup(&args.backup, directory).map_err(|error| explained(&args.backup, error))?;
    if output.is_json() {
        let (store, lineage, old_lineage) = (store.to_string(), lineage.to_string(), from.to_string());
        output.json(&Answer { store, lineage, old_lineage, position: position.0, linked, copied, kept, bytes })?;
    } else {
        let restored = format!("restored up to position {} as lineage {lineage}", units::number(position.0));
        output.line(&format!("{}: {restored}; {}", directory.display(), files((linked, copied, kept), bytes)))?;
    }
    message::note(
        "read models and other readers of the old lineage do not go on in this one: build them anew, with `mainspring \
         projections rebuild` or from the start",
    );
    Ok(Exit::Done)
}
