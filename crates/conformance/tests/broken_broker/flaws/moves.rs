//! Dead letters that are lost, or lose something.

use mainspring_broker::{Headers, Message, Outcome, SettleError};

use crate::broker::{Answers, Flaw, Outcomes, SOUND, Settling};

pub(crate) const FLAWS: &[Flaw] = &[
    Flaw {
        name: "acknowledges a message before it moves it",
        caught_by: &["dead_letters::what_cannot_be_moved_is_not_acknowledged"],
        settle: |settler, outcomes| {
            Box::pin(async move {
                let tags: Vec<_> = outcomes.iter().map(|(tag, _)| *tag).collect();
                let answers = settler.inner.settle(outcomes).await;
                let not_moved = tags.into_iter().zip(&answers);
                let not_moved = not_moved.filter(|(_, answer)| matches!(answer, Err(SettleError::NotMoved(_))));
                let acks = not_moved.map(|(tag, _)| (tag, Outcome::Ack)).collect();
                settler.inner.settle(acks).await;
                answers
            })
        },
        ..SOUND
    },
    Flaw {
        name: "says that it has moved what it has not",
        caught_by: &["dead_letters::what_cannot_be_moved_is_not_acknowledged"],
        settle: |settler, outcomes| {
            Box::pin(async move {
                let answers = settler.inner.settle(outcomes).await.into_iter();
                let moved = |answer| if matches!(answer, Err(SettleError::NotMoved(_))) { Ok(()) } else { answer };
                answers.map(moved).collect()
            })
        },
        ..SOUND
    },
    Flaw {
        name: "drops dead letters that have no place",
        caught_by: &["dead_letters::a_group_without_place_for_dead_letters_says_so"],
        settle: |settler, outcomes| {
            let has_place =
                settler.broker.memo().topology.subscriptions.iter().any(|group| group.dead_letter.is_some());
            if has_place { settler.inner.settle(outcomes) } else { Box::pin(drop_dead(settler, outcomes)) }
        },
        ..SOUND
    },
    Flaw {
        name: "drops dead letters",
        caught_by: &[
            "dead_letters::a_dead_letter_is_there_when_it_is_settled",
            "dead_letters::a_dead_letter_keeps_everything",
            "dead_letters::dead_letters_survive_the_broker",
            "order::a_dead_letter_holds_its_key",
        ],
        settle: |settler, outcomes| Box::pin(drop_dead(settler, outcomes)),
        ..SOUND
    },
    Flaw {
        name: "copies a dead letter and does not take it away",
        caught_by: &[
            "history::random_histories_break_no_promise",
            "dead_letters::a_dead_letter_is_there_when_it_is_settled",
            "order::a_key_goes_on_after_a_dead_letter",
        ],
        settle: |settler, outcomes| {
            Box::pin(async move {
                let mut settled = Vec::new();
                for (tag, outcome) in outcomes {
                    let delivery = settler.broker.memo().delivered.get(&tag).cloned();
                    let outcome = match (outcome, delivery) {
                        (Outcome::DeadLetter { .. }, Some(delivery)) => {
                            let dead = "dead".parse().expect("a valid name");
                            drop(settler.broker.send_now(vec![Message { destination: dead, ..delivery.message }]));
                            Outcome::Retry { after: std::time::Duration::ZERO }
                        }
                        (other, _) => other,
                    };
                    settled.push((tag, outcome));
                }
                settler.inner.settle(settled).await
            })
        },
        ..SOUND
    },
    Flaw {
        name: "drops what expires though there is a place for it",
        caught_by: &["delays::what_has_expired_becomes_a_dead_letter"],
        topology: |mut topology| {
            topology.subscriptions.iter_mut().for_each(|group| group.dead_letter = None);
            topology
        },
        ..SOUND
    },
    Flaw {
        name: "loses the headers of dead letters",
        caught_by: &["dead_letters::a_dead_letter_keeps_everything"],
        delivery: |_, group, mut delivery| {
            if group.as_str() == "dead" {
                delivery.message.headers.retain(|name| name.starts_with("mainspring-dead-"));
            }
            delivery
        },
        ..SOUND
    },
    Flaw {
        name: "loses what is said about dead letters",
        caught_by: &[
            "dead_letters::a_dead_letter_keeps_everything",
            "dead_letters::dead_letters_survive_the_broker",
            "delays::what_has_expired_becomes_a_dead_letter",
        ],
        delivery: |_, group, mut delivery| {
            if group.as_str() == "dead" {
                delivery.message.headers.retain(|name| !name.starts_with("mainspring-dead-"));
            }
            delivery
        },
        ..SOUND
    },
    Flaw {
        name: "cuts the reasons of dead letters",
        caught_by: &["dead_letters::a_dead_letter_keeps_everything"],
        outcome: |outcome| match outcome {
            Outcome::DeadLetter { reason } => Outcome::DeadLetter { reason: reason.chars().take(12).collect() },
            other => other,
        },
        ..SOUND
    },
    Flaw {
        name: "says of every dead letter that it was tried once",
        caught_by: &["dead_letters::a_dead_letter_keeps_everything"],
        delivery: |_, _, mut delivery| {
            let headers = std::mem::take(&mut delivery.message.headers);
            let once = |name: &str| name == "mainspring-dead-attempts";
            let headers = headers.iter().map(|(name, value)| {
                let value = if once(name) { "1".into() } else { value.clone() };
                (name.to_owned(), value)
            });
            delivery.message.headers = Headers::from_iter(headers);
            delivery
        },
        ..SOUND
    },
];

async fn drop_dead(settler: &Settling, outcomes: Outcomes) -> Answers {
    let dropped = outcomes.into_iter().map(|(tag, outcome)| match outcome {
        Outcome::DeadLetter { .. } => (tag, Outcome::Ack),
        other => (tag, other),
    });
    settler.inner.settle(dropped.collect()).await
}
