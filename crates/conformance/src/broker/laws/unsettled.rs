//! Law 3: nothing unsettled is lost, and nothing settled comes back.

use mainspring_broker::{Delivery, Limit, Next, SubscriptionSpec};

use crate::broker::{
    Backend,
    consumer::{Consumer, MANY},
    sample::{BILLING, billing, bodies, group, order, orders, sent, sorted, with_groups},
    subject::Subject,
};

/// So many orders for billing.
async fn with_orders(backend: &dyn Backend, count: usize) -> Subject {
    let subject = Subject::with(backend, &with_groups([billing()])).await;
    subject.stored(orders(count)).await;
    subject
}

/// What a member held when it was killed comes back, and nothing else does.
pub(crate) async fn a_crashed_member_loses_nothing(backend: &dyn Backend) {
    let subject = with_orders(backend, 10).await;
    let mut killed = subject.member().await;
    let held = killed.take(6).await;
    killed.ack_all(&held[..2]).await;
    subject.crash(killed).await;
    subject.pass(5).await;
    let mut member = subject.member().await;
    assert_eq!(sorted(bodies(&member.take(8).await)), sent(&orders(10))[2..]);
    member.gets_nothing().await;
}

/// Dropping both halves of a member settles nothing.
pub(crate) async fn dropping_a_member_settles_nothing(backend: &dyn Backend) {
    let subject = with_orders(backend, 5).await;
    let mut dropped = subject.member().await;
    dropped.take(3).await;
    drop(dropped);
    subject.pass(5).await;
    assert_eq!(sorted(bodies(&subject.member().await.take(5).await)), sent(&orders(5)));
}

/// Whoever stops asking can still settle what it got.
pub(crate) async fn what_was_delivered_can_be_settled_without_deliveries(backend: &dyn Backend) {
    let subject = with_orders(backend, 5).await;
    let mut member = subject.member().await;
    let held = member.take(2).await;
    let settler = member.settler.clone();
    drop(member);
    let outcomes = held.iter().map(|delivery| (delivery.tag, mainspring_broker::Outcome::Ack)).collect();
    let answers = subject.within(settler.settle(outcomes), "a settlement").await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    drop(settler);
    subject.pass(5).await;
    let mut other = subject.member().await;
    assert_eq!(sorted(bodies(&other.take(3).await)), sent(&orders(5))[2..]);
    other.gets_nothing().await;
}

/// A call of `next` that is dropped loses nothing, and is no attempt.
pub(crate) async fn a_cancelled_next_loses_nothing(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_groups([billing()])).await;
    let mut member = subject.member().await;
    let mut delivered = Vec::new();
    for number in 0..50 {
        if let Some(Next::Batch(batch)) = member.glance(MANY).await {
            delivered.extend(batch);
        }
        subject.stored([order(&number.to_string())]).await;
        if let Some(Next::Batch(batch)) = member.glance(MANY).await {
            delivered.extend(batch);
        }
    }
    while delivered.len() < 50 {
        delivered.extend(member.batch(MANY).await);
    }
    assert_eq!(sorted(bodies(&delivered)), sent(&orders(50)));
    assert!(delivered.iter().all(|delivery| delivery.attempt == 1), "what was not handed over was not tried");
}

/// Closing a member gives back what it had fetched and never handed over, as if it had never had it.
pub(crate) async fn closing_gives_back_what_was_only_fetched(backend: &dyn Backend) {
    let subject = with_orders(backend, 10).await;
    let mut closed = subject.joins(SubscriptionSpec::new(group(BILLING)).prefetch(10, usize::MAX)).await;
    let first = closed.batch(Limit::messages(1)).await;
    closed.ack_all(&first).await;
    closed.settler.close(subject.deadline()).await.expect("a member can be closed");
    let rest = subject.member().await.take(9).await;
    assert_eq!(sorted(bodies(&rest)), sent(&orders(10))[1..]);
    assert!(rest.iter().all(|delivery| delivery.attempt == 1), "what was only fetched was not tried");
}

