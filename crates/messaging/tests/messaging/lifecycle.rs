//! How subscriptions stop: asked to, in the middle of work, with slices taken away, and when the broker is lost.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use mainspring_broker::{Broker, BrokerError, Ensure, Sharing, Topic, Topology, partition_of};
use mainspring_messaging::{Delivered, RunError, State, Subscription, Subscriptions};
use mainspring_retry::Retry;
use tokio::sync::{Semaphore, mpsc, oneshot};

use super::support::{Placed, World, eventually, in_time, run_on};

fn on() -> Subscription {
    Subscription::new("orders", "billing")
}

#[tokio::test]
async fn handlers_are_waited_for_and_what_they_did_is_settled() {
    type Signals = (mpsc::UnboundedSender<u64>, Arc<Semaphore>);
    async fn waits(placed: Delivered<Placed>, State((began, go)): State<Signals>) {
        began.send(placed.event.order).unwrap();
        go.acquire().await.unwrap().forget();
    }
    let world = World::new();
    let (began, mut beginnings) = mpsc::unbounded_channel();
    let go = Arc::new(Semaphore::new(0));
    let subscriptions = Subscriptions::new((began, go.clone())).on(on().concurrency(2), waits);
    let (_, runner) = subscriptions.prepare(world.broker.clone()).await.unwrap();
    let (stop, stopped) = oneshot::channel();
    let running = tokio::spawn(runner.run(async {
        stopped.await.unwrap();
    }));
    for order in 0..5 {
        world.publish(order).await;
    }
    for _ in 0..2 {
        in_time(beginnings.recv()).await.unwrap();
    }
    stop.send(()).unwrap();
    world.until_looked().await;
    assert!(!running.is_finished(), "two handlers are at work");
    go.add_permits(5);
    in_time(running).await.unwrap().unwrap();
    assert!(beginnings.try_recv().is_err(), "nothing was begun after it was asked to stop");
    assert_eq!((world.lag("billing").await, world.in_flight("billing").await), (3, 0));
    let attempts = world.attempts("billing").await;
    assert_eq!(attempts, [0, 0, 0], "what was only fetched was not tried");
}

