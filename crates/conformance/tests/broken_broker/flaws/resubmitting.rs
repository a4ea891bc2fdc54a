//! Dead letters that get lost, or reach others, when they are sent again.

use mainspring_broker::{Admin, BrokerError, DeadLetter, Message, ONLY, Pending};

use crate::broker::{Flaw, SOUND};

/// The message for whoever wants it.
fn for_everybody(mut message: Message) -> Message {
    message.headers.retain(|name| name != ONLY);
    message
}

pub(crate) const FLAWS: &[Flaw] = &[
    Flaw {
        name: "gives every group what is for one only",
        caught_by: &[
            "resubmitting::a_message_for_one_group_goes_to_no_other",
            "resubmitting::a_resubmitted_message_goes_to_whoever_gave_it_up",
            "resubmitting::a_resubmission_survives_the_broker",
        ],
        message: |_, message| for_everybody(message),
        resubmit: |broker, from, place, message| {
            Box::pin(async move { broker.inner.resubmit(from, place, for_everybody(message)).await })
        },
        ..SOUND
    },
    Flaw {
        name: "resubmits a copy",
        caught_by: &[
            "resubmitting::a_resubmitted_message_goes_to_whoever_gave_it_up",
            "resubmitting::a_resubmitted_message_may_be_edited",
            "resubmitting::a_resubmitted_message_may_be_given_up_again",
            "resubmitting::a_resubmission_survives_the_broker",
            "resubmitting::only_what_is_free_is_resubmitted",
        ],
        resubmit: |broker, _, _, message| {
            Box::pin(async move { broker.send_now(vec![message]).remove(0).map_err(BrokerError::NotSent) })
        },
        ..SOUND
    },
    Flaw {
        name: "resubmits what was sent first",
        caught_by: &["resubmitting::a_resubmitted_message_may_be_edited"],
        resubmit: |broker, from, place, message| {
            Box::pin(async move {
                let seen = broker.inner.browse(from, usize::MAX).await?;
                let is_it = |pending: &Pending| pending.place.as_ref() == Some(place);
                let letter = seen.into_iter().find(is_it).and_then(|pending| DeadLetter::read(&pending.message));
                let message = letter.map_or(message, |letter| letter.again());
                broker.inner.resubmit(from, place, message).await
            })
        },
        ..SOUND
    },
    Flaw {
        name: "removes a dead letter before it sends it",
        caught_by: &["resubmitting::a_message_that_cannot_be_sent_stays_where_it_is"],
        resubmit: |broker, from, place, message| {
            Box::pin(async move {
                if broker.inner.remove(from, std::slice::from_ref(place)).await? == 0 {
                    return Err(BrokerError::Invalid { reason: "there is no such message".to_owned() });
                }
                broker.send_now(vec![message]).remove(0).map_err(BrokerError::NotSent)
            })
        },
        ..SOUND
    },
    Flaw {
        name: "takes what is resubmitted for a duplicate",
        caught_by: &["resubmitting::a_resubmitted_message_is_no_duplicate"],
        resubmit: |broker, from, place, message| {
            Box::pin(async move {
                broker.inner.remove(from, std::slice::from_ref(place)).await?;
                broker.send_now(vec![message]).remove(0).map_err(BrokerError::NotSent)
            })
        },
        ..SOUND
    },
];
