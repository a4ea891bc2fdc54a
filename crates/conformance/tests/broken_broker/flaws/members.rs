//! Members that settle what nobody settled, or lose it.

use std::time::{Duration, Instant};

use futures_util::FutureExt;
use mainspring_broker::{Admin, Broker, Limit, Next, Outcome};
use tokio::task::yield_now;

use crate::broker::{Fetching, Flaw, SOUND};

pub(crate) const FLAWS: &[Flaw] = &[
    Flaw {
        name: "acknowledges what it hands over",
        caught_by: &[
            "unsettled::a_crashed_member_loses_nothing",
            "unsettled::dropping_a_member_settles_nothing",
            "attempts::every_retry_is_an_attempt",
            "attempts::a_crash_is_an_attempt",
            "bounded::prefetch_bounds_messages",
            "dead_letters::what_cannot_be_moved_is_not_acknowledged",
        ],
        next: |deliveries, max| {
            Box::pin(async move {
                let next = deliveries.inner.next(max).await?;
                if let Next::Batch(batch) = &next {
                    let acks = batch.iter().map(|delivery| (delivery.tag, Outcome::Ack)).collect();
                    deliveries.settler.settle(acks).await;
                }
                Ok(next)
            })
        },
        settle: |_, outcomes| Box::pin(async move { outcomes.iter().map(|_| Ok(())).collect() }),
        ..SOUND
    },
    Flaw {
        name: "acknowledges what a member holds that is dropped",
        caught_by: &[
            "history::random_histories_break_no_promise",
            "unsettled::a_crashed_member_loses_nothing",
            "unsettled::dropping_a_member_settles_nothing",
            "attempts::a_crash_is_an_attempt",
            "order::order_survives_a_crash_and_a_lease",
        ],
        dropped: |deliveries| {
            let held: Vec<_> = deliveries.broker.memo().delivered.keys().map(|tag| (*tag, Outcome::Ack)).collect();
            deliveries.settler.settle(held).now_or_never().expect("the model never waits");
        },
        ..SOUND
    },
    Flaw {
        name: "ends a member that stops asking",
        caught_by: &["unsettled::what_was_delivered_can_be_settled_without_deliveries"],
        dropped: |deliveries| {
            deliveries.settler.close(Instant::now()).now_or_never();
        },
        ..SOUND
    },
    Flaw {
        name: "loses what comes to a call of `next` that is dropped",
        caught_by: &["unsettled::a_cancelled_next_loses_nothing"],
        next: |deliveries, max| {
            Box::pin(async move {
                let next = deliveries.inner.next(max).await;
                yield_now().await;
                next
            })
        },
        ..SOUND
    },
    Flaw {
        name: "acknowledges what it had fetched when it closes",
        caught_by: &[
            "unsettled::closing_gives_back_what_was_only_fetched",
            "unsettled::closing_waits_for_what_is_in_flight",
        ],
        leave: |settler, deadline| {
            Box::pin(async move {
                settler.broker.inner.purge(&settler.group).await?;
                settler.inner.close(deadline).await
            })
        },
        ..SOUND
    },
    Flaw {
        name: "does not wait for what is in flight when it closes",
        caught_by: &[
            "unsettled::closing_waits_for_what_is_in_flight",
            "unsettled::closing_the_broker_drains_its_members",
        ],
        leave: |settler, _| settler.inner.close(Instant::now()),
        close: |broker, _| broker.inner.close(Instant::now()),
        ..SOUND
    },
    Flaw {
        name: "keeps what a member holds that was closed",
        caught_by: &["unsettled::closing_gives_the_rest_back_at_its_deadline"],
        leave: |_, _| Box::pin(async { Ok(()) }),
        ..SOUND
    },
    Flaw {
        name: "counts what a closed member gives back as not tried",
        caught_by: &["unsettled::closing_gives_the_rest_back_at_its_deadline"],
        leave: |settler, _| {
            Box::pin(async move {
                let held: Vec<_> = settler.broker.memo().delivered.keys().copied().collect();
                settler.inner.settle(held.into_iter().map(|tag| (tag, Outcome::Release)).collect()).await;
                settler.inner.close(Instant::now()).await
            })
        },
        ..SOUND
    },
    Flaw {
        name: "delivers again what was acknowledged",
        caught_by: &["unsettled::what_is_settled_does_not_come_back", "unsettled::a_crashed_member_loses_nothing"],
        outcome: |outcome| match outcome {
            Outcome::Ack => Outcome::Retry { after: Duration::ZERO },
            other => other,
        },
        ..SOUND
    },
    Flaw {
        name: "forgets acknowledgements when it is killed",
        caught_by: &[
            "unsettled::unsettled_messages_survive_the_broker",
            "unsettled::what_is_settled_does_not_come_back",
        ],
        crash: |broker, member| {
            drop(member);
            resend_delivered(broker);
        },
        reopen: |broker| {
            let restarted = (SOUND.reopen)(broker);
            resend_delivered(&restarted);
            restarted
        },
        ..SOUND
    },
    Flaw {
        name: "fetches as much as it may and counts that as tried",
        caught_by: &[
            "attempts::what_was_only_fetched_was_not_tried",
            "unsettled::closing_gives_back_what_was_only_fetched",
        ],
        next: |deliveries, max| Box::pin(fetched(deliveries, max)),
        ..SOUND
    },
];

fn resend_delivered(broker: &crate::broker::Broken) {
    let delivered: Vec<_> = broker.memo().delivered.values().map(|delivery| delivery.message.clone()).collect();
    drop(broker.send_now(delivered));
}

async fn fetched(deliveries: &mut Fetching, max: Limit) -> Result<Next, mainspring_broker::BrokerError> {
    if deliveries.stash.is_empty() {
        match deliveries.inner.next(deliveries.spec.prefetch).await? {
            Next::Batch(batch) => deliveries.stash = batch,
            other => return Ok(other),
        }
    }
    let count = deliveries.stash.len().min(max.messages);
    Ok(Next::Batch(deliveries.stash.drain(..count).collect()))
}
