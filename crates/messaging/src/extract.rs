//! What handlers can take: each argument is made from the delivery, and a wrong one is reported by its own name.

mod delivered;
mod raw;
mod state;

use std::future::Future;

use mainspring_event::EventType;
use mainspring_retry::Failure;

use crate::Context;
pub use delivered::{Delivered, ReadError};
pub use raw::{Attempt, Raw};
pub use state::{FromRef, State};

/// Something that a handler can take as an argument.
///
/// ```
/// use mainspring_messaging::{Context, FromDelivery, Rejection};
///
/// /// On whose behalf the message was sent.
/// struct Tenant(Option<String>);
///
/// impl<S: Sync> FromDelivery<S> for Tenant {
///     async fn from_delivery(context: &mut Context, _: &S) -> Result<Self, Rejection> {
///         let envelope = context.delivery().message.envelope.as_ref();
///         Ok(Self(envelope.and_then(|envelope| envelope.metadata.tenant.clone())))
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an argument of a handler whose state is `{S}`",
    label = "not an argument of a handler",
    note = "see `messaging::FromDelivery` for what can be one; a part of the state is taken as `State<T>`"
)]
pub trait FromDelivery<S>: Sized + Send {
    /// The event types that it can be made from; `None` when it does not care.
    const ACCEPTS: Option<&'static [EventType]> = None;

    /// How many transactions it binds to the success of the handler: 0 or 1.
    const TRANSACTIONS: usize = 0;

    /// Whether it looks at one delivery or at a whole batch.
    const TAKES: Takes = Takes::Either;

    /// Whether its deliveries must be settled by events of a store ([`Settler::in_store`]).
    ///
    /// [`Settler::in_store`]: mainspring_broker::Settler::in_store
    const IN_STORE: bool = false;

    /// Makes it.
    ///
    /// # Errors
    /// [`Rejection`]; the handler does not run.
    fn from_delivery(context: &mut Context, state: &S) -> impl Future<Output = Result<Self, Rejection>> + Send;
}

/// Why an argument could not be made.
#[derive(Debug)]
#[non_exhaustive]
pub enum Rejection {
    /// It was handled before: the delivery is acknowledged.
    Duplicate,
    /// The attempt failed.
    Failed(Failure),
}

#[diagnostic::do_not_recommend]
impl<E: Into<Failure>> From<E> for Rejection {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// How many deliveries an argument looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// It does not matter.
    Either,
    /// Exactly one.
    One,
    /// A batch.
    Batch,
}

impl Takes {
    /// What two arguments of one handler take together; they must not contradict each other.
    pub(crate) const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Either, other) => other,
            (this, Self::Either) => this,
            (Self::One, Self::One) => Self::One,
            (Self::Batch, Self::Batch) => Self::Batch,
            _ => panic!("a handler takes either a `Batch` or what is of one delivery, not both"),
        }
    }
}

/// All arguments of a handler, as a tuple. Apart from [`Handler`](crate::Handler), so that a wrong argument is reported
/// by its own name.
pub trait Extract<S>: Sized + Send {
    /// How many transactions they bind, together.
    const TRANSACTIONS: usize;

    /// How many deliveries they look at.
    const TAKES: Takes;

    /// Whether one of them needs deliveries that are settled in a store.
    const IN_STORE: bool;

    /// The event types that each of them can be made from, of those that care.
    fn accepts() -> Vec<&'static [EventType]>;

    /// Makes them, from the first to the last.
    ///
    /// # Errors
    /// That of the first that could not be made.
    fn extract(context: &mut Context, state: &S) -> impl Future<Output = Result<Self, Rejection>> + Send;
}

macro_rules! extract {
    ($(($($argument:ident),*))*) => { $(
        impl<S: Sync, $($argument: FromDelivery<S>),*> Extract<S> for ($($argument,)*) {
            const TRANSACTIONS: usize = 0 $(+ $argument::TRANSACTIONS)*;
            const TAKES: Takes = Takes::Either $(.and($argument::TAKES))*;
            const IN_STORE: bool = false $(|| $argument::IN_STORE)*;

            fn accepts() -> Vec<&'static [EventType]> {
                [$($argument::ACCEPTS),*].into_iter().flatten().collect()
            }

            async fn extract(context: &mut Context, state: &S) -> Result<Self, Rejection> {
                Ok(($($argument::from_delivery(context, state).await?,)*))
            }
        }
    )* };
}

extract! {
    (A1)
    (A1, A2)
    (A1, A2, A3)
    (A1, A2, A3, A4)
    (A1, A2, A3, A4, A5)
    (A1, A2, A3, A4, A5, A6)
    (A1, A2, A3, A4, A5, A6, A7)
    (A1, A2, A3, A4, A5, A6, A7, A8)
}
