//! Why a store cannot be opened, and what to do about it.

use std::io;

use crate::damage::Damage;

/// Why a directory cannot be opened as an event store.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// There is no store in it.
    #[error("{directory} holds no event store. Check the path, or create one by opening it for writing")]
    Missing {
        /// Which directory.
        directory: String,
    },
    /// It holds segments of a store but not the file that names them.
    #[error("{directory} holds segments of an event store but no manifest. Restore the file MANIFEST from a backup")]
    ManifestMissing {
        /// Which directory.
        directory: String,
    },
    /// Another process writes to it.
    #[error("{directory} is in use by {holder}. Stop it first, or open the directory read-only")]
    Locked {
        /// Which directory.
        directory: String,
        /// Who, as far as it is known.
        holder: String,
    },
    /// It holds a backup, which is only read and restored.
    #[error(
        "{directory} holds a backup, which is not written. Restore it into another directory with `mainspring restore` and \
         open that, or open this one read-only"
    )]
    Backup {
        /// Which directory.
        directory: String,
    },
    /// It holds a backup or a restored store that was never completed.
    #[error(
        "{directory} holds the beginning of a backup, or of a store that was being restored. Run the same `mainspring \
         backup` or `mainspring restore` again to complete it, or remove the directory"
    )]
    Unfinished {
        /// Which directory.
        directory: String,
    },
    /// A newer version of this program wrote it.
    #[error(
        "{file} has format {found}, this program understands up to {supported}. Use a newer version of the program"
    )]
    Newer {
        /// Which file.
        file: String,
        /// The format it has.
        found: u32,
        /// The newest format that is understood.
        supported: u32,
    },
    /// What is stored is not what was written. Nothing was changed.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// A file could not be used.
    #[error("the store cannot be opened")]
    Io(#[from] io::Error),
}
