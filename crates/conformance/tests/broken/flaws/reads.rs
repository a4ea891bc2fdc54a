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
        caught_by: &["atomic::readers_never_see_a_part_of_an_append"],
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
        caught_by: &[
            "durable::a_read_begun_after_the_answer_sees_the_events",
            "ordered::the_head_is_readable_and_never_goes_back",
        ],
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
        caught_by: &["ordered::nothing_appears_below_what_a_reader_saw"],
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
        caught_by: &["reads::a_long_history_is_read_in_order", "follow::followers_miss_and_repeat_nothing"],
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
        caught_by: &["reads::backwards_is_the_reverse_of_forwards"],
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
        caught_by: &["reads::a_read_after_a_position_leaves_it_out"],
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
        caught_by: &["progress::any_progress_is_a_place_to_go_on_from"],
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
        caught_by: &["contended::the_loser_of_a_race_can_read_the_winner", "reads::a_read_from_a_version_includes_it"],
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
        caught_by: &["reads::a_read_from_a_version_still_filters"],
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
        caught_by: &["reads::start_and_end_are_the_two_ends"],
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
        caught_by: &["reads::a_limit_counts_what_matches"],
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
        caught_by: &["reads::a_limit_counts_what_matches"],
        read: |store, mut read| {
            read.limit = read.limit.map(|limit| limit + 1);
            store.inner.read(read)
        },
        ..SOUND
    },
    Flaw {
        name: "reads at least one event",
        caught_by: &["reads::a_limit_counts_what_matches"],
        read: |store, mut read| {
            read.limit = read.limit.map(|limit| limit.max(1));
            store.inner.read(read)
        },
        ..SOUND
    },
    Flaw {
        name: "begins at its head where a position lies beyond it",
        caught_by: &["errors::a_position_beyond_the_head_is_refused"],
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
        caught_by: &["errors::a_contradictory_read_is_invalid"],
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
        caught_by: &["errors::a_contradictory_read_is_invalid"],
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
        caught_by: &["follow::a_read_begins_at_its_first_poll"],
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
        caught_by: &["time::the_events_own_time_is_not_interpreted"],
        read: |store, read| by_time(store, read, |event, time| event.event.time >= time),
        ..SOUND
    },
    Flaw {
        name: "leaves out what was recorded at the time itself",
        caught_by: &["time::the_events_own_time_is_not_interpreted", "time::a_read_from_a_time_includes_it"],
        read: |store, read| by_time(store, read, |event, time| event.recorded > time),
        ..SOUND
    },
    Flaw {
        name: "leaves out what was recorded at the time itself when it reads backwards",
        caught_by: &["time::a_read_back_from_a_time_includes_it"],
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
        caught_by: &["bounded::batches_are_bounded"],
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
        caught_by: &["bounded::a_batch_that_is_kept_does_not_change"],
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
