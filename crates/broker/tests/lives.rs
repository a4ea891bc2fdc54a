//! The lives of the reference model: what a crash of the broker leaves to those who were connected to it.

use std::time::{Duration, Instant};

use mainspring_broker::{
    Binding, Broker, BrokerError, CommitError, Delivery, Ensure, Limit, MemoryBroker, Message, Next, Outcome,
    SendError, SettleError, Start, Subscription, SubscriptionSpec, Topic, Topology,
};

async fn with_order() -> MemoryBroker {
    let broker = MemoryBroker::new();
    let orders = Topic::log("orders".parse().expect("a valid name"), 1);
    let billing = Subscription::new(
        "billing".parse().expect("a valid name"),
        [Binding::all("orders".parse().expect("a valid name"))],
    );
    broker
        .ensure(&Topology::new().topic(orders).subscription(billing), Ensure::Create)
        .await
        .expect("it can be created");
    assert!(broker.send(vec![order("a")]).await.expect("it is admitted").await[0].is_ok());
    broker
}

fn order(body: &'static str) -> Message {
    Message::new("orders".parse().expect("a valid name"), body)
}

fn billing() -> SubscriptionSpec {
    SubscriptionSpec::new("billing".parse().expect("a valid name"))
}

fn only(next: Next) -> Delivery {
    match next {
        Next::Batch(mut batch) if batch.len() == 1 => batch.remove(0),
        other => panic!("one message must come, not {other:?}"),
    }
}

#[tokio::test]
async fn handles_from_before_a_crash_are_closed() {
    let broker = with_order().await;
    let (mut deliveries, settler) = broker.subscribe(billing()).await.unwrap();
    let held = only(deliveries.next(Limit::messages(1)).await.unwrap());
    let restarted = broker.restart();

    assert!(matches!(broker.send(vec![order("b")]).await, Err(SendError::NotAttempted(_))));
    assert!(matches!(broker.subscribe(billing()).await, Err(BrokerError::Closed)));
    assert!(matches!(deliveries.next(Limit::messages(1)).await, Err(BrokerError::Closed)));
    assert!(matches!(settler.settle(vec![(held.tag, Outcome::Ack)]).await[..], [Err(SettleError::Stale)]));
    assert!(matches!(settler.commit(Vec::new(), vec![order("ghost")]).await, Err(CommitError::Settle { .. })));
    assert!(matches!(settler.seek(Start::Earliest).await, Err(BrokerError::Closed)));

    let (mut deliveries, settler) = restarted.subscribe(billing()).await.unwrap();
    let again = only(deliveries.next(Limit::messages(9)).await.unwrap());
    assert_eq!((again.message, again.attempt), (order("a"), 2));
    assert!(settler.settle(vec![(again.tag, Outcome::Ack)]).await[0].is_ok());
}

#[tokio::test]
async fn closing_an_earlier_life_does_not_touch_the_present_one() {
    let broker = with_order().await;
    let restarted = broker.restart();
    let (mut deliveries, _settler) = restarted.subscribe(billing()).await.unwrap();
    broker.close(Instant::now() + Duration::from_secs(5)).await.unwrap();
    assert_eq!(only(deliveries.next(Limit::messages(9)).await.unwrap()).message, order("a"));
    assert!(restarted.send(vec![order("b")]).await.is_ok());
}

#[tokio::test]
async fn a_broker_that_was_closed_lives_again_after_a_crash() {
    let broker = with_order().await;
    broker.close(Instant::now()).await.unwrap();
    assert!(matches!(broker.send(vec![order("b")]).await, Err(SendError::NotAttempted(_))));
    let restarted = broker.restart();
    let (mut deliveries, _settler) = restarted.subscribe(billing()).await.unwrap();
    assert_eq!(only(deliveries.next(Limit::messages(9)).await.unwrap()).message, order("a"));
}
