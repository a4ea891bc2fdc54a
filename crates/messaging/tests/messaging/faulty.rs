//! A broker that does not take settlements at once, and says so.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use mainspring_broker::{
    Admin, Broker, BrokerError, Capabilities, CommitError, Confirmations, Deliveries, DeliveryTag, Destination, Drift,
    Ensure, Message, Outcome, Receipt, SendError, SettleError, Settler, Slice, Start, SubscriptionSpec, Topology,
};
use mainspring_messaging::{Delivered, RunError, Subscription, Subscriptions};
use mainspring_retry::{Failure, Retry};

use super::support::{Placed, World, run_on};

/// Answers the next settlements with these errors instead of settling; then it is an ordinary broker.
struct Faulty {
    inner: Arc<dyn Broker>,
    errors: Arc<Mutex<Vec<SettleError>>>,
}

struct FaultySettler {
    inner: Arc<dyn Settler>,
    errors: Arc<Mutex<Vec<SettleError>>>,
}

#[async_trait]
impl Broker for Faulty {
    async fn ensure(&self, topology: &Topology, mode: Ensure) -> Result<Vec<Drift>, BrokerError> {
        self.inner.ensure(topology, mode).await
    }

    async fn capabilities(&self, of: &Destination) -> Result<Capabilities, BrokerError> {
        self.inner.capabilities(of).await
    }

    async fn send(&self, batch: Vec<Message>) -> Result<Confirmations, SendError> {
        self.inner.send(batch).await
    }

    async fn subscribe(&self, spec: SubscriptionSpec) -> Result<(Box<dyn Deliveries>, Arc<dyn Settler>), BrokerError> {
        let (deliveries, inner) = self.inner.subscribe(spec).await?;
        Ok((deliveries, Arc::new(FaultySettler { inner, errors: self.errors.clone() })))
    }

    fn admin(&self) -> Option<&dyn Admin> {
        self.inner.admin()
    }

    async fn close(&self, deadline: Instant) -> Result<(), BrokerError> {
        self.inner.close(deadline).await
    }
}

#[async_trait]
impl Settler for FaultySettler {
    async fn settle(&self, outcomes: Vec<(DeliveryTag, Outcome)>) -> Vec<Result<(), SettleError>> {
        let mut answers = Vec::new();
        for outcome in outcomes {
            let error = self.errors.lock().unwrap().pop();
            match error {
                Some(error) => answers.push(Err(error)),
                None => answers.extend(self.inner.settle(vec![outcome]).await),
            }
        }
        answers
    }

    async fn extend(&self, tags: &[DeliveryTag], by: Duration) -> Vec<Result<(), SettleError>> {
        self.inner.extend(tags, by).await
    }

    async fn commit(
        &self,
        outcomes: Vec<(DeliveryTag, Outcome)>,
        out: Vec<Message>,
    ) -> Result<Vec<Receipt>, CommitError> {
        self.inner.commit(outcomes, out).await
    }

    async fn seek(&self, to: Start) -> Result<(), BrokerError> {
        self.inner.seek(to).await
    }

    async fn pause(&self, slices: &[Slice], paused: bool) -> Result<(), BrokerError> {
        self.inner.pause(slices, paused).await
    }

    async fn close(&self, deadline: Instant) -> Result<(), BrokerError> {
        self.inner.close(deadline).await
    }
}

async fn fails(_: Delivered<Placed>) -> Result<(), Failure> {
    Err("no".into())
}

fn subscriptions() -> Subscriptions<()> {
    Subscriptions::new(()).on(Subscription::new("orders", "billing").retry(Retry::never()), fails)
}

fn faulty(world: &World, errors: Vec<SettleError>) -> Arc<Faulty> {
    Arc::new(Faulty { inner: world.broker.clone(), errors: Arc::new(Mutex::new(errors)) })
}

#[tokio::test]
async fn a_settlement_that_did_not_happen_is_repeated_until_it_has() {
    let world = World::new();
    let not_moved = || SettleError::NotMoved(SendError::Throttled { after: None });
    let broker = faulty(&world, vec![not_moved(), SettleError::Unknown("lost".into()), not_moved()]);
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
    let broker = faulty(&world, vec![SettleError::Refused { reason: "no place for dead letters".to_owned() }]);
    let (_, result) = run_on(broker, subscriptions(), async |_| {
        world.publish(17).await;
        std::future::pending::<()>().await;
    })
    .await;
    assert!(matches!(result, Err(RunError::Settle { source: SettleError::Refused { .. }, .. })), "{result:?}");
    assert_eq!((world.lag("billing").await, world.in_flight("billing").await), (1, 0));
}
