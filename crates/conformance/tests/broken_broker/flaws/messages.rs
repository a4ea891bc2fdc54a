//! Messages that get lost or altered though they were confirmed.

use mainspring_broker::{Broker, Confirmations, Delivery, Ensure, Envelope, Headers, Message, Receipt, SendError};
use mainspring_event::EventId;

use crate::broker::{Broken, Flaw, SOUND};

pub(crate) const FLAWS: &[Flaw] = &[
    Flaw {
        name: "confirms every seventh message without storing it",
        caught_by: &[
            "history::random_histories_break_no_promise",
            "confirmed::a_group_without_members_gets_its_messages",
            "sending::a_send_begun_after_admission_follows",
            "holders::a_message_has_one_holder",
        ],
        send: |broker, batch| {
            Box::pin(async move {
                let mut answers = Vec::new();
                for message in batch {
                    if broker.count().is_multiple_of(7) {
                        answers.push(Ok(Receipt { place: None, duplicate: false }));
                    } else {
                        answers.extend(broker.send_now(vec![message]));
                    }
                }
                Ok(Confirmations::now(answers))
            })
        },
        ..SOUND
    },
    Flaw {
        name: "keeps messages only for groups that have a member",
        caught_by: &[
            "confirmed::a_confirmed_message_is_delivered",
            "confirmed::a_group_without_members_gets_its_messages",
            "holders::every_group_gets_every_message",
        ],
        subscribe: |broker, spec| {
            Box::pin(async move {
                mainspring_broker::Admin::purge(&broker.inner, &spec.group).await?;
                broker.inner.subscribe(spec).await
            })
        },
        ..SOUND
    },
    Flaw {
        name: "keeps one value of each header",
        caught_by: &[
            "confirmed::every_field_comes_back_as_it_was_sent",
            "dead_letters::a_dead_letter_keeps_everything",
        ],
        message: |_, mut message| {
            let mut kept = Headers::new();
            for (name, value) in message.headers.iter() {
                if kept.get(name).is_none() {
                    kept.add(name, value.clone());
                }
            }
            message.headers = kept;
            message
        },
        ..SOUND
    },
    Flaw {
        name: "takes a body for text",
        caught_by: &["confirmed::every_field_comes_back_as_it_was_sent"],
        message: |_, message| {
            let body = String::from_utf8_lossy(&message.body).into_owned().into();
            Message { body, ..message }
        },
        ..SOUND
    },
    Flaw {
        name: "loses envelopes",
        caught_by: &[
            "confirmed::every_field_comes_back_as_it_was_sent",
            "confirmed::a_message_keeps_its_identity",
            "confirmed::a_duplicate_is_confirmed_and_not_stored",
        ],
        message: |_, message| Message { envelope: None, ..message },
        ..SOUND
    },
    Flaw {
        name: "gives a message another identity each time it comes",
        caught_by: &["confirmed::a_message_keeps_its_identity"],
        delivery: |_, _, mut delivery| {
            let again = delivery.attempt > 1;
            let envelope = delivery.message.envelope.take();
            delivery.message.envelope =
                envelope.map(|known| Envelope { id: if again { EventId::new() } else { known.id }, ..known });
            delivery
        },
        ..SOUND
    },
    Flaw {
        name: "numbers places anew each time it delivers",
        caught_by: &["confirmed::a_message_keeps_its_identity"],
        delivery: |broker, _, mut delivery| {
            if let Some(place) = &mut delivery.place {
                place.offset = broker.count();
            }
            delivery
        },
        ..SOUND
    },
    Flaw {
        name: "forgets everything but its topology when it is killed",
        caught_by: &[
            "confirmed::a_confirmed_message_survives_the_broker",
            "unsettled::unsettled_messages_survive_the_broker",
            "order::order_survives_the_broker",
            "attempts::attempts_survive_the_broker",
            "delays::a_delayed_message_survives_the_broker",
            "delays::a_retry_survives_the_broker",
            "dead_letters::dead_letters_survive_the_broker",
        ],
        reopen: |broker| {
            let emptied = broker.emptied();
            emptied.ensure_now(&broker.memo().topology);
            emptied
        },
        ..SOUND
    },
    Flaw {
        name: "stores duplicates",
        caught_by: &["confirmed::a_duplicate_is_confirmed_and_not_stored"],
        topology: |mut topology| {
            topology.topics.iter_mut().for_each(|topic| topic.dedupe = None);
            topology
        },
        ..SOUND
    },
    Flaw {
        name: "takes a message for a duplicate for ever",
        caught_by: &["confirmed::a_duplicate_is_confirmed_and_not_stored"],
        topology: |mut topology| {
            let windows = topology.topics.iter_mut().filter_map(|topic| topic.dedupe.as_mut());
            windows.for_each(|window| *window *= 100);
            topology
        },
        ..SOUND
    },
    Flaw {
        name: "confirms what has no route",
        caught_by: &[
            "confirmed::a_message_without_route_is_an_error",
            "confirmed::a_message_that_no_binding_selects_is_an_error",
            "delays::a_delayed_message_needs_a_route",
            "sending::nothing_is_stored_behind_a_failed_message_of_its_key",
        ],
        send: |broker, batch| {
            Box::pin(async move {
                let confirmed = |answer| match answer {
                    Err(SendError::Unroutable { .. }) => Ok(Receipt { place: None, duplicate: false }),
                    other => other,
                };
                let sent = batch.into_iter().flat_map(|message| broker.send_now(vec![message]));
                Ok(Confirmations::now(sent.map(confirmed).collect()))
            })
        },
        ..SOUND
    },
    Flaw {
        name: "has no route to a log that nobody reads",
        caught_by: &["confirmed::a_log_is_a_route"],
        send: |broker, batch| {
            let nobody = broker.memo().topology.subscriptions.is_empty();
            match batch.first().cloned().filter(|_| nobody) {
                None => broker.inner.send(batch),
                Some(Message { destination, routing_key, .. }) => {
                    Box::pin(async { Err(SendError::Unroutable { destination, routing_key }) })
                }
            }
        },
        ..SOUND
    },
    Flaw {
        name: "forgets what it holds when its topology is ensured again",
        caught_by: &["topology::creating_again_keeps_what_is_there"],
        ensure: |broker, topology, mode| {
            Box::pin(async move {
                if mode == Ensure::Create {
                    for subscription in &topology.subscriptions {
                        purge(broker, &subscription.group).await;
                    }
                }
                broker.inner.ensure(&topology, mode).await
            })
        },
        ..SOUND
    },
    Flaw {
        name: "delivers a message truncated when it comes again",
        caught_by: &["attempts::what_was_only_fetched_was_not_tried", "order::a_release_keeps_its_place"],
        delivery: |broker, _, delivery| {
            let known = broker.memo().delivered.values().any(|before| before.message == delivery.message);
            if known { truncated(delivery) } else { delivery }
        },
        ..SOUND
    },
];

async fn purge(broker: &Broken, group: &mainspring_broker::Group) {
    if mainspring_broker::Admin::purge(&broker.inner, group).await.is_err() {
        // The group is only about to be created.
        broker.count();
    }
}

fn truncated(mut delivery: Delivery) -> Delivery {
    delivery.message.body = delivery.message.body.slice(..delivery.message.body.len() / 2);
    delivery
}
