//! Requests and their answers.

use std::{sync::Arc, time::Duration};

use mainspring_broker::Broker;
use mainspring_messaging::{
    Attempt, Delivered, Raw, Reply, RequestError, Requester, State, Subscription, Subscriptions,
};
use mainspring_retry::{Failure, Retry};
use tokio::sync::Semaphore;

use super::support::{DEADLINE, Placed, Shipped, World, eventually, in_time};

fn on() -> Subscription {
    Subscription::new("orders", "shipping").retry(Retry::times(1))
}

async fn ship(placed: Delivered<Placed>) -> Reply<Shipped> {
    Reply(Shipped { order: placed.event.order })
}

/// Runs the ones who answer and a requester until `work` is done.
async fn run<S>(world: &World, subscriptions: Subscriptions<S>, work: impl AsyncFnOnce(Requester)) {
    let (requester, replies) = Requester::connect(&world.publisher, "shop").await.unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let replies = tokio::spawn(replies.run(async {
        let _ = stopped.await;
    }));
    world.run(subscriptions, async |_| work(requester).await).await;
    drop(stop);
    in_time(replies).await.unwrap().unwrap();
}

#[tokio::test]
async fn each_of_a_thousand_gets_its_own_answer() {
    let world = World::new();
    run(&world, Subscriptions::new(()).on(on().concurrency(1_000), ship), async |requester| {
        let mut asking = tokio::task::JoinSet::new();
        for order in 0..1_000 {
            let requester = requester.clone();
            asking.spawn(async move {
                let request = requester.request::<Shipped>("orders", &Placed { order }).within(DEADLINE);
                assert_eq!(request.await.unwrap().event, Shipped { order });
            });
        }
        in_time(asking.join_all()).await;
        assert_eq!((requester.waiting(), requester.late()), (0, 0));
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_does_not_come_in_time_is_unknown_and_then_late() {
    async fn slow(placed: Delivered<Placed>, State(go): State<Arc<Semaphore>>) -> Reply<Shipped> {
        go.acquire().await.unwrap().forget();
        Reply(Shipped { order: placed.event.order })
    }
    let world = World::new();
    let go = Arc::new(Semaphore::new(0));
    run(&world, Subscriptions::new(go.clone()).on(on(), slow), async |requester| {
        let within = Duration::from_millis(20);
        let error = requester.request::<Shipped>("orders", &Placed { order: 1 }).within(within).await.unwrap_err();
        assert!(matches!(error, RequestError::Unknown { within: said } if said == within), "{error}");
        assert_eq!(requester.waiting(), 0);
        go.add_permits(1);
        eventually(async || requester.late() == 1).await;
    })
    .await;
}

#[tokio::test]
async fn a_request_is_tried_again_like_any_message_and_answered_once() {
    async fn second_time(placed: Delivered<Placed>, Attempt(attempt): Attempt) -> Result<Reply<Shipped>, Failure> {
        if attempt == 1 { Err("not yet".into()) } else { Ok(Reply(Shipped { order: placed.event.order })) }
    }
    let world = World::new();
    run(&world, Subscriptions::new(()).on(on(), second_time), async |requester| {
        let answer = requester.request::<Shipped>("orders", &Placed { order: 7 }).key(7).await.unwrap();
        assert_eq!(answer.event, Shipped { order: 7 });
        assert!(answer.metadata().unwrap().causation.is_some());
        world.until_lag("shipping", 0).await;
        assert_eq!(requester.late(), 0);
    })
    .await;
}

#[tokio::test]
async fn an_answer_of_another_type_is_an_error_and_one_that_nobody_asked_for_goes_nowhere() {
    let world = World::new();
    run(&world, Subscriptions::new(()).on(on(), ship), async |requester| {
        let error = requester.request::<Placed>("orders", &Placed { order: 7 }).await.unwrap_err();
        assert!(matches!(error, RequestError::Read(_)), "{error}");
        world.publish(8).await;
        world.until_lag("shipping", 0).await;
        let error = requester.request::<Shipped>("nowhere", &Placed { order: 7 }).await.unwrap_err();
        assert!(matches!(error, RequestError::Publish(_)), "{error}");
    })
    .await;
    assert_eq!(world.dead_letters("shipping").await, []);
}

#[tokio::test]
async fn two_instances_get_their_own_answers_and_a_name_can_be_used_again() {
    let world = World::new();
    let (_, runner) = Subscriptions::new(()).on(on(), ship).prepare(world.broker.clone()).await.unwrap();
    let all = async {
        for _ in 0..2 {
            let (one, of_one) = Requester::connect_as(&world.publisher, "shop", "one").await.unwrap();
            let (two, of_two) = Requester::connect_as(&world.publisher, "shop", "two").await.unwrap();
            let asking = async {
                for order in 0..10 {
                    for requester in [&one, &two] {
                        let answer = requester.request::<Shipped>("orders", &Placed { order }).await.unwrap();
                        assert_eq!(answer.event, Shipped { order });
                    }
                }
            };
            tokio::select! {
                () = asking => {}
                ended = of_one.run(std::future::pending()) => panic!("{ended:?}"),
                ended = of_two.run(std::future::pending()) => panic!("{ended:?}"),
            }
            assert_eq!((one.late(), two.late()), (0, 0));
        }
    };
    in_time(runner.run(all)).await.unwrap();
}

#[tokio::test]
async fn whoever_waits_is_told_when_the_broker_is_lost() {
    async fn never(_: Raw) {
        std::future::pending().await
    }
    let world = World::new();
    let (requester, replies) = Requester::connect(&world.publisher, "shop").await.unwrap();
    drop(Subscriptions::new(()).on(on(), never).prepare(world.broker.clone()).await.unwrap());
    let replies = tokio::spawn(replies.run(std::future::pending()));
    let asking = tokio::spawn({
        let requester = requester.clone();
        async move { requester.request::<Shipped>("orders", &Placed { order: 7 }).within(DEADLINE).await }
    });
    eventually(async || world.lag("shipping").await == 1).await;
    world.broker.close(std::time::Instant::now()).await.unwrap();
    in_time(replies).await.unwrap().unwrap_err();
    let error = in_time(asking).await.unwrap().unwrap_err();
    assert!(matches!(error, RequestError::Closed), "{error}");
    let error = requester.request::<Shipped>("orders", &Placed { order: 7 }).await.unwrap_err();
    assert!(matches!(error, RequestError::Closed), "{error}");
}
