//! Why a backup could not be taken or restored, and what to do about it.

use std::io;

use mainspring_event::Position;

use crate::{damage::Damage, error::OpenError, verify::Finding};

/// Why a backup could not be taken or restored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackupError {
    /// The directory to write to holds something else.
    #[error("{directory} holds {what}. Nothing was changed: name an empty directory, or one that does not exist")]
    Occupied {
        /// Which directory.
        directory: String,
        /// What it holds.
        what: &'static str,
    },
    /// It holds a backup of another store, or of another history of this one.
    #[error(
        "{directory} holds a backup of {what}. Nothing of it was given up: keep it, and back up into another directory"
    )]
    Other {
        /// Which directory.
        directory: String,
        /// Of what.
        what: &'static str,
    },
    /// The backup holds events that the store has not.
    #[error(
        "{directory} holds a backup up to position {backup}, the store ends at {store}: it has lost events. Keep this \
         backup, and find out why before you back up into another directory"
    )]
    Ahead {
        /// Which directory.
        directory: String,
        /// Where the backup ends.
        backup: Position,
        /// Where the store ends.
        store: Position,
    },
    /// Another process works in a directory.
    #[error("{directory} is in use by {holder}. Wait until that is done, or name another directory")]
    Busy {
        /// Which directory.
        directory: String,
        /// Who, as far as it is known.
        holder: String,
    },
    /// What was to be restored is a store.
    #[error(
        "{directory} holds an event store, not a backup. Take one with `mainspring backup`, or open the store as it is"
    )]
    NotABackup {
        /// Which directory.
        directory: String,
    },
    /// What was to be restored is not as it was written.
    #[error(
        "the backup is damaged, and nothing was restored: {0}. Restore another backup; `mainspring export` writes out what \
         can still be read of this one"
    )]
    BadBackup(Finding),
    /// The directory to read from cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The directory to read from cannot be read.
    #[error("the files to copy cannot be read. Run `mainspring verify`, and try again")]
    Source(#[source] io::Error),
    /// The directory to write to cannot be written.
    #[error("the copy cannot be written. Make room or repair the disk, and run the same again: it goes on from here")]
    Target(#[source] io::Error),
}

impl BackupError {
    pub(super) fn missing(file: String) -> Self {
        OpenError::Damaged(Damage { file, offset: 0, what: "the file is missing".to_owned() }).into()
    }
}
