//! Law 6: what stays in order, whatever fails.

use std::{collections::BTreeSet, time::Duration};

use mainspring_broker::{Delivery, Limit, Next, Order, Outcome, Resume, Subscription};

use crate::broker::{
    Backend,
    sample::{BILLING, billing, bodies, group, keyed, order, orders, sent, with_dead_letters, with_groups},
    subject::{Subject, kind},
};

/// A group in this order with these messages.
async fn ordered(backend: &dyn Backend, order: Order, messages: &[&str]) -> Subject {
    let subject = Subject::with(backend, &with_groups([billing().order(order)])).await;
    subject.stored(keyed(messages)).await;
    subject
}

/// The messages of a key come one at a time, the next one when the one before is settled, to whichever member.
async fn one_of_a_key_at_a_time(backend: &dyn Backend, order: Order) {
    let subject = ordered(backend, order, &["a:1", "b:1", "a:2", "a:3", "b:2"]).await;
    let mut member = subject.member().await;
    let mut first = member.take(2).await;
    first.sort_by_key(|delivery| bodies([delivery]));
    assert_eq!(bodies(&first), ["a:1", "b:1"]);
    member.gets_nothing().await;
    member.ack(&first[0]).await;
    let second = member.one().await;
    assert_eq!(bodies([&second]), ["a:2"]);
    member.ack(&first[1]).await;
    assert_eq!(bodies([&member.one().await]), ["b:2"]);
    member.gets_nothing().await;
    member.ack(&second).await;
    assert_eq!(bodies([&member.one().await]), ["a:3"]);
}

pub(crate) async fn blocked_keys_come_one_at_a_time(backend: &dyn Backend) {
    one_of_a_key_at_a_time(backend, Order::KeyBlocks).await;
}

pub(crate) async fn parked_keys_come_one_at_a_time(backend: &dyn Backend) {
    one_of_a_key_at_a_time(backend, Order::KeyParks).await;
}

pub(crate) async fn sessions_come_one_message_at_a_time(backend: &dyn Backend) {
    one_of_a_key_at_a_time(backend, Order::Sessions).await;
}

/// A message that waits for another attempt comes before those behind it, and other keys flow meanwhile.
async fn a_retry_keeps_its_place(backend: &dyn Backend, order: Order) {
    let subject = ordered(backend, order, &["a:1", "a:2"]).await;
    let mut member = subject.member().await;
    let first = member.one().await;
    assert_eq!(bodies([&first]), ["a:1"]);
    member.settle(&first, Outcome::Retry { after: subject.units(2) }).await;
    subject.stored(keyed(&["b:1", "b:2"])).await;
    assert_eq!(member.handle(2).await, ["b:1", "b:2"]);
    member.gets_nothing().await;
    subject.pass(3).await;
    assert_eq!(member.handle(2).await, ["a:1", "a:2"]);
}

pub(crate) async fn a_blocked_key_waits_and_others_flow(backend: &dyn Backend) {
    a_retry_keeps_its_place(backend, Order::KeyBlocks).await;
}

pub(crate) async fn a_parked_key_waits_and_others_flow(backend: &dyn Backend) {
    a_retry_keeps_its_place(backend, Order::KeyParks).await;
}

/// Other keys flow behind a parked one, whatever lies between.
pub(crate) async fn a_parked_key_never_pauses_its_slice(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_groups([billing().order(Order::KeyParks)])).await;
    let window = subject.limits().await.window;
    let behind: Vec<_> = orders(window + 2).into_iter().map(|order| order.key("a")).collect();
    for part in behind.chunks(1_000) {
        subject.stored(part.to_vec()).await;
    }
    let mut member = subject.member().await;
    let first = member.one().await;
    member.settle(&first, Outcome::Retry { after: subject.units(2) }).await;
    subject.stored(keyed(&["b:1"])).await;
    assert_eq!(member.handle(1).await, ["b:1"]);
    subject.pass(3).await;
    assert_eq!(member.handle(2).await, ["0", "1"]);
}

