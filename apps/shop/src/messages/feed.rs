//! From events of orders to messages: a follower whose progress is a message, too.
//!
//! There is one message in the topic of the feed, and it says how far the orders were read. Whoever holds it reads on,
//! and with one append publishes what that comes to, puts the message with the new place in the stead of the old one, and
//! acknowledges that. So nothing is lost, nothing is published twice, and no two readers publish the same, whatever
//! crashes when.
//!
//! Publishing in the same append as the decision would be possible, too, but every command would have to go through the
//! broker and wait for it; behind them, messages are published by the thousand.

use std::time::Duration;

use anyhow::{Context, Result};
use futures_util::StreamExt;
use mainspring::{
    Commit, Decider, Delivered, Event, Failure, Publisher, Retry, State, Store, Subscription,
    broker::{Admin, Outcome, Pending},
    event::{Category, EventRef, NameError, Position},
    store::{Query, Read, ReadFrom},
};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

use super::{ShopEvent, TOPIC};
use crate::{Order, OrderId, order::OrderEvent, views::day};

/// The topic of the one message, and its group.
const FEED: &str = "shop-feed";

/// About so many events are read at once.
const AT_ONCE: usize = 5_000;

/// How long they gather once there is one.
const GATHER: Duration = Duration::from_millis(100);

/// How long an idle feed waits for the first before it gives its message back, which is written down.
const IDLE: Duration = Duration::from_secs(5);

/// Tells the feed to wait no longer.
pub(crate) type Stop = watch::Receiver<bool>;

/// The orders were read up to here.
#[derive(Serialize, Deserialize, Event)]
pub(crate) struct OrdersRead {
    after: u64,
}

/// What was read at once.
#[derive(Default)]
struct Found {
    events: Vec<ShopEvent>,
    read: usize,
    through: Option<Position>,
}

/// Tried for ever: an event that cannot be published must not be passed by.
pub(super) fn subscription() -> Subscription {
    let retry = Retry::schedule([Duration::from_millis(100), Duration::from_secs(1)]).then_forever();
    Subscription::new(FEED, FEED).concurrency(1).retry(retry)
}

/// Reads on and publishes; without anything new, it was no attempt.
pub(super) async fn feed(
    at: Delivered<OrdersRead>,
    commit: Commit,
    State(store): State<Store>,
    State(stop): State<Stop>,
) -> Result<Outcome, Failure> {
    let found = read(&store, Position(at.event.after), stop).await?;
    let Some(through) = found.through else { return Ok(Outcome::Release) };
    for event in &found.events {
        let publish = commit.publish(TOPIC, event)?.key(event.order());
        let _ = publish.with(|message| message.routing_key = event.routing_key().to_owned());
    }
    let _ = commit.publish(FEED, &OrdersRead { after: through.0 })?;
    Ok(Outcome::Ack)
}

/// What is behind a place, as far as it is there or comes soon.
async fn read(store: &Store, after: Position, mut stop: Stop) -> Result<Found, Failure> {
    let mut batches = store.read(behind(after)?.follow());
    let mut deadline = Instant::now() + IDLE;
    let mut found = Found::default();
    while found.read < AT_ONCE {
        let next = tokio::select! {
            next = timeout_at(deadline, batches.next()) => next,
            // It also stops when nobody is left who could tell.
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let Ok(Some(batch)) = next else { break };
        let batch = batch?;
        if batch.is_empty() {
            continue;
        }
        if found.read == 0 {
            deadline = Instant::now() + GATHER;
        }
        for event in batch.iter() {
            found.events.extend(heard(&event)?);
        }
        found.read += batch.len();
        found.through = Some(batch.through());
    }
    Ok(found)
}

/// The events of orders behind a place.
fn behind(after: Position) -> Result<Read, NameError> {
    let from = if after.0 == 0 { ReadFrom::Start } else { ReadFrom::After(after) };
    Ok(Read::new(Query::category(Category::new(Order::CATEGORY)?)).from(from))
}

/// What others hear of an event; nothing of orders that the shop has not named.
fn heard(stored: &EventRef<'_>) -> Result<Option<ShopEvent>, Failure> {
    let Some(order) = OrderId::of_key(stored.key()) else { return Ok(None) };
    let event = OrderEvent::decode(stored.event_type, stored.schema_version, stored.content_type, stored.payload)?;
    Ok(ShopEvent::of(order, day(stored.time), &event))
}

/// Sends the message that feeding begins with, unless it is there.
pub(crate) async fn begin(admin: &dyn Admin, publisher: &Publisher) -> Result<()> {
    if admin.browse(&FEED.parse()?, 1).await?.is_empty() {
        publisher.publish(FEED, &OrdersRead { after: 0 }).await?;
    }
    Ok(())
}

/// How far the orders were read, and whether that is as far as they go; nothing while that is being written.
pub(crate) async fn fed(admin: &dyn Admin, store: &Store) -> Result<Option<(Position, bool)>> {
    let Some(Pending { message, .. }) = admin.browse(&FEED.parse()?, 1).await?.pop() else { return Ok(None) };
    let [feed] = OrdersRead::TYPES else { anyhow::bail!("the feed has one type of message") };
    let read = OrdersRead::decode(feed.name, feed.version, "application/json", &message.body);
    let after = Position(read.context("the message of the feed cannot be read")?.after);
    let mut rest = store.read(behind(after)?.limit(1));
    while let Some(batch) = rest.next().await {
        if !batch?.is_empty() {
            return Ok(Some((after, false)));
        }
    }
    Ok(Some((after, true)))
}
