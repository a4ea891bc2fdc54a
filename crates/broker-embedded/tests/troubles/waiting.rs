//! Members that wait: they sleep while there is nothing for them, and wake when there is, whoever else stops.

use std::time::Duration;

use futures_util::future::poll_immediate;
use mainspring_broker::{Limit, Order, Outcome, Sharing, SubscriptionSpec, Topology};

use crate::{
    clock::Counting,
    kit::{self, Member, order, sent, status, until_all_wait},
    store::Gate,
};

/// Long enough that looks at the clock are those of somebody who does not sleep.
const SELDOM: Duration = Duration::from_millis(50);

/// As the broker knew messages that it had not read, and had no room for them, it looked again at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_behind_a_full_window_sleeps() {
    let clock = Counting::new();
    let billing = kit::subscription("billing", "orders").order(Order::KeyBlocks);
    let topology = Topology::new().topic(kit::topic("orders")).subscription(billing);
    let broker = kit::open_at(kit::memory(), &topology, &clock, SELDOM).await;
    let mut member = Member::of(&broker, "billing").await;
    kit::all_sent(&broker, (0..1_500).map(|number| order(number.to_string()).key("k")).collect()).await;
    member.postpone_one().await;
    let waits = tokio::spawn(async move { member.deliveries.next(Limit::messages(1)).await.map(drop) });
    clock.until_seen().await;
    clock.assert_asleep().await;
    assert!(!waits.is_finished(), "nothing is there for it");
}

/// Its burial failed at once, and was tried again at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_message_that_no_place_takes_is_not_buried_again_at_once() {
    let clock = Counting::new();
    let topology = Topology::new()
        .topic(kit::topic("orders"))
        .topic(kit::topic("dead"))
        .subscription(kit::subscription("billing", "orders").dead_letter(kit::name("dead")));
    let broker = kit::open_at(kit::memory(), &topology, &clock, SELDOM).await;
    let spec = SubscriptionSpec::new(kit::group("billing")).lease(Duration::from_secs(5));
    let mut member = Member::with(&broker, spec).await;
    sent(&broker, order("1").expires_after(Duration::from_secs(10))).await;
    member.one().await;
    clock.advance(Duration::from_secs(20));
    kit::until(async || status(&broker).await.in_flight == 0).await;
    clock.assert_asleep().await;
    assert_eq!(status(&broker).await.lag, 1, "it stays");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_without_slices_sleeps() {
    let store = kit::memory();
    let billing = kit::subscription("billing", "orders").sharing(Sharing::Slices);
    let topology = Topology::new().topic(kit::topic("orders")).subscription(billing);
    let broker = kit::open(store.clone(), &topology).await;
    for number in 0..5 {
        sent(&broker, order(number.to_string())).await;
    }
    let clock = Counting::new();
    let broker = kit::open_at(store, &topology, &clock, SELDOM).await;
    let _owner = Member::of(&broker, "billing").await;
    let mut standby = Member::of(&broker, "billing").await;
    let waits = tokio::spawn(async move { standby.deliveries.next(Limit::messages(1)).await.map(drop) });
    clock.until_seen().await;
    clock.assert_asleep().await;
    assert!(!waits.is_finished(), "no slice is there for it");
}

/// Nobody went on reading where a member had stopped, and the others slept.
#[tokio::test]
async fn a_member_gets_what_another_stopped_reading() {
    let (store, gate) = Gate::before_a_store();
    sent(&kit::open(store.clone(), &kit::orders()).await, order("1")).await;
    let broker = kit::open(store, &kit::orders()).await;
    let mut first = Member::of(&broker, "billing").await;
    let mut second = Member::of(&broker, "billing").await;
    gate.hold_reads(true);
    let mut reads = first.deliveries.next(Limit::messages(1));
    assert!(poll_immediate(&mut reads).await.is_none());
    until_all_wait().await;
    let waits = tokio::spawn(async move { second.handle(1).await });
    until_all_wait().await;
    drop(reads);
    gate.hold_reads(false);
    assert_eq!(waits.await.unwrap(), ["1"]);
}

