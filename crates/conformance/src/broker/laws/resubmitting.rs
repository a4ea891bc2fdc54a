//! Messages for one group only, and dead letters that are sent again: moved in one step, to nobody else.

use mainspring_broker::{Admin, BrokerError, DeadLetter, Message, Pending, Place, Receipt};

use crate::broker::{
    Backend,
    consumer::Consumer,
    sample::{BILLING, DEAD, billing, bodies, event, group, order, shipping, to, with_dead_letters, with_groups},
    subject::{Subject, class, kind},
};

/// Orders for billing, which gives the first one up, and for shipping, which has had it; and what keeps dead letters.
async fn with_letter(backend: &dyn Backend, message: Message) -> (Subject, Consumer) {
    let topology = with_dead_letters(billing());
    let subject = Subject::with(backend, &topology.subscription(shipping().dead_letter(to(DEAD)))).await;
    subject.stored([message]).await;
    subject.member_of("shipping").await.handle(1).await;
    let mut member = subject.member().await;
    let first = member.one().await;
    member.bury(&first, "bad").await;
    (subject, member)
}

/// The dead letters, as operators see them.
async fn letters(admin: &dyn Admin) -> Vec<(Place, DeadLetter)> {
    let seen = admin.browse(&group(DEAD), 9).await.expect("a group can be browsed");
    let read = |pending: Pending| {
        let place = pending.place.expect("a broker with operators says where messages lie");
        (place, DeadLetter::read(&pending.message).expect("it is a dead letter"))
    };
    seen.into_iter().map(read).collect()
}

async fn resubmit(admin: &dyn Admin, place: &Place, message: Message) -> Receipt {
    admin.resubmit(&group(DEAD), place, message).await.expect("a dead letter that nobody holds can be resubmitted")
}

/// A message for one group goes to this group, and only if it is bound to the topic.
pub(crate) async fn a_message_for_one_group_goes_to_no_other(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_groups([billing(), shipping()])).await;
    subject.stored([order("1").only(&group(BILLING)), order("2"), order("3").only(&group("shipping"))]).await;
    let mut billing = subject.member().await;
    let mut got = billing.handle(2).await;
    got.sort();
    assert_eq!(got, ["1", "2"]);
    billing.gets_nothing().await;
    let mut shipping = subject.member_of("shipping").await;
    let mut got = shipping.handle(2).await;
    got.sort();
    assert_eq!(got, ["2", "3"]);
    shipping.gets_nothing().await;
    assert_eq!(class(&subject.refused(order("4").only(&group("nobody"))).await), "Unroutable");
}

/// A dead letter that is resubmitted goes to the group that gave it up, as if it had never been tried; nobody else gets
/// it, and it is a dead letter no more.
pub(crate) async fn a_resubmitted_message_goes_to_whoever_gave_it_up(backend: &dyn Backend) {
    let message = order("a").key("k").header("via", "b").routed_by("c.d");
    let (subject, mut member) = with_letter(backend, message.clone()).await;
    let Some(admin) = subject.admin() else { return };
    let (place, letter) = letters(admin).await.remove(0);
    assert_eq!(letter.message, message);
    resubmit(admin, &place, letter.again()).await;
    let again = member.one().await;
    assert_eq!((&again.message, again.attempt), (&message.only(&group(BILLING)), 1));
    member.ack(&again).await;
    assert_eq!(letters(admin).await, []);
    subject.member_of("shipping").await.gets_nothing().await;
    subject.member_of(DEAD).await.gets_nothing().await;
    member.gets_nothing().await;
}

/// What is sent in the place of a dead letter may be another message.
pub(crate) async fn a_resubmitted_message_may_be_edited(backend: &dyn Backend) {
    let (subject, mut member) = with_letter(backend, order("a")).await;
    let Some(admin) = subject.admin() else { return };
    let (place, letter) = letters(admin).await.remove(0);
    resubmit(admin, &place, Message { body: "b".into(), ..letter.again() }.header("edited", "yes")).await;
    let again = member.one().await;
    assert_eq!(bodies([&again]), ["b"]);
    assert_eq!(again.message.headers.get("edited").map(|value| &value[..]), Some(&b"yes"[..]));
    assert_eq!(letters(admin).await, []);
}

