//! Checks that are not looked at, or wrongly, or too early.

use std::sync::atomic::Ordering;

use futures_util::future::BoxFuture;
use mainspring_event::{Position, Version};
use mainspring_store::{Append, AppendError, Check, Conflict, EventStore, Expected, Query};
use tokio::task::yield_now;

use crate::store::{Answer, Broken, Flaw, SOUND};

pub(crate) const FLAWS: &[Flaw] = &[
    Flaw {
        name: "does not look at checks",
        append: |store, append| store.inner.append(Append { checks: Vec::new(), ..append }),
        ..SOUND
    },
    Flaw {
        name: "looks at the first check only",
        append: |store, mut append| {
            append.checks.truncate(1);
            store.inner.append(append)
        },
        ..SOUND
    },
    Flaw {
        name: "looks at the checks of written streams only",
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
        append: |store, append| overlooking(store, append, |expected, _| expected == Expected::NoStream),
        ..SOUND
    },
    Flaw {
        name: "takes any version for an existing stream",
        append: |store, append| overlooking(store, append, |expected, _| expected == Expected::Exists),
        ..SOUND
    },
    Flaw {
        name: "takes a version that was passed for the exact one",
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
        append: |store, append| overlooking(store, append, |expected, _| expected == Expected::Exactly(Version::NONE)),
        ..SOUND
    },
    Flaw {
        name: "asks of any version that there is one",
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
        name: "finds the append's own events in its conditions",
        append: |store, append| {
            Box::pin(async move {
                let own = append.events.iter().any(|event| !event.tags.is_empty());
                let condition = append.checks.iter().find(|check| matches!(check, Check::NoMatch { .. }));
                if let (true, Some(Check::NoMatch { query, after })) = (own && append.events.len() > 1, condition) {
                    let position = Position(store.info_now().head.0 + 1);
                    return Err(Conflict::Match { query: query.clone(), after: *after, position }.into());
                }
                store.inner.append(append).await
            })
        },
        ..SOUND
    },
    Flaw {
        name: "forgets the head of a stream that was emptied",
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
    Flaw {
        name: "does not look at conditions",
        append: |store, append| looking_for(store, append, |_, _| None),
        ..SOUND
    },
    Flaw {
        name: "looks for matches at the position itself, too",
        append: |store, append| {
            looking_for(store, append, |query, after| {
                let after = after.map(|after| Position(after.0.saturating_sub(1)));
                Some((query, after))
            })
        },
        ..SOUND
    },
    Flaw {
        name: "looks for matches below the position, too",
        append: |store, append| looking_for(store, append, |query, _| Some((query, None))),
        ..SOUND
    },
    Flaw {
        name: "looks for matches in everything",
        append: |store, append| {
            looking_for(store, append, |query, after| match query {
                Query::Items(items) if items.is_empty() => Some((Query::Items(items), after)),
                _ => Some((Query::All, after)),
            })
        },
        ..SOUND
    },
    Flaw {
        name: "looks for matches by the first item only",
        append: |store, append| {
            looking_for(store, append, |query, after| match query {
                Query::Items(mut items) => {
                    items.truncate(1);
                    Some((Query::Items(items), after))
                }
                other => Some((other, after)),
            })
        },
        ..SOUND
    },
    Flaw {
        name: "looks for matches among the newest events only",
        append: |store, mut append| {
            let newest = Position(store.info_now().head.0.saturating_sub(500));
            for check in &mut append.checks {
                if let Check::NoMatch { after, .. } = check {
                    *after = (*after).max(Some(newest).filter(|newest| newest.0 > 0));
                }
            }
            store.inner.append(append)
        },
        ..SOUND
    },
    Flaw {
        name: "lets a match from the deciding read on pass while others write",
        append: |store, mut append| {
            let head = store.info_now().head;
            for check in &mut append.checks {
                if let Check::NoMatch { after: Some(after), .. } = check {
                    *after = head.max(*after);
                }
            }
            store.inner.append(append)
        },
        ..SOUND
    },
    Flaw {
        name: "counts removed events as matches",
        append: |store, append| {
            Box::pin(async move {
                let removed = |query: &Query| {
                    let Query::Items(items) = query else { return false };
                    let seen = store.memo.events();
                    seen.iter().any(|event| {
                        items
                            .iter()
                            .any(|item| !item.tags.is_empty() && item.tags.iter().all(|tag| event.tags.contains(tag)))
                    })
                };
                for check in &append.checks {
                    if let Check::NoMatch { query, after: None } = check
                        && removed(query)
                    {
                        let position = Position(1);
                        return Err(Conflict::Match { query: query.clone(), after: None, position }.into());
                    }
                }
                let events = append.events.clone();
                let answer = store.inner.append(append).await;
                if answer.is_ok() {
                    store.memo.events().extend(events);
                }
                answer
            })
        },
        ..SOUND
    },
    Flaw {
        name: "lets stale decisions pass",
        append: |store, append| {
            Box::pin(async move {
                match store.inner.append(append.clone()).await {
                    Err(AppendError::Stale { .. }) => {
                        let checks = append.checks.into_iter().filter(|check| !matches!(check, Check::NoMatch { .. }));
                        store.inner.append(Append { checks: checks.collect(), ..append }).await
                    }
                    answer => answer,
                }
            })
        },
        ..SOUND
    },
    Flaw {
        name: "forgets that something was removed when it is closed",
        append: |store, append| {
            Box::pin(async move {
                match store.inner.append(append).await {
                    Err(AppendError::Stale { .. }) if store.memo.flag.load(Ordering::Relaxed) => {
                        Ok(mainspring_store::Appended { position: store.info_now().head, written: Vec::new() })
                    }
                    answer => answer,
                }
            })
        },
        reopen: |store| {
            store.memo.flag.store(true, Ordering::Relaxed);
            store.clone()
        },
        ..SOUND
    },
    Flaw {
        name: "calls every decision from before its head stale after a removal",
        append: |store, append| {
            Box::pin(async move {
                let head = store.info_now().head;
                let older = |check: &Check| matches!(check, Check::NoMatch { after: Some(after), .. } if *after < head);
                if store.memo.flag.load(Ordering::Relaxed) && append.checks.iter().any(older) {
                    return Err(AppendError::Stale { floor: head });
                }
                if !append.changes.is_empty() {
                    store.memo.flag.store(true, Ordering::Relaxed);
                }
                store.inner.append(append).await
            })
        },
        ..SOUND
    },
    Flaw {
        name: "names a floor that is too low",
        append: |store, append| {
            Box::pin(async move {
                match store.inner.append(append).await {
                    Err(AppendError::Stale { floor }) => Err(AppendError::Stale { floor: Position(floor.0 - 1) }),
                    answer => answer,
                }
            })
        },
        ..SOUND
    },
    Flaw {
        name: "calls a decision without a position stale after a removal",
        append: |store, append| {
            Box::pin(async move {
                let asks = append.checks.iter().any(|check| matches!(check, Check::NoMatch { after: None, .. }));
                if asks && store.memo.flag.load(Ordering::Relaxed) {
                    return Err(AppendError::Stale { floor: store.info_now().head });
                }
                if !append.changes.is_empty() {
                    store.memo.flag.store(true, Ordering::Relaxed);
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

/// Looks for other matches than it was asked for, or for none.
fn looking_for<'a>(
    store: &'a Broken,
    mut append: Append,
    other: fn(Query, Option<Position>) -> Option<(Query, Option<Position>)>,
) -> BoxFuture<'a, Answer> {
    let asked = std::mem::take(&mut append.checks);
    append.checks.extend(asked.into_iter().filter_map(|check| match check {
        Check::NoMatch { query, after } => {
            let (query, after) = other(query, after)?;
            Some(Check::NoMatch { query, after })
        }
        other => Some(other),
    }));
    store.inner.append(append)
}
