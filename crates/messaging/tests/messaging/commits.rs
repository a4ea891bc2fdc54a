//! Handlers that decide, publish and acknowledge in one append.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use futures_util::StreamExt;
use mainspring_broker::{Message, Order};
use mainspring_domain::{Decider, Repository};
use mainspring_event::{Category, NewEvent, StreamName};
use mainspring_messaging::{
    Attempt, Batch, Commit, Controls, Delivered, PublishError, Reply, StartError, State, Subscription, Subscriptions,
};
use mainspring_retry::{Failure, Retry};
use mainspring_store::{Append, MemoryStore, Query, Read, Store};

use super::{
    double::Double,
    support::{Placed, Shipped, World, eventually, run_on},
};

/// Counts the orders of a customer.
#[derive(Default)]
struct Customer {
    orders: u64,
}

impl Decider for Customer {
    const CATEGORY: &'static str = "customer";
    type Id = str;
    type Command = u64;
    type Event = Placed;
    type Error = Infallible;

    fn evolve(&mut self, _: &Placed) {
        self.orders += 1;
    }

    fn decide(&self, order: u64) -> Result<Vec<Placed>, Infallible> {
        Ok(vec![Placed { order }])
    }
}

fn on() -> Subscription {
    Subscription::new("orders", "billing").retry(Retry::times(1))
}

/// Runs a handler on a broker that is made of a store; says what the store and the other topic have in the end.
async fn run<S: Clone + Send + Sync + 'static>(
    subscriptions: Subscriptions<S>,
    lost: u32,
    work: impl AsyncFnOnce(&World, &Store, Controls),
) -> (World, Store) {
    let (world, store) = (World::new(), Store::new(MemoryStore::new()));
    async fn note(_: Delivered<Shipped>) {}
    let parcels = Subscription::new("parcels", "notes");
    let double = Double::with_store(&world, store.clone(), lost);
    // The messages that were published stay where they are: the group that would handle them does not run.
    let topology = Subscriptions::new(()).on(parcels, note).prepare(double.clone()).await.unwrap();
    drop(topology);
    let (_, result) = run_on(double, subscriptions, async |controls| work(&world, &store, controls).await).await;
    result.unwrap();
    (world, store)
}

async fn orders(store: &Store) -> u64 {
    Repository::<Customer>::new(store).load("ada").await.unwrap().orders
}

#[tokio::test]
async fn decisions_messages_and_the_acknowledgement_are_one() {
    async fn handle(placed: Delivered<Placed>, commit: Commit) -> Result<(), Failure> {
        commit.handle::<Customer>("ada", placed.event.order).await?;
        let _ = commit.publish("parcels", &Shipped { order: placed.event.order })?.key(placed.event.order);
        Ok(())
    }
    let (world, store) = run(Subscriptions::new(()).on(on(), handle), 0, async |world, _, _| {
        world.publish(17).await;
        world.until_lag("billing", 0).await;
    })
    .await;
    assert_eq!((orders(&store).await, world.lag("notes").await), (1, 1));
    let pending = mainspring_broker::Broker::admin(&*world.broker).unwrap();
    let parcel = pending.browse(&"notes".parse().unwrap(), 9).await.unwrap().remove(0).message;
    assert_eq!(parcel.key.as_deref(), Some(&b"17"[..]));
    assert!(parcel.envelope.unwrap().metadata.causation.is_some());
}

#[tokio::test]
async fn a_handler_that_fails_has_done_nothing() {
    async fn handle(placed: Delivered<Placed>, commit: Commit) -> Result<(), Failure> {
        commit.handle::<Customer>("ada", placed.event.order).await?;
        let _ = commit.publish("parcels", &Shipped { order: placed.event.order })?;
        Err("not today".into())
    }
    let (world, store) = run(Subscriptions::new(()).on(on(), handle), 0, async |world, _, _| {
        world.publish(17).await;
        world.until_lag("billing", 0).await;
    })
    .await;
    assert_eq!((orders(&store).await, world.lag("notes").await), (0, 0));
    assert_eq!(world.dead_letters("billing").await[0].reason, "not today");
}

