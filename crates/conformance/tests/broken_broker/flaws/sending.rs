//! Answers to senders that are not true, and batches that fall apart.

use std::future::pending;

use mainspring_broker::{Broker, Confirmations, Message, SendError};

use crate::broker::{Flaw, SOUND};

pub(crate) const FLAWS: &[Flaw] = &[
    Flaw {
        name: "stores what lies behind a failed message of its key",
        caught_by: &[
            "sending::nothing_is_stored_behind_a_failed_message_of_its_key",
            "sending::a_key_that_is_sent_again_is_complete_and_in_order",
        ],
        send: |broker, batch| {
            Box::pin(async move {
                let answers = batch.into_iter().flat_map(|message| broker.send_now(vec![message]));
                Ok(Confirmations::now(answers.collect()))
            })
        },
        ..SOUND
    },
    Flaw {
        name: "does not know whether it has stored what it has refused",
        caught_by: &["sending::what_failed_is_nowhere", "confirmed::a_message_without_route_is_an_error"],
        send: |broker, batch| {
            Box::pin(async move {
                let answers = broker.send_now(batch);
                let unknown = |error: SendError| SendError::Unknown(error.into());
                Ok(Confirmations::now(answers.into_iter().map(|answer| answer.map_err(unknown)).collect()))
            })
        },
        ..SOUND
    },
    Flaw {
        name: "stores what it refuses",
        caught_by: &["sending::what_failed_is_nowhere", "bounded::the_size_of_a_message_is_limited"],
        send: |broker, batch| {
            Box::pin(async move {
                let cut = batch.clone().into_iter().map(|message| {
                    let body = message.body.slice(..message.body.len().min(10));
                    Message { body, ..message }
                });
                let cut: Vec<_> = cut.collect();
                let answer = broker.inner.send(batch).await;
                if answer.is_err() {
                    drop(broker.send_now(cut));
                }
                answer
            })
        },
        ..SOUND
    },
    Flaw {
        name: "turns batches around",
        caught_by: &[
            "sending::a_batch_keeps_its_order",
            "order::blocked_keys_come_one_at_a_time",
            "order::messages_without_key_are_not_held_up",
        ],
        send: |broker, mut batch| {
            batch.reverse();
            broker.inner.send(batch)
        },
        ..SOUND
    },
    Flaw {
        name: "lets a send overtake the one admitted before",
        caught_by: &["sending::a_send_begun_after_admission_follows"],
        send: |broker, batch| {
            Box::pin(async move {
                let waiting = std::mem::take(&mut broker.memo().messages);
                let count = batch.len();
                if waiting.is_empty() && broker.count() < 40 {
                    broker.memo().messages = batch;
                    return Ok(confirmed(count));
                }
                drop(broker.send_now(batch));
                drop(broker.send_now(waiting));
                Ok(confirmed(count))
            })
        },
        ..SOUND
    },
    Flaw {
        name: "sends when somebody asks for the confirmation",
        caught_by: &[
            "sending::dropped_confirmations_take_nothing_back",
            "sending::a_send_begun_after_admission_follows",
        ],
        send: |broker, batch| {
            let broker = broker.clone();
            Box::pin(async { Ok(Confirmations::later(async move { broker.send_now(batch) })) })
        },
        ..SOUND
    },
    Flaw {
        name: "goes on when it was closed",
        caught_by: &["sending::a_closed_broker_attempts_nothing", "unsettled::closing_the_broker_drains_its_members"],
        close: |_, _| Box::pin(async { Ok(()) }),
        ..SOUND
    },
    Flaw {
        name: "never confirms an empty batch",
        caught_by: &["sending::an_empty_batch_is_confirmed_at_once"],
        send: |broker, batch| {
            if batch.is_empty() {
                return Box::pin(async { Ok(Confirmations::later(pending())) });
            }
            broker.inner.send(batch)
        },
        ..SOUND
    },
];

fn confirmed(count: usize) -> Confirmations {
    let receipt = || Ok(mainspring_broker::Receipt { place: None, duplicate: false });
    Confirmations::now((0..count).map(|_| receipt()).collect())
}
