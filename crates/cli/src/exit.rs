//! With which code the program ends, and which error leads to which.

use std::process::ExitCode;

use mainspring::{
    disk::{BackupError, OpenError, ScavengeError},
    store::{AppendError, ReadError},
};

use crate::output::OutputError;

/// How a command ended. Wrong usage, which is 2, is found before a command runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Everything was done.
    Done = 0,
    /// It failed; for `append` and `import` also that a part of the input was refused.
    Failed = 1,
    /// A stream is not where it was expected to be.
    Conflict = 3,
    /// The files of the store are not as they were written.
    Damage = 4,
}

impl Exit {
    /// What `error` comes to. A reader that has gone away, such as `head`, has got all it wanted.
    pub(crate) fn of(error: &anyhow::Error) -> Self {
        error.chain().find_map(Self::of_cause).unwrap_or(Self::Failed)
    }

    fn of_cause(cause: &(dyn std::error::Error + 'static)) -> Option<Self> {
        if cause.downcast_ref().is_some_and(OutputError::is_closed) {
            return Some(Self::Done);
        }
        if let Some(AppendError::Conflict(_)) = cause.downcast_ref() {
            return Some(Self::Conflict);
        }
        let opening = match cause.downcast_ref() {
            Some(BackupError::BadBackup(_)) => return Some(Self::Damage),
            Some(BackupError::Open(error)) => Some(error),
            _ => cause.downcast_ref(),
        };
        if let Some(OpenError::Damaged(_) | OpenError::ManifestMissing { .. }) = opening {
            return Some(Self::Damage);
        }
        if let Some(ScavengeError::Damaged(_)) = cause.downcast_ref() {
            return Some(Self::Damage);
        }
        matches!(cause.downcast_ref(), Some(ReadError::Damaged(_))).then_some(Self::Damage)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use anyhow::Context as _;

    use super::*;

    #[track_caller]
    fn check(error: impl std::error::Error + Send + Sync + 'static, expected: Exit) {
        let error = Err::<(), _>(error).context("in some context").unwrap_err();
        assert_eq!(Exit::of(&error), expected);
    }

    #[test]
    fn every_kind_of_error_has_its_code() {
        check(OutputError(io::ErrorKind::BrokenPipe.into()), Exit::Done);
        check(OutputError(io::ErrorKind::StorageFull.into()), Exit::Failed);
        check(ReadError::Damaged("rot".into()), Exit::Damage);
        check(ReadError::Failed("busy".into()), Exit::Failed);
        check(OpenError::ManifestMissing { directory: "d".into() }, Exit::Damage);
        check(OpenError::Missing { directory: "d".into() }, Exit::Failed);
        check(BackupError::from(OpenError::ManifestMissing { directory: "d".into() }), Exit::Damage);
        check(BackupError::NotABackup { directory: "d".into() }, Exit::Failed);
        // A pipe that breaks elsewhere is a failure like any other.
        check(io::Error::from(io::ErrorKind::BrokenPipe), Exit::Failed);
    }
}
