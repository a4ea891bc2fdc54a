//! What can go wrong with a directory of read models.

use std::{io, path::PathBuf};

/// Why a read model cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ViewError {
    /// SQLite refuses. A busy database or a full disk may be over when it is tried again.
    #[error("SQLite refuses")]
    Sqlite(#[from] sqlx::Error),
    /// A file or the directory of the views cannot be used.
    #[error("`{path}` cannot be used")]
    File {
        /// Which file or directory.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// Another runner, of this process or of another, keeps this version of the projection up to date.
    #[error("version {version} of projection `{name}` is run by someone else; stop that one first")]
    Locked {
        /// Which projection.
        name: String,
        /// Which version of it.
        version: u32,
    },
    /// There is no such projection in the directory.
    #[error("there is no projection `{name}` in `{directory}`")]
    Unknown {
        /// Which projection.
        name: String,
        /// Where it was looked for.
        directory: PathBuf,
    },
    /// The name cannot be that of a file.
    #[error("`{name}` cannot name a read model: use letters, digits, `_` and `-`")]
    Name {
        /// The offending name.
        name: String,
    },
    /// The checkpoint is not one that was written here.
    #[error("the checkpoint in `{path}` is damaged; ask for a rebuild")]
    Damaged {
        /// In which file.
        path: PathBuf,
    },
    /// A newer program wrote the directory.
    #[error("the views in `{directory}` have format {found}, this program knows up to {known}: run a newer program")]
    FromTheFuture {
        /// Which directory.
        directory: PathBuf,
        /// The format found.
        found: i64,
        /// The newest format that this program knows.
        known: i64,
    },
    /// The program is stopping and takes no more work.
    #[error("the runtime is shutting down")]
    ShuttingDown,
}
