//! What operators see, where a broker can say it.

use mainspring_broker::GroupStatus;

use crate::broker::{
    Backend,
    sample::{BILLING, billing, group, order, orders, sent, shipping, sorted, text, with_groups},
    subject::Subject,
};

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
