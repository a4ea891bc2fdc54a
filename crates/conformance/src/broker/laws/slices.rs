//! Law 4 for slices: each belongs to one member, and changes hands without anybody losing or doubling anything.

use std::collections::BTreeSet;

use mainspring_broker::{
    Delivery, Message, Next, Order, Outcome, Sharing, Slice, Subscription, SubscriptionSpec, partition_of,
};

use crate::broker::{
    Backend,
    consumer::{Consumer, MANY},
    sample::{BILLING, billing, bodies, group, keyed, order, orders, sent, slice, with_log},
    subject::Subject,
};

fn shared() -> Subscription {
    billing().sharing(Sharing::Slices).order(Order::KeyBlocks)
}

/// So many orders in one slice, each with a key of its own.
fn in_slice(partition: u32, partitions: u32, count: usize) -> Vec<Message> {
    let keys = (0..).map(|number: u32| number.to_string());
    let keys = keys.filter(|key| partition_of(key.as_bytes(), partitions) == partition);
    keys.take(count).map(|key| order(&key).key(key)).collect()
}

/// A group of two slices whose two members have one each.
async fn two_members(backend: &dyn Backend) -> (Subject, Consumer, Consumer) {
    let subject = Subject::with(backend, &with_log(2, [shared()])).await;
    let mut first = subject.member().await;
    assert_eq!(first.assigned().await.into_iter().collect::<BTreeSet<_>>(), [slice(0), slice(1)].into());
    let mut second = subject.member().await;
    let handover = first.revoked().await;
    assert_eq!(handover.slices().len(), 1, "a second member takes its part and no more");
    assert!(handover.deadline() > subject.now(), "there is time to hand over");
    let moved = handover.slices().to_vec();
    handover.complete();
    assert_eq!(second.assigned().await, moved);
    (subject, first, second)
}

/// Where keys go is where Kafka's Java client puts them.
pub(crate) async fn a_key_belongs_to_the_slice_of_its_murmur2(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_log(8, [billing()])).await;
    let keys = ["21:", "foobar:", "a-little-bit-long-string:", "abc:", "order-17:"];
    subject.stored(keyed(&keys)).await;
    for delivery in subject.member().await.take(keys.len()).await {
        let key = delivery.message.key.as_ref().expect("each order has a key");
        if let Some(place) = &delivery.place {
            assert_eq!(place.slice.partition, partition_of(key, 8), "{key:?}");
        }
    }
}

/// The only member has all slices, and is told so before anything else.
pub(crate) async fn a_single_member_has_every_slice(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_log(3, [shared()])).await;
    subject.stored(orders(12)).await;
    let mut member = subject.member().await;
    assert_eq!(member.assigned().await.into_iter().collect::<BTreeSet<Slice>>(), (0..3).map(slice).collect());
    let mut delivered = member.handle(12).await;
    delivered.sort_by_key(|body| body.parse::<u64>().expect("laws count orders"));
    assert_eq!(delivered, sent(&orders(12)));
}

/// Each slice is delivered to its owner only.
pub(crate) async fn a_slice_is_delivered_to_its_owner_only(backend: &dyn Backend) {
    let (subject, mut first, mut second) = two_members(backend).await;
    subject.stored(in_slice(0, 2, 10).into_iter().chain(in_slice(1, 2, 10))).await;
    let (of_first, of_second) = (first.take(10).await, second.take(10).await);
    let slices = |deliveries: &[Delivery]| {
        let keys = deliveries.iter().filter_map(|delivery| delivery.message.key.clone());
        keys.map(|key| partition_of(&key, 2)).collect::<BTreeSet<_>>()
    };
    assert!(slices(&of_first).is_disjoint(&slices(&of_second)), "a slice was delivered to two members");
    first.gets_nothing().await;
    second.gets_nothing().await;
}

