//! Bodies that are too large for the broker.

use std::sync::Arc;

use futures_util::TryStreamExt;
use mainspring_broker::{Broker, Order};
use mainspring_messaging::{Batch, ClaimCheck, Delivered, Publisher, State, Subscription, Subscriptions};
use mainspring_retry::{Failure, Retry};
use object_store::{ObjectStore, ObjectStoreExt, memory::InMemory};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::support::{World, in_time};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, mainspring_event::Event)]
#[event(crate = mainspring_event)]
struct Scanned {
    page: String,
}

type Seen = mpsc::UnboundedSender<(String, usize)>;

async fn read(scanned: Delivered<Scanned>, State(seen): State<Seen>) -> Result<(), Failure> {
    Ok(seen.send((scanned.event.page.clone(), scanned.headers().len()))?)
}

fn on() -> Subscription {
    Subscription::new("scans", "reading").retry(Retry::times(1))
}

/// Runs a handler behind a publisher with a claim check until everything is settled.
async fn run<S>(
    world: &World,
    objects: &Arc<InMemory>,
    subscriptions: Subscriptions<S>,
    work: impl AsyncFnOnce(&Publisher),
) {
    let claims = ClaimCheck::new(objects.clone()).above(100).prefix("bodies");
    let publisher = Publisher::new(world.broker.clone()).claims(claims);
    let (_, runner) = subscriptions.prepare_with(publisher.clone()).await.unwrap();
    let stop = async {
        work(&publisher).await;
        world.until_lag("reading", 0).await;
    };
    in_time(runner.run(stop)).await.unwrap();
}

#[tokio::test]
async fn a_large_body_goes_through_the_object_store_and_nobody_notices() {
    let (world, objects) = (World::new(), Arc::new(InMemory::new()));
    let (seen, mut pages) = mpsc::unbounded_channel();
    let (small, large) = ("s".repeat(10), "l".repeat(10_000));
    let subscriptions = Subscriptions::new(seen).on(on().concurrency(1), read);
    run(&world, &objects, subscriptions, async |publisher| {
        for page in [&small, &large] {
            let publish = publisher.publish("scans", &Scanned { page: page.clone() }).header("via", "test");
            publish.await.unwrap();
        }
    })
    .await;
    assert_eq!(in_time(pages.recv()).await.unwrap(), (small, 1));
    assert_eq!(in_time(pages.recv()).await.unwrap(), (large, 1));
    let objects: Vec<_> = objects.list(None).try_collect().await.unwrap();
    assert_eq!(objects.len(), 1);
    assert!(objects[0].location.as_ref().starts_with("bodies/scans/"), "{}", objects[0].location);
}

#[tokio::test]
async fn a_body_that_is_gone_makes_a_dead_letter_that_keeps_the_claim() {
    let (world, objects) = (World::new(), Arc::new(InMemory::new()));
    let (seen, mut pages) = mpsc::unbounded_channel();
    let subscriptions = || Subscriptions::new(seen.clone()).on(on(), read);
    drop(subscriptions().prepare(world.broker.clone()).await.unwrap());
    let publisher = Publisher::new(world.broker.clone()).claims(ClaimCheck::new(objects.clone()).above(100));
    publisher.publish("scans", &Scanned { page: "p".repeat(200) }).await.unwrap();
    let listed: Vec<_> = objects.list(None).try_collect().await.unwrap();
    objects.delete(&listed[0].location).await.unwrap();
    run(&world, &objects, subscriptions(), async |_| ()).await;
    assert!(pages.try_recv().is_err());
    let dead = world.dead_letters("reading").await;
    assert!(dead[0].reason.starts_with("the body of the message cannot be fetched"), "{}", dead[0].reason);
    assert_eq!((dead[0].attempts, dead[0].message.body.len()), (1, 0));
    assert_eq!(dead[0].message.headers.get("mainspring-claim").unwrap(), listed[0].location.as_ref());
}

#[tokio::test]
async fn a_message_without_its_body_does_not_take_others_of_a_batch_with_it() {
    async fn batch(batch: Batch<Scanned>, State(seen): State<Seen>) -> Result<(), Failure> {
        for scanned in batch {
            seen.send((scanned.event.page, 0))?;
        }
        Ok(())
    }
    let (world, objects) = (World::new(), Arc::new(InMemory::new()));
    let (seen, mut pages) = mpsc::unbounded_channel();
    let on = on().order(Order::Unordered).batches(3, std::time::Duration::from_millis(20)).retry(Retry::never());
    let subscriptions = Subscriptions::new(seen).on(on, batch);
    run(&world, &objects, subscriptions, async |publisher| {
        let scanned = |page: &str| publisher.publish("scans", &Scanned { page: page.to_owned() });
        let messages = ["one", "two", "three"].map(|page| scanned(page).into_message().unwrap());
        for (index, message) in messages.into_iter().enumerate() {
            let message = if index == 1 { message.header("mainspring-claim", "bodies/nowhere") } else { message };
            world.broker.send(vec![message]).await.unwrap().await.remove(0).unwrap();
        }
    })
    .await;
    let mut seen = [in_time(pages.recv()).await.unwrap().0, in_time(pages.recv()).await.unwrap().0];
    seen.sort();
    assert_eq!(seen, ["one", "three"]);
    assert_eq!(world.dead_letters("reading").await.len(), 1);
}

#[tokio::test]
async fn without_a_claim_check_a_claim_is_an_error_and_not_an_empty_body() {
    let world = World::new();
    let (seen, _pages) = mpsc::unbounded_channel();
    let subscriptions = Subscriptions::new(seen).on(on(), read);
    let work = async |_| {
        let scanned = world.publisher.publish("scans", &Scanned { page: String::new() });
        scanned.header("mainspring-claim", "bodies/x").await.unwrap();
        world.until_lag("reading", 0).await;
    };
    world.run(subscriptions, work).await;
    let dead = world.dead_letters("reading").await;
    assert!(dead[0].reason.contains("prepare the subscription with a publisher that has a claim check"), "{dead:?}");
}
