//! What every batch says about progress: `through` and `caught_up`, for checkpoints, lag and waiting.

use mainspring_event::Position;
use mainspring_store::{Append, EventBatch, Query, Read, ReadFrom};

use crate::{
    Backend,
    pressure::Pressure,
    sample::{event, events, in_category, in_streams, of_types, stream, tagged, with_tags},
    seed::Seed,
    subject::{Subject, stored},
};

/// A read of nothing still says how far it has come.
pub(crate) async fn a_read_without_matches_says_how_far_it_came(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let queries = || [Query::All, in_streams(&["z-1"]), in_category("z"), of_types(&["Z"]), with_tags(&["z:1"])];
    for query in queries() {
        let batches = subject.batches(Read::new(query.clone())).await;
        let last = batches.last().unwrap_or_else(|| panic!("{query:?} ended without a word"));
        assert_eq!((last.through(), last.caught_up(), last.is_empty()), (Position::START, true, true), "{query:?}");
    }
    subject.write(events("a-1", 5)).await;
    for query in &queries()[1..] {
        let batches = subject.batches(Read::new(query.clone())).await;
        let last = batches.last().unwrap_or_else(|| panic!("{query:?} ended without a word"));
        assert_eq!((last.through(), last.caught_up()), (Position(5), true), "{query:?}");
        assert!(batches.iter().all(EventBatch::is_empty));
    }
}

/// A finite read ends with the batch that says that the end is reached, and its progress is the head.
pub(crate) async fn a_read_ends_caught_up_at_the_head(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    for _ in 0..40 {
        subject.write([events("a-1", 50), vec![event("b-1")]].concat()).await;
    }
    for query in [Query::All, in_streams(&["b-1"]), in_streams(&["a-1"])] {
        let batches = subject.batches(Read::new(query.clone())).await;
        let last = batches.last().expect("the end is said");
        assert_eq!((last.through(), last.caught_up()), (Position(2_040), true), "{query:?}");
        let too_early = batches.iter().find(|batch| batch.caught_up() && batch.through() < last.through());
        assert!(too_early.is_none(), "the end is not said before it is reached");
    }
    let backwards = subject.batches(Read::new(in_streams(&["b-1"])).backwards()).await;
    let last = backwards.last().expect("the end is said");
    assert!(last.caught_up(), "backwards, the end is the beginning");
    assert_eq!(last.through(), Position::START);
}

/// Progress covers what was delivered and moves in the direction of the read only.
pub(crate) async fn progress_covers_what_was_delivered(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    for _ in 0..60 {
        subject.write([events("a-1", 30), events("b-1", 3)].concat()).await;
    }
    for query in [Query::All, in_streams(&["b-1"])] {
        let mut through = Position::START;
        for batch in subject.batches(Read::new(query.clone())).await {
            assert!(batch.through() >= through, "progress went back from {through} to {}", batch.through());
            assert!(batch.iter().all(|event| event.position > through && event.position <= batch.through()));
            through = batch.through();
        }
        let mut through = Position(u64::MAX);
        for batch in subject.batches(Read::new(query.clone()).backwards()).await {
            assert!(batch.through() <= through, "progress went back from {through} to {}", batch.through());
            assert!(batch.iter().all(|event| event.position < through && event.position >= batch.through()));
            through = batch.through();
        }
    }
}

/// From whichever progress a reader goes on, in either direction, it misses nothing and repeats nothing.
pub(crate) async fn any_progress_is_a_place_to_go_on_from(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let mut random = Seed::new(3);
    for _ in 0..50 {
        let batch = (0..random.within(1..=40)).map(|_| event(["a-1", "b-1", "c-1"][random.within(0..=2) as usize]));
        let batch: Vec<_> = batch.collect();
        subject.write(batch).await;
    }
    for query in [Query::All, in_streams(&["b-1"])] {
        for read in [Read::new(query.clone()), Read::new(query.clone()).backwards()] {
            let whole = subject.batches(read.clone()).await;
            let events: Vec<_> = whole.iter().flat_map(stored).collect();
            let mut delivered = 0;
            for batch in &whole {
                delivered += batch.len();
                let rest = subject.events(read.clone().from(ReadFrom::After(batch.through()))).await;
                assert_eq!(rest, events[delivered..], "going on after {} with {read:?}", batch.through());
            }
        }
    }
}

/// While nothing matches, a live reader's progress still moves, so that waiting for a position ends.
pub(crate) async fn live_progress_moves_though_nothing_matches(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    for query in [in_streams(&["z-1"]), in_category("z"), of_types(&["Z"]), with_tags(&["z:1"]), Query::Items(vec![])] {
        let mut follower = subject.follow(Read::new(query));
        follower.until_caught_up().await;
        for _ in 0..5 {
            let appended = subject.write([event("a-1"), event("b-1")]).await;
            assert_eq!(follower.until(appended.position).await, []);
        }
    }
}

