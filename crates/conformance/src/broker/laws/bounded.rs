//! Law 10: a member holds no more than its prefetch, and what exceeds a limit is refused before it is sent.

use std::time::Duration;

use mainspring_broker::{Limit, Message, SendError, SettleError, Subscription, SubscriptionSpec};

use crate::broker::{
    Backend,
    consumer::{Consumer, MANY},
    sample::{BILLING, billing, bodies, group, order, orders, slice, with_groups},
    subject::{Subject, kind},
};

async fn holding(subject: &Subject, messages: usize, bytes: usize) -> Consumer {
    subject.joins(SubscriptionSpec::new(group(BILLING)).prefetch(messages, bytes)).await
}

fn of_size(size: usize) -> Message {
    order(&"x".repeat(size))
}

/// A member that settles nothing gets so many messages and no more, and settling makes room.
pub(crate) async fn prefetch_bounds_messages(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_groups([billing()])).await;
    subject.stored(orders(20)).await;
    let mut member = holding(&subject, 5, usize::MAX).await;
    let held = member.take(5).await;
    member.gets_nothing().await;
    member.ack_all(&held[..2]).await;
    member.take(2).await;
    member.gets_nothing().await;
}

/// A member that settles nothing gets so many bytes and no more.
pub(crate) async fn prefetch_bounds_bytes(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_groups([billing()])).await;
    subject.stored([of_size(400), of_size(400), of_size(400)]).await;
    let mut member = holding(&subject, 100, 1_000).await;
    let held = member.take(2).await;
    member.gets_nothing().await;
    member.ack(&held[0]).await;
    member.take(1).await;
}

/// A message larger than the whole prefetch comes alone.
pub(crate) async fn a_message_beyond_the_prefetch_comes_alone(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_groups([billing()])).await;
    subject.stored([of_size(5_000)]).await;
    let mut member = holding(&subject, 100, 1_000).await;
    let large = member.batch(MANY).await;
    assert_eq!(large[0].message.body.len(), 5_000);
    subject.stored([of_size(10)]).await;
    member.gets_nothing().await;
    member.ack(&large[0]).await;
    assert_eq!(member.one().await.message.body.len(), 10);
}

/// A batch has no more messages and bytes than were asked for.
pub(crate) async fn a_batch_is_bounded(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_groups([billing()])).await;
    subject.stored((0..10).map(|_| of_size(100))).await;
    let mut member = subject.member().await;
    assert!(member.batch(Limit::messages(3)).await.len() <= 3);
    let batch = member.batch(Limit { messages: 100, bytes: 250 }).await;
    assert!(batch.iter().map(|delivery| delivery.message.size()).sum::<usize>() <= 250);
    assert_eq!(member.batch(Limit { messages: 100, bytes: 1 }).await.len(), 1, "one always fits");
}

/// A full prefetch does not stand in the way of other members.
pub(crate) async fn a_stuck_member_does_not_stop_others(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_groups([billing()])).await;
    subject.stored(orders(20)).await;
    let mut stuck = holding(&subject, 2, usize::MAX).await;
    stuck.take(2).await;
    let mut member = subject.member().await;
    assert_eq!(member.handle(18).await.len(), 18);
}

/// A member with a full prefetch can wait for more while it settles.
pub(crate) async fn settling_is_not_stopped_by_a_full_prefetch(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_groups([billing()])).await;
    subject.stored(orders(2)).await;
    let mut member = holding(&subject, 1, usize::MAX).await;
    let held = member.one().await;
    let settler = member.settler.clone();
    let waiting = tokio::spawn(async move { (member.one().await, member) });
    let outcomes = vec![(held.tag, mainspring_broker::Outcome::Ack)];
    assert!(subject.within(settler.settle(outcomes), "a settlement").await[0].is_ok());
    let (next, _member) = subject.within(waiting, "the next message").await.expect("waiting does not panic");
    assert_ne!(bodies([&next]), bodies([&held]));
}

/// A paused slice is not delivered to that member, and goes on when it is resumed.
pub(crate) async fn a_paused_slice_is_not_delivered(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_groups([billing()])).await;
    let mut member = subject.member().await;
    member.settler.pause(&[slice(0)], true).await.expect("a slice can be paused");
    subject.stored([order("a")]).await;
    member.gets_nothing().await;
    member.settler.pause(&[slice(0)], false).await.expect("a slice can be resumed");
    assert_eq!(member.handle(1).await, ["a"]);
}

