//! Reads that begin, end or turn in the wrong place.

use std::sync::atomic::Ordering;

use futures_util::{StreamExt, stream};
use mainspring_store::{BatchStream, Direction, EventBatch, EventStore, Query, Read, ReadError, ReadFrom};

use crate::{
    batches::{batch, events, finite, lazily, with_batches, with_events},
    store::{Broken, Flaw, SOUND},
};

pub(crate) const FLAWS: &[Flaw] = &[
    Flaw {
        name: "shows a part of an append that is being written",
        read: |store, read| {
            let head = store.info_now().head;
            let early = store.memo.count.fetch_add(1, Ordering::Relaxed) % 2 == 0;
            with_events(store.inner.read(read), move |mut events| {
                events.retain(|event| !early || event.position < head || head.0 < 7);
                events
            })
        },
        ..SOUND
    },
    Flaw {
        name: "shows an event only when the next has come",
        read: |store, read| {
            let head = store.info_now().head;
            with_events(store.inner.read(read), move |mut events| {
                events.retain(|event| event.position != head);
                events
            })
        },
        ..SOUND
    },
    Flaw {
        name: "shows some events late, below what was shown before",
        read: |store, read| {
            let head = store.info_now().head;
            with_events(store.inner.read(read), move |mut events| {
                events.retain(|event| event.position.0 % 5 != 2 || event.position.0 + 3 < head.0);
                events
            })
        },
        ..SOUND
    },
    Flaw {
        name: "loses an event at each boundary of batches",
        read: |store, read| {
            let mut first = true;
            with_events(store.inner.read(read), move |mut events| {
                if !std::mem::take(&mut first) && events.len() > 1 {
                    events.remove(0);
                }
                events
            })
        },
        ..SOUND
    },
    Flaw {
        name: "reads batches backwards, but each of them forwards",
        read: |store, read| {
            let backwards = read.direction == Direction::Backwards;
            with_events(store.inner.read(read), move |mut events| {
                if backwards {
                    events.reverse();
                }
                events
            })
        },
        ..SOUND
    },
    Flaw {
        name: "reads the position that it was to begin after",
        read: |store, mut read| {
            if let ReadFrom::After(position) = &mut read.from
                && read.direction == Direction::Forwards
                && *position <= store.info_now().head
            {
                position.0 = position.0.saturating_sub(1);
            }
            store.inner.read(read)
        },
        ..SOUND
    },
    Flaw {
        name: "reads the position that it was to begin below",
        read: |store, mut read| {
            if let ReadFrom::After(position) = &mut read.from
                && read.direction == Direction::Backwards
            {
                position.0 += 1;
            }
            store.inner.read(read)
        },
        ..SOUND
    },
    Flaw {
        name: "leaves out the version that it was to begin at",
        read: |store, mut read| {
            if let ReadFrom::Version(version) = &mut read.from {
                match read.direction {
                    Direction::Forwards => version.0 += 1,
                    Direction::Backwards => version.0 = version.0.saturating_sub(1),
                }
            }
            store.inner.read(read)
        },
        ..SOUND
    },
    Flaw {
        name: "does not filter from a version on",
        read: |store, mut read| {
            if let (ReadFrom::Version(_), Query::Items(items)) = (read.from, &mut read.query) {
                items.iter_mut().for_each(|item| item.types.clear());
            }
            store.inner.read(read)
        },
        ..SOUND
    },
    Flaw {
        name: "takes the end for the start",
        read: |store, mut read| {
            if read.from == ReadFrom::End && read.direction == Direction::Forwards && !read.follow {
                read.from = ReadFrom::Start;
            }
            store.inner.read(read)
        },
        ..SOUND
    },
    Flaw {
        name: "counts what it looks at towards the limit",
        read: |store, read| {
            let limit = read.limit;
            let all = Read { query: Query::All, ..read.clone() };
            let query = read.query.clone();
            match limit {
                Some(_) if query.single_stream().is_some() => with_batches(store.inner.read(all), move |found| {
                    let kept: Vec<_> = found
                        .iter()
                        .zip(events(&found))
                        .filter(|(event, _)| query.matches(event))
                        .map(|it| it.1)
                        .collect();
                    vec![batch(kept, found.through(), found.caught_up())]
                }),
                _ => store.inner.read(read),
            }
        },
        ..SOUND
    },
    Flaw {
        name: "takes a limit for a hint",
        read: |store, mut read| {
            read.limit = read.limit.map(|limit| limit + 1);
            store.inner.read(read)
        },
        ..SOUND
    },
    Flaw {
        name: "reads at least one event",
        read: |store, mut read| {
            read.limit = read.limit.map(|limit| limit.max(1));
            store.inner.read(read)
        },
        ..SOUND
    },
    Flaw {
        name: "begins at its head where a position lies beyond it",
        read: |store, mut read| {
            if let ReadFrom::After(position) = &mut read.from {
                *position = store.info_now().head.min(*position);
            }
            store.inner.read(read)
        },
        ..SOUND
    },
    Flaw {
        name: "makes something of a read that contradicts itself",
        read: |store, read| {
            let read = match read.validate() {
                Err(ReadError::Invalid { .. }) => Read::new(read.query),
                _ => read,
            };
            store.inner.read(read)
        },
        ..SOUND
    },
    Flaw {
        name: "goes on after an error",
        read: |store, read| {
            let head = store.info_now().head;
            let batches = store.inner.read(read).flat_map(move |next| {
                let after = next.is_err().then(|| Ok(EventBatch::empty(head, true)));
                stream::iter([next].into_iter().chain(after))
            });
            batches.boxed()
        },
        ..SOUND
    },
    Flaw {
        name: "begins a read when it is asked for and not when it is polled",
        read: |store, mut read| {
            if read.from == ReadFrom::End && read.direction == Direction::Forwards && read.follow {
                read.from = ReadFrom::After(store.info_now().head);
            }
            store.inner.read(read)
        },
        ..SOUND
    },
    Flaw {
        name: "finds a time by what authors say",
        read: |store, read| by_time(store, read, |event, time| event.event.time >= time),
        ..SOUND
    },
    Flaw {
        name: "leaves out what was recorded at the time itself",
        read: |store, read| by_time(store, read, |event, time| event.recorded > time),
        ..SOUND
    },
    Flaw {
        name: "leaves out what was recorded at the time itself when it reads backwards",
        read: |store, read| {
            let from = read.from;
            let backwards = read.direction == Direction::Backwards;
            with_events(store.inner.read(read), move |mut events| {
                events.retain(|event| !(backwards && from == ReadFrom::Time(event.recorded)));
                events
            })
        },
        ..SOUND
    },
    Flaw {
        name: "returns everything at once",
        read: |store, read| {
            if read.follow {
                return store.inner.read(read);
            }
            let store = store.clone();
            lazily(move || {
                finite(store.batches(read).map(|batches| {
                    let last = batches.last().expect("the model says how far it came");
                    vec![batch(batches.iter().flat_map(events).collect(), last.through(), last.caught_up())]
                }))
            })
        },
        ..SOUND
    },
    Flaw {
        name: "looks events up when a batch is looked at",
        read: |store, read| {
            let inner = store.inner.clone();
            with_batches(store.inner.read(read), move |found| {
                let (through, caught_up) = (found.through(), found.caught_up());
                vec![EventBatch::new(std::sync::Arc::new(LateBuffer(found, inner.clone())), through, caught_up)]
            })
        },
        ..SOUND
    },
];

