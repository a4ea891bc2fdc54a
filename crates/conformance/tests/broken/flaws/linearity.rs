//! What only shows when many calls meet: answers that are each plausible and cannot all be true.

use std::sync::atomic::Ordering;

use mainspring_event::{NewEvent, Position, Version};
use mainspring_store::{Append, AppendError, Check, Conflict, EventStore, Info, Query, ReadFrom};
use tokio::task::yield_now;

use crate::{
    batches::{batch, events, lazily, with_batches, with_events},
    store::{Flaw, SOUND},
};

const LAW: &[&str] = &["linearizable::what_many_clients_see_at_once_has_a_linear_order"];

pub(crate) const FLAWS: &[Flaw] = &[
    Flaw {
        name: "looks at versions before it takes its turn to write",
        caught_by: LAW,
        append: |store, mut append| {
            Box::pin(async move {
                let streams = append.checks.iter().filter(|check| matches!(check, Check::Stream { .. })).cloned();
                store.inner.append(Append { checks: streams.collect(), ..Append::default() }).await?;
                yield_now().await;
                append.checks.retain(|check| matches!(check, Check::NoMatch { .. }));
                store.inner.append(append).await
            })
        },
        ..SOUND
    },
    Flaw {
        name: "looks at queries before it takes its turn to write",
        caught_by: LAW,
        append: |store, mut append| {
            Box::pin(async move {
                let queries = append.checks.iter().filter(|check| matches!(check, Check::NoMatch { .. })).cloned();
                store.inner.append(Append { checks: queries.collect(), ..Append::default() }).await?;
                yield_now().await;
                append.checks.retain(|check| matches!(check, Check::Stream { .. }));
                store.inner.append(append).await
            })
        },
        ..SOUND
    },
    Flaw {
        name: "acknowledges before what it wrote can be read",
        caught_by: LAW,
        append: |store, append| {
            Box::pin(async move {
                let appended = store.inner.append(append).await?;
                let (memo, position) = (store.memo.clone(), appended.position.0);
                tokio::spawn(async move {
                    for _ in 0..20 {
                        yield_now().await;
                    }
                    memo.count.fetch_max(position, Ordering::SeqCst);
                });
                Ok(appended)
            })
        },
        read: |store, read| {
            let (memo, whole) = (store.memo.clone(), read.from == ReadFrom::Start && !read.follow);
            let inner = store.inner.clone();
            lazily(move || {
                let visible = Position(memo.count.load(Ordering::SeqCst));
                with_batches(inner.read(read), move |found| {
                    if !whole || found.through() <= visible {
                        return vec![found];
                    }
                    let kept = events(&found).into_iter().filter(|event| event.position <= visible).collect();
                    vec![batch(kept, found.through().min(visible), true)]
                })
            })
        },
        ..SOUND
    },
    Flaw {
        name: "says where its head was a moment ago",
        caught_by: LAW,
        info: |store, info| {
            let before = store.memo.count.swap(info.head.0, Ordering::SeqCst);
            Info { head: Position(before), ..info }
        },
        ..SOUND
    },
    Flaw {
        name: "says where its head will be",
        caught_by: LAW,
        info: |_, info| Info { head: Position(info.head.0 + 1), ..info },
        ..SOUND
    },
    Flaw {
        name: "tells in a conflict the version that was known a moment ago",
        caught_by: LAW,
        append: |store, append| {
            Box::pin(async move {
                match store.inner.append(append).await {
                    Err(AppendError::Conflict(Conflict::Stream { stream, expected, actual }))
                        if actual.0 > 1 && !expected.holds(Version(actual.0 - 1)) =>
                    {
                        Err(Conflict::Stream { stream, expected, actual: Version(actual.0 - 1) }.into())
                    }
                    answer => answer,
                }
            })
        },
        ..SOUND
    },
    Flaw {
        name: "tells in a conflict the newest match",
        caught_by: LAW,
        append: |store, append| {
            Box::pin(async move {
                match store.inner.append(append).await {
                    Err(AppendError::Conflict(Conflict::Match { query, after, position })) => {
                        let newest = store.events(query.clone()).last().map_or(position, |event| event.position);
                        Err(Conflict::Match { query, after, position: newest }.into())
                    }
                    answer => answer,
                }
            })
        },
        ..SOUND
    },
    Flaw {
        name: "answers a repeat with the place of the newest event",
        caught_by: LAW,
        append: |store, append| {
            Box::pin(async move {
                let known = append.events.iter().any(|event| store.knows(event.id));
                let mut appended = store.inner.append(append).await?;
                if known {
                    appended.position = store.info_now().head;
                }
                Ok(appended)
            })
        },
        ..SOUND
    },
    Flaw {
        name: "commits a batch in two pieces",
        caught_by: LAW,
        append: |store, append| {
            Box::pin(async move {
                if append.events.len() < 3 || append.events.iter().any(|event| store.knows(event.id)) {
                    return store.inner.append(append).await;
                }
                let mut rest: Vec<NewEvent> = append.events;
                let first = rest.drain(..2).collect();
                let mut whole = store.inner.append(Append { events: first, ..append }).await?;
                yield_now().await;
                let second = store.inner.append(Append::new(rest)).await?;
                whole.written.extend(second.written);
                whole.position = second.position;
                Ok(whole)
            })
        },
        ..SOUND
    },
    Flaw {
        name: "refuses and writes nevertheless",
        caught_by: LAW,
        append: |store, append| {
            Box::pin(async move {
                let answer = store.inner.append(append.clone()).await;
                if matches!(answer, Err(AppendError::Conflict(_))) {
                    drop(store.inner.append(Append::new(append.events)).await);
                }
                answer
            })
        },
        ..SOUND
    },
    Flaw {
        name: "lets followers skip an event",
        caught_by: LAW,
        read: |store, read| {
            let (follow, mut batches) = (read.follow, 0);
            with_events(store.inner.read(read), move |mut events| {
                batches += 1;
                if follow && batches % 8 == 0 {
                    events.pop();
                }
                events
            })
        },
        ..SOUND
    },
    Flaw {
        name: "shows followers an event twice",
        caught_by: LAW,
        read: |store, read| {
            let (follow, mut last) = (read.follow, None);
            with_events(store.inner.read(read), move |mut events| {
                let again = last.take().filter(|_| follow && !events.is_empty());
                last = events.last().cloned();
                events.splice(0..0, again);
                events
            })
        },
        ..SOUND
    },
    Flaw {
        name: "stops in the middle of a commit",
        caught_by: LAW,
        read: |store, read| {
            let whole = read.query != Query::All || read.limit.is_some();
            with_batches(store.inner.read(read), move |found| {
                let mut all = events(&found);
                if whole || all.len() < 2 || all.windows(2).any(|pair| pair[0].position > pair[1].position) {
                    return vec![found];
                }
                let rest = all.split_off(all.len() / 2);
                let middle = all[all.len() - 1].position;
                vec![batch(all, middle, false), batch(rest, found.through(), found.caught_up())]
            })
        },
        ..SOUND
    },
    Flaw {
        name: "shows every other reader what the one before it saw",
        caught_by: LAW,
        read: |store, read| {
            let whole = read.from == ReadFrom::Start && !read.follow && read.limit.is_none();
            let (memo, inner) = (store.memo.clone(), store.inner.clone());
            lazily(move || {
                let stale = whole && memo.flag.fetch_xor(true, Ordering::SeqCst);
                with_batches(inner.read(read), move |found| {
                    if !stale {
                        memo.count.fetch_max(
                            if whole && found.caught_up() { found.through().0 } else { 0 },
                            Ordering::SeqCst,
                        );
                        return vec![found];
                    }
                    let visible = Position(memo.count.load(Ordering::SeqCst));
                    let kept = events(&found).into_iter().filter(|event| event.position <= visible).collect();
                    vec![batch(kept, found.through().min(visible), found.caught_up())]
                })
            })
        },
        ..SOUND
    },
];
