//! Sending: admission first, confirmation later.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::future::{BoxFuture, FutureExt, ready};
use mainspring_event::EventId;
use mainspring_store::BoxError;

use crate::{Destination, Feature, Slice};

/// What becomes of each message of a batch, in its order. Resolves when the last one is confirmed or has failed.
///
/// # Cancel safety
/// Dropping it does not take anything back.
#[must_use = "messages may still fail after they were admitted"]
pub struct Confirmations(BoxFuture<'static, Vec<Result<Receipt, SendError>>>);

impl Confirmations {
    /// Confirmations that come later.
    pub fn later(answers: impl Future<Output = Vec<Result<Receipt, SendError>>> + Send + 'static) -> Self {
        Self(answers.boxed())
    }

    /// Confirmations that have come already.
    pub fn now(answers: Vec<Result<Receipt, SendError>>) -> Self {
        Self::later(ready(answers))
    }
}

impl Future for Confirmations {
    type Output = Vec<Result<Receipt, SendError>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll_unpin(context)
    }
}

impl fmt::Debug for Confirmations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Confirmations").finish_non_exhaustive()
    }
}

/// A message is stored, at the durability that the destination declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Where it lies, where the broker says that. A delayed message has no place before it is due.
    pub place: Option<Place>,
    /// Whether it was there already.
    pub duplicate: bool,
}

/// Where a message lies.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Its topic and partition.
    pub slice: Slice,
    /// Its number there; a later message has a higher one.
    pub offset: u64,
}

impl Place {
    /// The id of a message that says none itself: the same as often as it is delivered.
    pub fn id(&self) -> EventId {
        let Slice { topic, partition } = &self.slice;
        EventId::derived(&[topic.as_str(), &partition.to_string(), &self.offset.to_string()])
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.slice, self.offset)
    }
}

/// Why a message was not confirmed. All but `Unknown` are surely not stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The broker will never take it: sending it again as it is does not help.
    #[error("rejected: {reason}")]
    Rejected {
        /// Why.
        reason: String,
    },
    /// It exceeds a limit.
    #[error("{what} is {actual}, the limit is {limit}")]
    TooLarge {
        /// What exceeds, with its unit.
        what: &'static str,
        /// How much there is.
        actual: usize,
        /// How much there may be.
        limit: usize,
    },
    /// Nobody would get it: the topic does not exist, or no subscription wants the message and no log keeps it.
    #[error("no route from `{destination}` by the routing key `{routing_key}`: create the topic or a binding")]
    Unroutable {
        /// Where it was to go.
        destination: Destination,
        /// By which words.
        routing_key: String,
    },
    /// The broker has no room now. Send it again later.
    #[error("the broker has no room now; send again later")]
    Throttled {
        /// When, if the broker says so.
        after: Option<Duration>,
    },
    /// It was not tried. Send it again.
    #[error("not sent")]
    NotAttempted(#[source] BoxError),
    /// May have been stored. Sending it again may duplicate it under the same id.
    #[error("may have been stored; sending it again may duplicate it")]
    Unknown(#[source] BoxError),
}

impl SendError {
    /// The rejection of a message that asks for what its destination cannot do.
    pub fn refused(feature: Feature, destination: &Destination) -> Self {
        Self::Rejected { reason: format!("{feature} are not possible at `{destination}`") }
    }
}
