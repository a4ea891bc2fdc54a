//! Operators who take messages away while members are at work: each message is either handled or taken, and never both.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking, as the test does")]

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use mainspring_broker::{
    Admin, Binding, Broker, Delivery, Ensure, Limit, Message, Next, Outcome, Subscription, SubscriptionSpec, Topic,
    Topology,
};
use mainspring_broker_embedded::EmbeddedBroker;
use mainspring_store::{MemoryStore, Store};

const ORDERS: &str = "orders";
const BILLING: &str = "billing";

async fn broker() -> EmbeddedBroker {
    let broker = EmbeddedBroker::open(Store::new(MemoryStore::new())).await.unwrap();
    let topic = Topic { partitions: 3, ..Topic::new(ORDERS.parse().unwrap()) };
    let group = Subscription::new(BILLING.parse().unwrap(), [Binding::all(ORDERS.parse().unwrap())]);
    broker.ensure(&Topology::new().topic(topic).subscription(group), Ensure::Create).await.unwrap();
    broker
}

fn order(number: usize) -> Message {
    Message::new(ORDERS.parse().unwrap(), number.to_string())
}

fn number(delivery: &Delivery) -> usize {
    std::str::from_utf8(&delivery.message.body).unwrap().parse().unwrap()
}

/// Nothing here takes a second; a machine under load may.
const PATIENCE: Duration = Duration::from_secs(30);

/// Handles what comes until every message was handled or taken. Says how many were taken.
async fn handle_what_is_not(taken: impl Future<Output = u64>, broker: &EmbeddedBroker, all: u64) -> u64 {
    let (mut deliveries, settler) = broker.subscribe(SubscriptionSpec::new(BILLING.parse().unwrap())).await.unwrap();
    let mut handled = BTreeSet::new();
    let mut done = None;
    let deadline = tokio::time::sleep(PATIENCE);
    tokio::pin!(taken, deadline);
    while done.is_none_or(|done| handled.len() as u64 + done < all) {
        tokio::select! {
            taken = &mut taken, if done.is_none() => done = Some(taken),
            next = deliveries.next(Limit::messages(64)) => {
                let Next::Batch(batch) = next.unwrap() else { panic!("competing members get messages only") };
                for delivery in &batch {
                    assert!(handled.insert(number(delivery)), "a message comes once");
                }
                let acks = batch.iter().map(|delivery| (delivery.tag, Outcome::Ack)).collect();
                assert!(settler.settle(acks).await.iter().all(Result::is_ok));
            }
            () = &mut deadline => panic!("{} handled and {done:?} taken of {all}", handled.len()),
        }
    }
    let done = done.unwrap_or_default();
    assert_eq!(handled.len() as u64 + done, all, "nothing is both handled and taken");
    assert_eq!(broker.groups().await.unwrap()[0].lag, 0);
    done
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_removed_while_members_work_is_not_handled() {
    let broker = broker().await;
    let mut places = Vec::new();
    for batch in (0..20_000).collect::<Vec<_>>().chunks(1_000) {
        let sent = broker.send(batch.iter().map(|number| order(*number)).collect()).await.unwrap().await;
        places.extend(sent.into_iter().map(|receipt| receipt.unwrap().place.unwrap()));
    }
    let remover = broker.clone();
    let removing = async move {
        let mut removed = 0;
        for places in places.rchunks(500) {
            let some: Vec<_> = places.iter().step_by(7).cloned().collect();
            removed += remover.remove(&BILLING.parse().unwrap(), &some).await.unwrap();
        }
        removed
    };
    let removed = handle_what_is_not(removing, &broker, 20_000).await;
    assert!(removed > 0, "some of them were free");
    broker.close(Instant::now() + Duration::from_secs(5)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_cancelled_while_it_comes_due_does_not_come() {
    let broker = broker().await;
    let delayed = |number: usize| order(number).delay(Duration::from_micros(1 + 500 * number as u64));
    let sent = broker.send((0..400).map(delayed).collect()).await.unwrap().await;
    assert!(sent.iter().all(Result::is_ok));
    let canceller = broker.clone();
    let cancelling = async move {
        let mut cancelled = 0;
        for scheduled in canceller.schedules(400).await.unwrap() {
            cancelled += u64::from(canceller.cancel(&scheduled.id).await.unwrap());
        }
        cancelled
    };
    handle_what_is_not(cancelling, &broker, 400).await;
    assert!(broker.schedules(1).await.unwrap().is_empty());
}
