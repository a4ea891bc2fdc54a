//! What the tests share: a broker, events, and waiting for conditions.

use std::{future::Future, sync::Arc, time::Duration};

use jiff::Timestamp;
use mainspring_broker::{Broker, DeadLetter, Group, MemoryBroker};
use mainspring_conformance::ManualClock;
use mainspring_event::Event;
use mainspring_messaging::{Controls, Publisher, RunError, Subscriptions};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Event)]
#[event(crate = mainspring_event)]
pub(crate) struct Placed {
    pub(crate) order: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Event)]
#[event(crate = mainspring_event)]
pub(crate) struct Shipped {
    pub(crate) order: u64,
}

/// Longer than anything here takes, and shorter than anybody waits.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) struct World {
    pub(crate) broker: Arc<MemoryBroker>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) publisher: Publisher,
}

impl World {
    /// A broker whose time is moved by the test.
    pub(crate) fn new() -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::UNIX_EPOCH));
        Self::of(MemoryBroker::with_clock(clock.clone()), clock)
    }

    pub(crate) fn of(broker: MemoryBroker, clock: Arc<ManualClock>) -> Self {
        let broker = Arc::new(broker);
        Self { publisher: Publisher::new(broker.clone()), broker, clock }
    }

    /// Runs subscriptions until `work` is done; they must not fail.
    pub(crate) async fn run<S, T, F: Future<Output = T>>(
        &self,
        subscriptions: Subscriptions<S>,
        work: impl FnOnce(Controls) -> F,
    ) -> T {
        let (done, result) = run_on(self.broker.clone(), subscriptions, work).await;
        result.unwrap();
        done.unwrap()
    }

    pub(crate) async fn publish(&self, order: u64) {
        self.publisher.publish("orders", &Placed { order }).key(order).await.unwrap();
    }

    /// How many messages the group has not settled.
    pub(crate) async fn lag(&self, group: &str) -> u64 {
        let groups = self.broker.admin().unwrap().groups().await.unwrap();
        groups.iter().find(|status| status.group.as_str() == group).unwrap().lag
    }

    pub(crate) async fn in_flight(&self, group: &str) -> u64 {
        let groups = self.broker.admin().unwrap().groups().await.unwrap();
        groups.iter().find(|status| status.group.as_str() == group).unwrap().in_flight
    }

    /// How often what is not settled was tried.
    pub(crate) async fn attempts(&self, group: &str) -> Vec<u32> {
        let pending = self.broker.admin().unwrap().browse(&group.parse().unwrap(), 1_000).await.unwrap();
        pending.iter().map(|pending| pending.attempts).collect()
    }

    pub(crate) async fn until_nobody_holds(&self, group: &str) {
        eventually(async || self.in_flight(group).await == 0).await;
    }

    /// Until whoever waits for the broker has looked at it several times.
    pub(crate) async fn until_looked(&self) {
        let mut looks = tokio::time::interval(Duration::from_millis(5));
        for _ in 0..5 {
            looks.tick().await;
        }
    }

    pub(crate) async fn until_lag(&self, group: &str, lag: u64) {
        eventually(async || self.lag(group).await == lag).await;
    }

    pub(crate) async fn dead_letters(&self, group: &str) -> Vec<DeadLetter> {
        let group: Group = format!("{group}.dead").parse().unwrap();
        let pending = self.broker.admin().unwrap().browse(&group, 1_000).await.unwrap();
        pending.iter().map(|pending| DeadLetter::read(&pending.message).unwrap()).collect()
    }
}

/// Runs subscriptions until `work` is done, or until they fail.
pub(crate) async fn run_on<S, T, F: Future<Output = T>>(
    broker: Arc<dyn Broker>,
    subscriptions: Subscriptions<S>,
    work: impl FnOnce(Controls) -> F,
) -> (Option<T>, Result<(), RunError>) {
    let (controls, runner) = subscriptions.prepare(broker).await.unwrap();
    let mut done = None;
    let stop = async { done = Some(in_time(work(controls)).await) };
    let result = in_time(runner.run(stop)).await;
    (done, result)
}

/// Waits for `future`, not for ever.
#[track_caller]
pub(crate) fn in_time<T>(future: impl Future<Output = T>) -> impl Future<Output = T> {
    let caller = std::panic::Location::caller();
    async move { tokio::time::timeout(DEADLINE, future).await.unwrap_or_else(|_| panic!("too late: {caller}")) }
}

/// Waits until `condition` holds.
#[track_caller]
pub(crate) fn eventually(mut condition: impl AsyncFnMut() -> bool) -> impl Future<Output = ()> {
    let caller = std::panic::Location::caller();
    async move {
        let mut looks = tokio::time::interval(Duration::from_millis(2));
        let held = async {
            while !condition().await {
                looks.tick().await;
            }
        };
        tokio::time::timeout(DEADLINE, held).await.unwrap_or_else(|_| panic!("never: {caller}"));
    }
}