/// A message that is given back comes before those behind it.
pub(crate) async fn a_release_keeps_its_place(backend: &dyn Backend) {
    let subject = ordered(backend, Order::KeyBlocks, &["a:1", "a:2"]).await;
    let (mut member, mut other) = (subject.member().await, subject.member().await);
    let first = member.one().await;
    other.gets_nothing().await;
    member.settle(&first, Outcome::Release).await;
    assert_eq!(other.handle(1).await, ["a:1"]);
    assert_eq!(member.handle(1).await, ["a:2"]);
}

/// A crash and the end of a lease do not disturb the order of a key.
pub(crate) async fn order_survives_a_crash_and_a_lease(backend: &dyn Backend) {
    let subject = ordered(backend, Order::KeyBlocks, &["a:1", "a:2", "a:3"]).await;
    let mut killed = subject.member().await;
    assert_eq!(bodies([&killed.one().await]), ["a:1"]);
    subject.crash(killed).await;
    subject.pass(5).await;
    let mut slow = subject.member().await;
    assert_eq!(bodies([&slow.one().await]), ["a:1"]);
    subject.pass(5).await;
    let mut member = subject.member().await;
    assert_eq!(member.handle(3).await, ["a:1", "a:2", "a:3"]);
}

/// Order survives the broker.
pub(crate) async fn order_survives_the_broker(backend: &dyn Backend) {
    let subject = ordered(backend, Order::KeyBlocks, &["a:1", "a:2", "a:3"]).await;
    let mut member = subject.member().await;
    let first = member.one().await;
    assert_eq!(bodies([&first]), ["a:1"]);
    let subject = subject.reopen().await;
    drop(member);
    assert_eq!(subject.member().await.handle(3).await, ["a:1", "a:2", "a:3"]);
}

/// More members than partitions work at once where they compete: keys are kept in order, not partitions.
pub(crate) async fn keys_flow_beyond_the_number_of_partitions(backend: &dyn Backend) {
    let subject = ordered(backend, Order::KeyBlocks, &["a:1", "b:1", "c:1", "a:2", "b:2", "c:2"]).await;
    let mut members = [subject.member().await, subject.member().await, subject.member().await];
    let mut held = Vec::new();
    for member in &mut members {
        held.push(member.one().await);
    }
    let first: BTreeSet<_> = bodies(&held).into_iter().collect();
    assert_eq!(first, ["a:1", "b:1", "c:1"].map(str::to_owned).into());
    members[2].ack(&held[2]).await;
    let next = members[0].one().await;
    assert_eq!((&next.message.key, next.message == held[2].message), (&held[2].message.key, false));
}

/// Messages without key are held up by nobody.
pub(crate) async fn messages_without_key_are_not_held_up(backend: &dyn Backend) {
    let subject = ordered(backend, Order::KeyBlocks, &["a:1", "a:2"]).await;
    subject.stored([order("x"), order("y")]).await;
    let mut member = subject.member().await;
    let mut first = bodies(&member.take(3).await);
    first.sort();
    assert_eq!(first, ["a:1", "x", "y"]);
    member.gets_nothing().await;
}

/// Without order nothing waits for anything.
pub(crate) async fn nothing_waits_where_nothing_is_in_order(backend: &dyn Backend) {
    let subject = ordered(backend, Order::Unordered, &["a:1", "a:2", "a:3"]).await;
    let mut member = subject.member().await;
    let first = member.one().await;
    member.settle(&first, Outcome::Retry { after: subject.units(2) }).await;
    let others = member.handle(2).await;
    assert!(!others.contains(&bodies([&first])[0]), "what waits does not come");
    subject.pass(3).await;
    assert_eq!(member.handle(1).await, bodies([&first]));
}

