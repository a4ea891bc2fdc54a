//! Why a state cannot be loaded, and why a command was not carried out.

use mainspring_event::{DecodeError, EventRef, Position, StreamName, Version};
use mainspring_store::{AppendError, BoxError, ReadError};

/// Why the state of an aggregate cannot be known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// An event cannot be read. Run a program that can read it, or mend its upcast; leaving it out would be data loss.
    #[error("the event at position {position} in stream `{stream}` cannot be read")]
    Undecodable {
        /// The name of its stream.
        stream: String,
        /// Where it is.
        position: Position,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// Retention removed the beginning of the history, and no snapshot covers it.
    #[error("stream `{stream}` was truncated: it begins at version {first}, so the state before that is not known")]
    Truncated {
        /// Which stream.
        stream: StreamName,
        /// The oldest version that can be read.
        first: Version,
    },
    /// The stream was closed for ever.
    #[error("stream `{stream}` is tombstoned: its events are gone")]
    Tombstoned {
        /// Which stream.
        stream: StreamName,
    },
    /// The version that was asked for does not exist yet.
    #[error("stream `{stream}` has come to version {head}; there is no version {wanted} yet")]
    BeyondHead {
        /// Which stream.
        stream: StreamName,
        /// What was asked for.
        wanted: Version,
        /// How far the stream has come.
        head: Version,
    },
    /// What was asked for contradicts itself, such as an id that cannot be a part of a stream's name.
    #[error("cannot be read as asked")]
    Invalid(#[source] BoxError),
    /// Not readable now. Trying again may help.
    #[error("not readable now")]
    Failed(#[source] BoxError),
}

/// Why a command was not carried out. Each variant is a decision the caller can take.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError<E> {
    /// The decider said no. Nothing was written; in the same state it says the same again.
    #[error(transparent)]
    Rejected(E),
    /// Others kept getting ahead. Nothing was written; trying again later may help.
    #[error("gave up after {attempts} attempts because others got ahead each time")]
    Conflict {
        /// How often it was tried.
        attempts: u32,
        /// What the store answered last.
        #[source]
        last: AppendError,
    },
    /// An event that the decision depends on cannot be read. Run a program that can read it, or mend its upcast.
    #[error("the event at position {position} in stream `{stream}` cannot be read")]
    Undecodable {
        /// The name of its stream.
        stream: String,
        /// Where it is.
        position: Position,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// Retention removed the beginning of the history, and no snapshot covers it.
    #[error("stream `{stream}` was truncated: it begins at version {first}, so the state before that is not known")]
    Truncated {
        /// Which stream.
        stream: StreamName,
        /// The oldest version that can be read.
        first: Version,
    },
    /// The stream was closed for ever and takes no more commands.
    #[error("stream `{stream}` is tombstoned: it takes no more events")]
    Tombstoned {
        /// Which stream.
        stream: StreamName,
    },
    /// The command cannot be carried out as it is: a value that cannot be part of a name or tag, an event that cannot be
    /// encoded or is too large. Nothing was written; trying again cannot help.
    #[error("the command cannot be carried out")]
    Invalid(#[source] BoxError),
    /// Surely not written. Trying again may help.
    #[error("not written")]
    Failed(#[source] BoxError),
    /// May have been written. Only the same command with the same idempotency key may be sent again.
    #[error("may have been written")]
    Unknown(#[source] BoxError),
}

impl<E> CommandError<E> {
    /// The decider said no: nothing was written, and trying again does not help.
    pub fn is_rejected(&self) -> bool {
        matches!(self, Self::Rejected(_))
    }

    /// What becomes of a command whose append the store answered with `error`, once it is not to be tried again.
    pub(crate) fn refused(error: AppendError) -> Self {
        match error {
            AppendError::Tombstoned { stream } => Self::Tombstoned { stream },
            AppendError::TooLarge { .. } | AppendError::Invalid { .. } => Self::Invalid(error.into()),
            AppendError::Failed(source) => Self::Failed(source),
            AppendError::Unknown(source) => Self::Unknown(source),
            // Every other answer says that nothing was written.
            other => Self::Failed(other.into()),
        }
    }
}

impl<E> From<LoadError> for CommandError<E> {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Undecodable { stream, position, source } => Self::Undecodable { stream, position, source },
            LoadError::Truncated { stream, first } => Self::Truncated { stream, first },
            LoadError::Tombstoned { stream } => Self::Tombstoned { stream },
            LoadError::Invalid(source) => Self::Invalid(source),
            LoadError::Failed(_) | LoadError::BeyondHead { .. } => Self::Failed(error.into()),
        }
    }
}

impl LoadError {
    /// What is wrong with `event`, and where it is.
    pub(crate) fn undecodable(event: &EventRef<'_>, source: DecodeError) -> Self {
        Self::Undecodable { stream: event.stream.to_owned(), position: event.position, source }
    }
}

impl From<ReadError> for LoadError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Truncated { stream, first } => Self::Truncated { stream, first },
            ReadError::Tombstoned { stream } => Self::Tombstoned { stream },
            ReadError::Invalid { .. } => Self::Invalid(error.into()),
            ReadError::Failed(source) => Self::Failed(source),
            other => Self::Failed(other.into()),
        }
    }
}
