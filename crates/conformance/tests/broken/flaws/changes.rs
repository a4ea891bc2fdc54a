//! Retention, truncation and tombstones that do too little or too much.

use std::time::Duration;

use mainspring_event::{Position, Version};
use mainspring_store::{
    Append, AppendError, Check, EventStore, Query, ReadError, ReadFrom, Retained, Retention, StreamChange,
};

use crate::{
    batches::{finite, lazily, with_events},
    store::{Flaw, SOUND},
};

pub(crate) const FLAWS: &[Flaw] = &[
    Flaw {
        name: "does not apply rules",
        caught_by: &["retention::a_count_keeps_the_newest"],
        append: |store, mut append| {
            append.changes.retain(|change| !matches!(change, StreamChange::Retain { .. }));
            store.inner.append(append)
        },
        ..SOUND
    },
    Flaw {
        name: "does not apply rules of categories",
        caught_by: &["retention::a_category_rule_counts_each_stream"],
        append: |store, mut append| {
            append
                .changes
                .retain(|change| !matches!(change, StreamChange::Retain { target: Retained::Category(_), .. }));
            store.inner.append(append)
        },
        ..SOUND
    },
    Flaw {
        name: "does not apply a rule to a stream that does not exist yet",
        caught_by: &["retention::a_rule_may_come_before_its_stream"],
        append: |store, mut append| {
            append.changes.retain(|change| match change {
                StreamChange::Retain { target: Retained::Stream(stream), .. } => store.version(stream) > Version::NONE,
                _ => true,
            });
            store.inner.append(append)
        },
        ..SOUND
    },
    Flaw {
        name: "lets the rule of a category go before that of a stream",
        caught_by: &["retention::a_stream_rule_goes_before_its_category"],
        append: |store, mut append| {
            for change in append.changes.clone() {
                match change {
                    StreamChange::Retain { target: Retained::Stream(stream), .. } => {
                        store.memo.streams().insert(stream);
                    }
                    StreamChange::Retain { target: Retained::Category(category), retention } => {
                        let ruled = store.memo.streams();
                        let ruled = ruled.iter().filter(|stream| stream.category() == category.as_str());
                        append.changes.extend(ruled.map(|stream| StreamChange::Retain {
                            target: Retained::Stream(stream.clone()),
                            retention,
                        }));
                    }
                    _ => {}
                }
            }
            store.inner.append(append)
        },
        ..SOUND
    },
    Flaw {
        name: "keeps one event more than a count allows",
        caught_by: &["retention::a_count_keeps_the_newest"],
        append: |store, append| {
            store
                .inner
                .append(ruled(append, |rule| Retention { max_count: rule.max_count.map(|count| count + 1), ..rule }))
        },
        ..SOUND
    },
    Flaw {
        name: "does not look at ages",
        caught_by: &["retention::an_age_hides_what_is_older"],
        append: |store, append| store.inner.append(ruled(append, |rule| Retention { max_age: None, ..rule })),
        ..SOUND
    },
    Flaw {
        name: "looks at the age only where there is no count",
        caught_by: &["retention::count_and_age_both_limit"],
        append: |store, append| {
            store.inner.append(ruled(append, |rule| match rule.max_count {
                Some(_) => Retention { max_age: None, ..rule },
                None => rule,
            }))
        },
        ..SOUND
    },
    Flaw {
        name: "removes an event of exactly the age allowed",
        caught_by: &["retention::an_event_of_exactly_the_age_is_kept"],
        append: |store, append| {
            let shorter = |age: Duration| age.saturating_sub(Duration::from_nanos(1));
            store.inner.append(ruled(append, move |rule| Retention { max_age: rule.max_age.map(shorter), ..rule }))
        },
        ..SOUND
    },
    Flaw {
        name: "hides events from the future of its clock",
        caught_by: &["durable::order_goes_on_after_a_reopen", "retention::a_clock_that_is_set_back_ages_nothing"],
        read: |store, read| {
            let clock = store.clock.clone();
            with_events(store.inner.read(read), move |events| {
                events.into_iter().filter(|event| event.recorded <= clock.now()).collect()
            })
        },
        ..SOUND
    },
    Flaw {
        name: "does not truncate",
        caught_by: &["retention::truncation_removes_what_lies_below"],
        append: |store, mut append| {
            append.changes.retain(|change| !matches!(change, StreamChange::TruncateBefore { .. }));
            store.inner.append(append)
        },
        ..SOUND
    },
    Flaw {
        name: "truncates one event too many",
        caught_by: &["retention::truncation_removes_what_lies_below"],
        append: |store, mut append| {
            for change in &mut append.changes {
                if let StreamChange::TruncateBefore { version, .. } = change {
                    version.0 += 1;
                }
            }
            store.inner.append(append)
        },
        ..SOUND
    },
    Flaw {
        name: "takes the last truncation to the letter",
        caught_by: &[
            "retention::a_lower_truncation_changes_nothing",
            "retention::truncation_does_not_reach_into_the_future",
        ],
        append: |store, mut append| {
            append.changes.retain(|change| match change {
                StreamChange::TruncateBefore { stream, version } => {
                    store.memo.truncated().insert(stream.clone(), *version);
                    false
                }
                _ => true,
            });
            store.inner.append(append)
        },
        read: |store, read| {
            let memo = store.memo.clone();
            with_events(store.inner.read(read), move |mut events| {
                let truncated = memo.truncated();
                events.retain(|event| truncated.get(&event.event.stream).is_none_or(|first| event.version >= *first));
                drop(truncated);
                events
            })
        },
        ..SOUND
    },
    Flaw {
        name: "begins a read from a removed version at the first that is left",
        caught_by: &["retention::a_read_from_a_removed_version_is_told_the_first"],
        read: |store, read| {
            let store = store.clone();
            lazily(move || match (store.batches(mainspring_store::Read { follow: false, ..read.clone() }), read.from) {
                (Err(ReadError::Truncated { first, .. }), ReadFrom::Version(_)) => {
                    store.inner.read(read.from(ReadFrom::Version(first)))
                }
                _ => store.inner.read(read),
            })
        },
        ..SOUND
    },
    Flaw {
        name: "ends at a hole that retention left",
        caught_by: &["retention::other_reads_pass_the_holes"],
        read: |store, read| {
            if read.query.single_stream().is_some() {
                return store.inner.read(read);
            }
            let (mut last, mut ended) = (None::<Position>, false);
            with_events(store.inner.read(read), move |mut events| {
                events.retain(|event| {
                    ended |= last.is_some_and(|last| last.0.abs_diff(event.position.0) > 1);
                    last = Some(event.position);
                    !ended
                });
                events
            })
        },
        ..SOUND
    },
    Flaw {
        name: "does not apply tombstones",
        caught_by: &["versions::a_tombstoned_stream_refuses_appends", "versions::a_tombstoned_stream_refuses_reads"],
        append: |store, mut append| {
            append.changes.retain(|change| !matches!(change, StreamChange::Tombstone { .. }));
            store.inner.append(append)
        },
        ..SOUND
    },
    Flaw {
        name: "tombstones existing streams only",
        caught_by: &["versions::an_unwritten_stream_can_be_tombstoned"],
        append: |store, mut append| {
            append.changes.retain(|change| match change {
                StreamChange::Tombstone { stream } => store.version(stream) > Version::NONE,
                _ => true,
            });
            store.inner.append(append)
        },
        ..SOUND
    },
    Flaw {
        name: "finds nothing wrong with checks of a tombstoned stream",
        caught_by: &["versions::a_tombstoned_stream_refuses_checks"],
        append: |store, mut append| {
            append.checks.retain(|check| match check {
                Check::Stream { stream, .. } => !store.is_tombstoned(stream),
                Check::NoMatch { .. } => true,
            });
            store.inner.append(append)
        },
        ..SOUND
    },
    Flaw {
        name: "passes over changes of a tombstoned stream",
        caught_by: &["versions::a_tombstoned_stream_refuses_changes"],
        append: |store, mut append| {
            append.changes.retain(|change| match change {
                StreamChange::Retain { target: Retained::Stream(stream), .. }
                | StreamChange::TruncateBefore { stream, .. } => !store.is_tombstoned(stream),
                _ => true,
            });
            store.inner.append(append)
        },
        ..SOUND
    },
    Flaw {
        name: "refuses to tombstone a stream again",
        caught_by: &["versions::a_tombstoned_stream_refuses_changes"],
        append: |store, append| {
            Box::pin(async move {
                for change in &append.changes {
                    if let StreamChange::Tombstone { stream } = change
                        && store.is_tombstoned(stream)
                    {
                        return Err(AppendError::Tombstoned { stream: stream.clone() });
                    }
                }
                store.inner.append(append).await
            })
        },
        ..SOUND
    },
    Flaw {
        name: "reads a tombstoned stream as an empty one",
        caught_by: &["versions::a_tombstoned_stream_refuses_reads"],
        read: |store, read| {
            let store = store.clone();
            lazily(move || {
                let asked = mainspring_store::Read { follow: false, ..read.clone() };
                match store.batches(asked) {
                    Err(ReadError::Tombstoned { .. }) => {
                        finite(Ok(vec![mainspring_store::EventBatch::empty(store.info_now().head, true)]))
                    }
                    _ => store.inner.read(read),
                }
            })
        },
        ..SOUND
    },
    Flaw {
        name: "cannot read past a tombstoned stream",
        caught_by: &["versions::other_reads_pass_a_tombstoned_stream"],
        append: |store, append| {
            for change in &append.changes {
                if let StreamChange::Tombstone { stream } = change {
                    store.memo.streams().insert(stream.clone());
                }
            }
            store.inner.append(append)
        },
        read: |store, read| {
            let tombstoned = store.memo.streams().iter().next().cloned();
            match (tombstoned, &read.query) {
                (Some(stream), Query::All) => finite(Err(ReadError::Tombstoned { stream })),
                _ => store.inner.read(read),
            }
        },
        ..SOUND
    },
];

/// The same append with other rules.
fn ruled(mut append: Append, other: impl Fn(Retention) -> Retention) -> Append {
    for change in &mut append.changes {
        if let StreamChange::Retain { retention, .. } = change {
            *retention = other(*retention);
        }
    }
    append
}
