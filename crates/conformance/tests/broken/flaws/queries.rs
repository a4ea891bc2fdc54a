//! Queries that select too much, too little, or something else.

use mainspring_event::{Category, StoredEvent};
use mainspring_store::{BatchStream, EventBatch, EventStore, Query, QueryItem, Read, Scope};

use crate::{
    batches::{batch, lazily, with_batches, with_events},
    store::{Broken, Flaw, SOUND},
};

pub(crate) const FLAWS: &[Flaw] = &[
    Flaw {
        name: "looks at the first stream only",
        caught_by: &["queries::streams_are_selected_by_name"],
        read: |store, read| {
            rephrased(store, read, |item| {
                if let Scope::Streams(streams) = &mut item.scope {
                    streams.truncate(1);
                }
            })
        },
        ..SOUND
    },
    Flaw {
        name: "takes no streams for all streams",
        caught_by: &["queries::streams_are_selected_by_name"],
        read: |store, read| {
            rephrased(store, read, |item| {
                if item.scope == Scope::Streams(Vec::new()) {
                    item.scope = Scope::Everywhere;
                }
            })
        },
        ..SOUND
    },
    Flaw {
        name: "takes a category for the beginning of a name",
        caught_by: &["queries::a_category_is_the_name_before_its_first_dash"],
        read: |store, read| {
            let Query::Items(items) = read.query.clone() else { return store.inner.read(read) };
            if !items.iter().any(|item| matches!(item.scope, Scope::Category(_))) {
                return store.inner.read(read);
            }
            let selected = move |event: &StoredEvent| {
                items.iter().any(|item| match &item.scope {
                    Scope::Category(category) => event.event.stream.as_str().starts_with(category.as_str()),
                    _ => selects(item, event),
                })
            };
            with_events(store.inner.read(Read { query: Query::All, ..read }), move |mut events| {
                events.retain(&selected);
                events
            })
        },
        ..SOUND
    },
    Flaw {
        name: "does not look at types",
        caught_by: &["queries::types_are_alternatives", "progress::a_read_without_matches_says_how_far_it_came"],
        read: |store, read| rephrased(store, read, |item| item.types.clear()),
        ..SOUND
    },
    Flaw {
        name: "looks at the first type only",
        caught_by: &["queries::types_are_alternatives"],
        read: |store, read| rephrased(store, read, |item| item.types.truncate(1)),
        ..SOUND
    },
    Flaw {
        name: "does not look at tags",
        caught_by: &["queries::tags_are_required_together"],
        read: |store, read| rephrased(store, read, |item| item.tags.clear()),
        ..SOUND
    },
    Flaw {
        name: "looks at the first tag only",
        caught_by: &["queries::tags_are_required_together"],
        read: |store, read| rephrased(store, read, |item| item.tags.truncate(1)),
        ..SOUND
    },
    Flaw {
        name: "takes any of the tags for all of them",
        caught_by: &["queries::tags_are_required_together"],
        read: |store, read| {
            let read = match read.query {
                Query::Items(items) => {
                    let each = items.into_iter().flat_map(|item| {
                        let single = |tag| QueryItem { tags: vec![tag], ..item.clone() };
                        if item.tags.is_empty() { vec![item] } else { item.tags.iter().cloned().map(single).collect() }
                    });
                    Read { query: Query::Items(each.collect()), ..read }
                }
                _ => read,
            };
            store.inner.read(read)
        },
        ..SOUND
    },
    Flaw {
        name: "takes a scope with types or tags for everything",
        caught_by: &["queries::an_item_joins_its_parts_by_and"],
        read: |store, read| {
            rephrased(store, read, |item| {
                if !item.types.is_empty() || !item.tags.is_empty() {
                    item.scope = Scope::Everywhere;
                }
            })
        },
        ..SOUND
    },
    Flaw {
        name: "looks at the first item only",
        caught_by: &["queries::items_are_joined_by_or"],
        read: |store, mut read| {
            if let Query::Items(items) = &mut read.query {
                items.truncate(1);
            }
            store.inner.read(read)
        },
        ..SOUND
    },
    Flaw {
        name: "returns an event for each item that selects it",
        caught_by: &["queries::items_are_joined_by_or"],
        read: |store, read| {
            let query = read.query.clone();
            with_events(store.inner.read(read), move |events| {
                let times = |event: &StoredEvent| match &query {
                    Query::Items(items) => items.iter().filter(|item| selects(item, event)).count(),
                    _ => 1,
                };
                events.iter().flat_map(|event| vec![event.clone(); times(event)]).collect()
            })
        },
        ..SOUND
    },
    Flaw {
        name: "takes a query without items for everything",
        caught_by: &["queries::a_query_without_items_selects_nothing"],
        read: |store, mut read| {
            if read.query == Query::Items(Vec::new()) {
                read.query = Query::All;
            }
            store.inner.read(read)
        },
        ..SOUND
    },
    Flaw {
        name: "looks at a hundred alternatives at most",
        caught_by: &["queries::a_query_may_have_many_alternatives"],
        read: |store, mut read| {
            match &mut read.query {
                Query::Items(items) => items.truncate(100),
                Query::Ids(ids) => ids.truncate(100),
                Query::All => {}
            }
            store.inner.read(read)
        },
        ..SOUND
    },
    Flaw {
        name: "finds the first id only",
        caught_by: &["queries::events_are_found_by_id"],
        read: |store, mut read| {
            if let Query::Ids(ids) = &mut read.query {
                ids.truncate(1);
            }
            store.inner.read(read)
        },
        ..SOUND
    },
    Flaw {
        name: "selects whole commits",
        caught_by: &["queries::a_filter_selects_within_a_commit"],
        read: |store, read| {
            let store = store.clone();
            let within_commit =
                matches!(&read.query, Query::Items(items) if items.iter().any(|item| !item.tags.is_empty()));
            let all = store.events(Query::All);
            with_events(store.inner.read(read), move |events| match events.first() {
                Some(first) if within_commit && events.len() > 1 => {
                    all.iter().filter(|event| event.recorded == first.recorded).cloned().collect()
                }
                _ => events,
            })
        },
        ..SOUND
    },
    Flaw {
        name: "shows internal events to everybody",
        caught_by: &[
            "internal::internal_events_are_not_seen_unless_named",
            "internal::internal_events_commit_with_business_events",
        ],
        append: |store, append| {
            let internal = append.events.iter().filter(|event| event.stream.is_internal());
            store.memo.streams().extend(internal.map(|event| event.stream.clone()));
            store.inner.append(append)
        },
        read: |store, read| {
            if read.follow {
                return store.inner.read(read);
            }
            let store = store.clone();
            lazily(move || store.inner.read(with_internal(&store, read)))
        },
        ..SOUND
    },
    Flaw {
        name: "shows internal events to followers",
        caught_by: &["internal::internal_events_are_not_followed_unless_named"],
        append: |store, append| {
            let internal = append.events.iter().filter(|event| event.stream.is_internal());
            store.memo.streams().extend(internal.map(|event| event.stream.clone()));
            store.inner.append(append)
        },
        read: |store, read| {
            let (query, store) = (read.query.clone(), store.clone());
            if !read.follow || query != Query::All {
                return store.inner.read(read);
            }
            // A follower of everything is given the internal events of each batch beside the others.
            let mut last = mainspring_event::Position::START;
            with_batches(store.inner.clone().read(read), move |found| {
                let mut events = crate::batches::events(&found);
                for stream in store.memo.streams().iter() {
                    let internal = store.events(Query::stream(stream.clone())).into_iter();
                    events.extend(internal.filter(|event| event.position > last && event.position <= found.through()));
                }
                events.sort_by_key(|event| event.position);
                last = found.through();
                vec![batch(events, found.through(), found.caught_up())]
            })
        },
        ..SOUND
    },
    Flaw {
        name: "shows internal events to nobody",
        caught_by: &["internal::internal_events_are_seen_where_named"],
        read: |store, read| {
            with_events(store.inner.read(read), |mut events| {
                events.retain(|event| !event.event.stream.is_internal());
                events
            })
        },
        ..SOUND
    },
    Flaw {
        name: "takes every name with a dollar for internal",
        caught_by: &["internal::only_a_leading_dollar_makes_a_stream_internal"],
        read: |store, read| {
            let query = read.query.clone();
            with_events(store.inner.read(read), move |mut events| {
                events.retain(|event| query != Query::All || !event.event.stream.as_str().contains('$'));
                events
            })
        },
        ..SOUND
    },
    Flaw {
        name: "finds internal events in conditions",
        caught_by: &["internal::conditions_do_not_count_internal_events_unless_named"],
        append: |store, mut append| {
            let internal = append.events.iter().filter(|event| event.stream.is_internal());
            store.memo.streams().extend(internal.map(|event| event.stream.clone()));
            for check in &mut append.checks {
                if let mainspring_store::Check::NoMatch { query, .. } = check {
                    *query = with_internal(store, Read::new(query.clone())).query;
                }
            }
            store.inner.append(append)
        },
        ..SOUND
    },
    Flaw {
        name: "does not find internal events in conditions even where named",
        caught_by: &["internal::conditions_do_not_count_internal_events_unless_named"],
        append: |store, mut append| {
            append.checks.retain(|check| match check {
                mainspring_store::Check::NoMatch { query: Query::Items(items), .. } => {
                    !items.iter().any(|item| match &item.scope {
                        Scope::Streams(streams) => streams.iter().any(|stream| stream.is_internal()),
                        Scope::Category(category) => category.is_internal(),
                        Scope::Everywhere => false,
                    })
                }
                _ => true,
            });
            store.inner.append(append)
        },
        ..SOUND
    },
];

/// Reads with other items than was asked for.
fn rephrased(store: &Broken, mut read: Read, other: fn(&mut QueryItem)) -> BatchStream {
    if let Query::Items(items) = &mut read.query {
        items.iter_mut().for_each(other);
    }
    store.inner.read(read)
}

/// Whether an item selects an event, by the definition of the contract.
fn selects(item: &QueryItem, event: &StoredEvent) -> bool {
    let event = batch(vec![event.clone()], event.position, false);
    let query = Query::from(item.clone());
    EventBatch::iter(&event).any(|event| query.matches(&event))
}

/// The same read with every internal category named.
fn with_internal(store: &Broken, read: Read) -> Read {
    let categories =
        store.memo.streams().iter().filter_map(|stream| Category::new(stream.category()).ok()).collect::<Vec<_>>();
    let items = match read.query {
        Query::All => vec![QueryItem::default()],
        Query::Items(items) => items,
        Query::Ids(_) => return read,
    };
    let mut all = items.clone();
    for item in items.iter().filter(|item| item.scope == Scope::Everywhere) {
        all.extend(
            categories.iter().map(|category| QueryItem { scope: Scope::Category(category.clone()), ..item.clone() }),
        );
    }
    Read { query: Query::Items(all), ..read }
}
