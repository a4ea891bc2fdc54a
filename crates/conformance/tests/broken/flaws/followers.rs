//! Followers that are not seamless.

use std::sync::atomic::Ordering;

use futures_util::{StreamExt, stream};
use mainspring_event::Position;
use mainspring_store::{EventStore, Query, Read, ReadFrom};

use crate::{
    batches::{batch, events, lazily, with_batches, with_events},
    store::{Flaw, SOUND},
};

pub(crate) const FLAWS: &[Flaw] = &[
    Flaw {
        name: "loses an event between history and live",
        caught_by: &["follow::a_follower_from_the_end_gets_only_what_comes", "follow::an_append_wakes_every_follower"],
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
        caught_by: &[
            "follow::a_follower_reads_history_and_then_what_comes",
            "follow::followers_miss_and_repeat_nothing",
        ],
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
        caught_by: &["follow::followers_miss_and_repeat_nothing"],
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
        caught_by: &["bounded::a_slow_reader_never_blocks_writers"],
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
        caught_by: &["follow::a_follower_reads_history_and_then_what_comes"],
        read: |store, mut read| {
            read.follow = false;
            store.inner.read(read)
        },
        ..SOUND
    },
    Flaw {
        name: "never wakes a follower that waits",
        caught_by: &["follow::a_follower_reads_history_and_then_what_comes"],
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
        caught_by: &["follow::an_append_wakes_every_follower"],
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
        caught_by: &["follow::a_follower_of_nothing_waits"],
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
        caught_by: &["follow::a_follower_from_the_end_gets_only_what_comes"],
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
        caught_by: &["follow::a_follower_begins_where_it_was_told"],
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
        caught_by: &["follow::a_follower_waits_for_a_version_to_come"],
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
        caught_by: &["time::a_follower_from_a_time_goes_on"],
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
        caught_by: &["follow::a_limit_ends_a_follower"],
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
        caught_by: &["follow::a_cancelled_next_loses_nothing"],
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
];
