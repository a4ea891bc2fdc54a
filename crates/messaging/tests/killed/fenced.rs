//! Two cannot settle one message: another process cannot open the directory, and of two brokers on one store the older
//! one is out.

use std::{path::Path, sync::Arc};

use mainspring_broker::{
    Broker, BrokerError, Deliveries, Delivery, Limit, Next, Outcome, SettleError, Settler, SubscriptionSpec,
};
use mainspring_broker_embedded::EmbeddedBroker;
use mainspring_messaging::{Delivered, Publisher, RunError, Subscription, Subscriptions};
use mainspring_store_disk::{DiskStore, OpenError};
use tokio::{runtime::Runtime, sync::mpsc};

use super::{
    processes::{DEADLINE, Process, other_process, say},
    world::{Placed, lag, open, open_store},
};

async fn handle(_: Delivered<Placed>) {}

fn subscriptions() -> Subscriptions<()> {
    Subscriptions::new(()).on(Subscription::new("orders", "billing"), handle)
}

/// Holds a message until it is killed.
async fn hold(directory: &Path) {
    let broker = open(directory).await;
    drop(subscriptions().prepare(broker.clone()).await.unwrap());
    Publisher::new(broker.clone()).publish("orders", &Placed { order: 17 }).await.unwrap();
    let _held = take(&broker).await;
    say("held");
    std::future::pending::<()>().await;
}

/// Takes part in the group and takes one message.
async fn take(broker: &EmbeddedBroker) -> (Box<dyn Deliveries>, Arc<dyn Settler>, Delivery) {
    let spec = SubscriptionSpec::new("billing".parse().unwrap());
    let (mut deliveries, settler) = broker.subscribe(spec).await.unwrap();
    let next = tokio::time::timeout(DEADLINE, deliveries.next(Limit::messages(1))).await.unwrap();
    let Ok(Next::Batch(mut batch)) = next else { panic!("a message is there: {next:?}") };
    (deliveries, settler, batch.remove(0))
}

#[test]
fn another_process_cannot_settle_what_one_holds() {
    if let Some(directory) = other_process() {
        return Runtime::new().unwrap().block_on(hold(&directory));
    }
    let directory = tempfile::tempdir().unwrap();
    let process = Process::start("fenced::another_process_cannot_settle_what_one_holds", directory.path());
    process.until("held");
    let refused = DiskStore::open(directory.path().join("store")).err().expect("another process has it");
    assert!(matches!(refused, OpenError::Locked { .. }), "{refused}");
    process.kill();
    Runtime::new().unwrap().block_on(async {
        let broker = open(directory.path()).await;
        let (_deliveries, settler, delivery) = take(&broker).await;
        assert_eq!(delivery.attempt, 2, "it was handed over once before");
        assert!(settler.settle(vec![(delivery.tag, Outcome::Ack)]).await[0].is_ok());
        assert_eq!(lag(&broker, "billing").await, 0);
    });
}

#[tokio::test]
async fn of_two_brokers_on_one_store_only_the_newer_settles() {
    let directory = tempfile::tempdir().unwrap();
    let store = open_store(directory.path());
    let older = Arc::new(EmbeddedBroker::open(store.clone()).await.unwrap());
    drop(subscriptions().prepare(older.clone()).await.unwrap());
    let publisher = Publisher::new(older.clone());
    publisher.publish("orders", &Placed { order: 17 }).await.unwrap();
    let (mut deliveries, settler, held) = take(&older).await;

    let newer = EmbeddedBroker::open(store).await.unwrap();
    let (_deliveries, other_settler, again) = take(&newer).await;
    assert_eq!((again.id(), again.attempt), (held.id(), 2));
    let stale = settler.settle(vec![(held.tag, Outcome::Ack)]).await.remove(0);
    assert!(matches!(stale, Err(SettleError::Stale)), "{stale:?}");
    let next = tokio::time::timeout(DEADLINE, deliveries.next(Limit::messages(1))).await.unwrap();
    assert!(matches!(next, Err(BrokerError::Closed)), "{next:?}");
    assert!(publisher.publish("orders", &Placed { order: 18 }).await.is_err());
    assert!(other_settler.settle(vec![(again.tag, Outcome::Ack)]).await[0].is_ok());
    assert_eq!(lag(&newer, "billing").await, 0);
}

#[tokio::test]
async fn subscriptions_on_the_older_of_two_brokers_end_with_an_error() {
    async fn report(placed: Delivered<Placed>, state: mainspring_messaging::State<mpsc::Sender<u64>>) {
        state.0.send(placed.event.order).await.unwrap();
    }
    let directory = tempfile::tempdir().unwrap();
    let store = open_store(directory.path());
    let older = Arc::new(EmbeddedBroker::open(store.clone()).await.unwrap());
    let (handled, mut reports) = mpsc::channel(8);
    let subscriptions = Subscriptions::new(handled).on(Subscription::new("orders", "billing"), report);
    let (_, runner) = subscriptions.prepare(older.clone()).await.unwrap();
    let running = tokio::spawn(runner.run(std::future::pending()));
    let publisher = Publisher::new(older);
    publisher.publish("orders", &Placed { order: 17 }).await.unwrap();
    assert_eq!(reports.recv().await, Some(17));

    let newer = EmbeddedBroker::open(store).await.unwrap();
    // The older one hears of the newer one when it writes.
    assert!(publisher.publish("orders", &Placed { order: 18 }).await.is_err());
    let ended = tokio::time::timeout(DEADLINE, running).await.unwrap().unwrap().unwrap_err();
    assert!(matches!(ended, RunError::Broker { .. } | RunError::Closed { .. }), "{ended}");
    assert!(reports.recv().await.is_none(), "nothing of what was refused is handled");
    drop(newer);
}
