//! What becomes of messages whose handlers fail.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use mainspring_messaging::{Attempt, Delivered, State, Subscription, Subscriptions, Unknown};
use mainspring_retry::{Advise, Failure, Retry};
use tokio::sync::mpsc;

use super::support::{Placed, Shipped, World, eventually, in_time, run_on};

fn on() -> Subscription {
    Subscription::new("orders", "billing")
}

/// Fails until the attempt that the state says.
async fn fails_until(
    _: Delivered<Placed>,
    Attempt(attempt): Attempt,
    State((enough, tried)): State<(u32, mpsc::UnboundedSender<u32>)>,
) -> Result<(), Failure> {
    tried.send(attempt)?;
    if attempt < enough { Err(format!("attempt {attempt} failed").into()) } else { Ok(()) }
}

#[tokio::test]
async fn a_failed_message_is_tried_again_by_schedule_and_then_becomes_a_dead_letter() {
    let world = World::new();
    let (tried, mut attempts) = mpsc::unbounded_channel();
    let subscriptions = Subscriptions::new((9, tried)).on(on(), fails_until);
    let work = async |_| {
        world.publish(17).await;
        assert_eq!(in_time(attempts.recv()).await, Some(1));
        assert_eq!(in_time(attempts.recv()).await, Some(2), "the second attempt follows at once");
        for (attempt, wait) in [(3, 1), (4, 5), (5, 30), (6, 120)] {
            world.until_nobody_holds("billing").await;
            world.clock.advance(Duration::from_secs(wait) - Duration::from_millis(1));
            world.until_looked().await;
            assert!(attempts.try_recv().is_err(), "attempt {attempt} comes after {wait} s and not before");
            world.clock.advance(Duration::from_millis(1));
            assert_eq!(in_time(attempts.recv()).await, Some(attempt));
        }
        world.until_lag("billing", 0).await;
    };
    world.run(subscriptions, work).await;
    let dead = world.dead_letters("billing").await;
    assert_eq!((dead.len(), dead[0].reason.as_str(), dead[0].attempts), (1, "attempt 6 failed", 6));
}

#[tokio::test]
async fn a_message_that_succeeds_later_is_no_dead_letter() {
    let world = World::new();
    let (tried, mut attempts) = mpsc::unbounded_channel();
    let subscriptions = Subscriptions::new((3, tried)).on(on().retry(Retry::times(5)), fails_until);
    let metrics = world
        .run(subscriptions, async |controls| {
            world.publish(17).await;
            for attempt in 1..=3 {
                assert_eq!(in_time(attempts.recv()).await, Some(attempt));
            }
            world.until_lag("billing", 0).await;
            controls.metrics()
        })
        .await;
    let total = metrics[0].total();
    assert_eq!((total.succeeded, total.failed, total.dead_letters, total.seconds.count()), (1, 2, 0, 3));
    assert!(metrics[0].events.contains_key("Placed"));
    assert_eq!(world.dead_letters("billing").await, []);
}

#[tokio::test]
async fn a_permanent_failure_a_message_that_cannot_be_decoded_and_one_nobody_knows_are_dead_letters_at_once() {
    async fn refuse(_: Delivered<Placed>) -> Result<(), Failure> {
        "x".parse::<u8>().permanent()?;
        Ok(())
    }
    let world = World::new();
    let work = async |_| {
        world.publish(17).await;
        world.publisher.publish("orders", &Shipped { order: 18 }).await.unwrap();
        let broken = world.publisher.publish("orders", &Placed { order: 19 }).with(|message| message.body = "{".into());
        broken.await.unwrap();
        world.until_lag("billing", 0).await;
    };
    world.run(Subscriptions::new(()).on(on().concurrency(1), refuse), work).await;
    let dead = world.dead_letters("billing").await;
    let reasons: Vec<_> = dead.iter().map(|dead| (dead.reason.as_str(), dead.attempts)).collect();
    assert_eq!(reasons[0], ("invalid digit found in string", 1));
    assert_eq!(reasons[1], ("no handler here knows the event type `Shipped`", 1));
    assert!(reasons[2].0.starts_with("Placed version 1 does not have the shape of its type"), "{reasons:?}");
}

