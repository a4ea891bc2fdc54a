//! Followers that are not seamless.

use std::sync::atomic::Ordering;

use futures_util::{StreamExt, future, stream};
use mainspring_event::Position;
use mainspring_store::{EventStore, Query, Read, ReadFrom};

use crate::{
    batches::{batch, events, lazily, with_batches, with_events},
    store::{Flaw, SOUND},
};

pub(crate) const FLAWS: &[Flaw] = &[
    Flaw {
        name: "loses an event between history and live",
        read: |store, read| {
            let follow = read.follow;
            let mut live = false;
            with_batches(store.inner.read(read), move |found| {
                let mut kept = events(&found);
                if follow && live && !kept.is_empty() {
                    kept.remove(0);
                    live = false;
                }
                live |= found.caught_up() && follow && found.is_empty();
                vec![batch(kept, found.through(), found.caught_up())]
            })
        },
        ..SOUND
    },
    Flaw {
        name: "repeats the last event of history when it goes live",
        read: |store, read| {
            let follow = read.follow;
            let mut last = None;
            with_events(store.inner.read(read), move |mut events| {
                if let Some(last) = last.take().filter(|_| follow && !events.is_empty()) {
                    events.insert(0, last);
                    return events;
                }
                last = events.last().cloned();
                events
            })
        },
        ..SOUND
    },
    Flaw {
        name: "loses live events while it is busy",
        read: |store, read| {
            let follow = read.follow;
            with_events(store.inner.read(read), move |mut events| {
                if follow && events.len() > 12 && events.len() < 512 {
                    events.pop();
                }
                events
            })
        },
        ..SOUND
    },
    Flaw {
        name: "loses what was written while nobody was reading",
        read: |store, read| {
            let follow = read.follow;
            let mut seen = 0;
            with_events(store.inner.read(read), move |mut events| {
                seen += 1;
                if follow && seen > 1 && events.len() > 100 {
                    events.drain(..100);
                }
                events
            })
        },
        ..SOUND
    },
    Flaw {
        name: "ends a follower with history",
        read: |store, mut read| {
            read.follow = false;
            store.inner.read(read)
        },
        ..SOUND
    },
    Flaw {
        name: "never wakes a follower that waits",
        read: |store, read| {
            let follow = read.follow;
            if !follow {
                return store.inner.read(read);
            }
            let finite = Read { follow: false, ..read };
            store.inner.read(finite).chain(stream::pending()).boxed()
        },
        ..SOUND
    },
    Flaw {
        name: "wakes a few followers only",
        read: |store, read| {
            let many = store.memo.count.fetch_add(1, Ordering::Relaxed) > 10;
            if !read.follow || !many {
                return store.inner.read(read);
            }
            store.inner.read(Read { follow: false, ..read }).chain(stream::pending()).boxed()
        },
        ..SOUND
    },
    Flaw {
        name: "does not filter live events",
        read: |store, read| {
            if !read.follow || read.limit.is_some() {
                return store.inner.read(read);
            }
            let store = store.clone();
            lazily(move || {
                let mut through = Position::START;
                let history = with_batches(store.inner.read(Read { follow: false, ..read }), |found| vec![found]);
                let inner = store.inner.clone();
                let head = store.info_now().head;
                through.0 += head.0;
                let live = Read::new(Query::All).from(ReadFrom::After(through)).follow();
                history.chain(inner.read(live).skip(1)).boxed()
            })
        },
        ..SOUND
    },
    Flaw {
        name: "begins a follower from the end at the start",
        read: |store, mut read| {
            if read.follow && read.from == ReadFrom::End {
                read.from = ReadFrom::Start;
            }
            store.inner.read(read)
        },
        ..SOUND
    },
    Flaw {
        name: "begins a follower after a position at the start",
        read: |store, mut read| {
            if let (true, ReadFrom::After(position)) = (read.follow, read.from)
                && position <= store.info_now().head
            {
                read.from = ReadFrom::Start;
            }
            store.inner.read(read)
        },
        ..SOUND
    },
    Flaw {
        name: "begins a follower from a version to come at once",
        read: |store, mut read| {
            if let (true, ReadFrom::Version(version), Some(stream)) =
                (read.follow, read.from, read.query.single_stream())
                && version > store.version(stream)
            {
                read.from = ReadFrom::End;
            }
            store.inner.read(read)
        },
        ..SOUND
    },
    Flaw {
        name: "begins a follower from a time to come at once",
        read: |store, mut read| {
            if let (true, ReadFrom::Time(time)) = (read.follow, read.from)
                && time > store.clock.now()
            {
                read.from = ReadFrom::End;
            }
            store.inner.read(read)
        },
        ..SOUND
    },
    Flaw {
        name: "does not look at the limit of a follower",
        read: |store, mut read| {
            if read.follow {
                read.limit = None;
            }
            store.inner.read(read)
        },
        ..SOUND
    },
    Flaw {
        name: "loses the batch whose next was given up",
        read: |store, read| {
            let follow = read.follow;
            let mut pending = false;
            let mut inner = store.inner.read(read);
            let polled = stream::poll_fn(move |context| {
                let next = inner.poll_next_unpin(context);
                let lost = follow && std::mem::replace(&mut pending, next.is_pending());
                match next {
                    std::task::Poll::Ready(Some(Ok(found))) if lost => {
                        let empty = batch(Vec::new(), found.through(), found.caught_up());
                        std::task::Poll::Ready(Some(Ok(empty)))
                    }
                    next => next,
                }
            });
            polled.boxed()
        },
        ..SOUND
    },
    Flaw {
        name: "tells an idle follower again and again that it has caught up",
        read: |store, read| {
            if !read.follow {
                return store.inner.read(read);
            }
            let again = with_batches(store.inner.read(read), |found| {
                let again = batch(Vec::new(), found.through(), found.caught_up());
                vec![found, again]
            });
            again.filter(|_| future::ready(true)).boxed()
        },
        ..SOUND
    },
];
