//! What a handler answers, and what that means for its delivery.

use mainspring_broker::Outcome;
use mainspring_event::{Event, NewEvent};
use mainspring_retry::Failure;

use crate::publish::event_of;

/// What becomes of a delivery, or of each delivery of a batch, after its handler succeeded. It is the response that tower
/// layers see.
#[derive(Debug)]
#[non_exhaustive]
pub enum Settlement {
    /// To be settled so.
    Outcome(Outcome),
    /// Acknowledged, after this answer was sent to whoever asked.
    Reply {
        /// The answer.
        event: Box<NewEvent>,
        /// Whether the delivery is settled already.
        settled: bool,
    },
    /// Each delivery of a batch for itself, in their order.
    Each(Vec<Result<Outcome, Failure>>),
    /// Settled already, together with what the handler did.
    Settled,
}

/// An answer to a request. It goes to whoever asked, at most once; where nobody did, nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply<E>(pub E);

/// Something that a handler can return.
#[diagnostic::on_unimplemented(
    message = "a handler cannot return `{Self}`",
    label = "not the result of a handler",
    note = "return `()`, an `Outcome`, a `Reply<E>`, for a batch a `Vec<Result<(), Failure>>`, or a `Result` of one of \
            them whose error is `Failure` or converts into it"
)]
pub trait IntoSettlement {
    /// What it means.
    ///
    /// # Errors
    /// The attempt failed.
    fn into_settlement(self) -> Result<Settlement, Failure>;
}

impl IntoSettlement for () {
    fn into_settlement(self) -> Result<Settlement, Failure> {
        Ok(Settlement::Outcome(Outcome::Ack))
    }
}

impl IntoSettlement for Outcome {
    fn into_settlement(self) -> Result<Settlement, Failure> {
        Ok(Settlement::Outcome(self))
    }
}

impl IntoSettlement for Settlement {
    fn into_settlement(self) -> Result<Self, Failure> {
        Ok(self)
    }
}

impl<E: Event> IntoSettlement for Reply<E> {
    fn into_settlement(self) -> Result<Settlement, Failure> {
        Ok(Settlement::Reply { event: Box::new(event_of("reply", &self.0)?), settled: false })
    }
}

impl IntoSettlement for Vec<Result<(), Failure>> {
    fn into_settlement(self) -> Result<Settlement, Failure> {
        Ok(Settlement::Each(self.into_iter().map(|answer| answer.map(|()| Outcome::Ack)).collect()))
    }
}

impl<T: IntoSettlement, E: Into<Failure>> IntoSettlement for Result<T, E> {
    fn into_settlement(self) -> Result<Settlement, Failure> {
        self.map_err(Into::into)?.into_settlement()
    }
}
