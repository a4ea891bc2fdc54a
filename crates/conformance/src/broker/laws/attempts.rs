//! Law 7: handing over is an attempt, and attempts are not forgotten.

use std::time::Duration;

use mainspring_broker::{Limit, Outcome, SubscriptionSpec};

use crate::broker::{
    Backend,
    sample::{BILLING, billing, group, order, orders, shipping, with_groups},
    subject::Subject,
};

async fn with_one(backend: &dyn Backend) -> Subject {
    let subject = Subject::with(backend, &with_groups([billing(), shipping()])).await;
    subject.stored([order("a")]).await;
    subject
}

/// Each retry is another attempt.
pub(crate) async fn every_retry_is_an_attempt(backend: &dyn Backend) {
    let subject = with_one(backend).await;
    let mut member = subject.member().await;
    for attempt in 1..=30 {
        let delivery = member.one().await;
        assert_eq!(delivery.attempt, attempt);
        member.retry(&delivery).await;
    }
}

/// Whoever crashes with a message has tried it, so a message that kills every member can be told.
pub(crate) async fn a_crash_is_an_attempt(backend: &dyn Backend) {
    let subject = with_one(backend).await;
    for attempt in 1..=5 {
        let mut member = subject.member().await;
        assert_eq!(member.one().await.attempt, attempt);
        subject.crash(member).await;
        subject.pass(5).await;
    }
}

/// A lease that ran out was an attempt.
pub(crate) async fn a_lease_that_ran_out_was_an_attempt(backend: &dyn Backend) {
    let subject = with_one(backend).await;
    let mut member = subject.member().await;
    for attempt in 1..=5 {
        assert_eq!(member.one().await.attempt, attempt);
        subject.pass(5).await;
    }
}

/// Giving a message back is no attempt, however often it happens, and takes back no other.
pub(crate) async fn a_release_is_no_attempt(backend: &dyn Backend) {
    let subject = with_one(backend).await;
    let mut member = subject.member().await;
    let first = member.one().await;
    member.retry(&first).await;
    for _ in 0..5 {
        let delivery = member.one().await;
        assert_eq!(delivery.attempt, 2);
        member.settle(&delivery, Outcome::Release).await;
    }
}

/// What a member fetched and did not hand over was not tried when it crashed.
pub(crate) async fn what_was_only_fetched_was_not_tried(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_groups([billing()])).await;
    subject.stored(orders(20)).await;
    let mut killed = subject.joins(SubscriptionSpec::new(group(BILLING)).prefetch(20, usize::MAX)).await;
    let held = killed.batch(Limit::messages(3)).await;
    subject.crash(killed).await;
    subject.pass(5).await;
    for delivery in subject.member().await.take(20).await {
        let expected = if held.iter().any(|before| before.message == delivery.message) { 2 } else { 1 };
        assert_eq!(delivery.attempt, expected, "{:?}", delivery.message.body);
    }
}

/// Each group counts for itself.
pub(crate) async fn every_group_counts_its_own_attempts(backend: &dyn Backend) {
    let subject = with_one(backend).await;
    let mut member = subject.member().await;
    for _ in 0..3 {
        let delivery = member.one().await;
        member.retry(&delivery).await;
    }
    assert_eq!(subject.member_of("shipping").await.one().await.attempt, 1);
}

/// Attempts survive the broker, also of messages that were held when it was killed.
pub(crate) async fn attempts_survive_the_broker(backend: &dyn Backend) {
    let subject = with_one(backend).await;
    let mut member = subject.member().await;
    for _ in 0..2 {
        let delivery = member.one().await;
        member.retry(&delivery).await;
    }
    assert_eq!(member.one().await.attempt, 3);
    let subject = subject.reopen().await;
    drop(member);
    assert_eq!(subject.member().await.one().await.attempt, 4);
}

/// Attempts after a time count like all others, so a cap is reached.
pub(crate) async fn a_retry_after_a_time_is_an_attempt(backend: &dyn Backend) {
    let subject = with_one(backend).await;
    let mut member = subject.member().await;
    for attempt in 1..=4 {
        let delivery = member.one().await;
        assert_eq!(delivery.attempt, attempt);
        let after = if attempt % 2 == 0 { Duration::ZERO } else { subject.units(1) };
        member.settle(&delivery, Outcome::Retry { after }).await;
        subject.pass(2).await;
    }
}