/// A group in order with dead letters, of which the first message of `a` has become one.
async fn with_dead(backend: &dyn Backend, billing: Subscription) -> (Subject, crate::broker::consumer::Consumer) {
    let subject = Subject::with(backend, &with_dead_letters(billing)).await;
    subject.stored(keyed(&["a:1", "a:2", "a:3"])).await;
    let mut member = subject.member().await;
    let first = member.one().await;
    member.bury(&first, "bad").await;
    subject.stored(keyed(&["b:1"])).await;
    (subject, member)
}

/// After a dead letter its key goes on.
pub(crate) async fn a_key_goes_on_after_a_dead_letter(backend: &dyn Backend) {
    let (_subject, mut member) = with_dead(backend, billing().order(Order::KeyBlocks)).await;
    let mut handled = member.handle(3).await;
    handled.sort();
    assert_eq!(handled, ["a:2", "a:3", "b:1"]);
}

/// Where a dead letter holds its key, nothing of the key comes any more, and other keys flow.
pub(crate) async fn a_dead_letter_holds_its_key(backend: &dyn Backend) {
    let held = billing().order(Order::KeyBlocks).hold_after_dead_letter();
    let (subject, mut member) = with_dead(backend, held).await;
    assert_eq!(member.handle(1).await, ["b:1"]);
    subject.stored(keyed(&["a:4"])).await;
    member.gets_nothing().await;
    assert_eq!(bodies([&subject.member_of("dead").await.one().await]), ["a:1"]);
}

/// A held key that is resubmitted drains in order, from the message that was given up, as if it had never been tried.
pub(crate) async fn a_resubmitted_key_drains_in_order(backend: &dyn Backend) {
    let held = billing().order(Order::KeyBlocks).hold_after_dead_letter();
    let (subject, mut member) = with_dead(backend, held).await;
    let Some(admin) = subject.admin() else { panic!("a broker that holds keys can resume them") };
    let waiting = admin.resume(&group(BILLING), b"a", Resume::Resubmit).await;
    assert_eq!(waiting.expect("the key is held"), 2);
    let mut drained: Vec<Delivery> = Vec::new();
    for _ in 0..4 {
        let delivery = member.one().await;
        member.ack(&delivery).await;
        drained.push(delivery);
    }
    drained.retain(|delivery| delivery.message.key.as_deref() == Some(b"a"));
    assert_eq!(bodies(&drained), ["a:1", "a:2", "a:3"]);
    assert_eq!(drained[0].attempt, 1);
    let error = admin.resume(&group(BILLING), b"a", Resume::Resubmit).await.expect_err("the key is not held");
    assert_eq!(kind(&error), "Invalid");
}

/// A held key that is resumed without its dead letter goes on behind it.
pub(crate) async fn a_held_key_goes_on_without_its_dead_letter(backend: &dyn Backend) {
    let held = billing().order(Order::KeyBlocks).hold_after_dead_letter();
    let (subject, mut member) = with_dead(backend, held).await;
    let Some(admin) = subject.admin() else { panic!("a broker that holds keys can resume them") };
    admin.resume(&group(BILLING), b"a", Resume::Skip).await.expect("the key is held");
    let mut handled = member.handle(3).await;
    handled.sort();
    assert_eq!(handled, ["a:2", "a:3", "b:1"]);
}

/// All messages of a session go to the member that had the first, others to others.
pub(crate) async fn a_session_stays_with_its_member(backend: &dyn Backend) {
    let subject = ordered(backend, Order::Sessions, &["a:1", "b:1", "a:2", "b:2"]).await;
    let (mut first, mut second) = (subject.member().await, subject.member().await);
    let (of_first, of_second) = (first.one().await, second.one().await);
    assert_ne!(of_first.message.key, of_second.message.key, "a session has one member");
    first.ack(&of_first).await;
    second.ack(&of_second).await;
    let next = second.one().await;
    assert_eq!(next.message.key, of_second.message.key, "a session is its member's, though another one asks first");
    second.ack(&next).await;
    second.gets_nothing().await;
    assert_eq!(first.one().await.message.key, of_first.message.key);
}

