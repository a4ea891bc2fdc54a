//! Stores that are not the same after they were closed, or not the same to everybody.

use futures_util::FutureExt;
use mainspring_event::StoredEvent;
use mainspring_store::{MemoryStore, Query, Restore};

use crate::store::{Broken, Flaw, SOUND};

pub(crate) const FLAWS: &[Flaw] = &[
    Flaw {
        name: "is empty after it was closed",
        caught_by: &["durable::events_survive_a_reopen"],
        reopen: Broken::emptied,
        ..SOUND
    },
    Flaw {
        name: "loses its last event when it is closed",
        caught_by: &["durable::events_survive_a_reopen"],
        reopen: |store| {
            copied(store, |mut events| {
                events.pop();
                events
            })
        },
        ..SOUND
    },
    Flaw {
        name: "forgets rules and tombstones when it is closed",
        caught_by: &["durable::changes_hold_across_a_reopen"],
        reopen: |store| copied(store, |events| events),
        ..SOUND
    },
    Flaw {
        name: "forgets ids when it is closed",
        caught_by: &["durable::ids_are_known_across_a_reopen"],
        reopen: |store| {
            copied(store, |mut events| {
                for event in &mut events {
                    event.event.id = mainspring_event::EventId::new();
                }
                events
            })
        },
        ..SOUND
    },
    Flaw {
        name: "forgets tags when it is closed",
        caught_by: &["durable::checks_hold_across_a_reopen"],
        reopen: |store| {
            copied(store, |mut events| {
                events.iter_mut().for_each(|event| event.event.tags.clear());
                events
            })
        },
        ..SOUND
    },
    Flaw {
        name: "begins with the clock anew when it was closed",
        caught_by: &["durable::events_survive_a_reopen"],
        reopen: |store| {
            copied(store, |mut events| {
                let hour = std::time::Duration::from_secs(3_600);
                events.iter_mut().for_each(|event| event.recorded -= hour);
                events
            })
        },
        ..SOUND
    },
    Flaw {
        name: "shows another handle what there was when it was opened",
        caught_by: &["durable::every_handle_sees_acknowledged_events"],
        second: |store| copied(store, |events| events),
        ..SOUND
    },
];

/// A copy of the model's history, with the internal streams that the laws write, changed on the way.
fn copied(store: &Broken, change: fn(Vec<StoredEvent>) -> Vec<StoredEvent>) -> Broken {
    let mut events = store.events(Query::All);
    for stream in ["$machinery-1", "$b-1"] {
        events.extend(store.events(Query::stream(stream.parse().expect("a valid name"))));
    }
    events.sort_by_key(|event| event.position);
    let inner = MemoryStore::with_clock(store.clock.clone());
    inner.restore(change(events)).now_or_never().expect("the model never waits").expect("the model's own order");
    store.on(inner)
}
