//! Brokers on small topologies, members that handle what comes, and ways to wait.

use std::{sync::Arc, time::Duration};

use mainspring_broker::{
    Admin, Binding, Broker, Deliveries, Delivery, Destination, Ensure, Group, GroupStatus, Limit, Message, Next,
    Outcome, Receipt, SendError, Settler, Slice, Subscription, SubscriptionSpec, Topic, Topology,
};
use mainspring_broker_embedded::{EmbeddedBroker, Options};
use mainspring_event::{NewEvent, StreamName};
use mainspring_store::{MemoryStore, Store};
use mainspring_store_disk::DiskStore;
use tempfile::TempDir;
use tokio::{task, time};

use crate::clock::Counting;

/// Nothing here takes a second; a machine under load may.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Where nothing must happen, it is watched for so long.
pub(crate) const SILENCE: Duration = Duration::from_millis(150);

pub(crate) const HOUR: Duration = Duration::from_secs(3_600);

pub(crate) fn name(name: &str) -> Destination {
    name.parse().expect("tests use good names")
}

pub(crate) fn group(name: &str) -> Group {
    name.parse().expect("tests use good names")
}

pub(crate) fn topic(of: &str) -> Topic {
    Topic::new(name(of))
}

pub(crate) fn log(of: &str) -> Topic {
    Topic::log(name(of), 1)
}

pub(crate) fn subscription(of: &str, from: &str) -> Subscription {
    Subscription::new(group(of), [Binding::all(name(from))])
}

/// The orders, and billing, which gets them.
pub(crate) fn orders() -> Topology {
    Topology::new().topic(topic("orders")).subscription(subscription("billing", "orders"))
}

/// The same with orders that stay.
pub(crate) fn logged_orders() -> Topology {
    Topology::new().topic(log("orders")).subscription(subscription("billing", "orders"))
}

/// The first slice of the topic.
pub(crate) fn first_slice(of: &str) -> Slice {
    Slice { topic: name(of), partition: 0 }
}

pub(crate) fn message(to: &str, body: impl Into<String>) -> Message {
    Message::new(name(to), body.into())
}

pub(crate) fn order(body: impl Into<String>) -> Message {
    message("orders", body)
}

/// An event of an order.
pub(crate) fn placed() -> NewEvent {
    let stream = StreamName::of("order", 1).expect("a number is a key");
    NewEvent::json(stream, "Placed".parse().expect("tests use good names"), "{}")
}

/// A body of a mebibyte, as large as the default limits allow.
pub(crate) fn large() -> String {
    "x".repeat((1 << 20) - 100)
}

pub(crate) fn memory() -> Store {
    Store::new(MemoryStore::new())
}

/// A store on disk, which lasts as long as its directory.
pub(crate) fn disk() -> (Store, TempDir) {
    let directory = TempDir::new().expect("a temporary directory can be created");
    let store = DiskStore::open(directory.path()).expect("an empty directory can be opened");
    (Store::new(store), directory)
}

/// A broker with this topology.
pub(crate) async fn open(store: Store, topology: &Topology) -> EmbeddedBroker {
    let broker = EmbeddedBroker::open(store).await.expect("the store can be read");
    create(&broker, topology).await;
    broker
}

/// The same by a clock of the test, at which it looks so often at least.
pub(crate) async fn open_at(
    store: Store,
    topology: &Topology,
    clock: &Arc<Counting>,
    look: Duration,
) -> EmbeddedBroker {
    let broker = Options::new().clock(clock.clone(), look).open(store).await.expect("the store can be read");
    create(&broker, topology).await;
    broker
}

pub(crate) async fn create(broker: &dyn Broker, topology: &Topology) {
    let drift = broker.ensure(topology, Ensure::Create).await.expect("the topology is good");
    assert_eq!(drift, []);
}

pub(crate) async fn send(broker: &dyn Broker, message: Message) -> Result<Receipt, SendError> {
    broker.send(vec![message]).await?.await.remove(0)
}

/// Sends, which nothing hinders.
pub(crate) async fn sent(broker: &dyn Broker, message: Message) -> Receipt {
    send(broker, message).await.expect("nothing hinders it")
}

