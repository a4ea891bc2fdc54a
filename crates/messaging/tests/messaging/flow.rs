//! How many at once, how fast, and for how long.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use mainspring_broker::Order;
use mainspring_messaging::{Attempt, Delivered, Settlement, State, Subscription, Subscriptions};
use mainspring_retry::{Failure, Retry};
use tokio::sync::{Semaphore, mpsc};
use tower::timeout::TimeoutLayer;

use super::{
    double::Double,
    support::{Placed, World, eventually, in_time, run_on},
};

fn on() -> Subscription {
    Subscription::new("orders", "billing")
}

/// How many handlers run, and how many may end.
#[derive(Clone, Default)]
struct Gauge(Arc<(AtomicUsize, AtomicUsize)>, Arc<Gate>);

struct Gate(Semaphore);

impl Default for Gate {
    fn default() -> Self {
        Self(Semaphore::new(0))
    }
}

impl Gauge {
    fn running(&self) -> usize {
        self.0.0.load(Ordering::SeqCst)
    }

    fn most(&self) -> usize {
        self.0.1.load(Ordering::SeqCst)
    }
}

async fn waits(_: Delivered<Placed>, State(gauge): State<Gauge>) {
    let running = gauge.0.0.fetch_add(1, Ordering::SeqCst) + 1;
    gauge.0.1.fetch_max(running, Ordering::SeqCst);
    gauge.1.0.acquire().await.unwrap().forget();
    gauge.0.0.fetch_sub(1, Ordering::SeqCst);
}

#[tokio::test]
async fn so_many_handlers_run_at_once_and_the_number_can_be_changed() {
    let world = World::new();
    let gauge = Gauge::default();
    let subscriptions = Subscriptions::new(gauge.clone()).on(on().concurrency(3).prefetch(20), waits);
    let work = async |controls: mainspring_messaging::Controls| {
        for order in 0..30 {
            world.publish(order).await;
        }
        eventually(async || gauge.running() == 3).await;
        controls.concurrency("billing", 7).unwrap();
        eventually(async || gauge.running() == 7).await;
        controls.concurrency("billing", 2).unwrap();
        gauge.1.0.add_permits(5);
        eventually(async || world.lag("billing").await == 25).await;
        world.until_looked().await;
        assert_eq!((gauge.running(), gauge.most()), (2, 7));
        controls.pause("billing").unwrap();
        gauge.1.0.add_permits(2);
        world.until_lag("billing", 23).await;
        world.until_looked().await;
        assert_eq!(gauge.running(), 0);
        controls.resume("billing").unwrap();
        gauge.1.0.add_permits(100);
        world.until_lag("billing", 0).await;
        assert!(controls.pause("shipping").is_err());
    };
    world.run(subscriptions, work).await;
    assert_eq!(gauge.most(), 7);
}

#[tokio::test]
async fn a_handler_may_take_longer_than_its_lease() {
    let world = World::new();
    let gauge = Gauge::default();
    let lease = Duration::from_millis(30);
    let subscriptions = Subscriptions::new(gauge.clone()).on(on().lease(lease), waits);
    let double = Double::faulty(&world, Vec::new());
    let (_, result) = run_on(double.clone(), subscriptions, async |controls| {
        world.publish(17).await;
        eventually(async || gauge.running() == 1).await;
        // It renews by the clock of the machine; the lease ends by the one that is moved here, after each renewal.
        for _ in 0..10 {
            let before = double.extended();
            eventually(async || double.extended() > before).await;
            world.clock.advance(lease - Duration::from_millis(1));
        }
        assert_eq!(gauge.most(), 1, "nobody else got it");
        gauge.1.0.add_permits(1);
        world.until_lag("billing", 0).await;
        assert_eq!(controls.metrics()[0].stale, 0);
    })
    .await;
    result.unwrap();
}

