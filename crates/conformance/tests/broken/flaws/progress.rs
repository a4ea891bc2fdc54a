//! Batches that say too much or too little about how far the read has come.

use futures_util::{StreamExt, future};
use mainspring_event::Position;
use mainspring_store::{Direction, EventBatch, EventStore};

use crate::{
    batches::{batch, events, with_batches},
    store::{Flaw, SOUND},
};

pub(crate) const FLAWS: &[Flaw] = &[
    Flaw {
        name: "says nothing where nothing matches",
        caught_by: &["progress::a_read_without_matches_says_how_far_it_came"],
        read: |store, read| store.inner.read(read).filter(|next| future::ready(!is_empty(next))).boxed(),
        ..SOUND
    },
    Flaw {
        name: "says nothing live where nothing matches",
        caught_by: &[
            "progress::live_progress_moves_though_nothing_matches",
            "progress::waiting_for_a_receipt_makes_it_visible",
        ],
        read: |store, read| {
            let follow = read.follow;
            let mut first = true;
            let batches = store
                .inner
                .read(read)
                .filter(move |next| future::ready(!follow || std::mem::take(&mut first) || !is_empty(next)));
            batches.boxed()
        },
        ..SOUND
    },
    Flaw {
        name: "takes its last match for its progress",
        caught_by: &["conditions::the_through_of_a_read_can_be_decided_on"],
        read: |store, read| {
            let mut last = Position::START;
            with_batches(store.inner.read(read), move |found| {
                last = found.iter().last().map_or(last, |event| event.position);
                vec![batch(events(&found), last, found.caught_up())]
            })
        },
        ..SOUND
    },
    Flaw {
        name: "takes its last match for its progress when it reads backwards",
        caught_by: &["progress::progress_never_falls_inside_a_commit"],
        read: |store, read| {
            let backwards = read.direction == Direction::Backwards;
            with_batches(store.inner.read(read), move |found| {
                let last = found.iter().last().map(|event| event.position).filter(|_| backwards);
                vec![batch(events(&found), last.unwrap_or(found.through()), found.caught_up())]
            })
        },
        ..SOUND
    },
    Flaw {
        name: "says that it is further than it is",
        caught_by: &[
            "progress::progress_covers_what_was_delivered",
            "follow::a_resumed_follower_misses_and_repeats_nothing",
        ],
        read: |store, read| {
            let store = store.clone();
            let forwards = read.direction == Direction::Forwards;
            with_batches(store.inner.clone().read(read), move |found| {
                let through = if forwards { store.info_now().head } else { found.through() };
                vec![batch(events(&found), through.max(found.through()), found.caught_up())]
            })
        },
        ..SOUND
    },
    Flaw {
        name: "takes a limited read to the head",
        caught_by: &["progress::a_limit_may_cut_a_commit", "reads::pages_are_the_whole"],
        read: |store, read| {
            let head = store.info_now().head;
            let limited = read.limit.is_some() && read.direction == Direction::Forwards;
            with_batches(store.inner.read(read), move |found| {
                let through = if limited { head.max(found.through()) } else { found.through() };
                vec![batch(events(&found), through, found.caught_up())]
            })
        },
        ..SOUND
    },
    Flaw {
        name: "goes back in its progress at the end",
        caught_by: &["progress::progress_covers_what_was_delivered"],
        read: |store, read| {
            let mut said = 0;
            with_batches(store.inner.read(read), move |found| {
                said += 1;
                let again = EventBatch::empty(Position(found.through().0 / 2), found.caught_up());
                if said % 2 == 0 && found.caught_up() { vec![found, again] } else { vec![found] }
            })
        },
        ..SOUND
    },
    Flaw {
        name: "says after each event how far it has come, inside a commit too",
        caught_by: &[
            "progress::progress_never_falls_inside_a_commit",
            "progress::live_progress_never_falls_inside_a_commit",
        ],
        read: |store, read| {
            let limited = read.limit.is_some();
            with_batches(store.inner.read(read), move |found| {
                if limited {
                    return vec![found];
                }
                let all = events(&found);
                let cut = all.len().min(3);
                let mut batches: Vec<_> =
                    all[..cut].iter().map(|event| batch(vec![event.clone()], event.position, false)).collect();
                batches.push(batch(all[cut..].to_vec(), found.through(), found.caught_up()));
                batches
            })
        },
        ..SOUND
    },
    Flaw {
        name: "never says that it has caught up",
        caught_by: &["progress::a_read_ends_caught_up_at_the_head"],
        read: |store, read| {
            with_batches(store.inner.read(read), |found| vec![batch(events(&found), found.through(), false)])
        },
        ..SOUND
    },
    Flaw {
        name: "always says that it has caught up",
        caught_by: &["progress::a_read_ends_caught_up_at_the_head"],
        read: |store, read| {
            with_batches(store.inner.read(read), |found| vec![batch(events(&found), found.through(), true)])
        },
        ..SOUND
    },
    Flaw {
        name: "does not move over internal events",
        caught_by: &["progress::progress_moves_over_internal_events"],
        append: |store, append| {
            Box::pin(async move {
                let internal =
                    !append.events.is_empty() && append.events.iter().all(|event| event.stream.is_internal());
                let answer = store.inner.append(append).await?;
                if internal {
                    store.memo.count.store(answer.position.0, std::sync::atomic::Ordering::Relaxed);
                }
                Ok(answer)
            })
        },
        read: |store, read| {
            let memo = store.memo.clone();
            with_batches(store.inner.read(read), move |found| {
                let internal = Position(memo.count.load(std::sync::atomic::Ordering::Relaxed));
                if found.is_empty() && found.through() == internal && internal > Position::START {
                    return Vec::new();
                }
                vec![found]
            })
        },
        ..SOUND
    },
];

fn is_empty<E>(next: &Result<EventBatch, E>) -> bool {
    next.as_ref().is_ok_and(EventBatch::is_empty)
}
