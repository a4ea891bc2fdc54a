//! Time: the store stamps `recorded`, which never decreases, and leaves the event's own time alone.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use mainspring_event::{NewEvent, Position};
use mainspring_store::{Append, Clock, Direction, Query, Read, ReadFrom};

use crate::{
    Backend, ManualClock,
    pressure::Pressure,
    sample::{event, events, in_streams},
    subject::Subject,
};

const HOUR: Duration = Duration::from_secs(3_600);

/// What is recorded is the store's time at the append, to within what a store may round.
pub(crate) async fn recorded_is_the_time_of_the_store(backend: &dyn Backend) {
    let (subject, clock) = Subject::open_with_clock(backend).await;
    for _ in 0..3 {
        clock.advance(HOUR);
        subject.write(events("a-1", 2)).await;
        let now = clock.now();
        for event in &subject.all().await[subject.head().await.0 as usize - 2..] {
            let off = now.duration_since(event.recorded).abs();
            assert!(off < jiff::SignedDuration::from_millis(1), "recorded {} at {now}", event.recorded);
        }
    }
}

/// A clock that runs backwards does not take the recorded times along.
pub(crate) async fn recorded_never_decreases_when_the_clock_does(backend: &dyn Backend) {
    let (subject, clock) = Subject::open_with_clock(backend).await;
    let start = clock.now();
    for step in [5, 2, 9, 1, 0, 10] {
        clock.set(start + HOUR * step);
        subject.write(events("a-1", 2)).await;
    }
    let recorded: Vec<_> = subject.all().await.iter().map(|event| event.recorded).collect();
    assert!(recorded.is_sorted(), "{recorded:?}");
    assert_eq!(recorded.last().copied(), Some(start + HOUR * 10), "when the clock has caught up it is believed again");
}

/// Recorded times follow positions under concurrent writers.
pub(crate) async fn recorded_never_decreases_under_concurrent_writers(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    Pressure::start(&subject, 8, 20, |writer, _| Append::new(events(&format!("a-{writer}"), 2))).stop().await;
    let recorded: Vec<_> = subject.all().await.iter().map(|event| event.recorded).collect();
    assert!(recorded.is_sorted());
}

/// The event's own time is the author's: neither order nor reads from a time look at it.
pub(crate) async fn the_events_own_time_is_not_interpreted(backend: &dyn Backend) {
    let (subject, clock) = Subject::open_with_clock(backend).await;
    let start = clock.now();
    let times = ["2050-01-01T00:00:00Z", "1997-01-01T00:00:00Z", "2001-09-09T01:46:40Z"];
    let times = times.map(|text| text.parse::<Timestamp>().expect("laws use valid times"));
    for time in times {
        subject.write([NewEvent { time, ..event("a-1") }]).await;
        clock.advance(HOUR);
    }
    let read = subject.all().await;
    assert_eq!(read.iter().map(|event| event.event.time).collect::<Vec<_>>(), times);
    let later = subject.events(Read::new(Query::All).from(ReadFrom::Time(start + HOUR))).await;
    assert_eq!(later, read[1..], "a read from a time means the recorded one");
}

/// Two events recorded in each of four hours, at positions 1 to 8.
async fn four_hours(backend: &dyn Backend) -> (Subject, Arc<ManualClock>, Timestamp) {
    let (subject, clock) = Subject::open_with_clock(backend).await;
    let start = clock.now();
    for _ in 0..4 {
        subject.write([event("a-1")]).await;
        subject.write([event("b-1")]).await;
        clock.advance(HOUR);
    }
    (subject, clock, start)
}

async fn assert_reads(subject: &Subject, read: Read, expected: impl IntoIterator<Item = u64>) {
    let positions: Vec<_> = subject.events(read.clone()).await.iter().map(|event| event.position.0).collect();
    assert_eq!(positions, expected.into_iter().collect::<Vec<_>>(), "{read:?}");
}

/// Forwards from a time: what was recorded then or later.
pub(crate) async fn a_read_from_a_time_includes_it(backend: &dyn Backend) {
    let (subject, _, start) = four_hours(backend).await;
    let from = |query, time| Read::new(query).from(ReadFrom::Time(time));
    let minute = Duration::from_secs(60);
    assert_reads(&subject, from(Query::All, start - HOUR), 1..=8).await;
    assert_reads(&subject, from(Query::All, start), 1..=8).await;
    assert_reads(&subject, from(Query::All, start + minute), 3..=8).await;
    assert_reads(&subject, from(Query::All, start + HOUR), 3..=8).await;
    assert_reads(&subject, from(Query::All, start + HOUR * 3), 7..=8).await;
    assert_reads(&subject, from(Query::All, start + HOUR * 3 + minute), []).await;
    assert_reads(&subject, from(in_streams(&["b-1"]), start + HOUR * 2), [6, 8]).await;
    assert_reads(&subject, from(Query::All, start + HOUR).limit(3), 3..=5).await;
}

/// Backwards from a time: what was recorded then or earlier.
pub(crate) async fn a_read_back_from_a_time_includes_it(backend: &dyn Backend) {
    let (subject, _, start) = four_hours(backend).await;
    let from = |query, time| Read { direction: Direction::Backwards, ..Read::new(query).from(ReadFrom::Time(time)) };
    let minute = Duration::from_secs(60);
    assert_reads(&subject, from(Query::All, start - minute), []).await;
    assert_reads(&subject, from(Query::All, start), [2, 1]).await;
    assert_reads(&subject, from(Query::All, start + minute), [2, 1]).await;
    assert_reads(&subject, from(Query::All, start + HOUR * 2), (1..=6).rev()).await;
    assert_reads(&subject, from(Query::All, start + HOUR * 90), (1..=8).rev()).await;
    assert_reads(&subject, from(in_streams(&["a-1"]), start + HOUR), [3, 1]).await;
}

/// A follower from a time goes on live; from a time to come, it leaves out what is recorded before.
pub(crate) async fn a_follower_from_a_time_goes_on(backend: &dyn Backend) {
    let (subject, clock, start) = four_hours(backend).await;
    let mut past = subject.follow(Read::new(Query::All).from(ReadFrom::Time(start + HOUR * 3)));
    assert_eq!(past.until_caught_up().await.len(), 2);
    let mut future = subject.follow(Read::new(Query::All).from(ReadFrom::Time(start + HOUR * 6)));
    assert_eq!(future.until_caught_up().await, []);
    subject.write(events("a-1", 1)).await; // At hour 4.
    clock.advance(HOUR * 3);
    subject.write(events("a-1", 1)).await; // At hour 7.
    let positions =
        |events: Vec<mainspring_event::StoredEvent>| events.iter().map(|event| event.position).collect::<Vec<_>>();
    assert_eq!(positions(past.until(Position(10)).await), [Position(9), Position(10)]);
    assert_eq!(positions(future.until(Position(10)).await), [Position(10)]);
}