#[tokio::test]
async fn a_delivery_whose_lease_ran_out_is_settled_by_whoever_has_it_then() {
    async fn first_waits(_: Delivered<Placed>, Attempt(attempt): Attempt, State(gauge): State<Gauge>) {
        gauge.0.0.fetch_add(1, Ordering::SeqCst);
        if attempt == 1 {
            gauge.1.0.acquire().await.unwrap().forget();
        }
    }
    let world = World::new();
    let gauge = Gauge::default();
    let subscriptions = Subscriptions::new(gauge.clone()).on(on(), first_waits);
    let work = async |controls: mainspring_messaging::Controls| {
        world.publish(17).await;
        eventually(async || gauge.running() == 1).await;
        world.clock.advance(Duration::from_secs(60));
        eventually(async || gauge.running() == 2).await;
        world.until_lag("billing", 0).await;
        gauge.1.0.add_permits(1);
        eventually(async || controls.metrics()[0].stale == 1).await;
    };
    world.run(subscriptions, work).await;
    assert_eq!(world.dead_letters("billing").await, []);
}

#[tokio::test]
async fn a_layer_is_around_every_handler_and_its_error_is_a_failed_attempt() {
    async fn never(_: Delivered<Placed>) -> Result<(), Failure> {
        std::future::pending().await
    }
    let world = World::new();
    let subscriptions = Subscriptions::new(())
        .on(on().retry(Retry::times(1)), never)
        .layer(TimeoutLayer::new(Duration::from_millis(5)));
    let work = async |_| {
        world.publish(17).await;
        world.until_lag("billing", 0).await;
    };
    world.run(subscriptions, work).await;
    let dead = world.dead_letters("billing").await;
    assert_eq!((dead[0].reason.as_str(), dead[0].attempts), ("request timed out", 2));
}

#[tokio::test]
async fn a_layer_sees_what_is_handled_and_what_it_came_to() {
    let world = World::new();
    let (seen, mut groups) = mpsc::unbounded_channel();
    let seeing = tower::layer::layer_fn(move |route: mainspring_messaging::Route| {
        let seen = seen.clone();
        tower::service_fn(move |mut context: mainspring_messaging::Context| {
            let (mut route, seen) = (route.clone(), seen.clone());
            context.insert("left by a layer");
            async move {
                let group = context.group().to_string();
                let settlement = tower::Service::call(&mut route, context).await?;
                let acknowledged = matches!(settlement, Settlement::Outcome(mainspring_broker::Outcome::Ack));
                seen.send((group, acknowledged))?;
                Ok::<_, mainspring_retry::BoxError>(settlement)
            }
        })
    });
    async fn handle(_: Delivered<Placed>) {}
    let subscriptions = Subscriptions::new(()).on(on(), handle).layer(seeing);
    let work = async |_| {
        world.publish(17).await;
        assert_eq!(in_time(groups.recv()).await, Some(("billing".to_owned(), true)));
    };
    world.run(subscriptions, work).await;
}

#[tokio::test]
async fn a_rate_bounds_how_many_begin_within_a_time() {
    async fn handle(_: Delivered<Placed>, State(tried): State<mpsc::UnboundedSender<()>>) -> Result<(), Failure> {
        Ok(tried.send(())?)
    }
    let world = World::new();
    let (tried, mut began) = mpsc::unbounded_channel();
    let on = on().rate(5, Duration::from_secs(3_600)).order(Order::Unordered);
    let work = async |_| {
        for order in 0..9 {
            world.publish(order).await;
        }
        for _ in 0..5 {
            in_time(began.recv()).await.unwrap();
        }
        world.until_lag("billing", 4).await;
        world.until_looked().await;
        assert!(began.try_recv().is_err());
    };
    world.run(Subscriptions::new(tried).on(on, handle), work).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handlers_that_compute_for_long_share_the_processors() {
    async fn compute(_: Delivered<Placed>, State(gauge): State<Gauge>) {
        let running = gauge.0.0.fetch_add(1, Ordering::SeqCst) + 1;
        gauge.0.1.fetch_max(running, Ordering::SeqCst);
        let end = std::time::Instant::now() + Duration::from_millis(20);
        while std::time::Instant::now() < end && gauge.most() < 2 {
            std::hint::spin_loop();
        }
        gauge.0.0.fetch_sub(1, Ordering::SeqCst);
    }
    let world = World::new();
    let gauge = Gauge::default();
    let subscriptions = Subscriptions::new(gauge.clone()).on(on(), compute);
    let (controls, runner) = subscriptions.prepare(world.broker.clone()).await.unwrap();
    drop(controls);
    for order in 0..200 {
        world.publish(order).await;
    }
    in_time(runner.run(world.until_lag("billing", 0))).await.unwrap();
    assert_eq!(gauge.most(), 2, "two processors were at work at once");
}