/// What a member that is being closed still gets, up to the word that it is closed.
async fn until_closed(member: &mut Consumer, held: &mut Vec<Delivery>) {
    loop {
        match member.next(MANY).await {
            Next::Batch(more) => held.extend(more),
            Next::Closed => return,
            other => panic!("a member that is closed is told so, not {other:?}"),
        }
    }
}

/// Closing waits for what is in flight, and what is settled meanwhile counts.
pub(crate) async fn closing_waits_for_what_is_in_flight(backend: &dyn Backend) {
    let subject = with_orders(backend, 40).await;
    let mut member = subject.joins(SubscriptionSpec::new(group(BILLING)).prefetch(20, usize::MAX)).await;
    let mut held = member.take(2).await;
    let (settler, deadline) = (member.settler.clone(), subject.deadline());
    let closing = tokio::spawn(async move { settler.close(deadline).await });
    until_closed(&mut member, &mut held).await;
    assert!(!closing.is_finished(), "closing waits for what is in flight");
    member.ack_all(&held).await;
    let closed = subject.within(closing, "the end of closing").await.expect("closing does not panic");
    closed.expect("a member can be closed");
    let mut other = subject.member().await;
    let rest = other.take(40 - held.len()).await;
    assert_eq!(sorted(bodies(held.iter().chain(&rest))), sent(&orders(40)));
    other.gets_nothing().await;
}

/// What is not settled when the deadline comes is given back at once; it was tried, and its holder is stale.
pub(crate) async fn closing_gives_the_rest_back_at_its_deadline(backend: &dyn Backend) {
    let subject = with_orders(backend, 3).await;
    let mut member = subject.member().await;
    let held = member.take(2).await;
    member.settler.close(subject.soon()).await.expect("a member can be closed");
    assert!(matches!(member.next(MANY).await, Next::Closed), "nothing comes to a member that was closed");
    let mut other = subject.member().await;
    let again = other.take(3).await;
    assert_eq!(sorted(bodies(&again)), sent(&orders(3)));
    let tried = again.iter().map(|delivery| delivery.attempt).sum::<u32>();
    assert_eq!(tried, 5, "what was handed over was tried");
    member.assert_stale(&held[0]).await;
}

/// Closing the broker drains its members.
pub(crate) async fn closing_the_broker_drains_its_members(backend: &dyn Backend) {
    let subject = with_orders(backend, 4).await;
    let mut member = subject.member().await;
    let mut held = member.take(2).await;
    let (broker, deadline) = (subject.broker.clone(), subject.deadline());
    let closing = tokio::spawn(async move { broker.close(deadline).await });
    until_closed(&mut member, &mut held).await;
    assert!(!closing.is_finished(), "closing waits for what is in flight");
    member.ack_all(&held).await;
    let closed = subject.within(closing, "the end of closing").await.expect("closing does not panic");
    closed.expect("a broker can be closed");
}

/// What is unsettled when the broker is killed comes back, and what was settled does not.
pub(crate) async fn unsettled_messages_survive_the_broker(backend: &dyn Backend) {
    let subject = with_orders(backend, 10).await;
    let mut member = subject.member().await;
    let held = member.take(6).await;
    member.ack_all(&held[..3]).await;
    let subject = subject.reopen().await;
    drop(member);
    let mut member = subject.member().await;
    assert_eq!(sorted(bodies(&member.take(7).await)), sent(&orders(10))[3..]);
    member.gets_nothing().await;
}

/// What is settled is gone.
pub(crate) async fn what_is_settled_does_not_come_back(backend: &dyn Backend) {
    let subject = with_orders(backend, 10).await;
    let mut member = subject.member().await;
    member.handle(10).await;
    subject.pass(5).await;
    member.gets_nothing().await;
    subject.crash(member).await;
    subject.pass(5).await;
    subject.member().await.gets_nothing().await;
    assert!(subject.lag(&group(BILLING)).await.is_none_or(|lag| lag == 0), "nothing is left to settle");
}
