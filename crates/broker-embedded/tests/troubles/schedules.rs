//! Messages that are delayed.

use std::time::Duration;

use futures_util::future::poll_immediate;
use mainspring_broker::{Message, Topic, Topology};

use crate::{
    clock::Counting,
    kit::{self, Member, admin, order, send, sent, until_all_wait},
    store::Gate,
};

/// A broker that looks at the clock all the time.
const SOON: Duration = Duration::from_millis(1);

/// Nobody else read the stretch of time that an operator had begun to read.
#[tokio::test]
async fn messages_come_though_somebody_stopped_listing_them() {
    let (store, gate) = Gate::before_a_store();
    let clock = Counting::new();
    let broker = kit::open_at(store, &kit::orders(), &clock, SOON).await;
    sent(&broker, order("far").delay(Duration::from_secs(7_200))).await;
    gate.hold_reads(true);
    let mut listing = admin(&broker).schedules(10);
    assert!(poll_immediate(&mut listing).await.is_none());
    until_all_wait().await;
    drop(listing);
    gate.hold_reads(false);
    clock.advance(Duration::from_secs(8_000));
    assert_eq!(Member::of(&broker, "billing").await.handle(1).await, ["far"]);
}

/// They were put into one append, which no store takes, again and again.
#[tokio::test]
async fn large_messages_that_are_due_at_once_come() {
    let clock = Counting::new();
    let broker = kit::open_at(kit::memory(), &kit::orders(), &clock, SOON).await;
    for _ in 0..20 {
        sent(&broker, order(kit::large()).delay(Duration::from_secs(60))).await;
    }
    clock.advance(Duration::from_secs(61));
    assert_eq!(Member::of(&broker, "billing").await.handle(20).await.len(), 20);
}

/// Orders of which none is taken twice.
fn deduplicated() -> Topology {
    let orders = Topic { dedupe: Some(Duration::from_secs(600)), ..kit::topic("orders") };
    Topology::new().topic(orders).subscription(kit::subscription("billing", "orders"))
}

fn delayed() -> Message {
    Message::event(kit::name("orders"), kit::placed()).delay(Duration::from_secs(60))
}

/// Its id was kept though it was not stored, and the next attempt was told that it had come.
#[tokio::test]
async fn a_delayed_message_that_failed_can_be_sent_again() {
    let (store, gate) = Gate::before_a_store();
    let clock = Counting::new();
    let broker = kit::open_at(store, &deduplicated(), &clock, SOON).await;
    let message = delayed();
    gate.fail(0..1);
    send(&broker, message.clone()).await.unwrap_err();
    assert!(!sent(&broker, message).await.duplicate);
    clock.advance(Duration::from_secs(61));
    assert_eq!(Member::of(&broker, "billing").await.handle(1).await.len(), 1);
}

#[tokio::test]
async fn a_duplicate_of_a_delayed_message_is_known_after_a_restart() {
    let store = kit::memory();
    let broker = kit::open(store.clone(), &deduplicated()).await;
    let message = delayed();
    assert!(!sent(&broker, message.clone()).await.duplicate);
    assert!(sent(&broker, message.clone()).await.duplicate);
    let broker = kit::open(store, &deduplicated()).await;
    assert!(sent(&broker, message).await.duplicate);
}