#[tokio::test]
async fn events_that_nobody_knows_can_be_ignored() {
    async fn handle(_: Delivered<Placed>) {}
    let world = World::new();
    let work = async |_| {
        world.publisher.publish("orders", &Shipped { order: 18 }).await.unwrap();
        world.until_lag("billing", 0).await;
    };
    world.run(Subscriptions::new(()).on(on().unknown(Unknown::Ignore), handle), work).await;
    assert_eq!(world.dead_letters("billing").await, []);
}

#[tokio::test]
async fn a_panic_is_a_failed_attempt() {
    async fn panics(placed: Delivered<Placed>) {
        assert!(placed.attempt() > 1, "not the first time");
        tokio::task::yield_now().await;
        assert!(placed.attempt() > 2, "not the second time, and after a wait");
        panic!("order {}", placed.event.order);
    }
    let world = World::new();
    let work = async |_| {
        world.publish(17).await;
        world.until_lag("billing", 0).await;
    };
    world.run(Subscriptions::new(()).on(on().retry(Retry::times(2)), panics), work).await;
    let dead = world.dead_letters("billing").await;
    assert_eq!((dead[0].reason.as_str(), dead[0].attempts), ("the handler panicked: order 17", 3));
}

#[tokio::test]
async fn a_message_that_ends_its_process_is_given_up_before_it_does_so_again() {
    async fn never(_: Delivered<Placed>, State(began): State<Arc<AtomicU32>>) {
        began.fetch_add(1, Ordering::SeqCst);
        std::future::pending().await
    }
    let world = World::new();
    let began = Arc::new(AtomicU32::new(0));
    let subscriptions = || Subscriptions::new(began.clone()).on(on().retry(Retry::times(2)), never);
    for crash in 1..=3 {
        let (_, runner) = subscriptions().prepare(world.broker.clone()).await.unwrap();
        let running = tokio::spawn(runner.run(std::future::pending()));
        if crash == 1 {
            world.publish(17).await;
        }
        eventually(async || began.load(Ordering::SeqCst) == crash).await;
        running.abort();
        assert!(running.await.unwrap_err().is_cancelled());
    }
    world.run(subscriptions(), async |_| world.until_lag("billing", 0).await).await;
    assert_eq!(began.load(Ordering::SeqCst), 3, "the handler does not run a fourth time");
    let dead = world.dead_letters("billing").await;
    assert!(dead[0].reason.starts_with("given up after 3 attempts"), "{}", dead[0].reason);
}

#[tokio::test]
async fn messages_of_a_key_stay_in_order_when_one_of_them_fails() {
    type Seen = Arc<Mutex<Vec<(u64, bool)>>>;
    async fn handle(placed: Delivered<Placed>, State(seen): State<Seen>) -> Result<(), Failure> {
        let fails = placed.event.order == 2 && placed.attempt() < 3;
        seen.lock().unwrap().push((placed.event.order, !fails));
        tokio::task::yield_now().await;
        if fails { Err("not yet".into()) } else { Ok(()) }
    }
    let world = World::new();
    let seen = Seen::default();
    let subscriptions = Subscriptions::new(seen.clone()).on(on().retry(Retry::times(5)), handle);
    let work = async |_| {
        for order in 1..=4 {
            world.publisher.publish("orders", &Placed { order }).key("one").await.unwrap();
        }
        world.until_lag("billing", 0).await;
    };
    world.run(subscriptions, work).await;
    let expected = [(1, true), (2, false), (2, false), (2, true), (3, true), (4, true)];
    assert_eq!(*seen.lock().unwrap(), expected);
}

#[tokio::test]
async fn many_failures_in_a_row_pause_the_subscription() {
    async fn down(_: Delivered<Placed>, State(tried): State<mpsc::UnboundedSender<()>>) -> Result<(), Failure> {
        tried.send(())?;
        Err("the other side is down".into())
    }
    let world = World::new();
    let (tried, mut attempts) = mpsc::unbounded_channel();
    let hour = Duration::from_secs(3_600);
    let on = on().concurrency(1).retry(Retry::times(1_000)).pause_after(3, hour);
    let (_, result) = run_on(world.broker.clone(), Subscriptions::new(tried).on(on, down), async |controls| {
        world.publish(17).await;
        for _ in 0..3 {
            in_time(attempts.recv()).await.unwrap();
        }
        eventually(async || controls.metrics()[0].pauses == 1).await;
        world.until_nobody_holds("billing").await;
        world.until_looked().await;
        assert!(attempts.try_recv().is_err(), "nothing is asked for while it pauses");
    })
    .await;
    result.unwrap();
    assert_eq!(world.lag("billing").await, 1);
}