/// A member too many is idle, and takes over when another one ends.
pub(crate) async fn a_member_too_many_is_idle_until_another_ends(backend: &dyn Backend) {
    let (subject, first, second) = two_members(backend).await;
    let mut idle = subject.member().await;
    subject.stored(in_slice(0, 2, 3)).await;
    idle.gets_nothing().await;
    subject.crash(first).await;
    subject.crash(second).await;
    subject.pass(5).await;
    let mut taken = BTreeSet::new();
    while taken.len() < 2 {
        taken.extend(idle.assigned().await);
    }
    assert_eq!(bodies(&idle.take(3).await), sent(&in_slice(0, 2, 3)));
}

/// A member that stops asking gives its slices up, and can settle what it holds of them.
pub(crate) async fn a_member_that_stops_asking_gives_its_slices_up(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_log(1, [shared()])).await;
    let mut leaving = subject.member().await;
    leaving.assigned().await;
    subject.stored(in_slice(0, 1, 4)).await;
    let held = leaving.take(2).await;
    let mut staying = subject.member().await;
    staying.gets_nothing().await;
    let settler = leaving.settler.clone();
    drop(leaving.deliveries);
    assert_eq!(staying.assigned().await, [slice(0)]);
    let outcome = (held[0].tag, Outcome::Ack);
    assert!(settler.settle(vec![outcome]).await[0].is_ok(), "what it holds is its own to settle");
    assert_eq!(bodies(&staying.take(2).await), sent(&in_slice(0, 1, 4))[2..]);
    drop(settler);
    subject.pass(5).await;
    let again = staying.take(3).await;
    assert!(bodies(&again).contains(&bodies([&held[1]])[0]), "what it had not settled comes back");
}

/// While a slice is handed over, nothing more of it is delivered; what is held can be settled; what is not is tried again.
pub(crate) async fn nothing_is_delivered_of_a_slice_that_is_handed_over(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_log(2, [shared()])).await;
    let mut first = subject.member().await;
    first.assigned().await;
    subject.stored(in_slice(0, 2, 2).into_iter().chain(in_slice(1, 2, 2))).await;
    let held = first.take(4).await;
    let mut second = subject.member().await;
    let handover = first.revoked().await;
    let partition = handover.slices()[0].partition;
    let is_moving =
        |delivery: &&Delivery| delivery.message.key.as_ref().is_some_and(|key| partition_of(key, 2) == partition);
    let moving: Vec<_> = held.iter().filter(is_moving).collect();
    let more = in_slice(partition, 2, 3);
    subject.stored([more[2].clone()]).await;
    first.gets_nothing().await;
    second.gets_nothing().await;
    first.ack(moving[0]).await;
    handover.complete();
    first.assert_stale(moving[1]).await;
    assert_eq!(second.assigned().await, [slice(partition)]);
    let delivered = second.take(2).await;
    assert_eq!(bodies(&delivered), sent(&more)[1..]);
    assert_eq!(delivered.iter().map(|delivery| delivery.attempt).collect::<Vec<_>>(), [2, 1]);
}

/// A slice that is not handed over in time is lost, with what its owner holds of it; completing it later does nothing.
pub(crate) async fn a_handover_ends_at_its_deadline(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_log(2, [shared()])).await;
    let long = SubscriptionSpec::new(group(BILLING)).lease(subject.units(60));
    let mut slow = subject.joins(long).await;
    slow.assigned().await;
    subject.stored(in_slice(0, 2, 1).into_iter().chain(in_slice(1, 2, 1))).await;
    let held = slow.take(2).await;
    let mut quick = subject.member().await;
    let handover = slow.revoked().await;
    while subject.now() < handover.deadline() {
        subject.pass(1).await;
    }
    let lost = slow.next(MANY).await;
    assert!(matches!(&lost, Next::Lost(slices) if slices == handover.slices()), "{lost:?}");
    assert_eq!(quick.assigned().await, handover.slices());
    let again = quick.one().await;
    let stale = held.iter().find(|delivery| delivery.message == again.message).expect("it was held before");
    slow.assert_stale(stale).await;
    drop(handover);
    quick.ack(&again).await;
    quick.gets_nothing().await;
}