/// Sends what exceeds a limit; that is refused with these numbers, and nothing of the batch is sent.
async fn is_too_large(
    backend: &dyn Backend,
    batch: impl Fn(&Subject, mainspring_broker::Limits) -> (Vec<Message>, usize),
) {
    let subject = Subject::with(backend, &with_groups([billing()])).await;
    let limits = subject.limits().await;
    let (batch, too_much) = batch(&subject, limits);
    match subject.within(subject.send(batch), "an answer").await {
        Err(SendError::TooLarge { actual, limit, .. }) => assert_eq!((actual, limit), (too_much, too_much - 1)),
        other => panic!("a batch beyond a limit is answered with {other:?}"),
    }
    subject.stored([order("a")]).await;
    let mut member = subject.member().await;
    assert_eq!(member.handle(1).await, ["a"]);
    member.gets_nothing().await;
}

pub(crate) async fn the_size_of_a_message_is_limited(backend: &dyn Backend) {
    let large = |_: &Subject, limits: mainspring_broker::Limits| {
        (vec![order("first"), of_size(limits.message_bytes + 1)], limits.message_bytes + 1)
    };
    is_too_large(backend, large).await;
}

pub(crate) async fn the_size_of_headers_is_limited(backend: &dyn Backend) {
    let large = |_: &Subject, limits: mainspring_broker::Limits| {
        (vec![order("").header("n", vec![b'x'; limits.header_bytes])], limits.header_bytes + 1)
    };
    is_too_large(backend, large).await;
}

pub(crate) async fn the_number_of_messages_is_limited(backend: &dyn Backend) {
    let large = |_: &Subject, limits: mainspring_broker::Limits| {
        (vec![order(""); limits.batch_messages + 1], limits.batch_messages + 1)
    };
    is_too_large(backend, large).await;
}

pub(crate) async fn the_size_of_a_batch_is_limited(backend: &dyn Backend) {
    let large = |_: &Subject, limits: mainspring_broker::Limits| {
        let whole = limits.batch_bytes / limits.message_bytes;
        let mut batch = vec![of_size(limits.message_bytes); whole];
        batch.push(of_size(limits.batch_bytes + 1 - whole * limits.message_bytes));
        (batch, limits.batch_bytes + 1)
    };
    is_too_large(backend, large).await;
}

pub(crate) async fn the_length_of_a_delay_is_limited(backend: &dyn Backend) {
    let large = |_: &Subject, limits: mainspring_broker::Limits| {
        let seconds = limits.delay.as_secs();
        let delay = Duration::from_secs(seconds + 1);
        (vec![order("").delay(delay)], usize::try_from(seconds + 1).expect("a delay is not so long"))
    };
    is_too_large(backend, large).await;
}

pub(crate) async fn the_priority_is_limited(backend: &dyn Backend) {
    let large = |_: &Subject, limits: mainspring_broker::Limits| {
        (vec![order("").priority(limits.priority + 1)], usize::from(limits.priority) + 1)
    };
    is_too_large(backend, large).await;
}

/// The largest message there may be goes through.
pub(crate) async fn the_largest_message_comes_back(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_groups([billing()])).await;
    let limits = subject.limits().await;
    subject.stored([of_size(limits.message_bytes)]).await;
    assert_eq!(subject.member().await.one().await.message.body.len(), limits.message_bytes);
}

/// A retry and a lease beyond their limits are refused with the limit, and the delivery stays its holder's.
pub(crate) async fn the_length_of_retries_and_leases_is_limited(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_groups([billing()])).await;
    let limits = subject.limits().await;
    subject.stored([order("a")]).await;
    let mut member = subject.member().await;
    let held = member.one().await;
    let after = limits.delay + Duration::from_secs(1);
    let answer = member.settles(&held, mainspring_broker::Outcome::Retry { after }).await;
    assert!(matches!(answer, Err(SettleError::TooLarge { .. })), "{answer:?}");
    let answers = member.settler.extend(&[held.tag], limits.lease + Duration::from_secs(1)).await;
    assert!(matches!(answers[..], [Err(SettleError::TooLarge { .. })]), "{answers:?}");
    member.ack(&held).await;
}

/// A member that could never get a message, or holds one for longer than may be, is refused.
pub(crate) async fn a_member_that_cannot_work_is_refused(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_groups([billing()])).await;
    let lease = subject.limits().await.lease;
    let spec = || SubscriptionSpec::new(group(BILLING));
    for spec in
        [spec().prefetch(0, usize::MAX), spec().lease(lease + Duration::from_secs(1)), spec().lease(Duration::ZERO)]
    {
        let described = format!("{spec:?}");
        match subject.subscribe(spec).await {
            Err(error) => assert_eq!(kind(&error), "Invalid", "{described}: {error:?}"),
            Ok(_) => panic!("{described} must be refused"),
        }
    }
    let other = Subscription { group: group("other"), ..billing() };
    subject.create(&with_groups([other])).await;
}
