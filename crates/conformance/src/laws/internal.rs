//! Internal streams: their names begin with `$`, and who does not name them does not see them.

use mainspring_event::{Position, Version};
use mainspring_store::{
    Append, AppendError, Check, Conflict, Expected, Query, QueryItem, Read, Retained, Retention, Scope, StreamChange,
};

use crate::{
    Backend,
    sample::{
        category, event, event_type, events, ids, in_category, in_streams, new_ids, of_types, scoped, stream, tagged,
        typed, with_payload, with_tags,
    },
    subject::{Subject, place},
};

/// Reads of everything, by type or by tag pass internal events by.
pub(crate) async fn internal_events_are_not_seen_unless_named(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let business = typed("a-1", "Opened");
    subject.write([typed("$a-1", "Opened"), business.clone(), typed("$", "Opened")]).await;
    let types = QueryItem { types: vec![event_type("Opened")], ..QueryItem::default() };
    for query in [Query::All, of_types(&["Opened"]), QueryItem::default().into(), types.into(), in_category("a")] {
        assert_eq!(ids(&subject.matches(query.clone()).await), [business.id], "{query:?}");
        let backwards = subject.events(Read::new(query.clone()).backwards()).await;
        assert_eq!(ids(&backwards), [business.id], "{query:?} backwards");
    }
}

/// Who names the stream, the category or the id sees them.
pub(crate) async fn internal_events_are_seen_where_named(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let of = [typed("$a-1", "Opened"), event("a-1"), event("$a-2"), event("$b-1")];
    subject.write(of.clone()).await;
    let typed = QueryItem { types: vec![event_type("Opened")], ..scoped(Scope::Category(category("$a"))) };
    let mixed = vec![scoped(Scope::Streams(vec![stream("$a-2")])), QueryItem::default()];
    let cases: [(Query, &[usize]); 6] = [
        (in_streams(&["$a-1"]), &[0]),
        (in_streams(&["a-1", "$b-1"]), &[1, 3]),
        (in_category("$a"), &[0, 2]),
        (typed.into(), &[0]),
        (Query::Items(mixed), &[1, 2]),
        (Query::Ids(vec![of[3].id, of[0].id]), &[0, 3]),
    ];
    for (query, indexes) in cases {
        let expected: Vec<_> = indexes.iter().map(|index| of[*index].id).collect();
        assert_eq!(ids(&subject.matches(query.clone()).await), expected, "{query:?}");
    }
}

/// A follower of everything is not shown internal events, one that names their stream is.
pub(crate) async fn internal_events_are_not_followed_unless_named(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let mut everything = subject.follow(Read::new(Query::All));
    let mut named = subject.follow(Read::new(in_streams(&["$a-1"])));
    everything.until_caught_up().await;
    named.until_caught_up().await;
    let batch = [event("$a-1"), event("a-1"), event("$a-1")];
    let appended = subject.write(batch.clone()).await;
    assert_eq!(ids(&everything.until(appended.position).await), new_ids(&batch[1..2]));
    assert_eq!(ids(&named.until(appended.position).await), [batch[0].id, batch[2].id]);
}

/// Conditions pass internal events by as reads do.
pub(crate) async fn conditions_do_not_count_internal_events_unless_named(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    subject.write([typed("$a-1", "Opened")]).await;
    let unless = |query| Append::default().check(Check::NoMatch { query, after: None });
    for query in [Query::All, of_types(&["Opened"]), in_category("a"), QueryItem::default().into()] {
        subject.taken(unless(query)).await;
    }
    for query in [in_streams(&["$a-1"]), in_category("$a")] {
        let conflict = subject.conflict(unless(query)).await;
        assert!(matches!(conflict, Conflict::Match { position: Position(1), .. }), "{conflict:?}");
    }
}

/// Internal events carry no tags.
pub(crate) async fn internal_events_carry_no_tags(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    for batch in [vec![tagged("$a-1", &["k:1"])], vec![event("a-1"), tagged("$", &["k:1"])]] {
        let error = subject.refused(Append::new(batch)).await;
        assert!(matches!(error, AppendError::Invalid { .. }), "{error:?}");
    }
    assert_eq!(subject.matches(with_tags(&["k:1"])).await, []);
    assert_eq!(subject.all().await, []);
}

/// They commit together with business events, and share positions with them.
pub(crate) async fn internal_events_commit_with_business_events(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let appended = subject.write([event("a-1"), event("$progress-1"), event("a-1")]).await;
    let at: Vec<_> = appended.written.iter().map(|at| (at.position.0, at.version.0)).collect();
    assert_eq!(at, [(1, 1), (2, 1), (3, 2)]);
    let read: Vec<_> = subject.all().await.iter().map(|event| event.position.0).collect();
    assert_eq!(read, [1, 3], "a hole where the internal event is");
    let fenced = Append::new([event("a-1"), event("$progress-1")]).expect(stream("$progress-1"), Expected::NoStream);
    subject.conflict(fenced).await;
    assert_eq!(subject.all().await.len(), 2);
}

/// A `$` elsewhere in a name makes nothing internal.
pub(crate) async fn only_a_leading_dollar_makes_a_stream_internal(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let batch = [event("a$-1"), event("a-$1"), event(" $a-1"), tagged("price-$", &["k:$"])];
    subject.write(batch.clone()).await;
    assert_eq!(ids(&subject.all().await), new_ids(&batch));
}

/// A stream with max count 1 is the register: only the newest value is read, and versions go on.
pub(crate) async fn a_stream_with_max_count_one_is_a_register(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let keep_one = Retention { max_count: Some(1), max_age: None };
    let retain = StreamChange::Retain { target: Retained::Stream(stream("$checkpoint-1")), retention: keep_one };
    subject.taken(Append::default().change(retain)).await;
    for version in 0..30 {
        let set = Append::new([with_payload("$checkpoint-1", version.to_string()), event("a-1")])
            .expect(stream("$checkpoint-1"), Expected::Exactly(Version(version)));
        subject.taken(set.clone()).await;
        let read = subject.stream("$checkpoint-1").await;
        assert_eq!(read.len(), 1, "a register holds one value");
        assert_eq!(place(&read[0]).1, Version(version + 1));
        assert_eq!(read[0].event.payload, version.to_string());
        let backwards = subject.events(Read::new(in_streams(&["$checkpoint-1"])).backwards().limit(1)).await;
        assert_eq!(backwards, read);
        let stale =
            Append::new([event("$checkpoint-1")]).expect(stream("$checkpoint-1"), Expected::Exactly(Version(version)));
        subject.conflict(stale).await;
        assert_eq!(subject.taken(set).await.written[0].version, Version(version + 1), "its newest event is known");
    }
    assert_eq!(subject.stream("a-1").await.len(), 30);
}

/// The head counts internal events: it is the head of the one order.
pub(crate) async fn the_head_counts_internal_events(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    subject.write(events("$a-1", 2)).await;
    assert_eq!(subject.head().await, Position(2));
    assert_eq!(subject.write([event("a-1")]).await.position, Position(3));
}