/// The broker woke whoever waited first, whether it was paused or not.
#[tokio::test]
async fn a_member_resumes_while_another_is_paused() {
    let store = kit::memory();
    sent(&kit::open(store.clone(), &kit::orders()).await, order("1")).await;
    let broker = kit::open(store, &kit::orders()).await;
    let mut first = Member::of(&broker, "billing").await;
    let mut second = Member::of(&broker, "billing").await;
    let (slice, settler) = ([kit::first_slice("orders")], second.settler.clone());
    first.settler.pause(&slice, true).await.unwrap();
    settler.pause(&slice, true).await.unwrap();
    let stays = tokio::spawn(async move { first.deliveries.next(Limit::messages(1)).await.map(drop) });
    let resumes = tokio::spawn(async move { second.handle(1).await });
    until_all_wait().await;
    settler.pause(&slice, false).await.unwrap();
    assert_eq!(resumes.await.unwrap(), ["1"]);
    assert!(!stays.is_finished(), "it is paused");
}

/// A message that was fetched for a call that was dropped waited for the next call of that member, for ever.
#[tokio::test]
async fn what_a_member_does_not_ask_for_again_goes_to_another() {
    let clock = Counting::new();
    let broker = kit::open_at(kit::memory(), &kit::orders(), &clock, Duration::from_millis(1)).await;
    let mut first = Member::of(&broker, "billing").await;
    let mut second = Member::of(&broker, "billing").await;
    let mut next = first.deliveries.next(Limit::messages(1));
    assert!(poll_immediate(&mut next).await.is_none());
    sent(&broker, order("1")).await;
    until_all_wait().await;
    drop(next);
    let waits = tokio::spawn(async move { second.handle(1).await });
    until_all_wait().await;
    assert!(!waits.is_finished(), "the first may still ask for it");
    clock.advance(Duration::from_secs(31));
    assert_eq!(waits.await.unwrap(), ["1"]);
}

/// Its body is read again before what was sent after it is delivered, or it would never come where there is always more.
#[tokio::test]
async fn a_message_whose_time_has_come_is_not_starved_by_newer_ones() {
    let clock = Counting::new();
    let broker = kit::open_at(kit::memory(), &kit::orders(), &clock, Duration::from_millis(1)).await;
    let mut member = Member::of(&broker, "billing").await;
    sent(&broker, order("again")).await;
    member.postpone_one().await;
    sent(&broker, order("new")).await;
    clock.advance(Duration::from_secs(4_000));
    clock.until_seen().await;
    for _ in 0..20 {
        sent(&broker, order("new")).await;
        if member.handle(1).await == ["again"] {
            return;
        }
    }
    panic!("it never came");
}

/// What is sent while a settlement is synced had to wait for that. Here, time stands still while anything goes on.
#[tokio::test(start_paused = true)]
async fn a_settlement_that_nobody_waits_for_goes_with_what_is_sent_next() {
    let (store, gate) = Gate::before_a_store();
    let broker = kit::open(store, &kit::orders()).await;
    let mut member = Member::of(&broker, "billing").await;
    sent(&broker, order("1")).await;
    let delivery = member.one().await;
    let before = gate.passed();
    let settled = member.settler.settle(vec![(delivery.tag, Outcome::Ack)]);
    let (settled, ()) = tokio::join!(settled, async {
        until_all_wait().await;
        gate.assert_waiting(0);
        assert_eq!(gate.passed(), before, "it waits for company");
        sent(&broker, order("2")).await;
    });
    assert!(settled[0].is_ok());
    assert_eq!(gate.passed() - before, 1, "one append has both");
    // Where nothing is sent it does not wait for long.
    assert_eq!(member.handle(1).await, ["2"]);
    assert_eq!(status(&broker).await.lag, 0);
}

/// A settlement on which another delivery depends is written at once, and alone.
#[tokio::test]
async fn a_settlement_that_lets_others_go_on_waits_for_nothing() {
    let (store, gate) = Gate::before_a_store();
    let billing = kit::subscription("billing", "orders").order(Order::KeyBlocks);
    let broker = kit::open(store, &Topology::new().topic(kit::topic("orders")).subscription(billing)).await;
    kit::all_sent(&broker, vec![order("1").key("k"), order("2").key("k")]).await;
    let mut member = Member::of(&broker, "billing").await;
    let delivery = member.one().await;
    gate.hold_appends(true);
    let (settled, ()) = tokio::join!(member.settler.settle(vec![(delivery.tag, Outcome::Ack)]), async {
        until_all_wait().await;
        gate.assert_waiting(1);
        gate.hold_appends(false);
    });
    assert!(settled[0].is_ok());
    assert_eq!(member.handle(1).await, ["2"]);
}