/// Progress moves over internal events too.
pub(crate) async fn progress_moves_over_internal_events(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    subject.write(events("a-1", 2)).await;
    let mut follower = subject.follow(Read::new(Query::All));
    assert_eq!(follower.until_caught_up().await.len(), 2);
    let appended = subject.write(events("$machinery-1", 3)).await;
    assert_eq!(follower.until(appended.position).await, []);
    let last = subject.batches(Read::new(Query::All)).await.last().expect("the end is said").through();
    assert_eq!(last, appended.position);
}

/// Whether a position lies inside a commit, given where each begins and ends.
fn is_inside(commits: &[(u64, u64)], through: Position) -> bool {
    commits.iter().any(|(first, last)| through.0 >= *first && through.0 < *last)
}

/// Progress of a read without limit never falls inside a commit, however large the commits are.
pub(crate) async fn progress_never_falls_inside_a_commit(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let mut commits = Vec::new();
    for size in [1, 700, 2, 1_500, 3, 3, 900, 5_000, 1, 64] {
        let batch = (0..size).map(|index| event(["a-1", "b-1", "c-1"][index % 3]));
        let appended = subject.write(batch).await;
        commits.push((appended.written[0].position.0, appended.position.0));
    }
    for query in [Query::All, in_streams(&["b-1"])] {
        for batch in subject.batches(Read::new(query.clone())).await {
            assert!(!is_inside(&commits, batch.through()), "{} is inside a commit", batch.through());
        }
        for batch in subject.batches(Read::new(query.clone()).backwards()).await {
            // Backwards, the first position of a commit is where it has been left.
            let before = Position(batch.through().0.saturating_sub(1));
            assert!(!is_inside(&commits, before), "{} is inside a commit", batch.through());
        }
    }
}

/// Live progress never falls inside a commit either, however fast the writers.
pub(crate) async fn live_progress_never_falls_inside_a_commit(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let eight = |writer: u64, _| Append::new(events(&format!("a-{writer}"), 8));
    let writers = Pressure::start(&subject, 6, 10, eight);
    let mut followers = [Query::All, in_streams(&["a-3"])].map(|query| subject.follow(Read::new(query)));
    let mut progress = Vec::new();
    for _ in 0..25 {
        for follower in &mut followers {
            writers.moved(&subject, follower.through()).await;
            if follower.through() < subject.head().await {
                progress.push(follower.next().await.through());
            }
        }
    }
    let commits = writers.stop().await.concat();
    let commits: Vec<_> =
        commits.iter().map(|(_, appended)| (appended.written[0].position.0, appended.position.0)).collect();
    let inside: Vec<_> = progress.into_iter().filter(|through| is_inside(&commits, *through)).collect();
    assert_eq!(inside, [], "progress inside a commit");
}

/// A limit may cut a commit; then the progress is the last event delivered.
pub(crate) async fn a_limit_may_cut_a_commit(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    subject.write((0..20).map(|index| event(["a-1", "b-1"][index % 2]))).await;
    for (query, step) in [(Query::All, 1), (in_streams(&["a-1"]), 2)] {
        for limit in 1..=9 {
            let batches = subject.batches(Read::new(query.clone()).limit(limit)).await;
            assert_eq!(batches.iter().map(EventBatch::len).sum::<usize>() as u64, limit);
            let (through, last) = (batches.last().expect("something was read").through(), step * (limit - 1) + 1);
            let next = last + step;
            assert!((last..next).contains(&through.0), "{through} is not between the matches {last} and {next}");
        }
    }
}

/// A receipt's position is one that a reader's progress reaches: waiting for it makes everything of the append visible.
pub(crate) async fn waiting_for_a_receipt_makes_it_visible(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let mut follower = subject.follow(Read::new(with_tags(&["k:1"])));
    follower.until_caught_up().await;
    let appends = [
        Append::new([tagged("a-1", &["k:1"]), event("a-1")]),
        Append::new([event("a-1"), tagged("a-1", &["k:1"])]),
        Append::new([event("a-1")]),
        Append::default().expect(stream("a-1"), mainspring_store::Expected::Exists),
    ];
    for append in appends {
        let matching = append.events.iter().filter(|event| !event.tags.is_empty()).count();
        let appended = subject.taken(append).await;
        assert_eq!(follower.until(appended.position).await.len(), matching);
    }
}
