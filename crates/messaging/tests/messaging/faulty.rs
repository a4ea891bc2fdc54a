//! A broker that does not take settlements at once, and says so.

use mainspring_broker::{SendError, SettleError};
use mainspring_messaging::{Delivered, RunError, Subscription, Subscriptions};
use mainspring_retry::{Failure, Retry};

use super::{
    double::Double,
    support::{Placed, World, run_on},
};

async fn fails(_: Delivered<Placed>) -> Result<(), Failure> {
    Err("no".into())
}

fn subscriptions() -> Subscriptions<()> {
    Subscriptions::new(()).on(Subscription::new("orders", "billing").retry(Retry::never()), fails)
}

#[tokio::test]
async fn a_settlement_that_did_not_happen_is_repeated_until_it_has() {
    let world = World::new();
    let not_moved = || SettleError::NotMoved(SendError::Throttled { after: None });
    let broker = Double::faulty(&world, vec![not_moved(), SettleError::Unknown("lost".into()), not_moved()]);
    let (metrics, result) = run_on(broker, subscriptions(), async |controls| {
        world.publish(17).await;
        world.until_lag("billing", 0).await;
        controls.metrics()
    })
    .await;
    result.unwrap();
    assert_eq!(metrics.unwrap()[0].repeated, 3);
    assert_eq!(world.dead_letters("billing").await.len(), 1);
}

#[tokio::test]
async fn a_settlement_that_will_never_happen_stops_the_subscription_and_loses_nothing() {
    let world = World::new();
    let broker = Double::faulty(&world, vec![SettleError::Refused { reason: "no place for dead letters".to_owned() }]);
    let (_, result) = run_on(broker, subscriptions(), async |_| {
        world.publish(17).await;
        std::future::pending::<()>().await;
    })
    .await;
    assert!(matches!(result, Err(RunError::Settle { source: SettleError::Refused { .. }, .. })), "{result:?}");
    assert_eq!((world.lag("billing").await, world.in_flight("billing").await), (1, 0));
}
