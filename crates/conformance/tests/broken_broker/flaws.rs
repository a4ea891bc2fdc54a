//! All flaws, by what they get wrong.

mod attempts;
mod bounds;
mod commits;
mod holders;
mod logs;
mod members;
mod messages;
mod moves;
mod operators;
mod order;
mod resubmitting;
mod routes;
mod sending;
mod slices;
mod times;
mod topologies;

use mainspring_broker::{Delivery, Message};

pub(crate) use attempts::FLAWS as ATTEMPTS;
pub(crate) use bounds::FLAWS as BOUNDS;
pub(crate) use commits::FLAWS as COMMITS;
pub(crate) use holders::FLAWS as HOLDERS;
pub(crate) use logs::FLAWS as LOGS;
pub(crate) use members::FLAWS as MEMBERS;
pub(crate) use messages::FLAWS as MESSAGES;
pub(crate) use moves::FLAWS as MOVES;
pub(crate) use operators::FLAWS as OPERATORS;
pub(crate) use order::FLAWS as ORDER;
pub(crate) use resubmitting::FLAWS as RESUBMITTING;
pub(crate) use routes::FLAWS as ROUTES;
pub(crate) use sending::FLAWS as SENDING;
pub(crate) use slices::FLAWS as SLICES;
pub(crate) use times::FLAWS as TIMES;
pub(crate) use topologies::FLAWS as TOPOLOGIES;

/// The message with another key, its own kept in a header.
fn with_key(mut message: Message, key: String) -> Message {
    if let Some(own) = message.key.replace(key.into()) {
        message.headers.add("key", own);
    }
    message
}

/// The delivery with the key that its message was sent with.
fn with_own_key(mut delivery: Delivery) -> Delivery {
    delivery.message.key = delivery.message.headers.get("key").cloned();
    delivery
}
