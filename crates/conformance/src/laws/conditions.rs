//! Law 5, second part: `NoMatch`, the condition of a decision that is not about one stream.

use mainspring_event::{NewEvent, Position, Version};
use mainspring_store::{
    Append, AppendError, Check, Conflict, Query, QueryItem, Read, Retained, Retention, Scope, StreamChange,
};

use crate::{
    Backend,
    sample::{
        event, event_type, events, in_category, in_streams, of_types, scoped, stream, tag, tagged, typed, with_tags,
    },
    subject::Subject,
};

fn unless(query: Query, after: impl Into<Option<u64>>) -> Append {
    let after = after.into().map(Position);
    Append::new([event("decision-1")]).check(Check::NoMatch { query, after })
}

async fn assert_match(subject: &Subject, query: Query, after: impl Into<Option<u64>>, at: u64) {
    let after = after.into();
    let conflict = subject.conflict(unless(query.clone(), after)).await;
    let numbers = Conflict::Match { query, after: after.map(Position), position: Position(at) };
    assert_eq!(conflict, numbers, "a conflict names the query, the position it began after, and the match");
}

async fn assert_stale(subject: &Subject, append: Append, floor: u64) {
    match subject.refused(append).await {
        AppendError::Stale { floor: found } => {
            assert_eq!(found, Position(floor), "the highest removed event with tags")
        }
        other => panic!("the decision is stale, but the answer is {other:?}"),
    }
}

/// Without a position, any event that matches is in the way, however old.
pub(crate) async fn no_match_finds_the_oldest_event(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    subject.write([tagged("a-1", &["email:ada", "plan:free"])]).await;
    subject.write((0..700).map(|index| event(&format!("b-{}", index % 5)))).await;
    assert_match(&subject, with_tags(&["email:ada"]), None, 1).await;
    assert_match(&subject, with_tags(&["plan:free", "email:ada"]), None, 1).await;
    subject.taken(unless(with_tags(&["email:bob"]), None)).await;
}

/// Whatever a query can say, a check can ask.
pub(crate) async fn no_match_asks_any_query(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let opened = NewEvent { tags: vec![tag("k:1"), tag("l:1")], ..typed("a-1", "Opened") };
    subject.write([opened.clone()]).await;
    let both = QueryItem {
        scope: Scope::Category(crate::sample::category("a")),
        types: vec![event_type("Closed"), event_type("Opened")],
        tags: vec![tag("l:1")],
    };
    let matching = [
        Query::All,
        in_streams(&["z-1", "a-1"]),
        in_category("a"),
        of_types(&["Opened"]),
        with_tags(&["k:1"]),
        with_tags(&["k:1", "l:1"]),
        Query::Items(vec![scoped(Scope::Category(crate::sample::category("z"))), both.clone()]),
        Query::Ids(vec![mainspring_event::EventId::new(), opened.id]),
        both.clone().into(),
    ];
    for query in matching {
        assert_match(&subject, query, None, 1).await;
    }
    let passing = [
        Query::Items(vec![]),
        Query::Ids(vec![mainspring_event::EventId::new()]),
        in_streams(&["z-1", "a-10"]),
        in_category("z"),
        of_types(&["Closed"]),
        with_tags(&["k:1", "k:2"]),
        with_tags(&["k:10"]),
        QueryItem { types: vec![event_type("Closed")], ..both.clone() }.into(),
        QueryItem { tags: vec![tag("l:2")], ..both.clone() }.into(),
        QueryItem { scope: Scope::Streams(vec![stream("z-1")]), ..both }.into(),
    ];
    for query in passing {
        subject.taken(Append::default().check(Check::NoMatch { query, after: None })).await;
    }
}

/// With a position, only what lies above it is in the way; the position itself is not.
pub(crate) async fn no_match_looks_above_its_position_only(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    subject.write([tagged("a-1", &["k:1"]), event("a-1"), tagged("b-1", &["k:1"]), event("a-1")]).await;
    assert_match(&subject, with_tags(&["k:1"]), 1, 3).await;
    assert_match(&subject, with_tags(&["k:1"]), 2, 3).await;
    assert_match(&subject, Query::All, 3, 4).await;
    for after in [3, 4] {
        let check = Check::NoMatch { query: with_tags(&["k:1"]), after: Some(Position(after)) };
        subject.taken(Append::default().check(check)).await;
    }
    let zero = subject.conflict(unless(with_tags(&["k:1"]), 0)).await;
    assert!(matches!(zero, Conflict::Match { position: Position(1 | 3), .. }), "{zero:?}");
}

