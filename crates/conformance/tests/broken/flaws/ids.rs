//! Repeats that are not recognised, or recognised where there is none.

use std::sync::atomic::Ordering;

use futures_util::future::BoxFuture;
use mainspring_event::{EventId, NewEvent};
use mainspring_store::{Append, AppendError, Appended, Check, EventStore, Query, StreamChange, Written};
use tokio::task::yield_now;

use crate::store::{Answer, Broken, Flaw, SOUND};

pub(crate) const FLAWS: &[Flaw] = &[
    Flaw {
        name: "does not know ids",
        caught_by: &["idempotent::a_repeated_append_gets_the_original_answer"],
        append: |store, mut append| {
            for event in &mut append.events {
                if store.knows(event.id) {
                    event.id = EventId::new();
                }
            }
            store.inner.append(append)
        },
        ..SOUND
    },
    Flaw {
        name: "knows the ids of its newest events only",
        caught_by: &["idempotent::a_repeated_append_gets_the_original_answer"],
        append: |store, mut append| {
            let newest: Vec<_> = store.memo.events().iter().rev().take(100).map(|event| event.id).collect();
            for event in &mut append.events {
                if store.knows(event.id) && !newest.contains(&event.id) {
                    event.id = EventId::new();
                }
            }
            store.memo.events().extend(append.events.clone());
            store.inner.append(append)
        },
        ..SOUND
    },
    Flaw {
        name: "knows time-ordered ids only",
        caught_by: &["idempotent::ids_of_every_kind_are_known"],
        append: |store, mut append| {
            for event in &mut append.events {
                if event.id.as_uuid().get_version_num() != 7 && store.knows(event.id) {
                    event.id = EventId::new();
                }
            }
            store.inner.append(append)
        },
        ..SOUND
    },
    Flaw {
        name: "forgets ids when a stream changes",
        caught_by: &["retention::the_id_of_a_retained_event_is_known"],
        append: |store, mut append| {
            for event in &mut append.events {
                if store.memo.flag.load(Ordering::Relaxed) && store.knows(event.id) {
                    event.id = EventId::new();
                }
            }
            if !append.changes.is_empty() {
                store.memo.flag.store(true, Ordering::Relaxed);
            }
            store.inner.append(append)
        },
        ..SOUND
    },
    Flaw {
        name: "looks ids up before it takes its turn to write",
        caught_by: &[
            "idempotent::concurrent_repeats_are_written_once",
            "linearizable::what_many_clients_see_at_once_has_a_linear_order",
        ],
        append: |store, mut append| {
            Box::pin(async move {
                if append.events.iter().any(|event| store.knows(event.id)) {
                    return store.inner.append(append).await;
                }
                for _ in 0..3 {
                    yield_now().await;
                }
                for event in append.events.iter_mut().filter(|event| store.knows(event.id)) {
                    event.id = EventId::new();
                }
                store.inner.append(append).await
            })
        },
        ..SOUND
    },
    Flaw {
        name: "looks at checks before ids",
        caught_by: &[
            "idempotent::a_repeat_is_recognised_before_its_checks",
            "idempotent::a_reused_id_is_told_before_a_conflict",
        ],
        append: |store, append| {
            Box::pin(async move {
                store.inner.append(Append { checks: append.checks.clone(), ..Append::default() }).await?;
                store.inner.append(append).await
            })
        },
        ..SOUND
    },
    Flaw {
        name: "forgets which checks an append had and refuses it with others",
        caught_by: &["idempotent::a_repeat_is_recognised_before_its_checks"],
        append: |store, append| {
            Box::pin(async move {
                let known = !append.events.is_empty() && append.events.iter().all(|event| store.knows(event.id));
                if known && append.checks.iter().any(|check| matches!(check, Check::NoMatch { .. })) {
                    store.inner.append(Append { checks: append.checks.clone(), ..Append::default() }).await?;
                }
                store.inner.append(append).await
            })
        },
        ..SOUND
    },
    Flaw {
        name: "takes everything under a known id for the same",
        caught_by: &["idempotent::a_reused_id_is_told_before_a_conflict"],
        append: |store, append| taking_for_same(store, append, |_, _| true),
        ..SOUND
    },
    Flaw {
        name: "does not count the stream as content",
        caught_by: &["idempotent::the_stream_is_content"],
        append: |store, append| taking_for_same(store, append, |new, old| new.stream != old.stream),
        ..SOUND
    },
    Flaw {
        name: "does not count the type as content",
        caught_by: &["idempotent::the_type_is_content"],
        append: |store, append| taking_for_same(store, append, |new, old| new.event_type != old.event_type),
        ..SOUND
    },
    Flaw {
        name: "does not count the schema version as content",
        caught_by: &["idempotent::the_schema_version_is_content"],
        append: |store, append| taking_for_same(store, append, |new, old| new.schema_version != old.schema_version),
        ..SOUND
    },
    Flaw {
        name: "does not count the content type as content",
        caught_by: &["idempotent::the_content_type_is_content"],
        append: |store, append| taking_for_same(store, append, |new, old| new.content_type != old.content_type),
        ..SOUND
    },
    Flaw {
        name: "does not count the payload as content",
        caught_by: &["idempotent::the_payload_is_content"],
        append: |store, append| taking_for_same(store, append, |new, old| new.payload != old.payload),
        ..SOUND
    },
    Flaw {
        name: "does not count the tags as content",
        caught_by: &["idempotent::the_tags_are_content"],
        append: |store, append| taking_for_same(store, append, |new, old| new.tags != old.tags),
        ..SOUND
    },
    Flaw {
        name: "counts time and metadata as content",
        caught_by: &["idempotent::time_and_metadata_are_not_content"],
        append: |store, append| {
            Box::pin(async move {
                for event in &append.events {
                    let known = store.events(Query::Ids(vec![event.id]));
                    if let Some(known) = known.first().filter(|known| known.event != *event) {
                        return Err(AppendError::IdReused { id: event.id, position: known.position });
                    }
                }
                store.inner.append(append).await
            })
        },
        ..SOUND
    },
    Flaw {
        name: "writes the unknown rest of a partly known append",
        caught_by: &["idempotent::a_partly_known_append_is_refused"],
        append: |store, mut append| {
            if append.events.iter().any(|event| !store.knows(event.id)) {
                append.events.retain(|event| !store.knows(event.id));
            }
            store.inner.append(append)
        },
        ..SOUND
    },
    Flaw {
        name: "takes known events in any order for a repeat",
        caught_by: &["idempotent::a_reordered_append_is_refused"],
        append: |store, append| {
            if append.events.len() > 1 && append.events.iter().all(|event| store.knows(event.id)) {
                return Box::pin(async move { Ok(original(store, &append.events)) });
            }
            store.inner.append(append)
        },
        ..SOUND
    },
    Flaw {
        name: "writes an id that occurs twice once",
        caught_by: &["idempotent::an_id_twice_in_one_append_is_invalid"],
        append: |store, mut append| {
            let mut seen = Vec::new();
            append.events.retain(|event| {
                let first = !seen.contains(&event.id);
                seen.push(event.id);
                first
            });
            store.inner.append(append)
        },
        ..SOUND
    },
    Flaw {
        name: "uses up the ids of refused appends",
        caught_by: &[
            "idempotent::a_refused_append_leaves_its_ids_free",
            "idempotent::a_partly_known_append_is_refused",
        ],
        append: |store, append| {
            Box::pin(async move {
                if let Some(event) = append.events.iter().find(|event| store.memo.ids().contains(&event.id)) {
                    return Err(AppendError::IdReused { id: event.id, position: store.info_now().head });
                }
                let answer = store.inner.append(append.clone()).await;
                if answer.is_err() {
                    store.memo.ids().extend(append.events.iter().map(|event| event.id));
                }
                answer
            })
        },
        ..SOUND
    },
    Flaw {
        name: "applies the changes of a repeat again",
        caught_by: &["idempotent::a_repeat_changes_nothing"],
        append: |store, append| {
            Box::pin(async move {
                let again = append.changes.iter().filter(|change| matches!(change, StreamChange::Retain { .. }));
                let again = Append { changes: again.cloned().collect(), ..Append::default() };
                let answer = store.inner.append(append).await;
                if answer.is_ok() {
                    store.inner.append(again).await?;
                }
                answer
            })
        },
        ..SOUND
    },
    Flaw {
        name: "answers a repeat with its head",
        caught_by: &["idempotent::a_repeated_append_gets_the_original_answer"],
        append: |store, append| {
            Box::pin(async move {
                let answer = store.inner.append(append).await?;
                Ok(Appended { position: store.info_now().head, ..answer })
            })
        },
        ..SOUND
    },
];

/// What was answered when these events were written.
fn original(store: &Broken, events: &[NewEvent]) -> Appended {
    let known = events.iter().filter_map(|event| store.events(Query::Ids(vec![event.id])).pop());
    let written: Vec<_> = known.map(|known| Written { position: known.position, version: known.version }).collect();
    Appended { position: written.iter().map(|at| at.position).max().unwrap_or_default(), written }
}

/// Takes an append for a repeat if `same` holds of each event and the one stored under its id.
fn taking_for_same(store: &Broken, append: Append, same: fn(&NewEvent, &NewEvent) -> bool) -> BoxFuture<'_, Answer> {
    Box::pin(async move {
        let answer = store.inner.append(append.clone()).await;
        let Err(AppendError::IdReused { id, .. }) = answer else { return answer };
        let stored = store.events(Query::Ids(vec![id]));
        let new = append.events.iter().find(|event| event.id == id);
        match (new, stored.first()) {
            (Some(new), Some(stored)) if same(new, &stored.event) => Ok(original(store, &append.events)),
            _ => answer,
        }
    })
}