/// Finds its events again each time, and nothing where they are gone.
struct LateBuffer(EventBatch, mainspring_store::MemoryStore);

impl mainspring_event::EventBuffer for LateBuffer {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn get(&self, index: usize) -> mainspring_event::EventRef<'_> {
        use futures_util::FutureExt;
        let event = self.0.buffer().get(index);
        let ids = Read::new(Query::Ids(vec![event.id]));
        let found: Vec<_> = self.1.read(ids).collect().now_or_never().expect("a finite read of the model");
        let gone = found.iter().flatten().all(EventBatch::is_empty);
        if gone { mainspring_event::EventRef { payload: b"", ..event } } else { event }
    }
}

/// Reads forwards from a time by another measure.
fn by_time(
    store: &Broken,
    read: Read,
    wanted: fn(&mainspring_event::StoredEvent, jiff::Timestamp) -> bool,
) -> BatchStream {
    match read.from {
        ReadFrom::Time(time) if read.direction == Direction::Forwards && !read.follow => {
            let limit = usize::try_from(read.limit.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
            let all = Read { from: ReadFrom::Start, limit: None, ..read };
            with_events(store.inner.read(all), move |mut events| {
                events.retain(|event| wanted(event, time));
                events.truncate(limit);
                events
            })
        }
        _ => store.inner.read(read),
    }
}
