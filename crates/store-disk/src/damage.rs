//! What is stored is not what was written: where, and what to do about it.

/// Damage that was found in a file of the store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{file} is damaged at offset {offset}: {what}. Keep the directory as it is, run `verify` on a copy, and restore from a backup"
)]
pub struct Damage {
    /// Which file.
    pub file: String,
    /// Where in it, in bytes from its beginning.
    pub offset: u64,
    /// What is wrong there.
    pub what: String,
}
