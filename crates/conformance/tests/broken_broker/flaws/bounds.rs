//! Members that hold more than they may, or less, and limits that are not kept.

use std::time::Duration;

use mainspring_broker::{Capabilities, Limit, Limits, Next};

use crate::broker::{Flaw, SOUND};

pub(crate) const FLAWS: &[Flaw] = &[
    Flaw {
        name: "does not bound what a member holds",
        caught_by: &[
            "history::random_histories_break_no_promise",
            "bounded::prefetch_bounds_messages",
            "bounded::prefetch_bounds_bytes",
            "bounded::a_message_beyond_the_prefetch_comes_alone",
        ],
        spec: |spec| spec.prefetch(usize::MAX, usize::MAX),
        ..SOUND
    },
    Flaw {
        name: "bounds messages and not their bytes",
        caught_by: &["bounded::prefetch_bounds_bytes", "bounded::a_message_beyond_the_prefetch_comes_alone"],
        spec: |spec| {
            let messages = spec.prefetch.messages;
            spec.prefetch(messages, usize::MAX)
        },
        ..SOUND
    },
    Flaw {
        name: "never makes room again",
        caught_by: &["bounded::prefetch_bounds_messages", "bounded::settling_is_not_stopped_by_a_full_prefetch"],
        next: |deliveries, max| {
            Box::pin(async move {
                let most = deliveries.spec.prefetch.messages;
                let room = most.saturating_sub(deliveries.stash.len());
                if room == 0 {
                    return std::future::pending().await;
                }
                let next = deliveries.inner.next(Limit { messages: max.messages.min(room), ..max }).await?;
                if let Next::Batch(batch) = &next {
                    deliveries.stash.extend(batch.iter().cloned());
                }
                Ok(next)
            })
        },
        ..SOUND
    },
    Flaw {
        name: "never delivers what is larger than the prefetch",
        caught_by: &["bounded::a_message_beyond_the_prefetch_comes_alone"],
        next: |deliveries, max| {
            Box::pin(async move {
                loop {
                    let next = deliveries.inner.next(max).await?;
                    let most = deliveries.spec.prefetch.bytes;
                    match &next {
                        Next::Batch(batch) if batch.iter().any(|one| one.message.size() > most) => {}
                        _ => return Ok(next),
                    }
                }
            })
        },
        ..SOUND
    },
    Flaw {
        name: "does not bound batches",
        caught_by: &["bounded::a_batch_is_bounded", "unsettled::a_crashed_member_loses_nothing"],
        next: |deliveries, _| deliveries.inner.next(Limit::messages(usize::MAX)),
        ..SOUND
    },
    Flaw {
        name: "settles nothing while a member waits for more",
        caught_by: &["bounded::settling_is_not_stopped_by_a_full_prefetch"],
        next: |deliveries, max| {
            Box::pin(async move {
                let turn = deliveries.turn.clone();
                let _turn = turn.lock().await;
                deliveries.inner.next(max).await
            })
        },
        settle: |settler, outcomes| {
            Box::pin(async move {
                // The waiting member comes first, as it does where both share a connection.
                while settler.turn.try_lock().is_ok() {
                    tokio::task::yield_now().await;
                }
                let _turn = settler.turn.lock().await;
                settler.inner.settle(outcomes).await
            })
        },
        ..SOUND
    },
    Flaw {
        name: "does not pause",
        caught_by: &["bounded::a_paused_slice_is_not_delivered"],
        pause: |_, _, _| Box::pin(async { Ok(()) }),
        ..SOUND
    },
    Flaw {
        name: "never ends a pause",
        caught_by: &["bounded::a_paused_slice_is_not_delivered"],
        pause: |settler, slices, _| settler.inner.pause(slices, true),
        ..SOUND
    },
    Flaw {
        name: "keeps no limits",
        caught_by: &[
            "bounded::the_size_of_a_message_is_limited",
            "bounded::the_size_of_headers_is_limited",
            "bounded::the_number_of_messages_is_limited",
            "bounded::the_size_of_a_batch_is_limited",
            "bounded::the_length_of_a_delay_is_limited",
            "bounded::the_priority_is_limited",
            "bounded::the_length_of_retries_and_leases_is_limited",
            "bounded::a_member_that_cannot_work_is_refused",
        ],
        can: |capabilities| {
            let limits = Limits {
                message_bytes: usize::MAX,
                header_bytes: usize::MAX,
                batch_messages: usize::MAX,
                batch_bytes: usize::MAX,
                delay: Duration::MAX,
                lease: Duration::MAX,
                priority: u8::MAX,
                ..capabilities.limits
            };
            Capabilities { limits, ..capabilities }
        },
        ..SOUND
    },
    Flaw {
        name: "takes less than it says",
        caught_by: &["bounded::the_largest_message_comes_back"],
        can: |capabilities| {
            let limits = Limits { message_bytes: capabilities.limits.message_bytes - 1, ..capabilities.limits };
            Capabilities { limits, ..capabilities }
        },
        ..SOUND
    },
    Flaw {
        name: "takes members that can never get a message",
        caught_by: &["bounded::a_member_that_cannot_work_is_refused"],
        spec: |spec| {
            let messages = spec.prefetch.messages.max(1);
            spec.prefetch(messages, usize::MAX)
        },
        ..SOUND
    },
];
