//! Retention: what is removed is hidden from stream reads at once, and nothing else is.

use std::time::Duration;

use mainspring_event::Version;
use mainspring_store::{Append, Check, Query, Read, ReadError, ReadFrom, Retained, Retention, StreamChange};

use crate::{
    Backend,
    sample::{category, event, events, ids, in_category, in_streams, stream, tagged, with_tags},
    subject::Subject,
};

fn of_stream(name: &str, retention: Retention) -> StreamChange {
    StreamChange::Retain { target: Retained::Stream(stream(name)), retention }
}

fn of_category(name: &str, retention: Retention) -> StreamChange {
    StreamChange::Retain { target: Retained::Category(category(name)), retention }
}

fn newest(count: u64) -> Retention {
    Retention { max_count: Some(count), max_age: None }
}

fn within(age: Duration) -> Retention {
    Retention { max_count: None, max_age: Some(age) }
}

fn truncate(name: &str, version: u64) -> StreamChange {
    StreamChange::TruncateBefore { stream: stream(name), version: Version(version) }
}

async fn change(subject: &Subject, change: StreamChange) {
    subject.taken(Append::default().change(change)).await;
}

/// A read of the stream gives exactly these versions, in every way a stream is read.
async fn assert_kept(subject: &Subject, name: &str, expected: impl IntoIterator<Item = u64>) {
    let versions =
        |events: Vec<mainspring_event::StoredEvent>| events.iter().map(|event| event.version.0).collect::<Vec<_>>();
    let mut expected: Vec<_> = expected.into_iter().collect();
    let read = || Read::new(in_streams(&[name]));
    assert_eq!(versions(subject.events(read()).await), expected, "{name} forwards");
    let page = expected.iter().copied().take(2).collect::<Vec<_>>();
    assert_eq!(versions(subject.events(read().limit(2)).await), page, "{name} with a limit");
    expected.reverse();
    assert_eq!(versions(subject.events(read().backwards()).await), expected, "{name} backwards");
}

/// Truncation removes what lies below its version, at once.
pub(crate) async fn truncation_removes_what_lies_below(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    subject.write([events("a-1", 5), events("b-1", 2)].concat()).await;
    change(&subject, truncate("a-1", 3)).await;
    assert_kept(&subject, "a-1", 3..=5).await;
    assert_kept(&subject, "b-1", 1..=2).await;
    subject.write([event("a-1")]).await;
    assert_kept(&subject, "a-1", 3..=6).await;
}

/// A lower truncation than before changes nothing.
pub(crate) async fn a_lower_truncation_changes_nothing(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    subject.write(events("a-1", 5)).await;
    for version in [4, 2, 0, 1] {
        change(&subject, truncate("a-1", version)).await;
        assert_kept(&subject, "a-1", 4..=5).await;
    }
}

/// Truncation removes what is there, not what is still to be written.
pub(crate) async fn truncation_does_not_reach_into_the_future(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    subject.write(events("a-1", 3)).await;
    change(&subject, truncate("a-1", 100)).await;
    change(&subject, truncate("b-1", 100)).await;
    assert_kept(&subject, "a-1", []).await;
    subject.write([event("a-1"), event("b-1")]).await;
    assert_kept(&subject, "a-1", [4]).await;
    assert_kept(&subject, "b-1", [1]).await;
}

/// A rule by count keeps the newest events, and goes on doing so.
pub(crate) async fn a_count_keeps_the_newest(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    subject.write(events("a-1", 5)).await;
    change(&subject, of_stream("a-1", newest(3))).await;
    assert_kept(&subject, "a-1", 3..=5).await;
    subject.write([event("a-1"), event("b-1"), event("a-1")]).await;
    assert_kept(&subject, "a-1", 5..=7).await;
    assert_kept(&subject, "b-1", [1]).await;
    change(&subject, of_stream("a-1", newest(1))).await;
    assert_kept(&subject, "a-1", [7]).await;
}

/// A rule may be set before the stream is written.
pub(crate) async fn a_rule_may_come_before_its_stream(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    change(&subject, of_stream("a-1", newest(1))).await;
    change(&subject, of_category("b", newest(2))).await;
    subject.write([events("a-1", 3), events("b-1", 3)].concat()).await;
    assert_kept(&subject, "a-1", [3]).await;
    assert_kept(&subject, "b-1", 2..=3).await;
    assert_eq!(
        subject.taken(Append::default().expect(stream("c-1"), mainspring_store::Expected::NoStream)).await.written,
        []
    );
}

