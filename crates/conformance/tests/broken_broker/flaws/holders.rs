//! Messages with several holders, and stale ones that still count.

use std::{future::pending, time::Duration};

use mainspring_broker::{Delivery, Next, SettleError, SubscriptionSpec};

use crate::broker::{Answers, Broken, Flaw, SOUND};

pub(crate) const FLAWS: &[Flaw] = &[
    Flaw {
        name: "gives a message to a second member, too",
        caught_by: &[
            "history::random_histories_break_no_promise",
            "holders::a_message_has_one_holder",
            "holders::an_extended_lease_lasts",
            "order::a_session_stays_with_its_member",
        ],
        next: |deliveries, max| {
            Box::pin(async move {
                let (member, is_billing) = (deliveries.member, deliveries.spec.group.as_str() == "billing");
                if let Some(copy) = copy_of_another(&deliveries.broker, member).filter(|_| is_billing) {
                    return Ok(Next::Batch(vec![copy]));
                }
                let next = deliveries.inner.next(max).await?;
                if let Next::Batch(batch) = &next {
                    let copies = batch.iter().map(|delivery| (member, delivery.clone()));
                    deliveries.broker.memo().copies.extend(copies);
                }
                Ok(next)
            })
        },
        ..SOUND
    },
    Flaw {
        name: "gives a message to one group only",
        caught_by: &[
            "holders::every_group_gets_every_message",
            "attempts::every_group_counts_its_own_attempts",
            "replay::a_seek_moves_no_other_group",
            "routing::a_group_may_get_several_topics",
        ],
        subscribe: |broker, spec| {
            Box::pin(async move {
                let first = broker.memo().topology.subscriptions.first().map(|first| first.group.clone());
                let group = first.unwrap_or(spec.group);
                mainspring_broker::Broker::subscribe(&broker.inner, SubscriptionSpec { group, ..spec }).await
            })
        },
        ..SOUND
    },
    Flaw {
        name: "takes settlements of stale holders",
        caught_by: &[
            "history::random_histories_break_no_promise",
            "holders::a_stale_holder_cannot_settle",
            "holders::a_holder_is_stale_when_its_lease_is_over",
            "holders::a_delivery_is_settled_once",
            "holders::nobody_settles_for_another_member",
            "holders::settlements_are_answered_one_by_one",
            "unsettled::closing_gives_the_rest_back_at_its_deadline",
            "slices::nothing_is_delivered_of_a_slice_that_is_handed_over",
            "slices::a_handover_ends_at_its_deadline",
            "replay::a_seek_moves_the_whole_group",
        ],
        settle: |settler, outcomes| Box::pin(async move { forgiving(settler.inner.settle(outcomes).await) }),
        ..SOUND
    },
    Flaw {
        name: "answers a list of settlements with one answer",
        caught_by: &["holders::settlements_are_answered_one_by_one"],
        settle: |settler, outcomes| {
            Box::pin(async move {
                let answers = settler.inner.settle(outcomes).await;
                if answers.iter().all(Result::is_ok) {
                    return answers;
                }
                answers.iter().map(|_| Err(SettleError::Stale)).collect()
            })
        },
        ..SOUND
    },
    Flaw {
        name: "extends leases of stale holders",
        caught_by: &["holders::a_stale_holder_cannot_extend"],
        extend: |settler, tags, by| Box::pin(async move { forgiving(settler.inner.extend(tags, by).await) }),
        ..SOUND
    },
    Flaw {
        name: "does not extend leases",
        caught_by: &["holders::an_extended_lease_lasts"],
        extend: |_, tags, _| Box::pin(async move { tags.iter().map(|_| Ok(())).collect() }),
        ..SOUND
    },
    Flaw {
        name: "never ends a lease",
        caught_by: &[
            "holders::a_lease_ends_and_another_member_gets_the_message",
            "holders::a_holder_is_stale_when_its_lease_is_over",
            "holders::an_extended_lease_lasts",
            "attempts::a_lease_that_ran_out_was_an_attempt",
            "order::order_survives_a_crash_and_a_lease",
        ],
        spec: |spec| spec.lease(Duration::from_secs(12 * 3_600)),
        ..SOUND
    },
    Flaw {
        name: "ends leases early",
        caught_by: &["holders::a_lease_ends_and_another_member_gets_the_message"],
        spec: |spec| {
            let lease = spec.lease / 4;
            spec.lease(lease)
        },
        ..SOUND
    },
    Flaw {
        name: "does not notice that a member is gone",
        caught_by: &[
            "unsettled::a_crashed_member_loses_nothing",
            "attempts::a_crash_is_an_attempt",
            "attempts::what_was_only_fetched_was_not_tried",
            "order::a_session_ends_with_its_member",
            "slices::a_member_too_many_is_idle_until_another_ends",
        ],
        spec: |spec| spec.lease(Duration::from_secs(12 * 3_600)),
        crash: |broker, member| broker.memo().kept.push(member),
        ..SOUND
    },
    Flaw {
        name: "serves its first member only",
        caught_by: &[
            "holders::a_message_has_one_holder",
            "order::keys_flow_beyond_the_number_of_partitions",
            "bounded::a_stuck_member_does_not_stop_others",
        ],
        next: |deliveries, max| {
            if deliveries.member > 1 {
                return Box::pin(pending());
            }
            deliveries.inner.next(max)
        },
        ..SOUND
    },
];

/// What another member was given, once.
fn copy_of_another(broker: &Broken, member: u64) -> Option<Delivery> {
    let mut memo = broker.memo();
    let at = memo.copies.iter().position(|(holder, _)| *holder != member)?;
    Some(memo.copies.remove(at).1)
}

fn forgiving(answers: Answers) -> Answers {
    let forgive = |answer| if matches!(answer, Err(SettleError::Stale)) { Ok(()) } else { answer };
    answers.into_iter().map(forgive).collect()
}
