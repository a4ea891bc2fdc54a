//! One call of a handler by the runtime: a panic is a failed attempt, and an answer goes to whoever asked.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt;
use mainspring_broker::{Delivery, Outcome};
use mainspring_retry::Failure;
use tokio::time::Instant;
use tracing::Instrument;

use crate::{BoxFuture, Context, Publisher, Route, Settlement, claim, context::Surroundings, reply};

/// What a handler is called with.
pub(super) type Deliveries = Arc<[Arc<Delivery>]>;

/// What a call came to.
pub(super) struct Called {
    pub(super) deliveries: Deliveries,
    pub(super) answer: Answer,
    pub(super) began: Instant,
}

/// What a handler answered.
pub(super) enum Answer {
    /// The same for all deliveries.
    All(Result<Outcome, Failure>),
    /// For each of them.
    Each(Vec<Result<Outcome, Failure>>),
    /// They are settled already.
    Settled,
}

/// A handler panicked.
#[derive(Debug, thiserror::Error)]
#[error("the handler panicked: {0}")]
struct Panicked(String);

/// Calls the handler because of `deliveries`.
pub(super) fn call(
    route: &Route,
    deliveries: Deliveries,
    surroundings: &Arc<Surroundings>,
) -> BoxFuture<'static, Called> {
    let began = Instant::now();
    let span = span(&deliveries, surroundings);
    let (route, surroundings) = (route.clone(), surroundings.clone());
    let handled = async move {
        let answered = AssertUnwindSafe(answer(&route, &deliveries, &surroundings)).catch_unwind().await;
        let answer = answered.unwrap_or_else(|panic| Answer::All(Err(panicked(&*panic))));
        Called { deliveries, answer, began }
    };
    if span.is_disabled() { Box::pin(handled) } else { Box::pin(handled.instrument(span)) }
}

async fn answer(route: &Route, deliveries: &Deliveries, surroundings: &Arc<Surroundings>) -> Answer {
    match whole(deliveries, surroundings).await {
        Ok(whole) => {
            let answer = route.handle(Context::new(whole, surroundings.clone())).await;
            settle(answer, &deliveries[0], surroundings).await
        }
        Err(answer) => answer,
    }
}

/// The deliveries with their bodies, where those lie elsewhere. What cannot be fetched has failed; what waits beside it
/// for the same call is given back untried.
async fn whole(deliveries: &Deliveries, surroundings: &Surroundings) -> Result<Deliveries, Answer> {
    if !deliveries.iter().any(|delivery| claim::is_claim(delivery)) {
        return Ok(deliveries.clone());
    }
    let check = surroundings.publisher.as_ref().and_then(Publisher::claim_check);
    let (mut whole, mut each, mut failed) = (Vec::new(), Vec::new(), false);
    for delivery in deliveries.iter() {
        let redeemed =
            if claim::is_claim(delivery) { claim::redeemed(check, delivery).await } else { Ok(delivery.clone()) };
        failed |= redeemed.is_err();
        each.push(redeemed.map(|delivery| {
            whole.push(delivery);
            Outcome::Release
        }));
    }
    if failed { Err(Answer::Each(each)) } else { Ok(whole.into()) }
}

/// What the answer of a handler means for its deliveries; an answer for whoever asked is sent.
async fn settle(answer: Result<Settlement, Failure>, first: &Delivery, surroundings: &Surroundings) -> Answer {
    match answer {
        Ok(Settlement::Outcome(outcome)) => Answer::All(Ok(outcome)),
        Ok(Settlement::Reply { event, settled }) => {
            reply::send(first, *event, surroundings).await;
            if settled { Answer::Settled } else { Answer::All(Ok(Outcome::Ack)) }
        }
        Ok(Settlement::Each(each)) => Answer::Each(each),
        Ok(Settlement::Settled) => Answer::Settled,
        Err(failure) => Answer::All(Err(failure)),
    }
}

fn span(deliveries: &[Arc<Delivery>], surroundings: &Surroundings) -> tracing::Span {
    let first = &deliveries[0];
    let envelope = first.message.envelope.as_ref();
    tracing::info_span!(
        "handle",
        group = %surroundings.group,
        event_type = envelope.map_or("", |envelope| envelope.event_type.as_str()),
        attempt = first.attempt,
        deliveries = deliveries.len(),
        traceparent = envelope.and_then(|envelope| envelope.metadata.trace.as_ref()).map_or("", |trace| &trace.traceparent),
    )
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> Failure {
    Panicked(message(panic)).into()
}

/// What a panic said.
pub(crate) fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message").to_owned()
}
