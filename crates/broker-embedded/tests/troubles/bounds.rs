//! Memory is bounded, and what nobody gets soon does not use it up.

use mainspring_broker::{Binding, Order, Subscription, Topology};

use crate::kit::{self, Member, message, order, sent};

/// More than the messages of a group may have in memory.
const MANY: usize = 40;

/// The paused slice had taken all the room.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_slice_does_not_stop_the_others() {
    let from = ["orders", "returns"].map(|topic| Binding::all(kit::name(topic)));
    let topics = Topology::new().topic(kit::topic("orders")).topic(kit::topic("returns"));
    let topology = topics.subscription(Subscription::new(kit::group("billing"), from));
    let broker = kit::open(kit::memory(), &topology).await;
    let mut member = Member::of(&broker, "billing").await;
    member.settler.pause(&[kit::first_slice("orders")], true).await.unwrap();
    for _ in 0..MANY {
        sent(&broker, order(kit::large())).await;
    }
    sent(&broker, message("returns", "small")).await;
    assert_eq!(member.handle(1).await, ["small"]);
}

/// What waits for another attempt had kept its bodies.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_wait_do_not_stop_an_unordered_group() {
    let broker = kit::open(kit::memory(), &kit::orders()).await;
    let mut member = Member::of(&broker, "billing").await;
    for _ in 0..MANY {
        sent(&broker, order(kit::large())).await;
        member.postpone_one().await;
    }
    sent(&broker, order("other")).await;
    assert_eq!(member.handle(1).await, ["other"]);
}

/// What is parked behind a message that waits had kept its bodies.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_parked_key_does_not_stop_others() {
    let billing = kit::subscription("billing", "orders").order(Order::KeyParks);
    let topology = Topology::new().topic(kit::topic("orders")).subscription(billing);
    let broker = kit::open(kit::memory(), &topology).await;
    let mut member = Member::of(&broker, "billing").await;
    for _ in 0..MANY {
        sent(&broker, order(kit::large()).key("k")).await;
    }
    member.postpone_one().await;
    sent(&broker, order("other").key("other")).await;
    assert_eq!(member.handle(1).await, ["other"]);
}