/// A session goes to another member when its own has left, or has had nothing of it for one lease.
pub(crate) async fn a_session_ends_with_its_member(backend: &dyn Backend) {
    let subject = ordered(backend, Order::Sessions, &["a:1", "a:2"]).await;
    let (mut first, mut second) = (subject.member().await, subject.member().await);
    first.handle(1).await;
    second.gets_nothing().await;
    subject.crash(first).await;
    subject.pass(5).await;
    assert_eq!(second.handle(1).await, ["a:2"]);
    subject.pass(5).await;
    subject.stored(keyed(&["a:3"])).await;
    let mut third = subject.member().await;
    assert_eq!(third.handle(1).await, ["a:3"]);
}

/// A higher priority goes first among what can be delivered.
pub(crate) async fn a_higher_priority_goes_first(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_groups([billing()])).await;
    let prioritised = [("1", 0), ("2", 5), ("3", 9), ("4", 5), ("5", 0)];
    subject.stored(prioritised.map(|(body, priority)| order(body).priority(priority))).await;
    let mut member = subject.member().await;
    let mut taken = Vec::new();
    for _ in 0..5 {
        taken.extend(bodies(&member.batch(Limit::messages(1)).await));
    }
    assert_eq!(taken, ["3", "2", "4", "1", "5"]);
}

/// A priority does not overtake within a key.
pub(crate) async fn a_priority_does_not_overtake_within_a_key(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_groups([billing().order(Order::KeyBlocks)])).await;
    let urgent = keyed(&["a:2"]).remove(0).priority(9);
    subject.stored(keyed(&["a:1"]).into_iter().chain([urgent]).chain(keyed(&["b:1"]))).await;
    let handled = subject.member().await.handle(3).await;
    let place = |body| handled.iter().position(|other| other == body).expect("it was handled");
    assert!(place("a:1") < place("a:2"), "{handled:?}");
}

/// Many members, random outcomes: each key is handled in the order in which it was sent.
pub(crate) async fn keys_stay_in_order_under_load(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_groups([billing().order(Order::KeyBlocks)])).await;
    let keys = ["a", "b", "c", "d", "e"];
    let batch = (0..20).flat_map(|number| keys.map(|key| order(&format!("{key}:{number}")).key(key)));
    let batch: Vec<_> = batch.collect();
    subject.stored(batch.clone()).await;
    let mut random = crate::Seed::new(17);
    let mut members = [subject.member().await, subject.member().await, subject.member().await];
    let mut held: [Vec<Delivery>; 3] = [const { Vec::new() }; 3];
    let mut handled = Vec::new();
    while handled.len() < batch.len() {
        let at = random.index(members.len());
        let member = &mut members[at];
        if held[at].is_empty() || random.once_in(3) {
            if let Some(Next::Batch(batch)) = member.if_ready(Limit::messages(3)).await {
                held[at].extend(batch);
            }
            tokio::task::yield_now().await;
            continue;
        }
        let index = random.index(held[at].len());
        let delivery = held[at].remove(index);
        match random.within(0..=5) {
            0 => member.settle(&delivery, Outcome::Release).await,
            1 => member.settle(&delivery, Outcome::Retry { after: Duration::ZERO }).await,
            _ => {
                member.ack(&delivery).await;
                handled.extend(bodies([&delivery]));
            }
        }
    }
    for key in keys {
        let of_key = |bodies: Vec<String>| bodies.into_iter().filter(|body| body.starts_with(key)).collect::<Vec<_>>();
        assert_eq!(of_key(handled.clone()), of_key(sent(&batch)));
    }
    assert_eq!(handled.iter().collect::<BTreeSet<_>>().len(), batch.len());
}
