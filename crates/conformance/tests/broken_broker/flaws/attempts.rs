//! Attempts that are forgotten, or counted where there was none.

use std::time::Duration;

use mainspring_broker::Outcome;

use crate::broker::{Flaw, SOUND};

pub(crate) const FLAWS: &[Flaw] = &[
    Flaw {
        name: "counts no attempts that ended in a crash or with a lease",
        caught_by: &[
            "history::random_histories_break_no_promise",
            "attempts::a_crash_is_an_attempt",
            "attempts::a_lease_that_ran_out_was_an_attempt",
            "attempts::attempts_survive_the_broker",
            "holders::a_lease_ends_and_another_member_gets_the_message",
        ],
        settle: |settler, outcomes| {
            Box::pin(async move {
                for (tag, outcome) in &outcomes {
                    let mut memo = settler.broker.memo();
                    let body = memo.delivered.get(tag).map(|delivery| delivery.message.body.to_vec());
                    if let (Outcome::Retry { .. }, Some(body)) = (outcome, body) {
                        *memo.attempts.entry(body).or_default() += 1;
                    }
                }
                settler.inner.settle(outcomes).await
            })
        },
        delivery: |broker, _, mut delivery| {
            delivery.attempt = 1 + broker.memo().attempts.get(&delivery.message.body.to_vec()).copied().unwrap_or(0);
            delivery
        },
        ..SOUND
    },
    Flaw {
        name: "counts no attempts",
        caught_by: &[
            "attempts::every_retry_is_an_attempt",
            "attempts::a_retry_after_a_time_is_an_attempt",
            "delays::a_retry_comes_after_its_time",
            "attempts::a_crash_is_an_attempt",
        ],
        delivery: |_, _, mut delivery| {
            delivery.attempt = 1;
            delivery
        },
        ..SOUND
    },
    Flaw {
        name: "counts no more than twenty attempts",
        caught_by: &["attempts::every_retry_is_an_attempt"],
        delivery: |_, _, mut delivery| {
            delivery.attempt = delivery.attempt.min(20);
            delivery
        },
        ..SOUND
    },
    Flaw {
        name: "counts attempts from 0",
        caught_by: &["confirmed::a_confirmed_message_is_delivered"],
        delivery: |_, _, mut delivery| {
            delivery.attempt -= 1;
            delivery
        },
        ..SOUND
    },
    Flaw {
        name: "counts what is given back",
        caught_by: &["history::random_histories_break_no_promise", "attempts::a_release_is_no_attempt"],
        outcome: |outcome| match outcome {
            Outcome::Release => Outcome::Retry { after: Duration::ZERO },
            other => other,
        },
        ..SOUND
    },
    Flaw {
        name: "counts the attempts of all groups together",
        caught_by: &["attempts::every_group_counts_its_own_attempts"],
        delivery: |broker, _, mut delivery| {
            let mut memo = broker.memo();
            let attempts = memo.attempts.entry(delivery.message.body.to_vec()).or_default();
            *attempts += 1;
            delivery.attempt = *attempts;
            drop(memo);
            delivery
        },
        ..SOUND
    },
];