/// The rule of a category counts each of its streams for itself, and no stream of another category.
pub(crate) async fn a_category_rule_counts_each_stream(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    for name in ["a-1", "a-2", "a", "ab-1", "b-1"] {
        subject.write(events(name, 3)).await;
    }
    change(&subject, of_category("a", newest(2))).await;
    for name in ["a-1", "a-2", "a"] {
        assert_kept(&subject, name, 2..=3).await;
    }
    assert_kept(&subject, "ab-1", 1..=3).await;
    assert_kept(&subject, "b-1", 1..=3).await;
}

/// The rule of a stream goes before that of its category, whether it keeps less, more, or everything.
pub(crate) async fn a_stream_rule_goes_before_its_category(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let everything = Retention { max_count: None, max_age: None };
    for (name, rule) in [("a-1", newest(1)), ("a-2", newest(3)), ("a-3", everything)] {
        change(&subject, of_stream(name, rule)).await;
    }
    change(&subject, of_category("a", newest(2))).await;
    for name in ["a-1", "a-2", "a-3", "a-4"] {
        subject.write(events(name, 4)).await;
    }
    assert_kept(&subject, "a-1", [4]).await;
    assert_kept(&subject, "a-2", 2..=4).await;
    assert_kept(&subject, "a-3", 1..=4).await;
    assert_kept(&subject, "a-4", 3..=4).await;
}

/// A rule by age hides an event as soon as it is older, without any append.
pub(crate) async fn an_age_hides_what_is_older(backend: &dyn Backend) {
    let (subject, clock) = Subject::open_with_clock(backend).await;
    let minute = Duration::from_secs(60);
    let changes = [of_stream("a-1", within(minute * 10)), of_category("b", within(minute * 20))];
    for rule in changes {
        change(&subject, rule).await;
    }
    for _ in 0..3 {
        subject.write(["a-1", "b-1", "c-1"].map(event)).await;
        clock.advance(minute * 8);
    }
    // Recorded 24, 16 and 8 minutes ago.
    assert_kept(&subject, "a-1", [3]).await;
    assert_kept(&subject, "b-1", 2..=3).await;
    assert_kept(&subject, "c-1", 1..=3).await;
    clock.advance(minute * 2 + Duration::from_secs(1));
    assert_kept(&subject, "a-1", []).await;
    assert_kept(&subject, "b-1", 2..=3).await;
    clock.advance(minute * 60);
    assert_kept(&subject, "b-1", []).await;
    let next = subject.write([event("a-1")]).await;
    assert_eq!(next.written[0].version, Version(4), "a stream that aged out keeps its head");
}

/// An event exactly as old as the rule allows is kept.
pub(crate) async fn an_event_of_exactly_the_age_is_kept(backend: &dyn Backend) {
    let (subject, clock) = Subject::open_with_clock(backend).await;
    let hour = Duration::from_secs(3_600);
    subject.taken(Append::new([event("a-1")]).change(of_stream("a-1", within(hour)))).await;
    clock.advance(hour);
    assert_kept(&subject, "a-1", [1]).await;
    clock.advance(Duration::from_secs(1));
    assert_kept(&subject, "a-1", []).await;
}

/// A clock that is set back makes nothing older.
pub(crate) async fn a_clock_that_is_set_back_ages_nothing(backend: &dyn Backend) {
    use mainspring_store::Clock;
    let (subject, clock) = Subject::open_with_clock(backend).await;
    let hour = Duration::from_secs(3_600);
    subject.taken(Append::new([event("a-1")]).change(of_stream("a-1", within(hour)))).await;
    clock.set(clock.now() - hour * 5);
    assert_kept(&subject, "a-1", [1]).await;
    subject.write([event("a-1")]).await;
    assert_kept(&subject, "a-1", 1..=2).await;
}

/// Count and age both have to be satisfied.
pub(crate) async fn count_and_age_both_limit(backend: &dyn Backend) {
    let (subject, clock) = Subject::open_with_clock(backend).await;
    let minute = Duration::from_secs(60);
    change(&subject, of_stream("a-1", Retention { max_count: Some(2), max_age: Some(minute * 10) })).await;
    subject.write(events("a-1", 3)).await;
    assert_kept(&subject, "a-1", 2..=3).await;
    clock.advance(minute * 9);
    subject.write(events("a-1", 1)).await;
    assert_kept(&subject, "a-1", 3..=4).await;
    clock.advance(minute * 2);
    assert_kept(&subject, "a-1", [4]).await;
}

