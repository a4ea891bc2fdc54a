//! Conditions that find too much or too little, and decisions that are wrongly stale or not.

use std::sync::atomic::Ordering;

use futures_util::future::BoxFuture;
use mainspring_event::Position;
use mainspring_store::{Append, AppendError, Check, Conflict, EventStore, Query};

use crate::store::{Answer, Broken, Flaw, SOUND};

pub(crate) const FLAWS: &[Flaw] = &[
    Flaw {
        name: "finds the append's own events in its conditions",
        caught_by: &["conditions::an_appends_own_events_are_no_match"],
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
        name: "does not look at conditions",
        caught_by: &["conditions::no_match_asks_any_query"],
        append: |store, append| looking_for(store, append, |_| None),
        ..SOUND
    },
    Flaw {
        name: "looks for matches at the position itself, too",
        caught_by: &["conditions::the_through_of_a_read_can_be_decided_on"],
        append: |store, append| {
            looking_for(store, append, |(query, after)| {
                let after = after.map(|after| Position(after.0.saturating_sub(1)));
                Some((query, after))
            })
        },
        ..SOUND
    },
    Flaw {
        name: "looks for matches below the position, too",
        caught_by: &["conditions::no_match_looks_above_its_position_only"],
        append: |store, append| looking_for(store, append, |(query, _)| Some((query, None))),
        ..SOUND
    },
    Flaw {
        name: "looks for matches in everything",
        caught_by: &["conditions::no_match_asks_any_query"],
        append: |store, append| {
            looking_for(store, append, |(query, after)| match query {
                Query::Items(items) if items.is_empty() => Some((Query::Items(items), after)),
                _ => Some((Query::All, after)),
            })
        },
        ..SOUND
    },
    Flaw {
        name: "looks for matches by the first item only",
        caught_by: &["conditions::no_match_asks_any_query"],
        append: |store, append| {
            looking_for(store, append, |(query, after)| match query {
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
        caught_by: &["conditions::no_match_finds_the_oldest_event"],
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
        caught_by: &["conditions::no_match_looks_above_its_position_only"],
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
        caught_by: &["conditions::removed_events_are_no_match", "retention::what_was_removed_is_no_match"],
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
        caught_by: &["conditions::a_removed_tag_makes_older_decisions_stale"],
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
        caught_by: &["durable::staleness_holds_across_a_reopen"],
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
        caught_by: &[
            "conditions::a_decision_at_the_floor_is_not_stale",
            "conditions::a_removed_event_without_tags_makes_nothing_stale",
        ],
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
        caught_by: &["conditions::every_kind_of_removal_makes_stale"],
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
        caught_by: &["conditions::removed_events_are_no_match"],
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

/// What must not be there, and after which position it is looked for.
type Condition = (Query, Option<Position>);

/// Looks for other matches than it was asked for, or for none.
fn looking_for<'a>(
    store: &'a Broken,
    mut append: Append,
    other: fn(Condition) -> Option<Condition>,
) -> BoxFuture<'a, Answer> {
    let asked = std::mem::take(&mut append.checks);
    append.checks.extend(asked.into_iter().filter_map(|check| match check {
        Check::NoMatch { query, after } => {
            let (query, after) = other((query, after))?;
            Some(Check::NoMatch { query, after })
        }
        other => Some(other),
    }));
    store.inner.append(append)
}
