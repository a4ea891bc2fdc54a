//! A store that refuses to write for a while: what operators asked has not happened then, as a whole, and can be asked
//! again.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking, as the test does")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use mainspring_broker::{
    Admin, Binding, Broker, BrokerError, DeadLetter, Deliveries, Delivery, Ensure, Group, Limit, Message, Next, Order,
    Outcome, Pending, Resume, Settler, Subscription, SubscriptionSpec, Topic, Topology,
};
use mainspring_broker_embedded::EmbeddedBroker;
use mainspring_store::{
    Append, AppendError, Appended, BatchStream, Capabilities, EventStore, Info, MemoryStore, Read, ReadError, Store,
};
use tokio::time::timeout;

/// Nothing here takes a second; a machine under load may.
const PATIENCE: Duration = Duration::from_secs(30);

/// A store that can be told to refuse.
struct Refusing {
    store: MemoryStore,
    refuses: Arc<AtomicBool>,
}

#[async_trait]
impl EventStore for Refusing {
    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        if self.refuses.load(Ordering::SeqCst) {
            return Err(AppendError::Failed("the disk is full".into()));
        }
        self.store.append(append).await
    }

    fn read(&self, read: Read) -> BatchStream {
        self.store.read(read)
    }

    async fn info(&self) -> Result<Info, ReadError> {
        self.store.info().await
    }

    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }
}

fn group(name: &str) -> Group {
    name.parse().unwrap()
}

fn order(body: &'static str) -> Message {
    Message::new("orders".parse().unwrap(), body)
}

struct Member {
    deliveries: Box<dyn Deliveries>,
    settler: Arc<dyn Settler>,
}

impl Member {
    async fn of(broker: &EmbeddedBroker, name: &str) -> Self {
        let (deliveries, settler) = broker.subscribe(SubscriptionSpec::new(group(name))).await.unwrap();
        Self { deliveries, settler }
    }

    async fn one(&mut self) -> Delivery {
        match timeout(PATIENCE, self.deliveries.next(Limit::messages(1))).await.expect("it comes soon").unwrap() {
            Next::Batch(mut batch) => batch.remove(0),
            other => panic!("a message must come, not {other:?}"),
        }
    }

    async fn settle(&self, delivery: &Delivery, outcome: Outcome) {
        assert!(self.settler.settle(vec![(delivery.tag, outcome)]).await[0].is_ok());
    }
}

/// Orders that billing, which holds keys, has given up: `k:1`, behind which `k:2` waits, and `l:1`. A keeper keeps them.
async fn with_letters(store: &Store) -> EmbeddedBroker {
    let broker = EmbeddedBroker::open(store.clone()).await.unwrap();
    let from = |topic: &str| [Binding::all(topic.parse().unwrap())];
    let billing = Subscription::new(group("billing"), from("orders")).order(Order::KeyBlocks);
    let topology = Topology::new()
        .topic(Topic::new("orders".parse().unwrap()))
        .topic(Topic::new("dead".parse().unwrap()))
        .subscription(Subscription::new(group("keeper"), from("dead")))
        .subscription(billing.dead_letter("dead".parse().unwrap()).hold_after_dead_letter());
    assert_eq!(broker.ensure(&topology, Ensure::Create).await.unwrap(), []);
    let sent = broker.send(vec![order("k:1").key("k"), order("k:2").key("k"), order("l:1").key("l")]).await.unwrap();
    assert!(sent.await.iter().all(Result::is_ok));
    let mut member = Member::of(&broker, "billing").await;
    for _ in 0..2 {
        let delivery = member.one().await;
        member.settle(&delivery, Outcome::DeadLetter { reason: "bad".to_owned() }).await;
    }
    member.settler.close(Instant::now() + PATIENCE).await.unwrap();
    broker
}

async fn letters(broker: &EmbeddedBroker) -> Vec<Pending> {
    let mut seen = broker.browse(&group("keeper"), 9).await.unwrap();
    seen.retain(|pending| !pending.in_flight);
    seen
}

fn assert_refused<T: std::fmt::Debug>(answer: Result<T, BrokerError>) {
    assert!(matches!(answer, Err(BrokerError::Failed(_))), "{answer:?}");
}

/// `in_memory` says whether the messages that operators touch are in memory, because members have asked for them.
async fn check(in_memory: bool) {
    let refuses = Arc::new(AtomicBool::new(false));
    let store = Store::new(Refusing { store: MemoryStore::new(), refuses: refuses.clone() });
    let broker = with_letters(&store).await;
    let broker = if in_memory {
        broker
    } else {
        broker.close(Instant::now() + PATIENCE).await.unwrap();
        EmbeddedBroker::open(store.clone()).await.unwrap()
    };
    let delayed = broker.send(vec![order("later").delay(Duration::from_secs(3_600))]).await.unwrap().await;
    assert!(delayed[0].is_ok());
    let mut keeper = Member::of(&broker, "keeper").await;
    let held = if in_memory { Some(keeper.one().await) } else { None };
    let pending = letters(&broker).await;
    assert_eq!(pending.len(), if in_memory { 1 } else { 2 });
    let (place, letter) = (pending[0].place.clone().unwrap(), DeadLetter::read(&pending[0].message).unwrap());
    let id = broker.schedules(1).await.unwrap().remove(0).id;

    refuses.store(true, Ordering::SeqCst);
    assert_refused(broker.resubmit(&group("keeper"), &place, letter.again()).await);
    assert_refused(broker.remove(&group("keeper"), std::slice::from_ref(&place)).await);
    assert_refused(broker.cancel(&id).await);
    for how in [Resume::Skip, Resume::Resubmit] {
        assert_refused(broker.resume(&group("billing"), b"k", how).await);
    }
    refuses.store(false, Ordering::SeqCst);

    assert_eq!(letters(&broker).await, pending);
    assert_eq!(broker.groups().await.unwrap()[0].held_keys, 2);
    assert!(broker.cancel(&id).await.unwrap());
    assert_eq!(broker.resume(&group("billing"), b"k", Resume::Resubmit).await.unwrap(), 1);
    if in_memory {
        assert_eq!(broker.resume(&group("billing"), b"l", Resume::Skip).await.unwrap(), 0);
    }
    broker.resubmit(&group("keeper"), &place, letter.again()).await.unwrap();
    assert_eq!(letters(&broker).await.len(), pending.len() - 1);
    if let Some(held) = held {
        keeper.settle(&held, Outcome::Ack).await;
    }
    let mut billing = Member::of(&broker, "billing").await;
    let mut bodies = Vec::new();
    for _ in 0..3 {
        let delivery = billing.one().await;
        billing.settle(&delivery, Outcome::Ack).await;
        bodies.push(delivery.message.body);
    }
    // Only those of one key have an order.
    bodies.sort_by_key(|body| body[0]);
    let expected = if in_memory { ["k:1", "k:2", "l:1"] } else { ["k:1", "k:2", "k:1"] };
    assert_eq!(bodies, expected);
}

#[tokio::test]
async fn what_is_refused_has_not_happened_to_messages_in_memory() {
    check(true).await;
}

#[tokio::test]
async fn what_is_refused_has_not_happened_to_messages_in_the_store() {
    check(false).await;
}
