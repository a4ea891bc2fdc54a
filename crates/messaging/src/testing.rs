//! Handlers without a broker: a test calls one with an event and looks at what it answers.

use std::sync::Arc;

use mainspring_broker::{Delivery, DeliveryTag, Message};
use mainspring_event::Event;
use mainspring_retry::Failure;

use crate::{
    Context, Extract, Handler, IntoSettlement, Settlement, context::Surroundings, handler, publish::message_of,
};

/// Calls a handler because of `event`, as a first attempt.
///
/// ```
/// use mainspring_broker::Outcome;
/// use mainspring_event::Event;
/// use mainspring_messaging::{Delivered, Settlement, State, testing::deliver};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize, Event)]
/// # #[event(crate = mainspring_event)]
/// struct Paid { cents: i64 }
///
/// async fn check(paid: Delivered<Paid>, State(limit): State<i64>) -> Result<(), String> {
///     if paid.event.cents <= limit { Ok(()) } else { Err("too much".to_owned()) }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// assert!(matches!(deliver(check, &Paid { cents: 5 }, &10).await, Ok(Settlement::Outcome(Outcome::Ack))));
/// assert_eq!(deliver(check, &Paid { cents: 50 }, &10).await.unwrap_err().to_string(), "too much");
/// # }
/// ```
///
/// # Errors
/// That of the handler, or of an argument that could not be made.
pub async fn deliver<H, A, S, E>(handler: H, event: &E, state: &S) -> Result<Settlement, Failure>
where
    H: Handler<A, Future: Send, Output: IntoSettlement + Send>,
    A: Extract<S>,
    S: Sync,
    E: Event,
{
    deliver_message(handler, message_of("test", event, None)?, state).await
}

/// The same with any message.
///
/// # Errors
/// That of the handler, or of an argument that could not be made.
pub async fn deliver_message<H, A, S>(handler: H, message: Message, state: &S) -> Result<Settlement, Failure>
where
    H: Handler<A, Future: Send, Output: IntoSettlement + Send>,
    A: Extract<S>,
    S: Sync,
{
    let tag = DeliveryTag { number: 1, epoch: 1 };
    let delivery = Arc::new(Delivery { tag, message, place: None, stored: None, attempt: 1 });
    let group = "test".parse()?;
    let surroundings = Surroundings { group, in_batches: false, settler: None, publisher: None };
    handler::run(&handler, Context::new(Arc::new([delivery]), Arc::new(surroundings)), state).await
}
