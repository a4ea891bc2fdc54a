//! Checks that are not looked at, or wrongly, or too early.

use futures_util::future::BoxFuture;
use mainspring_event::Version;
use mainspring_store::{Append, Check, Conflict, EventStore, Expected, Query};
use tokio::task::yield_now;

use crate::store::{Answer, Broken, Flaw, SOUND};

pub(crate) const FLAWS: &[Flaw] = &[
    Flaw {
        name: "does not look at checks",
        caught_by: &["checks::all_checks_must_hold"],
        append: |store, append| store.inner.append(Append { checks: Vec::new(), ..append }),
        ..SOUND
    },
    Flaw {
        name: "looks at the first check only",
        caught_by: &["checks::all_checks_must_hold"],
        append: |store, mut append| {
            append.checks.truncate(1);
            store.inner.append(append)
        },
        ..SOUND
    },
    Flaw {
        name: "looks at the checks of written streams only",
        caught_by: &[
            "checks::a_check_fences_a_stream_that_is_not_written",
            "linearizable::what_many_clients_see_at_once_has_a_linear_order",
        ],
        append: |store, mut append| {
            let written: Vec<_> = append.events.iter().map(|event| event.stream.clone()).collect();
            append.checks.retain(|check| match check {
                Check::Stream { stream, .. } => written.is_empty() || written.contains(stream),
                Check::NoMatch { .. } => true,
            });
            store.inner.append(append)
        },
        ..SOUND
    },
    Flaw {
        name: "looks at checks before it takes its turn to write",
        caught_by: &[
            "contended::one_writer_wins_each_version",
            "contended::one_writer_gets_each_unique_name",
            "contended::decisions_over_a_query_are_serial",
            "contended::decisions_that_look_at_each_other_do_not_both_win",
            "contended::a_passed_epoch_writes_nothing_more",
        ],
        append: |store, append| {
            Box::pin(async move {
                store.inner.append(Append { checks: append.checks.clone(), ..Append::default() }).await?;
                for _ in 0..3 {
                    yield_now().await;
                }
                store.inner.append(Append { checks: Vec::new(), ..append }).await
            })
        },
        ..SOUND
    },
    Flaw {
        name: "looks at streams under its lock and at queries before",
        caught_by: &["contended::one_writer_gets_each_unique_name", "contended::decisions_over_a_query_are_serial"],
        append: |store, mut append| {
            Box::pin(async move {
                store.inner.append(Append { checks: append.checks.clone(), ..Append::default() }).await?;
                for _ in 0..3 {
                    yield_now().await;
                }
                append.checks.retain(|check| matches!(check, Check::Stream { .. }));
                store.inner.append(append).await
            })
        },
        ..SOUND
    },
    Flaw {
        name: "takes any version for no stream",
        caught_by: &["checks::no_stream_holds_for_an_unwritten_stream"],
        append: |store, append| overlooking(store, append, |expected, _| expected == Expected::NoStream),
        ..SOUND
    },
    Flaw {
        name: "takes any version for an existing stream",
        caught_by: &["checks::exists_holds_for_a_written_stream"],
        append: |store, append| overlooking(store, append, |expected, _| expected == Expected::Exists),
        ..SOUND
    },
    Flaw {
        name: "takes a version that was passed for the exact one",
        caught_by: &["checks::exactly_holds_at_that_version_only"],
        append: |store, append| {
            overlooking(
                store,
                append,
                |expected, actual| matches!(expected, Expected::Exactly(version) if version > Version::NONE && version < actual),
            )
        },
        ..SOUND
    },
    Flaw {
        name: "takes a version to come for the exact one",
        caught_by: &["checks::contradicting_checks_conflict", "conditions::both_kinds_of_check_hold_together"],
        append: |store, append| {
            overlooking(
                store,
                append,
                |expected, actual| matches!(expected, Expected::Exactly(version) if version > actual),
            )
        },
        ..SOUND
    },
    Flaw {
        name: "takes version 0 for any version",
        caught_by: &["checks::exactly_zero_means_no_stream", "internal::a_stream_with_max_count_one_is_a_register"],
        append: |store, append| overlooking(store, append, |expected, _| expected == Expected::Exactly(Version::NONE)),
        ..SOUND
    },
    Flaw {
        name: "asks of any version that there is one",
        caught_by: &["checks::any_holds_everywhere"],
        append: |store, mut append| {
            for check in &mut append.checks {
                if let Check::Stream { expected: expected @ Expected::Any, .. } = check {
                    *expected = Expected::Exists;
                }
            }
            store.inner.append(append)
        },
        ..SOUND
    },
    Flaw {
        name: "counts the append's own events",
        caught_by: &["checks::an_appends_own_events_do_not_count"],
        append: |store, append| {
            Box::pin(async move {
                for check in &append.checks {
                    let Check::Stream { stream, expected } = check else { continue };
                    let own = append.events.iter().filter(|event| event.stream == *stream).count() as u64;
                    let actual = Version(store.version(stream).0 + own);
                    if own > 1 && !expected.holds(actual) {
                        return Err(Conflict::Stream { stream: stream.clone(), expected: *expected, actual }.into());
                    }
                }
                store.inner.append(append).await
            })
        },
        ..SOUND
    },
    Flaw {
        name: "forgets the head of a stream that was emptied",
        caught_by: &[
            "versions::a_truncated_stream_keeps_its_head",
            "versions::a_stream_emptied_by_retention_keeps_its_head",
        ],
        append: |store, append| {
            Box::pin(async move {
                for check in &append.checks {
                    let Check::Stream { stream, expected } = check else { continue };
                    let empty = store.events(Query::stream(stream.clone())).is_empty();
                    if empty && !store.is_tombstoned(stream) && !expected.holds(Version::NONE) {
                        let (stream, expected) = (stream.clone(), *expected);
                        return Err(Conflict::Stream { stream, expected, actual: Version::NONE }.into());
                    }
                }
                store.inner.append(append).await
            })
        },
        ..SOUND
    },
];

/// Does not see that a check of a stream fails if `overlooks` holds of what is expected and what is.
fn overlooking<'a>(
    store: &'a Broken,
    mut append: Append,
    overlooks: fn(Expected, Version) -> bool,
) -> BoxFuture<'a, Answer> {
    append.checks.retain(|check| match check {
        Check::Stream { stream, expected } => {
            store.is_tombstoned(stream) || !overlooks(*expected, store.version(stream))
        }
        Check::NoMatch { .. } => true,
    });
    store.inner.append(append)
}