#[tokio::test]
async fn a_conflict_calls_the_handler_again_and_is_no_attempt() {
    type Calls = (Arc<AtomicU32>, Arc<AtomicU32>);
    async fn handle(
        placed: Delivered<Placed>,
        commit: Commit,
        Attempt(attempt): Attempt,
        State((calls, highest)): State<Calls>,
    ) -> Result<(), Failure> {
        highest.fetch_max(attempt, Ordering::SeqCst);
        commit.handle::<Customer>("ada", placed.event.order).await?;
        if calls.fetch_add(1, Ordering::SeqCst) < 3 {
            // Somebody else gets ahead between the decision and the commit.
            Repository::<Customer>::new(commit.store()).handle("ada", 1).await?;
        }
        Ok(())
    }
    let calls = Calls::default();
    let (world, store) = run(Subscriptions::new(calls.clone()).on(on(), handle), 0, async |world, _, controls| {
        world.publish(17).await;
        world.until_lag("billing", 0).await;
        assert_eq!(controls.metrics()[0].total().failed, 0);
    })
    .await;
    assert_eq!((calls.0.load(Ordering::SeqCst), calls.1.load(Ordering::SeqCst)), (4, 1));
    assert_eq!((orders(&store).await, world.dead_letters("billing").await.len()), (4, 0));
}

#[tokio::test]
async fn two_decisions_that_read_different_versions_call_the_handler_again() {
    async fn handle(
        placed: Delivered<Placed>,
        commit: Commit,
        State(calls): State<Arc<AtomicU32>>,
    ) -> Result<(), Failure> {
        commit.handle::<Customer>("ada", placed.event.order).await?;
        if calls.fetch_add(1, Ordering::SeqCst) == 0 {
            Repository::<Customer>::new(commit.store()).handle("ada", 1).await?;
        }
        commit.handle::<Customer>("ada", placed.event.order).await?;
        Ok(())
    }
    let calls = Arc::new(AtomicU32::new(0));
    let subscriptions = Subscriptions::new(calls.clone()).on(on().retry(Retry::never()), handle);
    let (world, store) = run(subscriptions, 0, async |world, _, _| {
        world.publish(17).await;
        world.until_lag("billing", 0).await;
    })
    .await;
    assert_eq!((calls.load(Ordering::SeqCst), orders(&store).await), (2, 3));
    assert_eq!(world.dead_letters("billing").await, []);
}

#[tokio::test]
async fn a_commit_whose_answer_is_lost_happens_once() {
    async fn handle(placed: Delivered<Placed>, commit: Commit) -> Result<(), Failure> {
        Ok(commit.handle::<Customer>("ada", placed.event.order).await?)
    }
    let (world, store) = run(Subscriptions::new(()).on(on(), handle), 1, async |world, _, controls| {
        world.publish(17).await;
        world.until_lag("billing", 0).await;
        eventually(async || controls.metrics()[0].total().succeeded == 1).await;
        assert_eq!(controls.metrics()[0].total().failed, 0);
    })
    .await;
    assert_eq!((orders(&store).await, world.dead_letters("billing").await.len()), (1, 0));
}

#[tokio::test]
async fn what_outlives_its_handler_can_publish_nothing_more() {
    async fn handle(
        _: Delivered<Placed>,
        commit: Commit,
        State(kept): State<tokio::sync::mpsc::Sender<Commit>>,
    ) -> Reply<Shipped> {
        kept.send(commit).await.unwrap();
        Reply(Shipped { order: 1 })
    }
    let (kept, mut commits) = tokio::sync::mpsc::channel(1);
    run(Subscriptions::new(kept).on(on(), handle), 0, async |world, _, _| {
        world.publish(17).await;
        world.until_lag("billing", 0).await;
    })
    .await;
    let commit = commits.recv().await.unwrap();
    let late = commit.publish("parcels", &Shipped { order: 17 }).err().unwrap();
    assert!(matches!(late, PublishError::Closed));
}

#[tokio::test]
async fn a_broker_without_a_store_is_refused_by_name() {
    async fn handle(_: Delivered<Placed>, _: Commit) {}
    let world = World::new();
    let error = Subscriptions::new(()).on(on(), handle).prepare(world.broker.clone()).await.err().unwrap();
    assert!(matches!(&error, StartError::NotInStore(group) if group == "billing"), "{error}");
}

fn in_batches() -> Subscription {
    on().order(Order::Unordered).concurrency(1).batches(4, Duration::from_millis(20))
}

/// What is appended says how many deliveries it comes from.
async fn count(batch: Batch<Placed>, commit: Commit) -> Result<(), Failure> {
    let stream = StreamName::of("counted", batch.len())?;
    let orders: Vec<_> = batch.iter().map(|placed| placed.event.order).collect();
    commit.append(Append::new([NewEvent::json(stream, "Counted".parse()?, format!("{orders:?}"))]))?;
    let _ = commit.publish("parcels", &Shipped { order: batch[0].event.order })?;
    if orders.contains(&99) { Err("not this one".into()) } else { Ok(()) }
}

