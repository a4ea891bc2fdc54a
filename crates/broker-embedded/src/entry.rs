//! What is to be written together, and what follows when it was.

use std::sync::Arc;

use jiff::Timestamp;
use mainspring_broker::{Message, Place, SendError, SettleError};
use mainspring_event::NewEvent;
use mainspring_store::{Append, AppendError, Appended};

use crate::{codec::message::Written, state::State};

/// What is to be written together: all of it or nothing.
pub(crate) struct Entry {
    pub(crate) messages: Vec<Outgoing>,
    /// Steps of groups, written one after the other.
    pub(crate) steps: Vec<(usize, Vec<u8>)>,
    /// Steps of the schedule.
    pub(crate) schedule: Vec<u8>,
    /// What has to be written in an append of its own.
    pub(crate) alone: Option<Alone>,
    /// Whether it is messages that were sent, and nothing else.
    pub(crate) is_sent: bool,
    /// Whether it may wait a moment for something to be written together with.
    pub(crate) is_patient: bool,
    /// What follows.
    pub(crate) done: Done,
}

/// What follows when an entry was written, or was not.
pub(crate) type Done = Box<dyn FnOnce(&mut State, Result<Landed, Failure>) + Send>;

/// A message that is to be written.
pub(crate) struct Outgoing {
    pub(crate) topic: usize,
    pub(crate) message: Message,
    pub(crate) written: Written,
    pub(crate) expires: Option<Timestamp>,
    /// When it is to get its place, if not now.
    pub(crate) due: Option<Timestamp>,
    /// Whether its topic knows its id for this sending only, and forgets it when that fails.
    pub(crate) is_new: bool,
}

/// What changes what other entries rest on, or may be refused by itself.
pub(crate) enum Alone {
    /// Events of the broker's own stream.
    Topology(Vec<NewEvent>),
    /// Events of the user's, with their conditions.
    User(Append),
}

/// What was written.
pub(crate) struct Landed {
    /// Where each message lies, in their order; nothing of one that is not due yet.
    pub(crate) places: Vec<Option<Place>>,
    /// What the append came to, for the events that an entry brought itself.
    pub(crate) appended: Appended,
}

/// Why an entry was not written.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Surely not written.
    #[error("not written")]
    Not(#[source] Arc<AppendError>),
    /// May have been written.
    #[error("may have been written")]
    Unknown(#[source] Arc<AppendError>),
    /// Not tried, because the broker has ended.
    #[error("the broker was closed, or another one has taken its place")]
    Ended,
}

impl Entry {
    /// Nothing yet.
    pub(crate) fn new(done: Done) -> Self {
        Self {
            messages: Vec::new(),
            steps: Vec::new(),
            schedule: Vec::new(),
            alone: None,
            is_sent: false,
            is_patient: false,
            done,
        }
    }

    /// Messages that were sent.
    pub(crate) fn sent(messages: Vec<Outgoing>, done: Done) -> Self {
        Self { messages, is_sent: true, ..Self::new(done) }
    }

    /// Steps of one group.
    pub(crate) fn steps(group: usize, steps: Vec<u8>, done: Done) -> Self {
        Self { steps: vec![(group, steps)], ..Self::new(done) }
    }

    /// Something that stands alone.
    pub(crate) fn alone(alone: Alone, done: Done) -> Self {
        Self { alone: Some(alone), ..Self::new(done) }
    }

    /// About how many events it writes, and bytes.
    pub(crate) fn size(&self) -> (usize, usize) {
        let messages: usize = self.messages.iter().map(|message| message.written.len()).sum();
        let steps: usize = self.steps.iter().map(|(_, steps)| steps.len()).sum();
        (self.messages.len() + self.steps.len(), messages + steps)
    }
}

impl Failure {
    /// What it means for a message.
    pub(crate) fn of_sending(&self) -> SendError {
        match self {
            Self::Unknown(_) => SendError::Unknown(self.clone().into()),
            Self::Not(_) | Self::Ended => SendError::NotAttempted(self.clone().into()),
        }
    }

    /// What it means for a settlement.
    pub(crate) fn of_settling(&self) -> SettleError {
        match self {
            Self::Unknown(_) => SettleError::Unknown(self.clone().into()),
            Self::Not(_) => SettleError::Failed(self.clone().into()),
            Self::Ended => SettleError::Stale,
        }
    }
}
