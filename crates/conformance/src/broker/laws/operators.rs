//! What operators see, where a broker can say it.

use mainspring_broker::{GroupStatus, Keep, Order, Resume, ScheduleId, Topic, TopicStatus};

use crate::broker::{
    Backend,
    consumer::MANY,
    sample::{
        BILLING, billing, bodies, event, group, keyed, order, orders, sent, shipping, sorted, text, to,
        with_dead_letters, with_groups, with_log,
    },
    subject::Subject,
};

/// Topics are listed as they were created, with what there is of each slice.
pub(crate) async fn topics_are_listed(backend: &dyn Backend) {
    let topology = with_groups([billing()]).topic(Topic { partitions: 3, ..Topic::new(to("others")) });
    let subject = Subject::with(backend, &topology).await;
    let Some(admin) = subject.admin() else { return };
    let receipts = subject.stored(orders(4)).await;
    subject.member().await.handle(4).await;
    subject.stored(orders(2)).await;
    let topics = admin.topics().await.expect("an open broker can list its topics");
    let listed: Vec<_> = topics.iter().map(|status| status.topic.clone()).collect();
    assert_eq!(listed, topology.topics);
    assert_eq!(topics.iter().map(|status| status.slices.len()).collect::<Vec<_>>(), [1, 3]);
    let Some(last) = receipts.last().and_then(|receipt| receipt.place.as_ref()) else { return };
    let orders = topics[0].slices[0];
    assert_eq!(orders.next, last.offset + 3);
    assert!(orders.first <= last.offset + 1, "{orders:?}: what nobody has settled is kept");
    assert!(topics[1].slices.iter().all(|slice| slice.first == slice.next), "nothing was sent there");
}

/// A log begins, for operators, where a group begins that reads it from the earliest on.
pub(crate) async fn a_log_says_where_it_begins(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let mut topology = with_log(1, []);
    topology.topics[0].keep = Keep::Log { max_age: Some(subject.units(10)), max_bytes: None };
    subject.create(&topology).await;
    let Some(admin) = subject.admin() else { return };
    let next =
        subject.stored(orders(3)).await.last().and_then(|last| last.place.as_ref()).map(|place| place.offset + 1);
    let begins = async || {
        let topics: Vec<TopicStatus> = admin.topics().await.expect("an open broker can list its topics");
        topics[0].slices[0]
    };
    let before = begins().await;
    assert_eq!(next, Some(before.next), "messages of a log have places");
    assert_eq!(before.next - before.first, 3);
    subject.pass(6).await;
    subject.stored(orders(1)).await;
    subject.pass(6).await;
    let after = begins().await;
    assert_eq!((after.first, after.next), (before.next, before.next + 1));
}

/// Lag counts what is not settled, and what is in flight of it.
pub(crate) async fn lag_counts_what_is_not_settled(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_groups([billing(), shipping()])).await;
    let Some(admin) = subject.admin() else { return };
    subject.stored(orders(10)).await;
    let mut member = subject.member().await;
    member.handle(3).await;
    member.take(2).await;
    let groups = admin.groups().await.expect("an open broker can say how its groups stand");
    let status =
        |name: &str, members, lag, in_flight| GroupStatus { group: group(name), members, lag, in_flight, held_keys: 0 };
    assert_eq!(groups, [status("billing", 1, 7, 2), status("shipping", 0, 10, 0)]);
}

/// Looking takes nothing.
pub(crate) async fn browsing_takes_nothing(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_groups([billing()])).await;
    let Some(admin) = subject.admin() else { return };
    subject.stored(orders(5)).await;
    let mut member = subject.member().await;
    let held = member.one().await;
    let seen = admin.browse(&group(BILLING), 3).await.expect("a group can be browsed");
    let shown: Vec<_> = seen.iter().map(|one| (text(&one.message.body), one.attempts, one.in_flight)).collect();
    assert_eq!(shown, [("0".to_owned(), 1, true), ("1".to_owned(), 0, false), ("2".to_owned(), 0, false)]);
    member.ack(&held).await;
    assert_eq!(sorted(member.handle(4).await), sent(&orders(5))[1..]);
}