/// The bodies of what was appended.
async fn counted(store: &Store) -> Vec<String> {
    let mut read = store.read(Read::new(Query::category(Category::new("counted").unwrap())));
    let mut bodies = Vec::new();
    while let Some(batch) = read.next().await {
        bodies.extend(batch.unwrap().iter().map(|event| String::from_utf8(event.payload.to_vec()).unwrap()));
    }
    bodies
}

#[tokio::test]
async fn a_batch_is_acknowledged_in_one_append_with_what_comes_of_it() {
    let (world, store) = run(Subscriptions::new(()).on(in_batches(), count), 0, async |world, _, _| {
        for order in 0..4 {
            world.publish(order).await;
        }
        world.until_lag("billing", 0).await;
    })
    .await;
    assert_eq!((counted(&store).await, world.lag("notes").await), (vec!["[0, 1, 2, 3]".to_owned()], 1));
}

/// A confirmation that was lost is asked for again, for all of the batch.
#[tokio::test]
async fn a_batch_whose_commit_is_unknown_counts_once() {
    let (_, store) = run(Subscriptions::new(()).on(in_batches(), count), 2, async |world, _, _| {
        for order in 0..4 {
            world.publish(order).await;
        }
        world.until_lag("billing", 0).await;
    })
    .await;
    assert_eq!(counted(&store).await, ["[0, 1, 2, 3]"]);
}

#[tokio::test]
async fn a_batch_that_fails_has_done_nothing() {
    let (world, store) = run(Subscriptions::new(()).on(in_batches(), count), 0, async |world, _, _| {
        for order in [0, 99, 2, 3] {
            world.publish(order).await;
        }
        world.until_lag("billing", 0).await;
    })
    .await;
    assert_eq!((counted(&store).await.len(), world.lag("notes").await), (0, 0));
    assert_eq!(world.dead_letters("billing").await.len(), 4);
}

/// What cannot be decoded is no part of the commit, and takes nothing with it.
#[tokio::test]
async fn what_cannot_be_decoded_is_given_up_and_the_rest_comes_again_untried() {
    let never = in_batches().retry(Retry::never());
    let (world, store) = run(Subscriptions::new(()).on(never, count), 0, async |world, _, _| {
        for order in 0..4 {
            let broken = |message: &mut Message| {
                if order == 2 {
                    message.body = "{".into();
                }
            };
            world.publisher.publish("orders", &Placed { order }).with(broken).await.unwrap();
        }
        world.until_lag("billing", 0).await;
    })
    .await;
    let mut orders: Vec<u64> = Vec::new();
    for body in counted(&store).await {
        orders.extend(body.trim_matches(['[', ']']).split(", ").map(|order| order.parse::<u64>().unwrap()));
    }
    orders.sort_unstable();
    assert_eq!(orders, [0, 1, 3]);
    let dead = world.dead_letters("billing").await;
    assert_eq!(dead.len(), 1);
    assert!(dead[0].reason.starts_with("Placed version 1 does not have the shape"), "{dead:?}");
}

/// It was acknowledged, and nothing of it committed.
#[tokio::test]
async fn a_batch_with_a_commit_is_answered_as_a_whole() {
    async fn each(batch: Batch<Placed>, commit: Commit) -> Vec<Result<(), Failure>> {
        commit.handle::<Customer>("ada", batch[0].event.order).await.unwrap();
        batch.iter().map(|_| Ok(())).collect()
    }
    let (world, store) = run(Subscriptions::new(()).on(in_batches(), each), 0, async |world, _, _| {
        world.publish(17).await;
        world.until_lag("billing", 0).await;
    })
    .await;
    assert_eq!(orders(&store).await, 0);
    assert!(world.dead_letters("billing").await[0].reason.starts_with("a handler that commits answers"));
}

#[tokio::test]
async fn decisions_of_a_batch_on_one_aggregate_follow_each_other() {
    async fn all(batch: Batch<Placed>, commit: Commit) -> Result<(), Failure> {
        for placed in batch {
            commit.handle::<Customer>("ada", placed.event.order).await?;
        }
        Ok(())
    }
    let (_, store) = run(Subscriptions::new(()).on(in_batches(), all), 0, async |world, _, _| {
        for order in 0..4 {
            world.publish(order).await;
        }
        world.until_lag("billing", 0).await;
    })
    .await;
    assert_eq!(orders(&store).await, 4);
}