#[tokio::test]
async fn a_handler_that_does_not_end_in_time_is_dropped_and_its_message_comes_back() {
    struct Dropped(Arc<AtomicUsize>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    async fn never(
        _: Delivered<Placed>,
        State((began, dropped)): State<(mpsc::UnboundedSender<()>, Arc<AtomicUsize>)>,
    ) {
        let _dropped = Dropped(dropped);
        began.send(()).unwrap();
        std::future::pending().await
    }
    let world = World::new();
    let (began, mut beginnings) = mpsc::unbounded_channel();
    let dropped = Arc::new(AtomicUsize::new(0));
    let subscriptions = Subscriptions::new((began, dropped.clone())).on(on(), never).grace(Duration::from_millis(20));
    let work = async |_| {
        world.publish(17).await;
        in_time(beginnings.recv()).await.unwrap();
    };
    world.run(subscriptions, work).await;
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
    assert_eq!((world.lag("billing").await, world.in_flight("billing").await), (1, 0));
    assert_eq!(world.attempts("billing").await, [1], "it was tried, and not acknowledged");
}

#[tokio::test]
async fn a_lost_broker_ends_the_subscriptions_with_its_error_and_nothing_is_lost() {
    async fn handle(placed: Delivered<Placed>, State(handled): State<mpsc::UnboundedSender<u64>>) {
        handled.send(placed.event.order).unwrap();
    }
    let world = World::new();
    let (handled, mut orders) = mpsc::unbounded_channel();
    let subscriptions = || Subscriptions::new(handled.clone()).on(on(), handle);
    let mut restarted = None;
    let (_, result) = run_on(world.broker.clone(), subscriptions(), async |_| {
        world.publish(1).await;
        in_time(orders.recv()).await.unwrap();
        world.until_lag("billing", 0).await;
        restarted = Some(world.broker.restart());
        std::future::pending::<()>().await;
    })
    .await;
    let Err(RunError::Broker { group, source: BrokerError::Closed }) = result else { panic!("{result:?}") };
    assert_eq!(group.as_str(), "billing");

    let world = World::of(restarted.unwrap(), world.clock.clone());
    let work = async |_| {
        world.publish(2).await;
        assert_eq!(in_time(orders.recv()).await, Some(2));
    };
    world.run(subscriptions(), work).await;
}

#[tokio::test]
async fn slices_are_given_up_after_what_is_in_work_is_settled() {
    type Signals = (mpsc::UnboundedSender<u64>, Arc<Semaphore>);
    async fn waits(placed: Delivered<Placed>, State((began, go)): State<Signals>) {
        began.send(placed.event.order).unwrap();
        go.acquire().await.unwrap().forget();
    }
    let world = World::new();
    let topology = Topology::new().topic(Topic { partitions: 4, ..Topic::new("orders".parse().unwrap()) });
    world.broker.ensure(&topology, Ensure::Create).await.unwrap();
    let (began, mut beginnings) = mpsc::unbounded_channel();
    let go = Arc::new(Semaphore::new(0));
    let subscriptions = || {
        let on = on().sharing(Sharing::Slices).concurrency(100).retry(Retry::never());
        Subscriptions::new((began.clone(), go.clone())).on(on, waits)
    };
    let work = async |_| {
        for order in 0..40 {
            world.publish(order).await;
        }
        for _ in 0..40 {
            in_time(beginnings.recv()).await.unwrap();
        }
        // A second member gets half of the slices when the first has finished what it holds of them.
        let (_, second) = subscriptions().prepare(world.broker.clone()).await.unwrap();
        let second = second.run(async {
            world.until_looked().await;
            go.add_permits(1_000);
            world.until_lag("billing", 0).await;
            for order in 40..80 {
                world.publish(order).await;
            }
            for _ in 0..40 {
                in_time(beginnings.recv()).await.unwrap();
            }
            world.until_lag("billing", 0).await;
        });
        in_time(second).await.unwrap();
    };
    world.run(subscriptions(), work).await;
    assert_eq!(world.dead_letters("billing").await, [], "nothing was tried twice");
    assert!(beginnings.try_recv().is_err());
}

#[tokio::test]
async fn a_member_that_is_full_still_gives_slices_up() {
    type Signals = (mpsc::UnboundedSender<u64>, Arc<Semaphore>);
    async fn waits(placed: Delivered<Placed>, State((began, go)): State<Signals>) {
        began.send(placed.event.order).unwrap();
        go.acquire().await.unwrap().forget();
    }
    let world = World::new();
    let topology = Topology::new().topic(Topic { partitions: 4, ..Topic::new("orders".parse().unwrap()) });
    world.broker.ensure(&topology, Ensure::Create).await.unwrap();
    let (began, mut beginnings) = mpsc::unbounded_channel();
    let go = Arc::new(Semaphore::new(0));
    let subscriptions = || {
        let on = on().sharing(Sharing::Slices).concurrency(3);
        Subscriptions::new((began.clone(), go.clone())).on(on, waits)
    };
    // The first member keeps the first slices, and is full of messages of one of them.
    let of = |partition| (0..).filter(move |order: &u64| partition_of(order.to_string().as_bytes(), 4) == partition);
    let work = async |_| {
        for order in of(0).take(5) {
            world.publish(order).await;
        }
        for _ in 0..3 {
            in_time(beginnings.recv()).await.unwrap();
        }
        let (_, second) = subscriptions().prepare(world.broker.clone()).await.unwrap();
        let second = second.run(async {
            for order in of(3).take(3) {
                world.publish(order).await;
                assert_eq!(in_time(beginnings.recv()).await, Some(order));
            }
            go.add_permits(100);
            world.until_lag("billing", 0).await;
        });
        in_time(second).await.unwrap();
    };
    world.run(subscriptions(), work).await;
}

#[tokio::test]
async fn what_is_held_of_a_slice_that_was_lost_is_settled_by_its_next_holder() {
    type Signals = (mpsc::UnboundedSender<u32>, Arc<Semaphore>);
    async fn first_waits(placed: Delivered<Placed>, State((began, go)): State<Signals>) {
        began.send(placed.attempt()).unwrap();
        if placed.attempt() == 1 {
            go.acquire().await.unwrap().forget();
        }
    }
    let world = World::new();
    let topology = Topology::new().topic(Topic { partitions: 2, ..Topic::new("orders".parse().unwrap()) });
    world.broker.ensure(&topology, Ensure::Create).await.unwrap();
    let (began, mut attempts) = mpsc::unbounded_channel();
    let go = Arc::new(Semaphore::new(0));
    let subscriptions = || {
        let on = on().sharing(Sharing::Slices).lease(Duration::from_secs(3_600));
        Subscriptions::new((began.clone(), go.clone())).on(on, first_waits)
    };
    let work = async |controls: mainspring_messaging::Controls| {
        let of_last = (0..).find(|order: &u64| partition_of(order.to_string().as_bytes(), 2) == 1).unwrap();
        world.publish(of_last).await;
        assert_eq!(in_time(attempts.recv()).await, Some(1));
        let (_, second) = subscriptions().prepare(world.broker.clone()).await.unwrap();
        let second = second.run(async {
            world.until_looked().await;
            // Nobody waits for ever for a member that does not give up what it was asked for.
            world.clock.advance(Duration::from_secs(60));
            assert_eq!(in_time(attempts.recv()).await, Some(2));
            world.until_lag("billing", 0).await;
        });
        in_time(second).await.unwrap();
        go.add_permits(1);
        eventually(async || controls.metrics()[0].stale == 1).await;
    };
    world.run(subscriptions(), work).await;
    assert_eq!(world.dead_letters("billing").await, []);
}

#[tokio::test]
async fn the_first_subscription_that_ends_stops_the_others() {
    async fn handle(_: Delivered<Placed>) {}
    let world = World::new();
    let subscriptions = Subscriptions::new(())
        .on(on(), handle)
        .merge(Subscriptions::new(7_u32).on(Subscription::new("orders", "shipping"), handle));
    let (_, runner) = subscriptions.prepare(world.broker.clone()).await.unwrap();
    let running = tokio::spawn(runner.run(std::future::pending()));
    eventually(async || world.broker.admin().unwrap().groups().await.unwrap().len() == 4).await;
    world.broker.close(std::time::Instant::now()).await.unwrap();
    let error = in_time(running).await.unwrap().unwrap_err();
    assert!(matches!(error, RunError::Closed { .. } | RunError::Broker { .. }), "{error:?}");
}
