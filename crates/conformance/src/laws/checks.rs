//! Law 5, first part: checks of streams hold at the moment of the commit, or the conflict says with which numbers not.

use mainspring_event::Version;
use mainspring_store::{Append, Conflict, Expected};

use crate::{
    Backend,
    sample::{event, events, expecting, stream},
    subject::Subject,
};

/// A store in which `a-1` is at version 3 and `b-1` at 1, and nothing else was written.
async fn subject(backend: &dyn Backend) -> Subject {
    let subject = Subject::open(backend).await;
    subject.write([events("a-1", 2), events("b-1", 1), events("a-1", 1)].concat()).await;
    subject
}

/// Asks whether the stream is where it is expected to be, with an event for that stream, for another, and for none.
async fn assert_holds(subject: &Subject, name: &str, expected: Expected) {
    subject.taken(Append::default().check(expecting(name, expected))).await;
    subject.taken(Append::new([event("other-1")]).check(expecting(name, expected))).await;
    subject.taken(Append::new([event(name)]).check(expecting(name, expected))).await;
}

async fn assert_conflicts(subject: &Subject, name: &str, expected: Expected, actual: u64) {
    for events in [vec![], vec![event("other-1")], vec![event(name)]] {
        let conflict = subject.conflict(Append::new(events).check(expecting(name, expected))).await;
        let numbers = Conflict::Stream { stream: stream(name), expected, actual: Version(actual) };
        assert_eq!(conflict, numbers, "a conflict names the stream, what was expected, and where it is");
    }
}

/// `Any` holds everywhere.
pub(crate) async fn any_holds_everywhere(backend: &dyn Backend) {
    let subject = subject(backend).await;
    for name in ["a-1", "b-1", "c-1"] {
        assert_holds(&subject, name, Expected::Any).await;
    }
}

/// `NoStream` holds for a stream that was never written, and only there.
pub(crate) async fn no_stream_holds_for_an_unwritten_stream(backend: &dyn Backend) {
    let subject = subject(backend).await;
    assert_conflicts(&subject, "a-1", Expected::NoStream, 3).await;
    assert_conflicts(&subject, "b-1", Expected::NoStream, 1).await;
    assert_holds(&subject, "c-1", Expected::NoStream).await;
    assert_conflicts(&subject, "c-1", Expected::NoStream, 1).await;
}

/// `Exists` holds for a written stream, and only there.
pub(crate) async fn exists_holds_for_a_written_stream(backend: &dyn Backend) {
    let subject = subject(backend).await;
    assert_holds(&subject, "a-1", Expected::Exists).await;
    assert_conflicts(&subject, "c-1", Expected::Exists, 0).await;
}

/// `Exactly` holds at that version, and neither below nor above.
pub(crate) async fn exactly_holds_at_that_version_only(backend: &dyn Backend) {
    let subject = subject(backend).await;
    for wrong in [1, 2, 4, 1_000, u64::MAX] {
        assert_conflicts(&subject, "a-1", Expected::Exactly(Version(wrong)), 3).await;
    }
    assert_holds(&subject, "a-1", Expected::Exactly(Version(3))).await;
    assert_conflicts(&subject, "a-1", Expected::Exactly(Version(3)), 4).await;
}

/// Version 0 is the version of a stream that was never written.
pub(crate) async fn exactly_zero_means_no_stream(backend: &dyn Backend) {
    let subject = subject(backend).await;
    assert_conflicts(&subject, "a-1", Expected::Exactly(Version::NONE), 3).await;
    assert_holds(&subject, "c-1", Expected::Exactly(Version::NONE)).await;
    assert_conflicts(&subject, "c-1", Expected::Exactly(Version::NONE), 1).await;
}

/// A stream that is only checked fences the append of another: that is how a lease works.
pub(crate) async fn a_check_fences_a_stream_that_is_not_written(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    subject.write([event("$lease-1")]).await;
    let under_epoch = |epoch| Append::new([event("a-1")]).expect(stream("$lease-1"), Expected::Exactly(Version(epoch)));
    subject.taken(under_epoch(1)).await;
    subject.write([event("$lease-1")]).await;
    let conflict = subject.conflict(under_epoch(1)).await;
    assert!(matches!(conflict, Conflict::Stream { actual: Version(2), .. }), "{conflict:?}");
    subject.taken(under_epoch(2)).await;
    assert_eq!(subject.stream("$lease-1").await.len(), 2, "a check does not write the stream it looks at");
}

/// All checks must hold, wherever the failing one stands, and the conflict names that one.
pub(crate) async fn all_checks_must_hold(backend: &dyn Backend) {
    let subject = subject(backend).await;
    let good = [("a-1", Expected::Exactly(Version(3))), ("b-1", Expected::Exists), ("c-1", Expected::NoStream)];
    for place in 0..=good.len() {
        let mut checks = good.map(|(name, expected)| expecting(name, expected)).to_vec();
        checks.insert(place, expecting("d-1", Expected::Exactly(Version(7))));
        let append = Append { events: events("d-1", 1), checks, ..Append::default() };
        let conflict = subject.conflict(append).await;
        let named = matches!(&conflict, Conflict::Stream { stream: named, .. } if *named == stream("d-1"));
        assert!(named, "with the failing check at {place}: {conflict:?}");
    }
    let checks = good.map(|(name, expected)| expecting(name, expected)).to_vec();
    subject.taken(Append { events: events("c-1", 1), checks, ..Append::default() }).await;
}

/// Two checks of one stream that contradict each other cannot both hold.
pub(crate) async fn contradicting_checks_conflict(backend: &dyn Backend) {
    let subject = subject(backend).await;
    let append = Append::new([event("a-1")])
        .expect(stream("a-1"), Expected::Exactly(Version(3)))
        .expect(stream("a-1"), Expected::Exactly(Version(4)));
    let conflict = subject.conflict(append).await;
    let expected = Expected::Exactly(Version(4));
    assert_eq!(conflict, Conflict::Stream { stream: stream("a-1"), expected, actual: Version(3) });
}

/// Checks look at what was there before: the append's own events do not count.
pub(crate) async fn an_appends_own_events_do_not_count(backend: &dyn Backend) {
    let subject = subject(backend).await;
    let append = Append::new(events("c-1", 3)).expect(stream("c-1"), Expected::NoStream);
    assert_eq!(subject.taken(append).await.written[2].version, Version(3));
    let append = Append::new(events("a-1", 2)).expect(stream("a-1"), Expected::Exactly(Version(5)));
    let conflict = subject.conflict(append).await;
    assert!(matches!(conflict, Conflict::Stream { actual: Version(3), .. }), "{conflict:?}");
}

/// After a conflict, the actual version it names is the one to expect.
pub(crate) async fn the_actual_version_of_a_conflict_can_be_expected(backend: &dyn Backend) {
    let subject = subject(backend).await;
    let expecting = |version| Append::new([event("a-1")]).expect(stream("a-1"), Expected::Exactly(version));
    let Conflict::Stream { actual, .. } = subject.conflict(expecting(Version(1))).await else {
        panic!("a check of a stream conflicts with its numbers");
    };
    subject.taken(expecting(actual)).await;
}
