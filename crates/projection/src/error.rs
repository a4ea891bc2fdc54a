//! Why a projection stopped.

use std::fmt;

use mainspring_event::{DecodeError, EventRef, NameError, Position};
use mainspring_store::{BoxError, CheckpointError};

/// Why a projection cannot start or go on. Nothing was skipped: started again, it goes on where it stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProjectionError {
    /// The read model cannot be opened, or another runner has it open.
    #[error("projection `{name}`: its read model cannot be opened")]
    Open {
        /// Which projection.
        name: &'static str,
        /// What the view says.
        source: BoxError,
    },
    /// The read model was built from another store or another history than this one. Ask for a rebuild.
    #[error("projection `{name}`: its read model does not belong to this store; ask for a rebuild")]
    Checkpoint {
        /// Which projection.
        name: &'static str,
        /// What is wrong with the checkpoint.
        source: CheckpointError,
    },
    /// An event cannot be decoded by this program. Run a program that can; the event is not skipped.
    #[error("projection `{name}`: event {event} cannot be decoded")]
    Undecodable {
        /// Which projection.
        name: &'static str,
        /// Which event.
        event: EventPlace,
        /// Why not.
        source: Box<DecodeError>,
    },
    /// An event cannot be applied: the failure is permanent, or the schedule is used up.
    #[error("projection `{name}`: event {event} could not be applied, tried {attempts} times")]
    Apply {
        /// Which projection.
        name: &'static str,
        /// Which event.
        event: EventPlace,
        /// How often it was tried.
        attempts: u32,
        /// What went wrong last.
        source: BoxError,
    },
    /// The tables cannot be created: the failure is permanent, or the schedule is used up.
    #[error("projection `{name}`: its tables cannot be created, tried {attempts} times")]
    Create {
        /// Which projection.
        name: &'static str,
        /// How often it was tried.
        attempts: u32,
        /// What went wrong last.
        source: BoxError,
    },
    /// The view cannot be written, and the schedule is used up.
    #[error("projection `{name}`: its read model cannot be written, tried {attempts} times")]
    View {
        /// Which projection.
        name: &'static str,
        /// How often it was tried.
        attempts: u32,
        /// What went wrong last.
        source: BoxError,
    },
    /// The store cannot be read: what it says is final, or the schedule is used up.
    #[error("projection `{name}`: the store cannot be read")]
    Store {
        /// Which projection.
        name: &'static str,
        /// What the store says.
        source: BoxError,
    },
    /// The projection asks for an event type whose name no store can hold.
    #[error("projection `{name}`: `{event_type}` is not the name of an event type")]
    EventType {
        /// Which projection.
        name: &'static str,
        /// The name it asks for.
        event_type: &'static str,
        /// What is wrong with it.
        source: NameError,
    },
}

/// Which event: enough to find it in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventPlace {
    /// Its place in the store.
    pub position: Position,
    /// The name of its stream.
    pub stream: String,
    /// The stored name of its type.
    pub event_type: String,
}

impl EventPlace {
    pub(crate) fn of(event: &EventRef<'_>) -> Self {
        Self { position: event.position, stream: event.stream.to_owned(), event_type: event.event_type.to_owned() }
    }
}

impl fmt::Display for EventPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} in stream `{}`)", self.position, self.event_type, self.stream)
    }
}
