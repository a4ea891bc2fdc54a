//! Keys that do not stay in order, or stand in the way of others.

use mainspring_broker::{Admin, AfterDeadLetter, Order, Outcome, Resume, Slice};

use super::{with_key, with_own_key};
use crate::broker::{Flaw, SOUND};

pub(crate) const FLAWS: &[Flaw] = &[
    Flaw {
        name: "keeps nothing in order",
        caught_by: &[
            "history::random_histories_break_no_promise",
            "order::blocked_keys_come_one_at_a_time",
            "order::parked_keys_come_one_at_a_time",
            "order::sessions_come_one_message_at_a_time",
            "order::a_blocked_key_waits_and_others_flow",
            "order::a_parked_key_waits_and_others_flow",
            "order::a_release_keeps_its_place",
            "order::keys_stay_in_order_under_load",
            "order::messages_without_key_are_not_held_up",
            "order::a_priority_does_not_overtake_within_a_key",
            "order::a_dead_letter_holds_its_key",
            "order::a_session_stays_with_its_member",
        ],
        topology: |mut topology| {
            for group in &mut topology.subscriptions {
                (group.order, group.after_dead_letter) = (Order::Unordered, AfterDeadLetter::Continue);
            }
            topology
        },
        ..SOUND
    },
    Flaw {
        name: "stops everything behind a message that waits",
        caught_by: &[
            "order::a_blocked_key_waits_and_others_flow",
            "order::a_parked_key_waits_and_others_flow",
            "order::nothing_waits_where_nothing_is_in_order",
        ],
        settle: |settler, outcomes| {
            Box::pin(async move {
                let waits =
                    outcomes.iter().any(|(_, outcome)| matches!(outcome, Outcome::Retry { after } if !after.is_zero()));
                if waits {
                    let slice = Slice { topic: "orders".parse().expect("a valid name"), partition: 0 };
                    settler.inner.pause(&[slice], true).await.expect("a slice can be paused");
                }
                settler.inner.settle(outcomes).await
            })
        },
        ..SOUND
    },
    Flaw {
        name: "parks no more than it can keep in memory",
        caught_by: &["order::a_parked_key_never_pauses_its_slice"],
        topology: |mut topology| {
            topology.subscriptions.iter_mut().for_each(|group| {
                if group.order == Order::KeyParks {
                    group.order = Order::KeyBlocks;
                }
            });
            topology
        },
        ..SOUND
    },
    Flaw {
        name: "sends again what is to be tried again",
        caught_by: &[
            "order::a_blocked_key_waits_and_others_flow",
            "order::keys_stay_in_order_under_load",
            "attempts::every_retry_is_an_attempt",
            "attempts::a_retry_after_a_time_is_an_attempt",
        ],
        settle: |settler, outcomes| {
            Box::pin(async move {
                let mut acks = Vec::new();
                for (tag, outcome) in outcomes {
                    let delivery = settler.broker.memo().delivered.get(&tag).cloned();
                    match (outcome, delivery) {
                        (Outcome::Retry { after }, Some(delivery)) => {
                            let again = delivery.message.delay(after);
                            drop(settler.broker.send_now(vec![again]));
                            acks.push((tag, Outcome::Ack));
                        }
                        (other, _) => acks.push((tag, other)),
                    }
                }
                settler.inner.settle(acks).await
            })
        },
        ..SOUND
    },
    Flaw {
        name: "keeps partitions in order, and not keys",
        caught_by: &[
            "order::keys_flow_beyond_the_number_of_partitions",
            "order::blocked_keys_come_one_at_a_time",
            "order::messages_without_key_are_not_held_up",
        ],
        message: |_, message| with_key(message, "the partition".to_owned()),
        delivery: |_, _, delivery| with_own_key(delivery),
        ..SOUND
    },
    Flaw {
        name: "puts what is given back behind everything else",
        caught_by: &[
            "history::random_histories_break_no_promise",
            "order::a_release_keeps_its_place",
            "order::keys_stay_in_order_under_load",
        ],
        settle: |settler, outcomes| {
            Box::pin(async move {
                let mut acks = Vec::new();
                for (tag, outcome) in outcomes {
                    let delivery = settler.broker.memo().delivered.get(&tag).cloned();
                    let outcome = match (outcome, delivery) {
                        (Outcome::Release, Some(delivery)) => {
                            drop(settler.broker.send_now(vec![delivery.message]));
                            Outcome::Ack
                        }
                        (other, _) => other,
                    };
                    acks.push((tag, outcome));
                }
                settler.inner.settle(acks).await
            })
        },
        ..SOUND
    },
    Flaw {
        name: "puts what a crashed member held behind everything else",
        caught_by: &["order::order_survives_a_crash_and_a_lease", "order::order_survives_the_broker"],
        crash: |broker, member| {
            drop(member);
            put_behind(broker, "billing");
        },
        reopen: |broker| {
            let restarted = (SOUND.reopen)(broker);
            put_behind(&restarted, "billing");
            restarted
        },
        ..SOUND
    },
    Flaw {
        name: "holds no keys after dead letters",
        caught_by: &[
            "order::a_dead_letter_holds_its_key",
            "order::a_resubmitted_key_drains_in_order",
            "order::a_held_key_goes_on_without_its_dead_letter",
        ],
        topology: |mut topology| {
            topology.subscriptions.iter_mut().for_each(|group| group.after_dead_letter = AfterDeadLetter::Continue);
            topology
        },
        ..SOUND
    },
    Flaw {
        name: "holds keys after every dead letter",
        caught_by: &["order::a_key_goes_on_after_a_dead_letter"],
        topology: |mut topology| {
            for group in &mut topology.subscriptions {
                if group.order != Order::Unordered && group.dead_letter.is_some() {
                    group.after_dead_letter = AfterDeadLetter::Hold;
                }
            }
            topology
        },
        ..SOUND
    },
    Flaw {
        name: "resubmits behind what waited",
        caught_by: &["order::a_resubmitted_key_drains_in_order"],
        resume: |broker, group, key, how| {
            Box::pin(async move {
                let dead =
                    broker.memo().delivered.values().find(|one| one.message.key.as_deref() == Some(key)).cloned();
                let waiting = broker.inner.resume(group, key, Resume::Skip).await?;
                if let (Resume::Resubmit, Some(dead)) = (how, dead) {
                    drop(broker.send_now(vec![dead.message]));
                }
                Ok(waiting)
            })
        },
        ..SOUND
    },
    Flaw {
        name: "resubmits where it is to skip",
        caught_by: &["order::a_held_key_goes_on_without_its_dead_letter"],
        resume: |broker, group, key, _| broker.inner.resume(group, key, Resume::Resubmit),
        ..SOUND
    },
    Flaw {
        name: "gives sessions to whoever asks",
        caught_by: &["order::a_session_stays_with_its_member", "order::a_session_ends_with_its_member"],
        topology: |mut topology| {
            for group in &mut topology.subscriptions {
                if group.order == Order::Sessions {
                    group.order = Order::KeyBlocks;
                }
            }
            topology
        },
        ..SOUND
    },
    Flaw {
        name: "does not know priorities",
        caught_by: &["order::a_higher_priority_goes_first"],
        message: |_, message| message.priority(0),
        ..SOUND
    },
];

/// Puts the first message of a group, which nobody holds, behind all others.
fn put_behind(broker: &crate::broker::Broken, group: &str) {
    use futures_util::FutureExt;
    let group = group.parse().expect("a valid name");
    let all = broker.inner.browse(&group, 100).now_or_never().expect("the model never waits");
    let mut all: Vec<_> = all.expect("the group is there").into_iter().map(|one| one.message).collect();
    all.rotate_left(1);
    broker.inner.purge(&group).now_or_never().expect("the model never waits").expect("the group is there");
    drop(broker.send_now(all));
}
