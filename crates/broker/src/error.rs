//! What can come of asking a broker for anything but sending and settling.

use mainspring_store::BoxError;

use crate::{Destination, Feature, Group, SendError};

/// Why a broker did not do something. Each variant is a decision the caller can take.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerError {
    /// What was asked contradicts itself.
    #[error("not valid: {reason}")]
    Invalid {
        /// What is wrong with it.
        reason: String,
    },
    /// The broker cannot do it and nobody emulates it there. Choose another mode, or another broker.
    #[error("{feature} are not possible at `{at}`: choose another mode, or another broker")]
    Refused {
        /// What is not possible.
        feature: Feature,
        /// The destination or the group.
        at: String,
    },
    /// There is no such topic: create it, or let `ensure` do it.
    #[error("topic `{0}` does not exist: create it, or let `ensure` create it")]
    NoTopic(Destination),
    /// There is no such subscription: create it, or let `ensure` do it.
    #[error("group `{0}` does not exist: create it, or let `ensure` create it")]
    NoGroup(Group),
    /// A message that was to be sent as a part of it cannot be sent.
    #[error("the message cannot be sent")]
    NotSent(#[source] SendError),
    /// The account may not do it.
    #[error("not permitted: {reason}")]
    Denied {
        /// What the broker says.
        reason: String,
    },
    /// The connection, the member or the broker was closed, or lost for good.
    #[error("closed")]
    Closed,
    /// Not possible now. Trying again may help.
    #[error("not possible now")]
    Failed(#[source] BoxError),
}
