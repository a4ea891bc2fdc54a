//! Costs that must not grow with what was before, nor faster than a batch does. What is compared is the quickest of many
//! attempts, with much room, so that a machine under load changes nothing.

use std::time::{Duration, Instant};

use mainspring_broker::{Broker, Limit, Message, Next, Order, Outcome, Topology};
use mainspring_broker_embedded::EmbeddedBroker;

use crate::kit::{self, Member, order, sent};

async fn with_keys(kept: Order) -> EmbeddedBroker {
    let billing = kit::subscription("billing", "orders").order(kept);
    kit::open(kit::memory(), &Topology::new().topic(kit::topic("orders")).subscription(billing)).await
}

fn keyed(count: usize) -> Vec<Message> {
    (0..count).map(|number| order("").key(number.to_string())).collect()
}

/// The quickest way of a message of a new key to its member and back. Another one is always left, so that no settlement
/// waits for company.
async fn quickest(broker: &EmbeddedBroker, member: &mut Member, name: &str) -> Duration {
    let mut quickest = Duration::MAX;
    sent(broker, order("").key(name.to_owned())).await;
    for number in 0..50 {
        let start = Instant::now();
        sent(broker, order("").key(format!("{name}-{number}"))).await;
        member.handle(1).await;
        quickest = quickest.min(start.elapsed());
    }
    member.handle(1).await;
    quickest
}

async fn check_keys(kept: Order) {
    let broker = with_keys(kept).await;
    let mut member = Member::of(&broker, "billing").await;
    let before = quickest(&broker, &mut member, "before").await;
    for batch in keyed(20_000).chunks(2_000) {
        kit::all_sent(&broker, batch.to_vec()).await;
        member.handle(batch.len()).await;
    }
    let after = quickest(&broker, &mut member, "after").await;
    assert!(after < before * 8, "{before:?} before 20,000 keys, {after:?} after them");
}

/// Each message looked at every session there had been.
#[tokio::test]
async fn a_message_does_not_cost_more_after_many_sessions() {
    check_keys(Order::Sessions).await;
}

#[tokio::test]
async fn a_message_does_not_cost_more_after_many_keys() {
    check_keys(Order::KeyBlocks).await;
}

/// A message on its way to a member that waits for it is chosen among all others of its batch.
#[tokio::test]
async fn a_large_batch_costs_no_more_where_a_member_waits_for_it() {
    const BATCH: usize = 1_000;
    let broker = with_keys(Order::KeyBlocks).await;
    let mut member = Member::of(&broker, "billing").await;
    let (mut waiting, mut asking) = (Duration::MAX, Duration::MAX);
    for _ in 0..5 {
        let batch = keyed(BATCH);
        let start = Instant::now();
        kit::all_sent(&broker, batch).await;
        let came = member.next(BATCH).await;
        asking = asking.min(start.elapsed());
        assert_eq!(came.len(), BATCH);
        member.settle(&came, Outcome::Ack).await;

        let batch = keyed(BATCH);
        let start = Instant::now();
        let (next, sent) = tokio::join!(member.deliveries.next(Limit::messages(BATCH)), broker.send(batch));
        waiting = waiting.min(start.elapsed());
        assert!(sent.unwrap().await.iter().all(Result::is_ok));
        let Next::Batch(came) = next.unwrap() else { panic!("messages must come") };
        assert_eq!(came.len(), BATCH);
        member.settle(&came, Outcome::Ack).await;
    }
    assert!(waiting < asking * 6, "{waiting:?} where the member waits, {asking:?} where it asks later");
}
