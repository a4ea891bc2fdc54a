//! Where a read begins, which way it goes, and where it stops.

use mainspring_event::{NewEvent, Position, StoredEvent, Version};
use mainspring_store::{Direction, Query, Read, ReadFrom};

use crate::{
    Backend,
    sample::{event, events, ids, in_category, in_streams, new_ids},
    subject::Subject,
};

/// Where the events of `b-1` are.
const EVEN: [u64; 5] = [2, 4, 6, 8, 10];

/// Ten events at positions 1 to 10, the even ones in `b-1`.
async fn ten(backend: &dyn Backend) -> (Subject, Vec<NewEvent>) {
    let subject = Subject::open(backend).await;
    let written: Vec<_> = (0..10).map(|index| event(["a-1", "b-1"][index % 2])).collect();
    for pair in written.chunks(3) {
        subject.write(pair.to_vec()).await;
    }
    (subject, written)
}

fn positions(events: &[StoredEvent]) -> Vec<u64> {
    events.iter().map(|event| event.position.0).collect()
}

async fn assert_reads(subject: &Subject, read: Read, expected: impl IntoIterator<Item = u64>) {
    let expected: Vec<_> = expected.into_iter().collect();
    assert_eq!(positions(&subject.events(read.clone()).await), expected, "{read:?}");
}

fn down(read: Read) -> Read {
    Read { direction: Direction::Backwards, ..read }
}

/// Backwards is the exact reverse of forwards.
pub(crate) async fn backwards_is_the_reverse_of_forwards(backend: &dyn Backend) {
    let (subject, written) = ten(backend).await;
    for query in [Query::All, in_streams(&["b-1"]), in_category("a")] {
        let forwards = subject.events(Read::new(query.clone())).await;
        let mut backwards = subject.events(Read::new(query).backwards()).await;
        backwards.reverse();
        assert_eq!(forwards, backwards);
    }
    assert_eq!(ids(&subject.all().await), new_ids(&written));
}

/// After a position: that one is not read, in either direction.
pub(crate) async fn a_read_after_a_position_leaves_it_out(backend: &dyn Backend) {
    let (subject, _) = ten(backend).await;
    let after = |query: Query, position| Read::new(query).from(ReadFrom::After(Position(position)));
    for position in 0..=10 {
        assert_reads(&subject, after(Query::All, position), position + 1..=10).await;
        assert_reads(&subject, down(after(Query::All, position)), (1..position).rev()).await;
        let above = EVEN.into_iter().filter(|at| *at > position);
        assert_reads(&subject, after(in_streams(&["b-1"]), position), above).await;
        let below = EVEN.into_iter().rev().filter(|at| *at < position);
        assert_reads(&subject, down(after(in_streams(&["b-1"]), position)), below).await;
    }
}

/// From a version: that one is read, in either direction.
pub(crate) async fn a_read_from_a_version_includes_it(backend: &dyn Backend) {
    let (subject, _) = ten(backend).await;
    let from = |version| Read::new(in_streams(&["b-1"])).from(ReadFrom::Version(Version(version)));
    for version in 1..=5 {
        assert_reads(&subject, from(version), (version * 2..=10).step_by(2)).await;
        assert_reads(&subject, down(from(version)), (1..=version).rev().map(|version| version * 2)).await;
    }
    assert_reads(&subject, from(6), []).await;
    assert_reads(&subject, down(from(6)), [10, 8, 6, 4, 2]).await;
    let unwritten = Read::new(in_streams(&["z-1"])).from(ReadFrom::Version(Version(1)));
    assert_reads(&subject, unwritten.clone(), []).await;
    assert_reads(&subject, down(unwritten), []).await;
}

/// From a version on, types and tags still filter.
pub(crate) async fn a_read_from_a_version_still_filters(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    subject.write((0..6).map(|index| crate::sample::typed("a-1", ["Even", "Odd"][index % 2]))).await;
    let Query::Items(mut items) = in_streams(&["a-1"]) else { panic!("a stream is an item") };
    items[0].types.push(crate::sample::event_type("Odd"));
    let read = Read::new(Query::Items(items)).from(ReadFrom::Version(Version(3)));
    assert_reads(&subject, read.clone(), [4, 6]).await;
    assert_reads(&subject, down(read), [2]).await;
}

/// From the end there is nothing forwards and everything backwards; from the start it is the other way round.
pub(crate) async fn start_and_end_are_the_two_ends(backend: &dyn Backend) {
    let (subject, _) = ten(backend).await;
    let from = |from| Read::new(Query::All).from(from);
    assert_reads(&subject, from(ReadFrom::Start), 1..=10).await;
    assert_reads(&subject, from(ReadFrom::End), []).await;
    assert_reads(&subject, down(from(ReadFrom::End)), (1..=10).rev()).await;
    assert_reads(&subject, Read::new(Query::All).backwards(), (1..=10).rev()).await;
}

/// A limit counts the events that match, in either direction.
pub(crate) async fn a_limit_counts_what_matches(backend: &dyn Backend) {
    let (subject, _) = ten(backend).await;
    for limit in 0..=12 {
        let take = limit as usize;
        assert_reads(&subject, Read::new(Query::All).limit(limit), (1..=10).take(take)).await;
        assert_reads(&subject, Read::new(Query::All).backwards().limit(limit), (1..=10).rev().take(take)).await;
        assert_reads(&subject, Read::new(in_streams(&["b-1"])).limit(limit), EVEN.into_iter().take(take)).await;
        let backwards = Read::new(in_streams(&["b-1"])).backwards().limit(limit);
        assert_reads(&subject, backwards, EVEN.into_iter().rev().take(take)).await;
    }
}

/// Pages of any size, each begun after the progress of the last, are the whole, in either direction.
pub(crate) async fn pages_are_the_whole(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    for size in [1, 2, 5, 9, 1, 17] {
        subject.write((0..size).map(|index| event(["a-1", "b-1", "$c-1"][index % 3]))).await;
    }
    for query in [Query::All, in_streams(&["b-1"]), in_streams(&["b-1", "$c-1"])] {
        for read in [Read::new(query.clone()), Read::new(query.clone()).backwards()] {
            let whole = subject.events(read.clone()).await;
            for size in [1, 2, 3, 7, 40] {
                assert_eq!(pages(&subject, read.clone().limit(size), size as usize).await, whole, "pages of {size}");
            }
        }
    }
}

async fn pages(subject: &Subject, mut read: Read, size: usize) -> Vec<StoredEvent> {
    let mut all: Vec<StoredEvent> = Vec::new();
    loop {
        let batches = subject.batches(read.clone()).await;
        let page: Vec<_> = batches.iter().flat_map(crate::subject::stored).collect();
        let through = batches.last().expect("a page says how far it came").through();
        let short = page.len() < size;
        assert!(short || read.from != ReadFrom::After(through), "a full page moves on");
        read = read.from(ReadFrom::After(through));
        all.extend(page);
        if short {
            return all;
        }
    }
}

/// Thousands of events come in order and once, whatever the batches.
pub(crate) async fn a_long_history_is_read_in_order(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let mut written = Vec::new();
    for size in [1_000, 1, 37, 2_500, 3, 800] {
        let batch = events("a-1", size);
        written.extend(new_ids(&batch));
        subject.write(batch).await;
    }
    let read = subject.stream("a-1").await;
    assert_eq!(ids(&read), written);
    assert!(positions(&read).into_iter().eq(1..=written.len() as u64));
    assert_eq!(ids(&subject.all().await), written);
    let mut backwards = ids(&subject.events(Read::new(Query::All).backwards()).await);
    backwards.reverse();
    assert_eq!(backwards, written);
}