/// Sends in one batch, which nothing hinders.
pub(crate) async fn all_sent(broker: &dyn Broker, batch: Vec<Message>) {
    let answers = broker.send(batch).await.expect("nothing hinders it").await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
}

/// How the first of the groups stands.
pub(crate) async fn status(broker: &dyn Broker) -> GroupStatus {
    admin(broker).groups().await.expect("the broker is open").remove(0)
}

pub(crate) fn admin(broker: &dyn Broker) -> &dyn Admin {
    broker.admin().expect("it answers operators")
}

/// Who takes part in a group.
pub(crate) struct Member {
    pub(crate) deliveries: Box<dyn Deliveries>,
    pub(crate) settler: Arc<dyn Settler>,
}

impl Member {
    pub(crate) async fn of(broker: &dyn Broker, of: &str) -> Self {
        Self::with(broker, SubscriptionSpec::new(group(of))).await
    }

    pub(crate) async fn with(broker: &dyn Broker, spec: SubscriptionSpec) -> Self {
        let (deliveries, settler) = broker.subscribe(spec).await.expect("there is the group");
        Self { deliveries, settler }
    }

    /// Waits for up to so many messages.
    pub(crate) async fn next(&mut self, most: usize) -> Vec<Delivery> {
        let next = time::timeout(PATIENCE, self.deliveries.next(Limit::messages(most))).await;
        match next.expect("it comes soon").expect("the broker is open") {
            Next::Batch(batch) => batch,
            other => panic!("messages must come, not {other:?}"),
        }
    }

    /// Waits for one message.
    pub(crate) async fn one(&mut self) -> Delivery {
        self.next(1).await.remove(0)
    }

    /// Fails if a message comes.
    pub(crate) async fn assert_nothing_comes(&mut self) {
        let next = time::timeout(SILENCE, self.deliveries.next(Limit::messages(1))).await;
        assert!(next.is_err(), "nothing must come, not {next:?}");
    }

    pub(crate) async fn settle(&mut self, deliveries: &[Delivery], outcome: Outcome) {
        let outcomes = deliveries.iter().map(|delivery| (delivery.tag, outcome.clone())).collect();
        let settled = self.settler.settle(outcomes).await;
        assert!(settled.iter().all(Result::is_ok), "{settled:?}");
    }

    /// Handles so many messages; their bodies.
    pub(crate) async fn handle(&mut self, count: usize) -> Vec<String> {
        let mut bodies = Vec::new();
        while bodies.len() < count {
            let batch = self.next((count - bodies.len()).min(1_000)).await;
            self.settle(&batch, Outcome::Ack).await;
            bodies.extend(batch.iter().map(body));
        }
        bodies
    }

    /// Takes the next message, to try it again in an hour.
    pub(crate) async fn postpone_one(&mut self) {
        let delivery = self.one().await;
        self.settle(&[delivery], Outcome::Retry { after: HOUR }).await;
    }

    /// Takes the next message and gives it up.
    pub(crate) async fn give_up_one(&mut self) {
        let delivery = self.one().await;
        self.settle(&[delivery], Outcome::DeadLetter { reason: "bad".to_owned() }).await;
    }
}

pub(crate) fn body(delivery: &Delivery) -> String {
    String::from_utf8(delivery.message.body.to_vec()).expect("tests send text")
}

/// Waits for a condition.
pub(crate) async fn until(condition: impl AsyncFn() -> bool) {
    let comes = async {
        while !condition().await {
            // tidy: allow(sleep): the time between two looks at the condition.
            time::sleep(Duration::from_millis(1)).await;
        }
    };
    time::timeout(PATIENCE, comes).await.expect("it comes soon");
}

/// Lets a while pass in which something must not happen.
pub(crate) async fn silence() {
    // tidy: allow(sleep): there is no condition to wait for where nothing happens.
    time::sleep(SILENCE).await;
}

/// Lets every task go on until it waits for something. For tests with one thread and a store in memory, where nothing
/// happens but in tasks.
pub(crate) async fn until_all_wait() {
    for _ in 0..100 {
        task::yield_now().await;
    }
}
