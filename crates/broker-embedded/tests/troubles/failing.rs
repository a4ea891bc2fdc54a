//! Appends that fail.

use std::time::Duration;

use mainspring_broker::{Broker, Outcome, SettleError, Topology};

use crate::{
    clock::Counting,
    kit::{self, Member, admin, order, sent, until_all_wait},
    store::Gate,
};

/// A broker that looks at the clock all the time.
const SOON: Duration = Duration::from_millis(1);

/// What waited behind the message that failed was stored.
#[tokio::test]
async fn no_later_message_of_a_key_is_stored_before_one_that_failed() {
    let (store, gate) = Gate::before_a_store();
    let broker = kit::open(store, &Topology::new().topic(kit::log("orders"))).await;
    assert!(broker.capabilities(&kit::name("orders")).await.unwrap().gapless);
    gate.hold_appends(true);
    let mut sending = Vec::new();
    for number in 0..5 {
        sending.push(broker.send(vec![order(number.to_string()).key("k")]).await.unwrap());
        until_all_wait().await;
    }
    gate.fail(0..1);
    gate.hold_appends(false);
    for confirmations in sending {
        confirmations.await[0].as_ref().unwrap_err();
    }
    assert_eq!(admin(&broker).topics().await.unwrap()[0].slices[0].next, 0, "nothing is stored");
    assert_eq!(sent(&broker, order("again").key("k")).await.place.unwrap().offset, 0);
}

/// The delivery was given back to a member whose time was over, and never ended again.
#[tokio::test]
async fn a_lease_that_ends_while_its_settlement_fails_has_ended() {
    let (store, gate) = Gate::before_a_store();
    let clock = Counting::new();
    let broker = kit::open_at(store, &kit::orders(), &clock, SOON).await;
    let mut member = Member::of(&broker, "billing").await;
    sent(&broker, order("1")).await;
    let delivery = member.one().await;
    gate.hold_appends(true);
    let (settled, ()) = tokio::join!(member.settler.settle(vec![(delivery.tag, Outcome::Ack)]), async {
        gate.until_waiting(1).await;
        clock.advance(Duration::from_secs(40));
        clock.until_seen().await;
        gate.fail(0..1);
        gate.hold_appends(false);
    });
    assert!(matches!(settled[..], [Err(SettleError::Failed(_))]), "{settled:?}");
    let again = member.settler.settle(vec![(delivery.tag, Outcome::Ack)]).await;
    assert!(matches!(again[..], [Err(SettleError::Stale)]), "{again:?}");
    assert_eq!(Member::of(&broker, "billing").await.handle(1).await, ["1"]);
}

/// Messages that are due were tried again at once, and again, for as long as the store failed.
#[tokio::test]
async fn a_store_that_fails_is_not_asked_again_at_once() {
    let (store, gate) = Gate::before_a_store();
    let clock = Counting::new();
    let broker = kit::open_at(store, &kit::orders(), &clock, SOON).await;
    sent(&broker, order("1").delay(Duration::from_secs(1))).await;
    let before = gate.passed();
    gate.fail(0..usize::MAX);
    clock.advance(Duration::from_secs(20));
    kit::until(async || gate.passed() > before).await;
    let before = gate.passed();
    kit::silence().await;
    let tried = gate.passed() - before;
    assert!(tried < 5, "{tried} attempts in {:?}", kit::SILENCE);
    gate.fail(0..0);
    assert_eq!(Member::of(&broker, "billing").await.handle(1).await, ["1"]);
}

/// For a member that waited, the attempt was written again at once, and again, for as long as the store failed.
#[tokio::test]
async fn a_store_that_fails_is_not_asked_for_attempts_at_once() {
    let (store, gate) = Gate::before_a_store();
    let broker = kit::open(store, &kit::orders()).await;
    sent(&broker, order("1")).await;
    let mut member = Member::of(&broker, "billing").await;
    let before = gate.passed();
    gate.fail(0..usize::MAX);
    member.assert_nothing_comes().await;
    let tried = gate.passed() - before;
    assert!((1..50).contains(&tried), "{tried} attempts in {:?}", kit::SILENCE);
    gate.fail(0..0);
    let delivery = member.one().await;
    assert_eq!((kit::body(&delivery).as_str(), delivery.attempt), ("1", 1));
}