/// Looking shows the messages of several slices in the order in which they were stored.
pub(crate) async fn browsing_goes_in_order_over_all_slices(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_log(4, [billing()])).await;
    let Some(admin) = subject.admin() else { return };
    let sent = keyed(&["d:1", "a:2", "c:3", "b:4", "a:5", "d:6", "b:7", "c:8"]);
    for message in sent.clone() {
        subject.stored([message]).await;
        subject.pass(1).await;
    }
    for limit in [1, 3, 8, 9] {
        let seen = admin.browse(&group(BILLING), limit).await.expect("a group can be browsed");
        let seen: Vec<_> = seen.into_iter().map(|pending| pending.message).collect();
        assert_eq!(seen, sent[..limit.min(8)]);
    }
}

/// What a look shows is found at its place, and nothing else is.
pub(crate) async fn what_is_shown_is_found_at_its_place(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_groups([billing()])).await;
    let Some(admin) = subject.admin() else { return };
    let receipts = subject.stored(orders(4)).await;
    let places: Option<Vec<_>> = receipts.into_iter().map(|receipt| receipt.place).collect();
    let Some(places) = places else { return };
    let mut member = subject.member().await;
    let taken = member.take(2).await;
    member.ack(&taken[0]).await;
    let shown = admin.browse(&group(BILLING), 9).await.expect("a group can be browsed");
    assert_eq!(shown.len(), 3);
    for place in &places {
        let found = admin.find(&group(BILLING), place).await.expect("a place can be looked at");
        let expected = shown.iter().find(|pending| pending.place.as_ref() == Some(place));
        assert_eq!(found.as_ref(), expected, "{place}");
    }
    let never = mainspring_broker::Place { offset: 1_000, ..places[0].clone() };
    assert_eq!(admin.find(&group(BILLING), &never).await.expect("a place can be looked at"), None);
    member.ack(&taken[1]).await;
    assert_eq!(sorted(member.handle(2).await).len(), 2);
}

/// Purging removes what nobody holds, of one group only.
pub(crate) async fn purging_removes_what_nobody_holds(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_groups([billing(), shipping()])).await;
    let Some(admin) = subject.admin() else { return };
    subject.stored(orders(5)).await;
    let mut member = subject.member().await;
    let held = member.one().await;
    assert_eq!(admin.purge(&group(BILLING)).await.expect("a group can be purged"), 4);
    member.ack(&held).await;
    member.gets_nothing().await;
    assert_eq!(subject.member_of("shipping").await.handle(5).await.len(), 5);
}

/// Messages that are not due yet are listed, the next one first.
pub(crate) async fn schedules_are_listed(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_groups([billing()])).await;
    let Some(admin) = subject.admin() else { return };
    let begin = subject.now();
    let due = [("5", 5), ("3", 3), ("7", 7)];
    subject.stored(due.map(|(body, units)| order(body).delay(subject.units(units)))).await;
    let listed = admin.schedules(2).await.expect("schedules can be listed");
    assert_eq!(listed.iter().map(|one| text(&one.message.body)).collect::<Vec<_>>(), ["3", "5"]);
    assert!(listed[0].due >= begin + subject.units(3), "a delay is a lower bound");
    subject.pass(4).await;
    assert_eq!(subject.member().await.handle(1).await, ["3"]);
    assert_eq!(admin.schedules(9).await.expect("schedules can be listed").len(), 2);
}

/// Removing takes the messages that are named and that nobody holds, of one group only, whether or not it has members.
pub(crate) async fn removing_takes_only_what_is_named(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_groups([billing(), shipping()])).await;
    let Some(admin) = subject.admin() else { return };
    let receipts = subject.stored(orders(6)).await;
    let places: Option<Vec<_>> = receipts.into_iter().map(|receipt| receipt.place).collect();
    let Some(places) = places else { return };
    let remove = async |named: &[usize]| {
        let named: Vec<_> = named.iter().map(|at| places[*at].clone()).collect();
        admin.remove(&group(BILLING), &named).await.expect("messages can be removed")
    };
    assert_eq!(remove(&[4, 1]).await, 2);
    assert_eq!(remove(&[4, 1]).await, 0, "what is settled cannot be removed");
    let mut member = subject.member().await;
    let held = member.one().await;
    assert_eq!(remove(&[0, 2]).await, 1, "what somebody holds cannot be removed");
    member.ack(&held).await;
    assert_eq!(sorted([bodies([&held]), member.handle(2).await].concat()), ["0", "3", "5"]);
    member.gets_nothing().await;
    assert_eq!(subject.member_of("shipping").await.handle(6).await.len(), 6);
}

