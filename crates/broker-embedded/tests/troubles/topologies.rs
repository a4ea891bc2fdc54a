//! Topologies that are created while other things happen.

use std::pin::pin;

use futures_util::{FutureExt as _, future::poll_immediate};
use mainspring_broker::{Broker, Ensure, MemoryBroker, Start, Topology};
use mainspring_broker_embedded::EmbeddedBroker;

use crate::{
    kit::{self, Member, order, send, sent, until_all_wait},
    store::Gate,
};

/// Both expected the broker's own stream at the same version, and the broker ended as if another had taken its place.
#[tokio::test]
async fn topics_are_created_while_messages_are_sent() {
    let broker = kit::open(kit::memory(), &Topology::new().topic(kit::log("orders"))).await;
    let more = Topology::new().topic(kit::log("returns"));
    let (ensured, first) = tokio::join!(broker.ensure(&more, Ensure::Create), send(&broker, order("1")));
    assert_eq!(ensured.unwrap(), []);
    first.unwrap();
    sent(&broker, order("2")).await;
    sent(&broker, kit::message("returns", "3")).await;
}

/// What was created a second time could not be read again.
#[tokio::test]
async fn what_is_created_by_a_call_that_was_dropped_is_created_once() {
    let store = kit::memory();
    let broker = EmbeddedBroker::open(store.clone()).await.unwrap();
    assert!(broker.ensure(&kit::orders(), Ensure::Create).now_or_never().is_none());
    kit::create(&broker, &kit::orders()).await;
    sent(&broker, order("1")).await;
    drop(broker);
    let broker = kit::open(store, &kit::orders()).await;
    let mut member = Member::of(&broker, "billing").await;
    assert_eq!(member.handle(1).await, ["1"]);
    member.assert_nothing_comes().await;
}

/// The group began behind the message that was never stored, and missed the one that got its offset.
#[tokio::test]
async fn the_latest_message_is_one_that_is_stored() {
    let (store, gate) = Gate::before_a_store();
    let broker = kit::open(store, &Topology::new().topic(kit::log("orders"))).await;
    gate.hold_appends(true);
    let failing = broker.send(vec![order("fails")]).await.unwrap();
    gate.until_waiting(1).await;
    let billing = Topology::new().subscription(kit::subscription("billing", "orders"));
    let mut ensured = pin!(broker.ensure(&billing, Ensure::Create));
    assert!(poll_immediate(&mut ensured).await.is_none());
    until_all_wait().await;
    gate.fail(0..1);
    gate.hold_appends(false);
    failing.await[0].as_ref().unwrap_err();
    assert_eq!(ensured.await.unwrap(), []);
    sent(&broker, order("after")).await;
    assert_eq!(Member::of(&broker, "billing").await.handle(1).await, ["after"]);
}

/// What every group has settled is still in the store for a while, but no new group gets it.
#[tokio::test]
async fn a_topic_that_is_no_log_begins_with_what_comes() {
    let embedded = EmbeddedBroker::open(kit::memory()).await.unwrap();
    let brokers: [&dyn Broker; 2] = [&MemoryBroker::new(), &embedded];
    for broker in brokers {
        kit::create(broker, &kit::orders()).await;
        sent(broker, order("1")).await;
        assert_eq!(Member::of(broker, "billing").await.handle(1).await, ["1"]);
        let late = kit::subscription("late", "orders").start(Start::Earliest);
        kit::create(broker, &Topology::new().subscription(late)).await;
        sent(broker, order("2")).await;
        assert_eq!(Member::of(broker, "late").await.handle(1).await, ["2"]);
    }
}