/// What a read went through can be decided on, though its last match lies far below.
pub(crate) async fn the_through_of_a_read_can_be_decided_on(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    subject.write([tagged("a-1", &["k:1"])]).await;
    subject.write(events("b-1", 40)).await;
    let query = with_tags(&["k:1"]);
    let through = |batches: Vec<mainspring_store::EventBatch>| batches.last().expect("the end is said").through();
    let first = through(subject.batches(Read::new(query.clone())).await);
    assert_eq!(first, Position(41), "progress covers what did not match");
    subject.write(events("b-1", 3)).await;
    let decided = NewEvent { tags: vec![tag("k:1")], ..event("a-1") };
    let append = Append::new([decided]).check(Check::NoMatch { query: query.clone(), after: Some(first) });
    assert_eq!(subject.taken(append).await.position, Position(45));
    assert_match(&subject, query, first.0, 45).await;
}

/// The append's own events do not stand in its way, and neither does what it changes.
pub(crate) async fn an_appends_own_events_are_no_match(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let register = || Append::new([tagged("a-1", &["email:ada"]), tagged("a-2", &["email:ada"])]);
    let unique = Check::NoMatch { query: with_tags(&["email:ada"]), after: None };
    subject.taken(register().check(unique.clone())).await;
    subject.conflict(register().check(unique)).await;
}

/// Checks of streams and of queries stand together, and each can refuse alone.
pub(crate) async fn both_kinds_of_check_hold_together(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    subject.write([tagged("a-1", &["k:1"])]).await;
    let at = |version, key| {
        unless(with_tags(&[key]), None).expect(stream("a-1"), mainspring_store::Expected::Exactly(Version(version)))
    };
    assert!(matches!(subject.conflict(at(1, "k:1")).await, Conflict::Match { .. }));
    assert!(matches!(subject.conflict(at(2, "k:2")).await, Conflict::Stream { .. }));
    subject.conflict(at(2, "k:1")).await;
    subject.taken(at(1, "k:2")).await;
}

/// `a-1` holds a tagged event at 2 that a truncation has removed; position 1 and 3 are others'.
async fn with_a_removed_tag(backend: &dyn Backend) -> Subject {
    let subject = Subject::open(backend).await;
    subject.write([tagged("b-1", &["k:9"]), tagged("a-1", &["k:1"]), event("b-1")]).await;
    let truncate = StreamChange::TruncateBefore { stream: stream("a-1"), version: Version(2) };
    subject.taken(Append::default().change(truncate)).await;
    subject
}

/// Without a position, only what is retained counts: what was removed is no match and makes nothing stale.
pub(crate) async fn removed_events_are_no_match(backend: &dyn Backend) {
    let subject = with_a_removed_tag(backend).await;
    subject.taken(unless(with_tags(&["k:1"]), None)).await;
    assert_match(&subject, with_tags(&["k:9"]), None, 1).await;
}

/// A decision from below a removed event with tags cannot be checked any more, and is told from where it can.
pub(crate) async fn a_removed_tag_makes_older_decisions_stale(backend: &dyn Backend) {
    let subject = with_a_removed_tag(backend).await;
    for after in [0, 1] {
        assert_stale(&subject, unless(with_tags(&["k:1"]), after), 2).await;
        assert_stale(&subject, unless(with_tags(&["k:2"]), after), 2).await;
    }
    subject.taken(unless(with_tags(&["k:1"]), 2)).await;
}

/// A decision that has seen the removed event is not stale.
pub(crate) async fn a_decision_at_the_floor_is_not_stale(backend: &dyn Backend) {
    let subject = with_a_removed_tag(backend).await;
    for after in [2, 3] {
        subject.taken(unless(with_tags(&["k:1"]), after)).await;
    }
}

/// An event without tags can be removed and no decision gets stale.
pub(crate) async fn a_removed_event_without_tags_makes_nothing_stale(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    subject.write([event("a-1"), event("a-1"), event("$a-1")]).await;
    let truncate = |name| StreamChange::TruncateBefore { stream: stream(name), version: Version(3) };
    subject.taken(Append::default().change(truncate("a-1")).change(truncate("$a-1"))).await;
    subject.taken(unless(with_tags(&["k:1"]), 0)).await;
}

/// Every way of removing a tagged event makes older decisions stale.
pub(crate) async fn every_kind_of_removal_makes_stale(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let keep_one = Retention { max_count: Some(1), max_age: None };
    let changes = [
        StreamChange::Retain { target: Retained::Stream(stream("a-1")), retention: keep_one },
        StreamChange::Retain { target: Retained::Category(crate::sample::category("b")), retention: keep_one },
        StreamChange::Tombstone { stream: stream("c-1") },
    ];
    for (name, change) in ["a-1", "b-1", "c-1"].into_iter().zip(changes) {
        let read = subject.head().await.0;
        subject.write([tagged(name, &["k:1"]), event(name)]).await;
        subject.taken(Append::default().change(change)).await;
        assert_stale(&subject, unless(with_tags(&["k:2"]), read), read + 1).await;
        subject.taken(unless(with_tags(&["k:2"]), read + 1)).await;
    }
}
