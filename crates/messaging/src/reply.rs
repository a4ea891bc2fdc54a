//! Answers to requests: how a request says where its answer goes, and sending it there, at most once.

use mainspring_broker::{Delivery, Message};
use mainspring_event::NewEvent;

use crate::{Cause, context::Surroundings};

/// The topic that answers go to.
pub(crate) const REPLY_TO: &str = "mainspring-reply-to";

/// The routing key of answers, by which the one who asked is found among all who use the topic.
pub(crate) const REPLY_KEY: &str = "mainspring-reply-key";

/// Which request it is, and which one it answers.
pub(crate) const REQUEST: &str = "mainspring-request";

/// For how long an answer is of use, in milliseconds. Only where answers may expire.
pub(crate) const USEFUL: &str = "mainspring-reply-within";

/// Sends an answer to whoever asked, if anybody did. When it cannot be sent it is lost: whoever asked does not wait for
/// ever, and handling the request again would not be the same request.
pub(crate) async fn send(request: &Delivery, answer: NewEvent, surroundings: &Surroundings) {
    let Some(publisher) = &surroundings.publisher else { return };
    let Some(message) = message(request, answer) else { return };
    let event_type = message.envelope.as_ref().map(|envelope| envelope.event_type.clone());
    if let Err(error) = publisher.send(message).await {
        let group = &surroundings.group;
        tracing::warn!(%group, ?event_type, %error, "an answer could not be sent; whoever asked does not get it");
    }
}

/// The message that carries the answer, where the request says where that goes.
fn message(request: &Delivery, mut answer: NewEvent) -> Option<Message> {
    let said = |name: &str| std::str::from_utf8(request.message.headers.get(name)?).ok();
    let destination = said(REPLY_TO)?.parse().ok()?;
    Cause::from(request).mark(&mut answer.metadata);
    let mut message = Message { key: None, ..Message::event(destination, answer) };
    message.routing_key = said(REPLY_KEY).unwrap_or_default().to_owned();
    message.expires_after = said(USEFUL).and_then(|millis| millis.parse().ok()).map(std::time::Duration::from_millis);
    message.headers.add(REQUEST, request.message.headers.get(REQUEST)?.clone());
    Some(message)
}
