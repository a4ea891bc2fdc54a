//! Logs: where a group begins, where it goes on, and what is kept.

use mainspring_broker::{BrokerError, Feature, Keep, Start, Subscription, Topic, Topology};

use crate::broker::{
    Backend,
    sample::{ORDERS, billing, bodies, group, order, orders, sent, slice, to, with_groups, with_log},
    subject::Subject,
};

/// A group that begins here.
fn late(start: Start) -> Subscription {
    Subscription { group: group("late"), ..billing() }.start(start)
}

/// What a group gets that is created after ten orders, the last five of them later, when another one follows.
async fn begins(backend: &dyn Backend, start: impl Fn(jiff::Timestamp) -> Start) -> Vec<String> {
    let subject = Subject::with(backend, &with_log(1, [])).await;
    subject.stored(orders(5)).await;
    subject.pass(2).await;
    let middle = subject.now();
    subject.pass(2).await;
    subject.stored((5..10).map(|number| order(&number.to_string()))).await;
    subject.create(&with_log(1, [late(start(middle))])).await;
    subject.stored([order("last")]).await;
    let mut member = subject.member_of("late").await;
    let mut handled = Vec::new();
    while handled.last().is_none_or(|body| body != "last") {
        handled.extend(member.handle(1).await);
    }
    member.gets_nothing().await;
    handled.pop();
    handled
}

pub(crate) async fn a_group_begins_at_the_earliest(backend: &dyn Backend) {
    assert_eq!(begins(backend, |_| Start::Earliest).await, sent(&orders(10)));
}

pub(crate) async fn a_group_begins_at_the_latest(backend: &dyn Backend) {
    assert_eq!(begins(backend, |_| Start::Latest).await, sent(&[]));
}

pub(crate) async fn a_group_begins_at_an_offset(backend: &dyn Backend) {
    let from_seventh = |_| Start::Offsets(vec![(slice(0), 7)]);
    assert_eq!(begins(backend, from_seventh).await, sent(&orders(10))[7..]);
}

pub(crate) async fn a_group_begins_at_a_time(backend: &dyn Backend) {
    assert_eq!(begins(backend, Start::Time).await, sent(&orders(10))[5..]);
}

/// A group can go back, and forwards again; what its members hold is stale, and attempts count anew.
pub(crate) async fn a_seek_moves_the_whole_group(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_log(1, [billing()])).await;
    subject.stored(orders(6)).await;
    let mut member = subject.member().await;
    member.handle(3).await;
    let held = member.one().await;
    member.retry(&held).await;
    let held = member.one().await;
    assert_eq!(held.attempt, 2);
    member.settler.seek(Start::Earliest).await.expect("a log can be read again");
    member.assert_stale(&held).await;
    let again = member.take(6).await;
    assert_eq!(bodies(&again), sent(&orders(6)));
    assert!(again.iter().all(|delivery| delivery.attempt == 1), "attempts count anew");
    member.settler.seek(Start::Offsets(vec![(slice(0), 4)])).await.expect("a log can be read again");
    assert_eq!(member.handle(2).await, ["4", "5"]);
    member.settler.seek(Start::Latest).await.expect("a log can be skipped");
    subject.stored([order("new")]).await;
    assert_eq!(member.handle(1).await, ["new"]);
    member.gets_nothing().await;
}

/// A seek of one group is none of another's business.
pub(crate) async fn a_seek_moves_no_other_group(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_log(1, [billing(), late(Start::Latest)])).await;
    subject.stored(orders(3)).await;
    let (mut member, mut other) = (subject.member().await, subject.member_of("late").await);
    member.handle(3).await;
    other.handle(3).await;
    member.settler.seek(Start::Earliest).await.expect("a log can be read again");
    assert_eq!(member.handle(3).await, sent(&orders(3)));
    other.gets_nothing().await;
}

/// What is not kept cannot be read again, and that is said.
pub(crate) async fn a_seek_needs_a_log(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_groups([billing()])).await;
    subject.stored([order("a")]).await;
    let mut member = subject.member().await;
    let error = member.settler.seek(Start::Earliest).await.expect_err("nothing is kept");
    assert!(matches!(error, BrokerError::Refused { feature: Feature::Replay, .. }), "{error:?}");
    assert_eq!(member.handle(1).await, ["a"]);
}

/// What a log keeps, after ten orders of ten bytes, the last five of them later.
async fn keeps(backend: &dyn Backend, keep: impl Fn(&Subject) -> Keep) -> Vec<String> {
    let subject = Subject::open(backend).await;
    let topic = Topic { keep: keep(&subject), ..Topic::new(to(ORDERS)) };
    let topology = Topology::new().topic(topic);
    subject.create(&topology).await;
    let batch: Vec<_> = (0..10).map(|number| order(&format!("{number:010}"))).collect();
    subject.stored(batch[..5].to_vec()).await;
    subject.pass(4).await;
    subject.stored(batch[5..].to_vec()).await;
    subject.create(&topology.subscription(late(Start::Earliest))).await;
    subject.stored([order("last")]).await;
    let mut member = subject.member_of("late").await;
    let mut handled = Vec::new();
    while handled.last().is_none_or(|body| body != "last") {
        handled.extend(member.handle(1).await);
    }
    handled.pop();
    handled
}

/// What is older than a log keeps is gone; what is younger is there.
pub(crate) async fn a_log_keeps_messages_for_a_time(backend: &dyn Backend) {
    let kept = keeps(backend, |subject| Keep::Log { max_age: Some(subject.units(3)), max_bytes: None }).await;
    assert_eq!(kept.len(), 5, "{kept:?}");
    let kept = keeps(backend, |subject| Keep::Log { max_age: Some(subject.units(9)), max_bytes: None }).await;
    assert_eq!(kept.len(), 10, "{kept:?}");
}

/// What is more than a log keeps is gone, from the oldest.
pub(crate) async fn a_log_keeps_so_many_bytes(backend: &dyn Backend) {
    let kept = keeps(backend, |_| Keep::Log { max_age: None, max_bytes: Some(34) }).await;
    assert_eq!(kept, ["0000000007", "0000000008", "0000000009"]);
}
