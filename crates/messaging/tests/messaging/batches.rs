//! Handlers of many deliveries at once.

use std::time::Duration;

use mainspring_broker::Order;
use mainspring_messaging::{Batch, State, Subscription, Subscriptions};
use mainspring_retry::{Failure, Retry};
use tokio::sync::mpsc;

use super::support::{Placed, Shipped, World, in_time};

type Sizes = mpsc::UnboundedSender<Vec<u64>>;

fn on(within: Duration) -> Subscription {
    let on = Subscription::new("orders", "billing").order(Order::Unordered).retry(Retry::times(1));
    on.concurrency(1).batches(4, within)
}

async fn note(batch: Batch<Placed>, State(seen): State<Sizes>) -> Result<(), Failure> {
    Ok(seen.send(batch.iter().map(|placed| placed.event.order).collect())?)
}

#[tokio::test]
async fn a_batch_is_handled_when_it_is_full_or_has_waited() {
    let world = World::new();
    let (seen, mut batches) = mpsc::unbounded_channel();
    let work = async |controls: mainspring_messaging::Controls| {
        controls.pause("billing").unwrap();
        for order in 0..6 {
            world.publish(order).await;
        }
        controls.resume("billing").unwrap();
        assert_eq!(in_time(batches.recv()).await, Some(vec![0, 1, 2, 3]));
        assert_eq!(in_time(batches.recv()).await, Some(vec![4, 5]), "after a while");
        world.until_lag("billing", 0).await;
    };
    world.run(Subscriptions::new(seen).on(on(Duration::from_millis(30)), note), work).await;
}

#[tokio::test]
async fn each_delivery_of_a_batch_has_its_own_outcome() {
    async fn odd_ones_fail(batch: Batch<Placed>) -> Vec<Result<(), Failure>> {
        let answer = |order| if order % 2 == 0 { Ok(()) } else { Err(format!("{order} is odd").into()) };
        batch.into_iter().map(|placed| answer(placed.event.order)).collect()
    }
    let world = World::new();
    let work = async |_| {
        for order in 0..4 {
            world.publish(order).await;
        }
        world.publisher.publish("orders", &Shipped { order: 4 }).await.unwrap();
        let broken = world.publisher.publish("orders", &Placed { order: 5 }).with(|message| message.body = "{".into());
        broken.await.unwrap();
        world.until_lag("billing", 0).await;
    };
    world.run(Subscriptions::new(()).on(on(Duration::from_millis(5)), odd_ones_fail), work).await;
    let mut dead: Vec<_> =
        world.dead_letters("billing").await.into_iter().map(|dead| (dead.reason, dead.attempts)).collect();
    dead.sort();
    assert_eq!(dead.len(), 4);
    assert_eq!((dead[0].0.as_str(), dead[0].1), ("1 is odd", 2));
    assert_eq!((dead[1].0.as_str(), dead[1].1), ("3 is odd", 2));
    assert!(dead[2].0.starts_with("Placed version 1 does not have the shape"), "{dead:?}");
    assert!(dead[3].0.starts_with("no handler here knows"), "{dead:?}");
}

#[tokio::test]
async fn what_waits_for_a_batch_goes_back_untried_when_the_subscription_stops() {
    let world = World::new();
    let (seen, mut batches) = mpsc::unbounded_channel();
    let work = async |_| {
        world.publish(1).await;
        super::support::eventually(async || world.in_flight("billing").await == 1).await;
    };
    world.run(Subscriptions::new(seen).on(on(Duration::from_secs(3_600)), note), work).await;
    assert!(batches.try_recv().is_err());
    assert_eq!(world.attempts("billing").await, [0]);
}