/// What was resubmitted can become a dead letter again, and then be resubmitted again.
pub(crate) async fn a_resubmitted_message_may_be_given_up_again(backend: &dyn Backend) {
    let (subject, mut member) = with_letter(backend, order("a")).await;
    let Some(admin) = subject.admin() else { return };
    for _ in 0..3 {
        let (place, letter) = letters(admin).await.remove(0);
        assert_eq!((&letter.group, letter.attempts), (&group(BILLING), 1));
        let first = letter.again();
        assert_eq!(first.headers.len(), 1, "what is said of a message does not heap up: {first:?}");
        resubmit(admin, &place, first).await;
        let again = member.one().await;
        member.bury(&again, "still bad").await;
    }
    assert_eq!(letters(admin).await.len(), 1);
}

/// What is resubmitted is sent although its id came within the window for duplicates; what is sent then is a duplicate.
pub(crate) async fn a_resubmitted_message_is_no_duplicate(backend: &dyn Backend) {
    let mut topology = with_dead_letters(billing());
    topology.topics.iter_mut().for_each(|topic| topic.dedupe = Some(std::time::Duration::from_secs(3_600)));
    let subject = Subject::with(backend, &topology).await;
    let Some(admin) = subject.admin() else { return };
    subject.stored([event("{}")]).await;
    let mut member = subject.member().await;
    let first = member.one().await;
    member.bury(&first, "bad").await;
    let (place, letter) = letters(admin).await.remove(0);
    let receipt = resubmit(admin, &place, letter.again()).await;
    assert!(!receipt.duplicate);
    assert_eq!(member.handle(1).await, ["{}"]);
    assert!(subject.stored([letter.again()]).await[0].duplicate);
}

/// Where the message cannot be sent, the dead letter stays where it is.
pub(crate) async fn a_message_that_cannot_be_sent_stays_where_it_is(backend: &dyn Backend) {
    let (subject, mut member) = with_letter(backend, order("a")).await;
    let Some(admin) = subject.admin() else { return };
    let (place, letter) = letters(admin).await.remove(0);
    let nowhere = Message { destination: to("nowhere"), ..letter.again() };
    let large = Message { body: vec![0; subject.limits().await.message_bytes + 1].into(), ..letter.again() };
    for (message, expected) in [(nowhere, "Unroutable"), (large, "TooLarge")] {
        match admin.resubmit(&group(DEAD), &place, message).await {
            Err(BrokerError::NotSent(error)) => assert_eq!(class(&error), expected),
            other => panic!("it cannot be sent, but: {other:?}"),
        }
    }
    assert_eq!(letters(admin).await, [(place, letter)]);
    member.gets_nothing().await;
}

/// What somebody holds, or what is settled, or what never was, is not resubmitted, and nothing is sent.
pub(crate) async fn only_what_is_free_is_resubmitted(backend: &dyn Backend) {
    let (subject, mut member) = with_letter(backend, order("a")).await;
    let Some(admin) = subject.admin() else { return };
    let (place, letter) = letters(admin).await.remove(0);
    let refused = async |from: &str, place: &Place| {
        let error = admin.resubmit(&group(from), place, letter.again()).await.expect_err("it is not there to be taken");
        kind(&error)
    };
    let mut reader = subject.member_of(DEAD).await;
    let held = reader.one().await;
    assert_eq!(refused(DEAD, &place).await, "Invalid");
    reader.ack(&held).await;
    assert_eq!(refused(DEAD, &place).await, "Invalid");
    let never = Place { offset: place.offset + 100, ..place.clone() };
    assert_eq!(refused(DEAD, &never).await, "Invalid");
    assert_eq!(refused("nobody", &place).await, "NoGroup");
    member.gets_nothing().await;
}

/// A resubmission survives the broker as a whole: the message is there, and the dead letter is not.
pub(crate) async fn a_resubmission_survives_the_broker(backend: &dyn Backend) {
    let (subject, member) = with_letter(backend, order("a")).await;
    if subject.admin().is_none() {
        return;
    }
    let subject = subject.reopen().await;
    drop(member);
    let Some(admin) = subject.admin() else { return };
    let (place, letter) = letters(admin).await.remove(0);
    resubmit(admin, &place, letter.again()).await;
    let subject = subject.reopen().await;
    let Some(admin) = subject.admin() else { return };
    assert_eq!(letters(admin).await, []);
    assert_eq!(subject.member().await.handle(1).await, ["a"]);
    subject.member_of("shipping").await.gets_nothing().await;
}
