//! One call of a handler by the runtime: a panic is a failed attempt, and an answer goes to whoever asked.

use std::{panic::AssertUnwindSafe, sync::Arc};

use futures_util::FutureExt;
use mainspring_broker::{Delivery, Outcome};
use mainspring_retry::Failure;
use tokio::time::Instant;
use tracing::Instrument;

use crate::{BoxFuture, Context, Route, Settlement, context::Surroundings, reply};

/// What a call came to.
pub(super) struct Called {
    pub(super) deliveries: Arc<[Arc<Delivery>]>,
    pub(super) answer: Result<Settlement, Failure>,
    pub(super) began: Instant,
}

/// A handler panicked.
#[derive(Debug, thiserror::Error)]
#[error("the handler panicked: {0}")]
struct Panicked(String);

/// Calls the handler because of `deliveries`.
pub(super) fn call(
    route: &Route,
    deliveries: Arc<[Arc<Delivery>]>,
    surroundings: &Arc<Surroundings>,
) -> BoxFuture<'static, Called> {
    let began = Instant::now();
    let span = span(&deliveries, surroundings);
    let (route, surroundings) = (route.clone(), surroundings.clone());
    let handled = async move {
        let handled = async {
            let context = Context::new(deliveries.clone(), surroundings.clone());
            route.handle(context).await
        };
        let answer = AssertUnwindSafe(handled).catch_unwind().await.unwrap_or_else(|panic| Err(panicked(&*panic)));
        let answer = match answer {
            Ok(Settlement::Reply { event, settled }) => {
                reply::send(&deliveries[0], *event, &surroundings).await;
                Ok(if settled { Settlement::Settled } else { Settlement::Outcome(Outcome::Ack) })
            }
            answer => answer,
        };
        Called { deliveries, answer, began }
    };
    if span.is_disabled() { Box::pin(handled) } else { Box::pin(handled.instrument(span)) }
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
