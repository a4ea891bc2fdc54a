//! Messages that come too early, or though they have expired.

use std::time::Duration;

use mainspring_broker::{Message, Outcome};

use crate::broker::{Flaw, SOUND};

pub(crate) const FLAWS: &[Flaw] = &[
    Flaw {
        name: "delivers delayed messages at once",
        caught_by: &[
            "delays::a_delayed_message_comes_when_it_is_due",
            "delays::delayed_messages_come_in_the_order_of_their_times",
            "delays::a_delayed_message_survives_the_broker",
            "operators::schedules_are_listed",
        ],
        message: |_, message| Message { delay: None, ..message },
        ..SOUND
    },
    Flaw {
        name: "delivers delayed messages early",
        caught_by: &["delays::a_delayed_message_comes_when_it_is_due"],
        message: |_, message| Message { delay: message.delay.map(|delay| delay / 3), ..message },
        ..SOUND
    },
    Flaw {
        name: "never delivers delayed messages",
        caught_by: &["delays::a_delayed_message_comes_when_it_is_due"],
        message: |_, message| Message { delay: message.delay.map(|delay| delay * 1_000), ..message },
        ..SOUND
    },
    Flaw {
        name: "finds out about routes when messages are due",
        caught_by: &["delays::a_delayed_message_needs_a_route"],
        send: |broker, batch| {
            let is_delayed = batch.iter().any(|message| message.delay.is_some());
            Box::pin(async move {
                let answers = broker.send_now(batch).into_iter();
                let receipt = mainspring_broker::Receipt { place: None, duplicate: false };
                let confirm =
                    |answer: Result<_, _>| if is_delayed { Ok(answer.unwrap_or(receipt.clone())) } else { answer };
                Ok(mainspring_broker::Confirmations::now(answers.map(confirm).collect()))
            })
        },
        ..SOUND
    },
    Flaw {
        name: "tries again at once",
        caught_by: &[
            "delays::a_retry_comes_after_its_time",
            "delays::a_retry_survives_the_broker",
            "order::a_blocked_key_waits_and_others_flow",
            "order::nothing_waits_where_nothing_is_in_order",
        ],
        outcome: |outcome| match outcome {
            Outcome::Retry { .. } => Outcome::Retry { after: Duration::ZERO },
            other => other,
        },
        ..SOUND
    },
    Flaw {
        name: "tries again early",
        caught_by: &["delays::a_retry_comes_after_its_time"],
        outcome: |outcome| match outcome {
            Outcome::Retry { after } => Outcome::Retry { after: after / 3 },
            other => other,
        },
        ..SOUND
    },
    Flaw {
        name: "never tries again what was to wait",
        caught_by: &["delays::a_retry_comes_after_its_time", "attempts::a_retry_after_a_time_is_an_attempt"],
        outcome: |outcome| match outcome {
            Outcome::Retry { after } if !after.is_zero() => Outcome::Ack,
            other => other,
        },
        ..SOUND
    },
    Flaw {
        name: "delivers what has expired",
        caught_by: &["delays::what_has_expired_does_not_come", "delays::what_has_expired_becomes_a_dead_letter"],
        message: |_, message| Message { expires_after: None, ..message },
        ..SOUND
    },
    Flaw {
        name: "lets messages expire early",
        caught_by: &["delays::what_has_expired_does_not_come"],
        message: |_, message| Message { expires_after: message.expires_after.map(|time| time / 5), ..message },
        ..SOUND
    },
];
