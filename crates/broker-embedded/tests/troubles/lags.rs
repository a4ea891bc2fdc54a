//! What time alone does to messages is seen in the lag of groups without members, as in the model.

use std::{sync::Arc, time::Duration};

use mainspring_broker::{Broker, Keep, MemoryBroker, Message, Topic, Topology};

use crate::{
    clock::Counting,
    kit::{self, admin, order, sent},
};

/// Sends one message to orders that are kept like this, and waits for the lags of billing and of the keeper of its dead
/// letters a while later.
async fn check(keep: Keep, message: Message, expected: [u64; 2]) {
    let topology = Topology::new()
        .topic(Topic { keep, ..kit::topic("orders") })
        .topic(kit::topic("dead"))
        .subscription(kit::subscription("billing", "orders").dead_letter(kit::name("dead")))
        .subscription(kit::subscription("keeper", "dead"));
    let clock = Counting::new();
    let embedded = kit::open_at(kit::memory(), &topology, &clock, Duration::from_millis(1)).await;
    let model = MemoryBroker::with_clock(Arc::clone(&clock) as Arc<_>);
    kit::create(&model, &topology).await;
    let brokers: [&dyn Broker; 2] = [&model, &embedded];
    for broker in brokers {
        sent(broker, message.clone()).await;
        assert_eq!(lags(broker).await, [1, 0]);
    }
    clock.advance(Duration::from_secs(100));
    for broker in brokers {
        kit::until(async || lags(broker).await == expected).await;
    }
}

async fn lags(broker: &dyn Broker) -> Vec<u64> {
    admin(broker).groups().await.expect("the broker is open").iter().map(|group| group.lag).collect()
}

#[tokio::test]
async fn what_a_log_has_removed_is_no_lag() {
    let keep = Keep::Log { max_age: Some(Duration::from_secs(10)), max_bytes: None };
    check(keep, order("1"), [0, 0]).await;
}

#[tokio::test]
async fn what_expires_without_a_member_becomes_a_dead_letter() {
    check(Keep::UntilSettled, order("1").expires_after(Duration::from_secs(10)), [0, 1]).await;
}