/// A message that was taken back does not come; the others do.
pub(crate) async fn a_cancelled_message_does_not_come(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_groups([billing()])).await;
    let Some(admin) = subject.admin() else { return };
    let due = [("2", 2), ("3", 3), ("4", 4)];
    subject.stored(due.map(|(body, units)| order(body).delay(subject.units(units)))).await;
    let listed = admin.schedules(9).await.expect("schedules can be listed");
    let id = |at: usize| &listed[at].id;
    let cancel = async |id: &ScheduleId| admin.cancel(id).await.expect("an open broker can cancel");
    assert!(cancel(id(1)).await, "it was still there");
    assert!(!cancel(id(1)).await, "it is not there any more");
    assert!(!cancel(&ScheduleId::new("no such message")).await);
    let left = admin.schedules(9).await.expect("schedules can be listed");
    assert_eq!(left.iter().map(|one| text(&one.message.body)).collect::<Vec<_>>(), ["2", "4"]);
    subject.pass(6).await;
    let mut member = subject.member().await;
    assert_eq!(member.handle(2).await, ["2", "4"]);
    assert!(!cancel(id(0)).await, "it came");
    member.gets_nothing().await;
}

/// A message that was taken back may be sent again under the same id.
pub(crate) async fn a_cancelled_message_may_be_sent_again(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let mut topology = with_groups([billing()]);
    topology.topics[0].dedupe = Some(subject.units(30));
    subject.create(&topology).await;
    let Some(admin) = subject.admin() else { return };
    let message = event("{}").delay(subject.units(3));
    subject.stored([message.clone()]).await;
    let listed = admin.schedules(9).await.expect("schedules can be listed");
    assert!(admin.cancel(&listed[0].id).await.expect("an open broker can cancel"));
    let receipt = subject.stored([message]).await.remove(0);
    assert!(!receipt.duplicate);
    subject.pass(4).await;
    assert_eq!(subject.member().await.handle(1).await, ["{}"]);
}

/// What was taken back does not come after a crash either, and what was not does.
pub(crate) async fn a_cancelled_message_stays_cancelled(backend: &dyn Backend) {
    let subject = Subject::with(backend, &with_groups([billing()])).await;
    if subject.admin().is_none() {
        return;
    }
    subject.stored(["a", "b"].map(|body| order(body).delay(subject.units(20)))).await;
    let subject = subject.reopen().await;
    let Some(admin) = subject.admin() else { return };
    let listed = admin.schedules(9).await.expect("schedules can be listed");
    assert!(admin.cancel(&listed[0].id).await.expect("an open broker can cancel"));
    let left = text(&listed[1].message.body);
    let subject = subject.reopen().await;
    subject.pass(21).await;
    let mut member = subject.member().await;
    assert_eq!(member.handle(1).await, [left]);
    member.gets_nothing().await;
}

/// A held key is resumed after a crash, before the group has a member again.
pub(crate) async fn a_key_is_resumed_without_members(backend: &dyn Backend) {
    for (how, expected) in [(Resume::Resubmit, &["a:1", "a:2", "a:3"][..]), (Resume::Skip, &["a:2", "a:3"])] {
        let held = billing().order(Order::KeyBlocks).hold_after_dead_letter();
        let subject = Subject::with(backend, &with_dead_letters(held)).await;
        subject.stored(keyed(&["b:1", "a:1", "a:2", "b:2", "a:3"])).await;
        let mut member = subject.member().await;
        let mut first = member.batch(MANY).await;
        while !bodies(&first).contains(&"a:1".to_owned()) {
            member.ack_all(&first).await;
            first = member.batch(MANY).await;
        }
        let dead = first.into_iter().find(|delivery| bodies([delivery]) == ["a:1"]).expect("it was just seen");
        member.bury(&dead, "bad").await;
        let subject = subject.reopen().await;
        drop(member);
        let Some(admin) = subject.admin() else { panic!("a broker that holds keys can resume them") };
        assert_eq!(admin.resume(&group(BILLING), b"a", how).await.expect("the key is held"), 2);
        admin.resume(&group(BILLING), b"a", how).await.expect_err("the key is held no more");
        let subject = subject.reopen().await;
        let mut member = subject.member().await;
        let mut handled = Vec::new();
        while handled.len() < expected.len() {
            handled.extend(member.handle(1).await.into_iter().filter(|body| body.starts_with('a')));
        }
        assert_eq!(handled, expected);
    }
}
