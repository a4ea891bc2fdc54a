//! Stores that are not the same after they were closed, or not the same to everybody.

use futures_util::FutureExt;
use mainspring_event::StoredEvent;
use mainspring_store::{MemoryStore, Query, Restore};

use crate::store::{Broken, Flaw, SOUND};

pub(crate) const FLAWS: &[Flaw] = &[
    Flaw { name: "is empty after it was closed", reopen: Broken::emptied, ..SOUND },
    Flaw {
        name: "loses its last event when it is closed",
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
        reopen: |store| copied(store, |events| events),
        ..SOUND
    },
    Flaw {
        name: "forgets ids when it is closed",
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
        second: |store| copied(store, |events| events),
        ..SOUND
    },
    Flaw {
        name: "shows another handle everything but lets it write on its own",
        second: |store| {
            let mut other = store.clone();
            other.inner = store.inner.clone();
            other.memo = std::sync::Arc::default();
            other
        },
        ..SOUND
    },
];

/// A copy of the model's history, changed on the way.
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
