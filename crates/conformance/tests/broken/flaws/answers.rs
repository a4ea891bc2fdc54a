//! Answers that do not say what happened.

use std::sync::atomic::Ordering;

use mainspring_event::{Position, Version};
use mainspring_store::{Append, AppendError, Appended, Conflict, EventStore, Expected, Info, Limits, Lineage, StoreId};

use crate::store::{Answer, Broken, Flaw, SOUND};

pub(crate) const FLAWS: &[Flaw] = &[
    Flaw {
        name: "reports a conflict as a failure",
        caught_by: &["errors::every_refusal_is_called_by_its_name"],
        append: |store, append| {
            answering(store, append, |error| match error {
                AppendError::Conflict(conflict) => AppendError::Failed(conflict.into()),
                other => other,
            })
        },
        ..SOUND
    },
    Flaw {
        name: "reports every refusal as a conflict",
        caught_by: &["errors::every_refusal_is_called_by_its_name"],
        append: |store, append| {
            answering(store, append, |_| {
                let stream = "a-1".parse().expect("a valid name");
                Conflict::Stream { stream, expected: Expected::Any, actual: Version::NONE }.into()
            })
        },
        ..SOUND
    },
    Flaw {
        name: "reports a conflict without the actual version",
        caught_by: &["checks::no_stream_holds_for_an_unwritten_stream"],
        append: |store, append| {
            answering(store, append, |error| match error {
                AppendError::Conflict(Conflict::Stream { stream, expected, .. }) => {
                    Conflict::Stream { stream, expected, actual: Version::NONE }.into()
                }
                other => other,
            })
        },
        ..SOUND
    },
    Flaw {
        name: "reports a conflict with the version that the append would have made",
        caught_by: &["checks::the_actual_version_of_a_conflict_can_be_expected"],
        append: |store, append| {
            answering(store, append, |error| match error {
                AppendError::Conflict(Conflict::Stream { stream, expected, actual }) => {
                    Conflict::Stream { stream, expected, actual: Version(actual.0 + 1) }.into()
                }
                other => other,
            })
        },
        ..SOUND
    },
    Flaw {
        name: "reports a match without its position",
        caught_by: &["conditions::no_match_finds_the_oldest_event"],
        append: |store, append| {
            answering(store, append, |error| match error {
                AppendError::Conflict(Conflict::Match { query, after, .. }) => {
                    Conflict::Match { query, after, position: Position::START }.into()
                }
                other => other,
            })
        },
        ..SOUND
    },
    Flaw {
        name: "reports a stale decision as a match",
        caught_by: &["errors::every_refusal_is_called_by_its_name"],
        append: |store, append| {
            answering(store, append, |error| match error {
                AppendError::Stale { floor } => {
                    Conflict::Match { query: mainspring_store::Query::All, after: None, position: floor }.into()
                }
                other => other,
            })
        },
        ..SOUND
    },
    Flaw {
        name: "takes what it has refused once",
        caught_by: &["errors::a_refusal_is_repeatable"],
        append: |store, append| {
            Box::pin(async move {
                let first = append.events.first().map(|event| event.id);
                let refused = first.is_some_and(|id| store.memo.ids().contains(&id));
                if refused {
                    return Ok(Appended { position: store.info_now().head, written: Vec::new() });
                }
                let answer = store.inner.append(append).await;
                if answer.is_err() {
                    store.memo.ids().extend(first);
                }
                answer
            })
        },
        ..SOUND
    },
    Flaw {
        name: "takes what is too large",
        caught_by: &["bounded::the_size_of_an_event_is_limited"],
        append: |store, append| {
            Box::pin(async move {
                match store.inner.append(append).await {
                    Err(AppendError::TooLarge { .. }) => {
                        Ok(Appended { position: store.info_now().head, written: Vec::new() })
                    }
                    answer => answer,
                }
            })
        },
        ..SOUND
    },
    Flaw {
        name: "writes what is small enough of an append that is too large",
        caught_by: &["bounded::what_is_too_large_keeps_everything_out"],
        append: |store, append| {
            Box::pin(async move {
                let answer = store.inner.append(append.clone()).await;
                if matches!(answer, Err(AppendError::TooLarge { .. })) {
                    let small = append.events.into_iter().filter(|event| event.payload.len() < 1_000);
                    store.inner.append(Append::new(small.take(2))).await?;
                }
                answer
            })
        },
        ..SOUND
    },
    Flaw {
        name: "does not say how large too large is",
        caught_by: &["bounded::the_size_of_an_event_is_limited"],
        append: |store, append| {
            answering(store, append, |error| match error {
                AppendError::TooLarge { what, limit, .. } => AppendError::TooLarge { what, limit, actual: 0 },
                other => other,
            })
        },
        ..SOUND
    },
    limiting(
        "claims to take larger events than it does",
        &["bounded::the_size_of_an_event_is_limited", "bounded::metadata_counts_towards_the_size_of_an_event"],
        |limits| Limits { event_bytes: limits.event_bytes + 1, append_bytes: limits.append_bytes * 2, ..limits },
    ),
    limiting("claims to take larger appends than it does", &["bounded::the_size_of_an_append_is_limited"], |limits| {
        Limits { append_bytes: limits.append_bytes + 1, ..limits }
    }),
    limiting("claims to take more events than it does", &["bounded::the_number_of_events_is_limited"], |limits| {
        Limits { append_events: limits.append_events + 1, ..limits }
    }),
    limiting(
        "claims to take more checks than it does",
        &["bounded::the_number_of_checks_and_changes_is_limited"],
        |limits| Limits { append_checks: limits.append_checks + 1, ..limits },
    ),
    limiting("claims to take more tags than it does", &["bounded::the_number_of_tags_is_limited"], |limits| Limits {
        tags: limits.tags + 1,
        ..limits
    }),
    limiting(
        "claims to take longer content types than it does",
        &["bounded::the_length_of_a_content_type_is_limited"],
        |limits| Limits { content_type_bytes: limits.content_type_bytes + 1, ..limits },
    ),
    Flaw {
        name: "does not count metadata",
        caught_by: &["bounded::metadata_counts_towards_the_size_of_an_event"],
        append: |store, append| {
            Box::pin(async move {
                let answer = store.inner.append(append.clone()).await;
                let limit = store.inner.capabilities().limits.event_bytes;
                if append.events.iter().all(|event| event.payload.len() <= limit)
                    && let Err(AppendError::TooLarge { .. }) = answer
                {
                    return Ok(Appended { position: store.info_now().head, written: Vec::new() });
                }
                answer
            })
        },
        ..SOUND
    },
    Flaw {
        name: "takes tags on internal events and loses them",
        caught_by: &["internal::internal_events_carry_no_tags"],
        append: |store, mut append| {
            for event in append.events.iter_mut().filter(|event| event.stream.is_internal()) {
                event.tags.clear();
            }
            store.inner.append(append)
        },
        ..SOUND
    },
    info("says that its head is lower than it is", &["internal::the_head_counts_internal_events"], |_, info| Info {
        head: Position(info.head.0.saturating_sub(1)),
        ..info
    }),
    info("is another store whenever it is asked", &["durable::events_survive_a_reopen"], |_, info| Info {
        store: StoreId::new(),
        ..info
    }),
    info("is another lineage whenever it is asked", &["ordered::info_says_where_history_begins"], |_, info| Info {
        lineage: Lineage::new(),
        ..info
    }),
    info("says that it begins at its head", &["retention::info_does_not_hide_what_is_retained"], |_, info| Info {
        first: info.head,
        ..info
    }),
    info("says that it begins before the first position", &["ordered::info_says_where_history_begins"], |_, info| {
        Info { first: Position::START, ..info }
    }),
    info("lets its head jump back", &["ordered::the_head_is_readable_and_never_goes_back"], |store, info| {
        let back = store.memo.count.fetch_add(1, Ordering::Relaxed) % 3;
        Info { head: Position(info.head.0.saturating_sub(back)), ..info }
    }),
];

const fn info(name: &'static str, caught_by: &'static [&'static str], info: fn(&Broken, Info) -> Info) -> Flaw {
    Flaw { name, caught_by, info, ..SOUND }
}

const fn limiting(name: &'static str, caught_by: &'static [&'static str], limits: fn(Limits) -> Limits) -> Flaw {
    Flaw { name, caught_by, limits, ..SOUND }
}

/// Refuses with another error than it should.
fn answering(
    store: &Broken,
    append: Append,
    other: fn(AppendError) -> AppendError,
) -> futures_util::future::BoxFuture<'_, Answer> {
    Box::pin(async move { store.inner.append(append).await.map_err(other) })
}
