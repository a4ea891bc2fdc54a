//! Appends that are not one commit.

use std::sync::atomic::Ordering;

use mainspring_event::{NewEvent, Position, StreamName, Version};
use mainspring_store::{Append, AppendError, Appended, EventStore, Written};
use tokio::task::yield_now;

use crate::store::{Broken, Flaw, SOUND};

pub(crate) const FLAWS: &[Flaw] = &[
    Flaw {
        name: "loses the last event of a batch",
        caught_by: &[
            "atomic::an_append_to_several_streams_keeps_the_order_of_its_events",
            "atomic::a_big_append_is_one_commit_too",
        ],
        append: |store, mut append| {
            if append.events.len() > 1 {
                append.events.pop();
            }
            store.inner.append(append)
        },
        ..SOUND
    },
    Flaw {
        name: "acknowledges every third append without storing it",
        caught_by: &[
            "durable::a_read_begun_after_the_answer_sees_the_events",
            "ordered::a_later_append_lies_above_an_answered_one",
        ],
        append: |store, append| {
            let lost = store.memo.count.fetch_add(1, Ordering::Relaxed) % 3 == 2;
            if lost { Box::pin(async move { Ok(promise(store, &append.events)) }) } else { store.inner.append(append) }
        },
        ..SOUND
    },
    Flaw {
        name: "commits the events of an append one by one",
        caught_by: &[
            "atomic::readers_never_see_a_part_of_an_append",
            "cancel::a_dropped_append_is_whole_or_absent",
            "cancel::repeating_a_dropped_append_settles_it",
            "cancel::drops_among_concurrent_writers_leave_all_or_nothing",
            "progress::live_progress_never_falls_inside_a_commit",
            "cancel::an_aborted_task_leaves_all_or_nothing",
        ],
        append: |store, append| {
            Box::pin(async move {
                store.inner.append(Append { events: Vec::new(), changes: Vec::new(), ..append.clone() }).await?;
                let mut written = Vec::new();
                for event in append.events {
                    for _ in 0..10 {
                        yield_now().await;
                    }
                    written.extend(store.inner.append(Append::new([event])).await?.written);
                }
                yield_now().await;
                let done = store.inner.append(Append { changes: append.changes, ..Append::default() }).await?;
                let position = written.last().map_or(done.position, |last| last.position);
                Ok(Appended { position, written })
            })
        },
        ..SOUND
    },
    Flaw {
        name: "writes the events although a check does not hold",
        caught_by: &["atomic::a_failed_check_keeps_everything_out", "errors::a_refusal_writes_nothing"],
        append: |store, append| {
            Box::pin(async move {
                let answer = store.inner.append(append.clone()).await;
                if matches!(answer, Err(AppendError::Conflict(_))) {
                    let _ = store.inner.append(Append::new(append.events)).await;
                }
                answer
            })
        },
        ..SOUND
    },
    Flaw {
        name: "changes streams although a check does not hold",
        caught_by: &["atomic::a_failed_check_keeps_everything_out"],
        append: |store, append| {
            Box::pin(async move {
                let answer = store.inner.append(append.clone()).await;
                if matches!(answer, Err(AppendError::Conflict(_))) {
                    let _ = store.inner.append(Append { changes: append.changes, ..Append::default() }).await;
                }
                answer
            })
        },
        ..SOUND
    },
    Flaw {
        name: "writes what it can of an append that names a tombstoned stream",
        caught_by: &["atomic::a_tombstoned_stream_keeps_everything_out"],
        append: |store, append| {
            Box::pin(async move {
                let answer = store.inner.append(append.clone()).await;
                if matches!(answer, Err(AppendError::Tombstoned { .. })) {
                    let open = append.events.into_iter().filter(|event| !store.is_tombstoned(&event.stream));
                    let _ = store.inner.append(Append::new(open.collect::<Vec<_>>())).await;
                }
                answer
            })
        },
        ..SOUND
    },
    Flaw {
        name: "applies changes before the events",
        caught_by: &["atomic::changes_apply_after_the_events"],
        append: |store, mut append| {
            Box::pin(async move {
                let changes = std::mem::take(&mut append.changes);
                let checks = append.checks.clone();
                store.inner.append(Append { checks, changes, ..Append::default() }).await?;
                store.inner.append(append).await
            })
        },
        ..SOUND
    },
    Flaw {
        name: "groups the events of an append by stream",
        caught_by: &["atomic::an_append_to_several_streams_keeps_the_order_of_its_events"],
        append: |store, mut append| {
            append.events.sort_by(|one, other| one.stream.cmp(&other.stream));
            store.inner.append(append)
        },
        ..SOUND
    },
    Flaw {
        name: "takes an append without events for nothing to do",
        caught_by: &["atomic::an_append_without_events_checks_and_changes"],
        append: |store, append| {
            if append.events.is_empty() {
                return Box::pin(async { Ok(Appended { position: store.info_now().head, written: Vec::new() }) });
            }
            store.inner.append(append)
        },
        ..SOUND
    },
    Flaw {
        name: "refuses an append of nothing",
        caught_by: &[
            "atomic::an_empty_append_answers_with_the_head",
            "model::random_histories_are_answered_as_by_the_reference",
        ],
        append: |store, append| {
            if append == Append::default() {
                return Box::pin(async { Err(AppendError::Invalid { reason: "there is nothing in it".into() }) });
            }
            store.inner.append(append)
        },
        ..SOUND
    },
    Flaw {
        name: "commits a big append in parts",
        caught_by: &["atomic::a_big_append_is_one_commit_too"],
        append: |store, append| {
            Box::pin(async move {
                let mut done = Appended { position: Position::START, written: Vec::new() };
                if append.events.len() <= 1_000 {
                    return store.inner.append(append).await;
                }
                for part in append.events.chunks(1_000) {
                    let appended = store.inner.append(Append::new(part.to_vec())).await?;
                    done.position = appended.position;
                    done.written.extend(appended.written);
                    yield_now().await;
                }
                Ok(done)
            })
        },
        ..SOUND
    },
    Flaw {
        name: "leaves a hole after each refused append",
        caught_by: &["ordered::positions_count_from_one_without_holes", "errors::a_refusal_writes_nothing"],
        append: |store, append| {
            Box::pin(async move {
                let answer = store.inner.append(append).await;
                if answer.is_err() {
                    hole(store).await;
                }
                answer
            })
        },
        ..SOUND
    },
    Flaw {
        name: "leaves a hole now and then",
        caught_by: &["ordered::concurrent_appends_leave_no_holes", "ordered::positions_count_from_one_without_holes"],
        append: |store, append| {
            Box::pin(async move {
                if store.memo.count.fetch_add(1, Ordering::Relaxed) % 5 == 4 {
                    hole(store).await;
                }
                store.inner.append(append).await
            })
        },
        ..SOUND
    },
    Flaw {
        name: "answers with the position of the first event",
        caught_by: &["atomic::an_append_to_several_streams_keeps_the_order_of_its_events"],
        append: |store, append| {
            Box::pin(async move {
                let answer = store.inner.append(append).await?;
                let position = answer.written.first().map_or(answer.position, |first| first.position);
                Ok(Appended { position, ..answer })
            })
        },
        ..SOUND
    },
    Flaw {
        name: "answers with positions of its own",
        caught_by: &["ordered::concurrent_appends_leave_no_holes"],
        append: |store, append| {
            Box::pin(async move {
                let mut answer = store.inner.append(append).await?;
                if store.memo.count.fetch_add(1, Ordering::Relaxed) % 4 == 3 {
                    answer.position = Position(answer.position.0 - 1);
                    for written in &mut answer.written {
                        written.position = Position(written.position.0 - 1);
                    }
                }
                Ok(answer)
            })
        },
        ..SOUND
    },
    Flaw {
        name: "writes before the append is polled",
        caught_by: &["cancel::an_append_that_was_never_polled_writes_nothing"],
        append: |store, append| {
            let answer = store.append_now(append);
            Box::pin(async { answer })
        },
        ..SOUND
    },
    Flaw {
        name: "keeps its lock when an append is dropped",
        caught_by: &["cancel::dropped_appends_do_not_block_others"],
        append: |store, append| {
            Box::pin(async move {
                while store.memo.flag.swap(true, Ordering::AcqRel) {
                    yield_now().await;
                }
                yield_now().await;
                let answer = store.inner.append(append).await;
                store.memo.flag.store(false, Ordering::Release);
                answer
            })
        },
        ..SOUND
    },
    Flaw {
        name: "forgets what it wrote of a dropped append",
        caught_by: &["cancel::repeating_a_dropped_append_settles_it"],
        append: |store, append| {
            Box::pin(async move {
                let known = append.events.iter().any(|event| store.memo.ids().contains(&event.id));
                if known && append.events.iter().any(|event| !store.knows(event.id)) {
                    return Ok(promise(store, &append.events));
                }
                store.memo.ids().extend(append.events.iter().map(|event| event.id));
                yield_now().await;
                store.inner.append(append).await
            })
        },
        ..SOUND
    },
    Flaw {
        name: "takes similar stream names for one",
        caught_by: &["versions::similar_names_are_different_streams"],
        append: |store, mut append| {
            for event in &mut append.events {
                let name = event.stream.as_str().trim_end().to_lowercase();
                event.stream = StreamName::new(name).expect("a shorter name is a name");
            }
            store.inner.append(append)
        },
        ..SOUND
    },
    Flaw {
        name: "answers with the position in place of the version",
        caught_by: &["versions::versions_are_contiguous_under_concurrent_writers"],
        append: |store, append| {
            Box::pin(async move {
                let mut answer = store.inner.append(append).await?;
                for written in &mut answer.written {
                    written.version = Version(written.position.0);
                }
                Ok(answer)
            })
        },
        ..SOUND
    },
    Flaw {
        name: "cannot name a file after every stream",
        caught_by: &["durable::every_valid_name_works"],
        append: |store, append| {
            if append.events.iter().any(|event| event.stream.as_str().contains("/")) {
                return Box::pin(async { Err(AppendError::Failed("no such directory".into())) });
            }
            store.inner.append(append)
        },
        ..SOUND
    },
    Flaw {
        name: "makes writers wait for slow readers",
        caught_by: &["bounded::a_slow_reader_never_blocks_writers"],
        append: |store, append| {
            Box::pin(async move {
                if store.memo.followers().iter().any(|behind| behind.fetch_add(1, Ordering::Relaxed) > 100) {
                    std::future::pending::<()>().await;
                }
                store.inner.append(append).await
            })
        },
        read: |store, read| {
            if !read.follow {
                return store.inner.read(read);
            }
            let behind = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
            store.memo.followers().push(behind.clone());
            crate::batches::with_batches(store.inner.read(read), move |batch| {
                behind.store(0, Ordering::Relaxed);
                vec![batch]
            })
        },
        ..SOUND
    },
];

/// A receipt for events that were not written.
fn promise(store: &Broken, events: &[NewEvent]) -> Appended {
    let head = store.info_now().head.0;
    let at = |index: u64| Written { position: Position(head + index), version: Version(index) };
    let written: Vec<_> = (1..=events.len() as u64).map(at).collect();
    Appended { position: Position(head + events.len() as u64), written }
}

/// Uses up a position.
async fn hole(store: &Broken) {
    let stream = StreamName::new("$hole").expect("a valid name");
    let event = NewEvent::json(stream, "Hole".parse().expect("a valid type"), "");
    store.inner.append(Append::new([event])).await.expect("the model takes an internal event");
}
