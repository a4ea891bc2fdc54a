//! Law 4: one member at a time holds a message, and a stale holder changes nothing.

use std::{collections::BTreeSet, time::Duration};

use mainspring_broker::{CommitError, SettleError};

use crate::broker::{
    Backend,
    consumer::Consumer,
    sample::{billing, bodies, order, orders, sent, shipping, sorted, with_groups},
    subject::Subject,
};

/// Members that compete never hold the same message, and together hold all.
pub(crate) async fn a_message_has_one_holder(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_groups([billing()])).await;
    let mut members = [subject.member().await, subject.member().await, subject.member().await];
    subject.stored(orders(90)).await;
    let mut seen = Vec::new();
    for _ in 0..30 {
        for member in &mut members {
            let delivery = member.one().await;
            seen.extend(bodies([&delivery]));
        }
    }
    assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 90, "a message was given to two members");
    for member in &mut members {
        member.gets_nothing().await;
    }
}

/// Every group gets every message, and settles its own.
pub(crate) async fn every_group_gets_every_message(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_groups([billing(), shipping()])).await;
    let batch = orders(20);
    subject.stored(batch.clone()).await;
    for group in ["billing", "shipping"] {
        assert_eq!(sorted(subject.member_of(group).await.handle(20).await), sent(&batch), "{group}");
    }
}

/// A member holds one message past its lease, and another member has it.
async fn overtaken(backend: &dyn Backend) -> (Subject, Consumer, Consumer, [mainspring_broker::Delivery; 2]) {
    let subject = Subject::with(backend, &with_groups([billing(), shipping()])).await;
    subject.stored([order("a")]).await;
    let mut slow = subject.member().await;
    let held = slow.one().await;
    let mut quick = subject.member().await;
    subject.pass(2).await;
    quick.gets_nothing().await;
    subject.pass(3).await;
    let again = quick.one().await;
    assert_eq!(bodies([&again]), ["a"]);
    (subject, slow, quick, [held, again])
}

/// A message whose holder does nothing goes to another member when the lease is over, and not before.
pub(crate) async fn a_lease_ends_and_another_member_gets_the_message(backend: &dyn Backend) {
    let (_subject, _slow, _quick, [held, again]) = overtaken(backend).await;
    assert_eq!((held.attempt, again.attempt), (1, 2));
    assert_ne!(held.tag, again.tag, "each delivery has a tag of its own");
}

/// A stale holder cannot settle, and the present one can.
pub(crate) async fn a_stale_holder_cannot_settle(backend: &dyn Backend) {
    let (_subject, slow, mut quick, [held, again]) = overtaken(backend).await;
    slow.assert_stale(&held).await;
    quick.gets_nothing().await;
    quick.ack(&again).await;
    quick.assert_stale(&again).await;
}

/// A lease that is over is over, though nobody else has the message yet.
pub(crate) async fn a_holder_is_stale_when_its_lease_is_over(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_groups([billing()])).await;
    subject.stored([order("a")]).await;
    let mut member = subject.member().await;
    let held = member.one().await;
    subject.pass(5).await;
    member.assert_stale(&held).await;
    let again = member.one().await;
    assert_eq!(again.attempt, 2);
    member.assert_stale(&held).await;
    member.ack(&again).await;
}

/// A stale holder cannot extend its lease.
pub(crate) async fn a_stale_holder_cannot_extend(backend: &dyn Backend) {
    let (subject, slow, quick, [held, again]) = overtaken(backend).await;
    let answers = slow.settler.extend(&[held.tag], subject.units(9)).await;
    assert!(matches!(answers[..], [Err(SettleError::Stale)]), "{answers:?}");
    quick.ack(&again).await;
}

/// A lease lasts as long as it is extended.
pub(crate) async fn an_extended_lease_lasts(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_groups([billing()])).await;
    subject.stored([order("a"), order("b")]).await;
    let mut slow = subject.member().await;
    let held = slow.take(2).await;
    let mut quick = subject.member().await;
    for _ in 0..3 {
        subject.pass(3).await;
        let answers = slow.settler.extend(&[held[0].tag], subject.units(4)).await;
        assert!(matches!(answers[..], [Ok(())]), "{answers:?}");
    }
    let other = quick.one().await;
    assert_eq!(bodies([&other]), ["b"], "what was not extended is another's");
    quick.gets_nothing().await;
    slow.ack(&held[0]).await;
}

