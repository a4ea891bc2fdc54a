//! What is created, compared and refused before anything is handled.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use mainspring_broker::{
    Broker, Capabilities, Durability, Ensure, Feature, Limits, MemoryBroker, Order, Topic, Topology,
};
use mainspring_conformance::ManualClock;
use mainspring_messaging::{Batch, Delivered, StartError, Subscription, Subscriptions};
use mainspring_retry::Retry;

use super::support::{Placed, World};

async fn handle(_: Delivered<Placed>) {}

fn on() -> Subscription {
    Subscription::new("orders", "billing")
}

/// Why it cannot start on a broker that does not do these things.
async fn refused(subscriptions: Subscriptions<()>, refused: &[Feature]) -> StartError {
    let capabilities = Capabilities {
        emulated: Vec::new(),
        refused: refused.to_vec(),
        durability: Durability::Memory,
        gapless: true,
        limits: Limits { lease: Duration::from_secs(60), delay: Duration::from_secs(600), ..Limits::default() },
    };
    let clock = Arc::new(ManualClock::at(Timestamp::UNIX_EPOCH));
    let broker = MemoryBroker::with_capabilities(clock, capabilities);
    subscriptions.prepare(Arc::new(broker)).await.err().expect("it is refused")
}

#[tokio::test]
async fn what_the_broker_cannot_do_is_refused_by_name() {
    let error = refused(Subscriptions::new(()).on(on(), handle), &[Feature::RetryAfter]).await;
    let expected = "subscription `billing` needs retries after a time, which are not possible at `orders`: choose \
                    `Retry::times` or `Retry::never`, or another broker";
    assert_eq!(error.to_string(), expected);

    let error = refused(Subscriptions::new(()).on(on(), handle), &[Feature::KeyBlocks]).await;
    assert_eq!(error.to_string(), "the subscriptions of billing cannot be set up");
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.starts_with("keys in order that wait in place are not possible at `billing`"), "{source}");

    let long = on().lease(Duration::from_secs(61));
    let error = refused(Subscriptions::new(()).on(long, handle), &[]).await;
    assert_eq!(error.to_string(), "subscription `billing`: the lease is 61s, and the limit of the broker is 60s");
    let late = on().retry(Retry::schedule([Duration::from_secs(601)]));
    let error = refused(Subscriptions::new(()).on(late, handle), &[]).await;
    assert!(matches!(error, StartError::TooLong { what: "the longest wait of its schedule", .. }), "{error}");
}

#[tokio::test]
async fn a_schedule_without_waits_needs_no_retries_after_a_time() {
    let world = World::new();
    let on = on().retry(Retry::times(3)).order(Order::Unordered);
    world.run(Subscriptions::new(()).on(on, handle), async |_| ()).await;
}

#[tokio::test]
async fn batches_and_those_who_take_them_belong_together() {
    async fn batch(_: Batch<Placed>) {}
    let error = refused(Subscriptions::new(()).on(on(), batch), &[]).await;
    assert!(matches!(error, StartError::Batch(group) if group == "billing"));
    let gathers = on().batches(10, Duration::from_secs(1));
    let error = refused(Subscriptions::new(()).on(gathers, handle), &[]).await;
    assert!(matches!(error, StartError::Batch(_)));
}

#[tokio::test]
async fn names_are_checked() {
    let error = refused(Subscriptions::new(()).on(Subscription::new("or ders", "billing"), handle), &[]).await;
    assert_eq!(error.to_string(), "a destination must not contain ' ' (in `or ders`)");
    let error = refused(Subscriptions::new(()).on(on(), handle).on(on(), handle), &[]).await;
    assert!(matches!(error, StartError::Broker { .. }));
}

#[tokio::test]
async fn topics_are_taken_as_they_are_unless_they_are_described() {
    let world = World::new();
    let four = || Topic { partitions: 4, ..Topic::new("orders".parse().unwrap()) };
    world.broker.ensure(&Topology::new().topic(four()), Ensure::Create).await.unwrap();
    world.run(Subscriptions::new(()).on(on(), handle), async |_| ()).await;
    world.run(Subscriptions::new(()).topic(four()).on(on(), handle), async |_| ()).await;
    let other = Topic { partitions: 3, ..four() };
    let error = Subscriptions::new(()).topic(other).on(on(), handle).prepare(world.broker.clone()).await.err().unwrap();
    assert!(matches!(error, StartError::Drift(drifts) if drifts.len() == 1));
}

#[tokio::test]
async fn an_account_that_may_create_nothing_finds_everything_there() {
    let world = World::new();
    let subscriptions = || Subscriptions::new(()).on(on(), handle);
    let error = subscriptions().verify_only().prepare(world.broker.clone()).await.err().unwrap();
    assert!(matches!(error, StartError::Drift(drifts) if drifts.len() == 4), "two topics and two groups");
    world.run(subscriptions(), async |_| ()).await;
    world.run(subscriptions().verify_only(), async |_| ()).await;
}
