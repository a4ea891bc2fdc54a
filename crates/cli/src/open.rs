//! Opening the store of a command, with errors that say what to do about it from a terminal.

use std::path::Path;

use anyhow::anyhow;
use mainspring::disk::{DiskStore, OpenError};

/// Opens the store to read, beside a writer if there is one. It creates nothing.
pub(crate) fn for_reading(directory: &Path) -> anyhow::Result<DiskStore> {
    DiskStore::open_read_only(directory).map_err(|error| explained(directory, error))
}

/// Opens the store to write, creating it where there is none.
pub(crate) fn for_writing(directory: &Path) -> anyhow::Result<DiskStore> {
    DiskStore::open(directory).map_err(|error| explained(directory, error))
}

/// Opens the store to write, where there is one.
pub(crate) fn existing_for_writing(directory: &Path) -> anyhow::Result<DiskStore> {
    // Reading creates nothing, and says so where there is nothing.
    drop(for_reading(directory)?);
    for_writing(directory)
}

/// The error in the words of this program.
pub(crate) fn explained(directory: &Path, error: OpenError) -> anyhow::Error {
    let shown = directory.display();
    match error {
        OpenError::Missing { .. } => {
            anyhow!(
                "there is no event store in {shown}: check `--data`, or make one with `mainspring demo` or \
                 `mainspring append`"
            )
        }
        OpenError::Locked { holder, .. } => {
            anyhow!("{holder} writes to the event store in {shown}: stop it first, only reading works beside it")
        }
        OpenError::Io(error) => {
            anyhow::Error::new(error).context(format!("the event store in {shown} cannot be opened"))
        }
        error => error.into(),
    }
}
