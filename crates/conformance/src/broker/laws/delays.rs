//! Law 8: delays are lower bounds, and what expires does not come.

use mainspring_broker::{DeadLetter, Message, Outcome};

use crate::broker::{
    Backend,
    sample::{billing, bodies, order, shipping, with_dead_letters, with_groups},
    subject::Subject,
};

async fn subject(backend: &dyn Backend) -> Subject {
    Subject::with(backend, &with_groups([billing(), shipping()])).await
}

/// A delayed message comes when it is due and not before, whatever came after it.
pub(crate) async fn a_delayed_message_comes_when_it_is_due(backend: &dyn Backend) {
    let subject = subject(backend).await;
    let mut member = subject.member().await;
    subject.stored([order("late").delay(subject.units(3)), order("now")]).await;
    assert_eq!(member.handle(1).await, ["now"]);
    member.gets_nothing().await;
    subject.pass(1).await;
    member.gets_nothing().await;
    subject.pass(3).await;
    let delivery = member.one().await;
    assert_eq!((bodies([&delivery]), delivery.attempt), (vec!["late".to_owned()], 1));
    let mut shipped = subject.member_of("shipping").await.handle(2).await;
    shipped.sort();
    assert_eq!(shipped, ["late", "now"]);
}

/// Delayed messages come in the order in which they are due.
pub(crate) async fn delayed_messages_come_in_the_order_of_their_times(backend: &dyn Backend) {
    let subject = subject(backend).await;
    let mut member = subject.member().await;
    let due = [("5", 5), ("3", 3), ("7", 7), ("1", 1)];
    subject.stored(due.map(|(body, units)| order(body).delay(subject.units(units)))).await;
    let mut handled = Vec::new();
    for _ in 0..4 {
        subject.pass(2).await;
        handled.extend(member.handle(1).await);
    }
    assert_eq!(handled, ["1", "3", "5", "7"]);
    member.gets_nothing().await;
}

/// A delayed message without route is refused at once, not when it is due.
pub(crate) async fn a_delayed_message_needs_a_route(backend: &dyn Backend) {
    let subject = subject(backend).await;
    let lost = Message { delay: Some(subject.units(1)), ..Message::new(crate::broker::sample::to("missing"), "") };
    let error = subject.refused(lost).await;
    assert!(matches!(error, mainspring_broker::SendError::Unroutable { .. }), "{error:?}");
}

/// A delayed message survives the broker, and its time goes on meanwhile.
pub(crate) async fn a_delayed_message_survives_the_broker(backend: &dyn Backend) {
    let subject = subject(backend).await;
    subject.stored([order("late").delay(subject.units(3))]).await;
    let subject = subject.reopen().await;
    let mut member = subject.member().await;
    member.gets_nothing().await;
    subject.pass(4).await;
    assert_eq!(member.handle(1).await, ["late"]);
}

/// Another attempt comes after its time and not before.
pub(crate) async fn a_retry_comes_after_its_time(backend: &dyn Backend) {
    let subject = subject(backend).await;
    subject.stored([order("a")]).await;
    let mut member = subject.member().await;
    let first = member.one().await;
    member.settle(&first, Outcome::Retry { after: subject.units(3) }).await;
    member.gets_nothing().await;
    subject.pass(1).await;
    member.gets_nothing().await;
    subject.pass(3).await;
    assert_eq!(member.one().await.attempt, 2);
}

/// Another attempt waits for its time, though its member crashes and the broker is killed.
pub(crate) async fn a_retry_survives_the_broker(backend: &dyn Backend) {
    let subject = subject(backend).await;
    subject.stored([order("a")]).await;
    let mut member = subject.member().await;
    let first = member.one().await;
    member.settle(&first, Outcome::Retry { after: subject.units(3) }).await;
    subject.crash(member).await;
    let subject = subject.reopen().await;
    let mut member = subject.member().await;
    member.gets_nothing().await;
    subject.pass(4).await;
    assert_eq!(member.one().await.attempt, 2);
}

/// What has expired does not come, and what has not does.
pub(crate) async fn what_has_expired_does_not_come(backend: &dyn Backend) {
    let subject = subject(backend).await;
    let short = order("short").expires_after(subject.units(2));
    subject.stored([short, order("long").expires_after(subject.units(9)), order("for ever")]).await;
    subject.pass(3).await;
    let mut member = subject.member().await;
    let mut handled = member.handle(2).await;
    handled.sort();
    assert_eq!(handled, ["for ever", "long"]);
    member.gets_nothing().await;
}

/// A message that expires where there is a place for dead letters becomes one.
pub(crate) async fn what_has_expired_becomes_a_dead_letter(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_dead_letters(billing())).await;
    subject.stored([order("short").expires_after(subject.units(2))]).await;
    let mut member = subject.member().await;
    subject.pass(3).await;
    member.gets_nothing().await;
    let delivery = subject.member_of("dead").await.one().await;
    let letter = DeadLetter::read(&delivery.message).expect("it is a dead letter");
    assert_eq!((bodies([&delivery]), letter.attempts), (vec!["short".to_owned()], 0));
}