/// A read from a removed version says which is the first that can be read, and that one can.
pub(crate) async fn a_read_from_a_removed_version_is_told_the_first(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    subject.write([events("a-1", 5), events("b-1", 5)].concat()).await;
    change(&subject, truncate("a-1", 4)).await;
    change(&subject, of_stream("b-1", newest(0))).await;
    for (name, removed, first) in [("a-1", 1..=3, 4), ("b-1", 1..=5, 6)] {
        let from = |version| Read::new(in_streams(&[name])).from(ReadFrom::Version(Version(version)));
        for version in removed {
            for read in [from(version), from(version).backwards(), from(version).follow(), from(version).limit(1)] {
                let error = subject.unreadable(read.clone()).await;
                let told = matches!(&error, ReadError::Truncated { stream: named, first: told }
                    if *named == stream(name) && *told == Version(first));
                assert!(told, "{read:?} is answered with {error:?}");
            }
        }
        let kept = subject.events(from(first)).await;
        assert_eq!(kept.len(), 6 - first as usize);
    }
}

/// Other reads pass the holes: whatever was removed, they give everything that was not.
pub(crate) async fn other_reads_pass_the_holes(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let batch: Vec<_> = (0..12).map(|index| tagged(["a-1", "a-2", "b-1"][index % 3], &["k:1"])).collect();
    subject.write(batch.clone()).await;
    change(&subject, truncate("a-1", 4)).await;
    change(&subject, of_stream("b-1", newest(2))).await;
    let kept: Vec<_> = [1, 4, 7, 10, 9, 8, 11].map(|index: usize| batch[index].id).into();
    for (query, wanted) in [(Query::All, &kept[..]), (with_tags(&["k:1"]), &kept[..]), (in_category("a"), &kept[..5])] {
        for read in [Read::new(query.clone()), Read::new(query.clone()).backwards()] {
            let events = subject.events(read.clone()).await;
            let found = ids(&events);
            assert!(wanted.iter().all(|id| found.contains(id)), "{read:?} misses an event that was kept");
            let order = |pair: &[mainspring_event::StoredEvent]| pair[0].position < pair[1].position;
            let sorted = events.windows(2).all(order)
                || events.iter().rev().collect::<Vec<_>>().windows(2).all(|pair| pair[0].position < pair[1].position);
            assert!(sorted, "{read:?} is out of order");
        }
    }
}

/// The id of an event that is retained is known, whatever was removed around it.
pub(crate) async fn the_id_of_a_retained_event_is_known(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    subject.write(events("a-1", 3)).await;
    let append = Append::new(events("a-1", 2));
    let original = subject.taken(append.clone()).await;
    change(&subject, truncate("a-1", 4)).await;
    change(&subject, of_stream("a-1", newest(2))).await;
    assert_eq!(subject.taken(append).await, original);
    assert_kept(&subject, "a-1", 4..=5).await;
}

/// What retention removes does not come back as a match of a condition.
pub(crate) async fn what_was_removed_is_no_match(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    subject.write([tagged("a-1", &["k:1"]), tagged("b-1", &["k:2"]), tagged("c-1", &["k:3"])]).await;
    let unless = |tag: &str| Append::default().check(Check::NoMatch { query: with_tags(&[tag]), after: None });
    for (tag, removal) in [
        ("k:1", truncate("a-1", 2)),
        ("k:2", of_stream("b-1", newest(0))),
        ("k:3", StreamChange::Tombstone { stream: stream("c-1") }),
    ] {
        subject.conflict(unless(tag)).await;
        change(&subject, removal).await;
        subject.taken(unless(tag)).await;
    }
}

/// The oldest position a store names is never above an event that can be read.
pub(crate) async fn info_does_not_hide_what_is_retained(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    subject.write([event("a-1"), event("b-1"), event("a-1")]).await;
    change(&subject, truncate("a-1", 2)).await;
    let info = subject.info().await.expect("an open store knows itself");
    let oldest = subject.all().await[0].position;
    assert!(info.first <= oldest, "{} is readable, but the store says it begins at {}", oldest, info.first);
    assert!(info.first.0 >= 1);
}
