//! Laws 5 and 9: a dead letter is copied before it is acknowledged, and keeps everything.

use bytes::Bytes;
use mainspring_broker::{DeadLetter, Outcome, SendError, SettleError, Topic};

use crate::broker::{
    Backend,
    sample::{DEAD, billing, bodies, event, group, order, orders, sent, sorted, to, with_dead_letters, with_groups},
    subject::Subject,
};

fn hopeless() -> Outcome {
    Outcome::DeadLetter { reason: "hopeless".to_owned() }
}

/// A dead letter whose copy cannot be stored is not acknowledged: the message is there, and can be settled otherwise.
pub(crate) async fn what_cannot_be_moved_is_not_acknowledged(backend: &dyn Backend) {
    let nobody_reads = with_groups([billing().dead_letter(to(DEAD))]).topic(Topic::new(to(DEAD)));
    let subject = Subject::with(backend, &nobody_reads).await;
    subject.stored(orders(2)).await;
    let mut member = subject.member().await;
    let held = member.take(2).await;
    for delivery in &held {
        let answer = member.settles(delivery, hopeless()).await;
        let not_moved = matches!(&answer, Err(SettleError::NotMoved(SendError::Unroutable { .. })));
        assert!(not_moved, "a dead letter that nobody gets: {answer:?}");
    }
    member.retry(&held[0]).await;
    let again = member.one().await;
    assert_eq!((bodies([&again]), again.attempt), (bodies([&held[0]]), 2));
    subject.crash(member).await;
    subject.pass(5).await;
    assert_eq!(subject.member().await.take(2).await.len(), 2, "nothing was lost");
}

/// Without a place for dead letters there are none: the message stays its holder's.
pub(crate) async fn a_group_without_place_for_dead_letters_says_so(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_groups([billing()])).await;
    subject.stored([order("a")]).await;
    let mut member = subject.member().await;
    let held = member.one().await;
    let answer = member.settles(&held, hopeless()).await;
    assert!(matches!(answer, Err(SettleError::Refused { .. })), "{answer:?}");
    member.retry(&held).await;
    assert_eq!(member.handle(1).await, ["a"]);
}

/// When the settlement is answered, the copy is there, and the message is not any more.
pub(crate) async fn a_dead_letter_is_there_when_it_is_settled(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_dead_letters(billing())).await;
    let batch = orders(10);
    subject.stored(batch.clone()).await;
    let mut member = subject.member().await;
    for _ in 0..10 {
        let delivery = member.one().await;
        member.bury(&delivery, "hopeless").await;
    }
    assert_eq!(sorted(subject.member_of("dead").await.handle(10).await), sent(&batch));
    subject.pass(5).await;
    member.gets_nothing().await;
}

/// Body, key, headers, envelope, place, destination, reason, times and attempts.
pub(crate) async fn a_dead_letter_keeps_everything(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_dead_letters(billing())).await;
    let bytes: Bytes = (0..=255).collect::<Vec<u8>>().into();
    let message = event("{\"units\":2}").routed_by("order.placed").header("via", bytes).header("via", "b");
    let begin = subject.now();
    subject.stored([message.clone()]).await;
    let mut member = subject.member().await;
    subject.pass(1).await;
    let first = member.one().await;
    let tried = subject.now();
    member.retry(&first).await;
    subject.pass(1).await;
    let second = member.one().await;
    member.bury(&second, "the card was declined: ümlaut").await;
    let died = subject.now();
    let kept = subject.member_of("dead").await.one().await.message;
    assert_eq!((&kept.body, &kept.key, &kept.envelope), (&message.body, &message.key, &message.envelope));
    let letter = DeadLetter::read(&kept).expect("it is a dead letter");
    assert_eq!(letter.message, message);
    assert_eq!((letter.place, letter.stored), (second.place, second.stored));
    assert_eq!((letter.group, letter.attempts), (group("billing"), 2));
    assert_eq!(letter.reason, "the card was declined: ümlaut");
    let first_attempt = letter.first_attempt.expect("it was tried");
    assert!(begin < first_attempt && first_attempt <= tried, "{first_attempt} lies before {tried}");
    assert!(tried < letter.died && letter.died <= died, "{} lies between {tried} and {died}", letter.died);
}

/// Dead letters survive the broker.
pub(crate) async fn dead_letters_survive_the_broker(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_dead_letters(billing())).await;
    subject.stored([order("a")]).await;
    let mut member = subject.member().await;
    let delivery = member.one().await;
    member.bury(&delivery, "hopeless").await;
    let subject = subject.reopen().await;
    drop(member);
    let kept = subject.member_of("dead").await.one().await;
    assert_eq!(DeadLetter::read(&kept.message).expect("it is a dead letter").reason, "hopeless");
    subject.member().await.gets_nothing().await;
}
