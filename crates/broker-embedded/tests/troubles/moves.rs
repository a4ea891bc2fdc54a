//! Seeks, purges and held keys: at once, without success, and after a restart.

use futures_util::future::poll_immediate;
use mainspring_broker::{
    Admin as _, Binding, Broker, Filter, MemoryBroker, Order, Outcome, Resume, Start, Subscription, Topology,
};
use mainspring_broker_embedded::EmbeddedBroker;
use tokio::{sync::mpsc, time::timeout};

use crate::{
    kit::{self, Member, admin, group, order, sent, status, until_all_wait},
    store::Gate,
};

/// A member that waits may get the message between the two; the second seek makes that delivery stale.
#[tokio::test]
async fn after_two_seeks_at_once_one_delivery_is_valid() {
    let store = kit::memory();
    let broker = kit::open(store.clone(), &kit::logged_orders()).await;
    sent(&broker, order("1")).await;
    let mut member = Member::of(&broker, "billing").await;
    assert_eq!(member.handle(1).await, ["1"]);
    let settler = member.settler.clone();
    let (comes, mut came) = mpsc::unbounded_channel();
    let taking = tokio::spawn(async move {
        loop {
            member.next(9).await.into_iter().for_each(|delivery| comes.send(delivery).expect("the test goes on"));
        }
    });
    until_all_wait().await;
    let (one, other) = tokio::join!(settler.seek(Start::Earliest), settler.seek(Start::Earliest));
    one.and(other).unwrap();
    let mut outcomes = Vec::new();
    while let Ok(Some(delivery)) = timeout(kit::SILENCE, came.recv()).await {
        outcomes.push((delivery.tag, Outcome::Ack));
    }
    let settled = settler.settle(outcomes).await;
    assert_eq!(settled.iter().filter(|settled| settled.is_ok()).count(), 1, "{settled:?}");
    kit::until(async || status(&broker).await.lag == 0).await;
    taking.abort();
    drop((broker, settler));
    assert_eq!(status(&kit::open(store, &kit::logged_orders()).await).await.lag, 0);
}

/// Whichever is first, the other begins where that has moved the group to.
#[tokio::test]
async fn after_a_seek_and_a_purge_at_once_each_message_comes_or_is_gone() {
    for purge_first in [false, true] {
        let broker = kit::open(kit::memory(), &kit::logged_orders()).await;
        let mut member = Member::of(&broker, "billing").await;
        kit::all_sent(&broker, (0..3).map(|number| order(number.to_string())).collect()).await;
        member.handle(3).await;
        let billing = group("billing");
        let (mut seek, mut purge) = (member.settler.seek(Start::Earliest), broker.purge(&billing));
        if purge_first {
            assert!(poll_immediate(&mut purge).await.is_none());
        } else {
            assert!(poll_immediate(&mut seek).await.is_none());
        }
        let (sought, purged) = tokio::join!(seek, purge);
        sought.unwrap();
        let lag = status(&broker).await.lag;
        assert_eq!(lag + purged.unwrap(), 3, "each is gone or still to come");
        member.handle(usize::try_from(lag).unwrap()).await;
        assert_eq!(status(&broker).await.lag, 0);
        member.assert_nothing_comes().await;
    }
}

/// A key that dead letters hold.
fn holding() -> Topology {
    let billing = kit::subscription("billing", "orders").order(Order::KeyBlocks).dead_letter(kit::name("dead"));
    let topology = Topology::new().topic(kit::topic("orders")).topic(kit::log("dead"));
    topology.subscription(billing.hold_after_dead_letter())
}

/// The message that held its key was delivered again.
#[tokio::test]
async fn a_purge_that_fails_changes_nothing() {
    let (store, gate) = Gate::before_a_store();
    let broker = kit::open(store, &holding()).await;
    let mut member = Member::of(&broker, "billing").await;
    sent(&broker, order("1").key("k")).await;
    member.give_up_one().await;
    gate.fail(0..1);
    broker.purge(&group("billing")).await.unwrap_err();
    member.assert_nothing_comes().await;
    assert_eq!(status(&broker).await.held_keys, 1);
    assert_eq!(broker.purge(&group("billing")).await.unwrap(), 1);
    assert_eq!(status(&broker).await.held_keys, 0);
}

/// Nobody has asked for messages since, so the one that holds the key is in the store only.
#[tokio::test]
async fn a_held_key_is_resumed_after_a_restart() {
    let store = kit::memory();
    let broker = kit::open(store.clone(), &holding()).await;
    sent(&broker, order("1").key("k")).await;
    Member::of(&broker, "billing").await.give_up_one().await;
    let broker = kit::open(store, &holding()).await;
    assert_eq!(status(&broker).await.held_keys, 1);
    admin(&broker).resume(&group("billing"), b"k", Resume::Resubmit).await.unwrap();
    assert_eq!(Member::of(&broker, "billing").await.handle(1).await, ["1"]);
}

/// The seek had taken out of memory what was being settled, and brought it back.
#[tokio::test]
async fn a_seek_that_fails_gives_nothing_settled_again() {
    let (store, gate) = Gate::before_a_store();
    let broker = kit::open(store, &kit::logged_orders()).await;
    let mut member = Member::of(&broker, "billing").await;
    sent(&broker, order("1")).await;
    let delivery = member.one().await;
    gate.hold_appends(true);
    let (settled, sought, ()) = tokio::join!(
        member.settler.settle(vec![(delivery.tag, Outcome::Ack)]),
        async {
            gate.until_waiting(1).await;
            member.settler.seek(Start::Earliest).await
        },
        async {
            gate.until_waiting(2).await;
            gate.fail(1..2);
            gate.hold_appends(false);
        }
    );
    settled[0].as_ref().unwrap();
    sought.unwrap_err();
    member.assert_nothing_comes().await;
    assert_eq!(status(&broker).await.lag, 0);
    sent(&broker, order("2")).await;
    assert_eq!(member.handle(1).await, ["2"]);
}

#[tokio::test]
async fn a_seek_beyond_the_end_skips_nothing_that_comes() {
    let embedded = EmbeddedBroker::open(kit::memory()).await.unwrap();
    let brokers: [&dyn Broker; 2] = [&MemoryBroker::new(), &embedded];
    for broker in brokers {
        kit::create(broker, &kit::logged_orders()).await;
        let mut member = Member::of(broker, "billing").await;
        member.settler.seek(Start::Offsets(vec![(kit::first_slice("orders"), 100)])).await.unwrap();
        sent(broker, order("1")).await;
        assert_eq!(member.handle(1).await, ["1"]);
    }
}

/// What the group had not wanted was taken off the lag, though it was purged.
#[tokio::test]
async fn after_a_purge_the_lag_is_what_came_since() {
    let embedded = EmbeddedBroker::open(kit::memory()).await.unwrap();
    let brokers: [&dyn Broker; 2] = [&MemoryBroker::new(), &embedded];
    let paid = Binding { from: kit::name("orders"), filter: Filter::Direct("paid".into()) };
    let billing = Subscription::new(group("billing"), [paid]);
    for broker in brokers {
        kit::create(broker, &Topology::new().topic(kit::log("orders")).subscription(billing.clone())).await;
        kit::all_sent(broker, (0..10).map(|_| order("placed")).collect()).await;
        admin(broker).purge(&group("billing")).await.unwrap();
        kit::all_sent(broker, (0..5).map(|_| order("paid").routed_by("paid")).collect()).await;
        assert_eq!(status(broker).await.lag, 5);
    }
}
