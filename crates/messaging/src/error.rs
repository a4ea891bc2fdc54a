//! Why subscriptions cannot start, and why they stop.

use mainspring_broker::{BrokerError, Drift, Feature, Group, SettleError};
use mainspring_event::NameError;

/// Why subscriptions cannot start. Nothing was handled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The name of a topic or a group is not one.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The broker cannot create or check what the subscriptions need, or let them take part.
    #[error("the subscriptions of {} cannot be set up", groups.join(", "))]
    Broker {
        /// Which groups.
        groups: Vec<String>,
        /// What the broker says.
        source: BrokerError,
    },
    /// What is there is not what the program asks for. Change one of them; nothing is altered by itself.
    #[error("what the broker has is not what the subscriptions ask for: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Drift(Vec<Drift>),
    /// The broker lacks something.
    #[error("subscription `{group}` needs {feature}, which are not possible at `{at}`: {advice}")]
    Refused {
        /// Which subscription.
        group: String,
        /// What is not possible.
        feature: Feature,
        /// The topic.
        at: String,
        /// What can be done about it.
        advice: &'static str,
    },
    /// A handler commits into the store of the broker, and the broker has none.
    #[error("subscription `{0}` has a handler with `Commit`, which needs a broker that is made of an event store")]
    NotInStore(String),
    /// A lease or a delay is longer than the broker keeps one.
    #[error("subscription `{group}`: {what} is {actual:?}, and the limit of the broker is {limit:?}")]
    TooLong {
        /// Which subscription.
        group: String,
        /// What is too long.
        what: &'static str,
        /// How long it is.
        actual: std::time::Duration,
        /// How long it may be.
        limit: std::time::Duration,
    },
    /// A handler takes batches, and its subscription does not gather any; or the other way round.
    #[error(
        "subscription `{0}`: a handler takes a `Batch` exactly where its subscription says how large batches are \
         (`Subscription::batches`)"
    )]
    Batch(String),
}

/// Why subscriptions stopped before they were asked to. Nothing unsettled is lost: it comes back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The broker delivers nothing any more.
    #[error("subscription `{group}` gets no more messages")]
    Broker {
        /// Which subscription.
        group: Group,
        /// What the broker says.
        source: BrokerError,
    },
    /// The broker will never take a settlement.
    #[error("subscription `{group}`: the broker refuses to settle a message")]
    Settle {
        /// Which subscription.
        group: Group,
        /// What the broker says.
        source: SettleError,
    },
    /// Somebody else has closed the member or the broker.
    #[error("subscription `{group}` was closed")]
    Closed {
        /// Which subscription.
        group: Group,
    },
    /// The runtime of a subscription panicked. Panics of handlers are failed attempts and never come here.
    #[error("subscription `{group}` panicked: {message}")]
    Panicked {
        /// Which subscription.
        group: Group,
        /// What it said.
        message: String,
    },
}