/// A delivery is settled once.
pub(crate) async fn a_delivery_is_settled_once(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_groups([billing()])).await;
    subject.stored(orders(2)).await;
    let mut member = subject.member().await;
    let held = member.take(2).await;
    member.ack(&held[0]).await;
    member.assert_stale(&held[0]).await;
    member.retry(&held[1]).await;
    member.assert_stale(&held[1]).await;
    let again = member.one().await;
    member.assert_stale(&held[1]).await;
    member.ack(&again).await;
}

/// The tag of one member is worth nothing in the hands of another.
pub(crate) async fn nobody_settles_for_another_member(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_groups([billing()])).await;
    subject.stored([order("a")]).await;
    let (mut holder, other) = (subject.member().await, subject.member().await);
    let held = holder.one().await;
    other.assert_stale(&held).await;
    holder.ack(&held).await;
}

/// Each settlement of a list is answered for itself.
pub(crate) async fn settlements_are_answered_one_by_one(backend: &dyn Backend) {
    use mainspring_broker::Outcome::Ack;
    let subject = Subject::with(backend, &with_groups([billing()])).await;
    subject.stored(orders(3)).await;
    let mut member = subject.member().await;
    let held = member.take(3).await;
    member.ack(&held[1]).await;
    let answers = member.settler.settle(held.iter().map(|delivery| (delivery.tag, Ack)).collect()).await;
    assert!(matches!(answers[..], [Ok(()), Err(SettleError::Stale), Ok(())]), "{answers:?}");
    member.gets_nothing().await;
}

/// A stale holder cannot commit: neither its settlements nor its messages count.
pub(crate) async fn a_stale_holder_cannot_commit(backend: &dyn Backend) {
    use mainspring_broker::Outcome::Ack;
    let (subject, slow, mut quick, [held, again]) = overtaken(backend).await;
    let answer = slow.settler.commit(vec![(held.tag, Ack)], vec![order("ghost")]).await;
    let stale = matches!(&answer, Err(CommitError::Settle { source: SettleError::Stale, .. }));
    assert!(stale, "a stale commit is answered with {answer:?}");
    quick.ack(&again).await;
    quick.gets_nothing().await;
    assert_eq!(subject.member_of("shipping").await.handle(1).await, ["a"]);
}

/// A commit settles and sends.
pub(crate) async fn a_commit_settles_and_sends(backend: &dyn Backend) {
    use mainspring_broker::Outcome::{Ack, Retry};
    let subject = Subject::with(backend, &with_groups([billing(), shipping()])).await;
    subject.stored([order("a"), order("b")]).await;
    let mut member = subject.member().await;
    let held = member.take(2).await;
    let outcomes = vec![(held[0].tag, Ack), (held[1].tag, Retry { after: Duration::ZERO })];
    let receipts = member.settler.commit(outcomes, vec![order("c"), order("d")]).await;
    assert_eq!(receipts.expect("nothing stands against this commit").len(), 2);
    let mut rest = member.handle(3).await;
    rest.sort();
    assert_eq!(rest, ["b", "c", "d"]);
    member.gets_nothing().await;
    let mut shipped = subject.member_of("shipping").await.handle(4).await;
    shipped.sort();
    assert_eq!(shipped, ["a", "b", "c", "d"]);
}

/// A commit of which one part fails does nothing.
pub(crate) async fn a_commit_is_all_or_nothing(backend: &dyn Backend) {
    use mainspring_broker::{Message, Outcome::Ack};
    let subject = Subject::with(backend, &with_groups([billing()])).await;
    subject.stored([order("a"), order("b")]).await;
    let mut member = subject.member().await;
    let held = member.take(2).await;
    let outcomes: Vec<_> = held.iter().map(|delivery| (delivery.tag, Ack)).collect();
    let lost = Message::new(crate::broker::sample::to("missing"), "lost");
    let answer = member.settler.commit(outcomes.clone(), vec![order("ghost"), lost]).await;
    assert!(matches!(answer, Err(CommitError::Send { at: 1, .. })), "{answer:?}");
    member.ack(&held[1]).await;
    let answer = member.settler.commit(outcomes, vec![order("ghost")]).await;
    assert!(matches!(answer, Err(CommitError::Settle { tag, .. }) if tag == held[1].tag), "{answer:?}");
    member.gets_nothing().await;
    member.ack(&held[0]).await;
}
