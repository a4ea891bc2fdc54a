//! What a query selects, the same for reads, followers and checks.

use mainspring_event::{EventId, NewEvent};
use mainspring_store::{Query, QueryItem, Read, Scope};

use crate::{
    Backend,
    sample::{
        category, event, event_type, ids, in_category, in_streams, of_types, scoped, stream, tag, tagged, typed,
        with_tags,
    },
    subject::Subject,
};

/// Writes these events in one append each and gives them back.
async fn written(subject: &Subject, events: impl IntoIterator<Item = NewEvent>) -> Vec<NewEvent> {
    let mut written = Vec::new();
    for event in events {
        subject.write([event.clone()]).await;
        written.push(event);
    }
    written
}

/// The query selects exactly these events, forwards and backwards.
async fn assert_selects(subject: &Subject, query: Query, of: &[NewEvent], indexes: &[usize]) {
    let expected: Vec<_> = indexes.iter().map(|index| of[*index].id).collect();
    assert_eq!(ids(&subject.matches(query.clone()).await), expected, "{query:?}");
    let mut backwards = ids(&subject.events(Read::new(query.clone()).backwards()).await);
    backwards.reverse();
    assert_eq!(backwards, expected, "{query:?} backwards");
}

/// One stream, several, or one that does not exist; naming one twice selects its events once.
pub(crate) async fn streams_are_selected_by_name(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let of = written(&subject, ["a-1", "b-1", "a-10", "a-1", "A-1", "a"].map(event)).await;
    assert_selects(&subject, in_streams(&["a-1"]), &of, &[0, 3]).await;
    assert_selects(&subject, in_streams(&["b-1", "a-1"]), &of, &[0, 1, 3]).await;
    assert_selects(&subject, in_streams(&["a-1", "a-1"]), &of, &[0, 3]).await;
    assert_selects(&subject, in_streams(&["z-1"]), &of, &[]).await;
    assert_selects(&subject, in_streams(&["z-1", "a"]), &of, &[5]).await;
    assert_selects(&subject, in_streams(&[]), &of, &[]).await;
}

/// A category is what stands before the first `-`, and nothing that only begins like it.
pub(crate) async fn a_category_is_the_name_before_its_first_dash(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let names = ["order-1", "orders-1", "order", "order-2-x", "Order-1", "order_-1", "ord-er-1", "order-", "-order"];
    let of = written(&subject, names.map(event)).await;
    assert_selects(&subject, in_category("order"), &of, &[0, 2, 3, 7]).await;
    assert_selects(&subject, in_category("ord"), &of, &[6]).await;
    assert_selects(&subject, in_category("orde"), &of, &[]).await;
}

/// Any of the types.
pub(crate) async fn types_are_alternatives(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let of = [("a-1", "Opened"), ("a-1", "Closed"), ("b-1", "Opened"), ("b-1", "opened"), ("b-1", "OpenedAgain")];
    let of = written(&subject, of.map(|(stream, name)| typed(stream, name))).await;
    assert_selects(&subject, of_types(&["Opened"]), &of, &[0, 2]).await;
    assert_selects(&subject, of_types(&["Closed", "Opened", "Never", "Opened"]), &of, &[0, 1, 2]).await;
    assert_selects(&subject, of_types(&["Never"]), &of, &[]).await;
}

/// All of the tags, each as a whole.
pub(crate) async fn tags_are_required_together(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let of = [
        tagged("a-1", &["k:1", "l:1"]),
        tagged("a-1", &["l:1"]),
        tagged("b-1", &["l:1", "m:1", "k:1"]),
        tagged("b-1", &["k:10", "l:1"]),
        event("b-1"),
        tagged("c-1", &["k:1:2"]),
        tagged("c-1", &["K:1", "k:"]),
    ];
    let of = written(&subject, of).await;
    assert_selects(&subject, with_tags(&["k:1"]), &of, &[0, 2]).await;
    assert_selects(&subject, with_tags(&["l:1", "k:1"]), &of, &[0, 2]).await;
    assert_selects(&subject, with_tags(&["k:1", "m:1", "l:1"]), &of, &[2]).await;
    assert_selects(&subject, with_tags(&["k:1", "k:1"]), &of, &[0, 2]).await;
    assert_selects(&subject, with_tags(&["k:1", "k:10"]), &of, &[]).await;
    assert_selects(&subject, with_tags(&["k:"]), &of, &[6]).await;
    assert_selects(&subject, with_tags(&["l:2"]), &of, &[]).await;
}

/// Scope and types and tags of one item all hold.
pub(crate) async fn an_item_joins_its_parts_by_and(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let mut of = Vec::new();
    for stream in ["a-1", "a-2", "b-1"] {
        for name in ["Opened", "Closed"] {
            for tags in [vec![], vec![tag("k:1")]] {
                of.push(NewEvent { tags, ..typed(stream, name) });
            }
        }
    }
    let of = written(&subject, of).await;
    let item = |scope| QueryItem { scope, types: vec![event_type("Closed")], tags: vec![tag("k:1")] };
    assert_selects(&subject, item(Scope::Everywhere).into(), &of, &[3, 7, 11]).await;
    assert_selects(&subject, item(Scope::Category(category("a"))).into(), &of, &[3, 7]).await;
    assert_selects(&subject, item(Scope::Streams(vec![stream("a-2"), stream("b-1")])).into(), &of, &[7, 11]).await;
    let in_one = |item: QueryItem| QueryItem { scope: Scope::Streams(vec![stream("a-1")]), ..item };
    assert_selects(&subject, in_one(item(Scope::Everywhere)).into(), &of, &[3]).await;
    let only_types = QueryItem { types: vec![event_type("Opened")], ..scoped(Scope::Category(category("b"))) };
    assert_selects(&subject, only_types.into(), &of, &[8, 9]).await;
    let only_tags = QueryItem { tags: vec![tag("k:1")], ..in_one(QueryItem::default()) };
    assert_selects(&subject, only_tags.into(), &of, &[1, 3]).await;
}

/// Items are alternatives; an event that several select comes once, in order.
pub(crate) async fn items_are_joined_by_or(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let of = [tagged("a-1", &["k:1"]), typed("b-1", "Closed"), event("c-1"), event("a-2"), tagged("b-1", &["k:1"])];
    let of = written(&subject, of).await;
    let by_tag = || QueryItem { tags: vec![tag("k:1")], ..QueryItem::default() };
    let by_type = || QueryItem { types: vec![event_type("Closed")], ..QueryItem::default() };
    let by_category = || scoped(Scope::Category(category("a")));
    assert_selects(&subject, Query::Items(vec![by_type(), by_tag()]), &of, &[0, 1, 4]).await;
    assert_selects(&subject, Query::Items(vec![by_category(), by_tag(), by_tag()]), &of, &[0, 3, 4]).await;
    let by_stream = scoped(Scope::Streams(vec![stream("c-1")]));
    assert_selects(&subject, Query::Items(vec![by_stream, by_category()]), &of, &[0, 2, 3]).await;
    assert_selects(&subject, Query::Items(vec![QueryItem::default()]), &of, &[0, 1, 2, 3, 4]).await;
    assert_selects(&subject, Query::Items(vec![by_tag(), QueryItem::default()]), &of, &[0, 1, 2, 3, 4]).await;
}

/// A query without items selects nothing.
pub(crate) async fn a_query_without_items_selects_nothing(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let of = written(&subject, [event("a-1"), event("$a-1")]).await;
    assert_selects(&subject, Query::Items(vec![]), &of, &[]).await;
    assert_selects(&subject, Query::Ids(vec![]), &of, &[]).await;
}

/// Events are found by id, in the order of the store and each once.
pub(crate) async fn events_are_found_by_id(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let of = written(&subject, ["a-1", "b-1", "c-1", "a-1"].map(event)).await;
    let wanted = |indexes: &[usize]| Query::Ids(indexes.iter().map(|index| of[*index].id).collect());
    assert_selects(&subject, wanted(&[2]), &of, &[2]).await;
    assert_selects(&subject, wanted(&[3, 0, 3]), &of, &[0, 3]).await;
    let Query::Ids(mut unknown) = wanted(&[1]) else { panic!("ids are ids") };
    unknown.push(EventId::new());
    assert_selects(&subject, Query::Ids(unknown), &of, &[1]).await;
    assert_selects(&subject, Query::Ids(vec![EventId::new()]), &of, &[]).await;
}

/// Hundreds of alternatives are a query like any other.
pub(crate) async fn a_query_may_have_many_alternatives(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let of: Vec<_> = (0..300).map(|index| tagged(&format!("s-{index}"), &[&format!("k:{index}")])).collect();
    subject.write(of.clone()).await;
    let even: Vec<_> = (0..300).step_by(2).collect();
    let names: Vec<_> = even.iter().map(|index| stream(&format!("s-{index}"))).collect();
    assert_selects(&subject, scoped(Scope::Streams(names)).into(), &of, &even).await;
    let item = |index: &usize| QueryItem { tags: vec![tag(&format!("k:{index}"))], ..QueryItem::default() };
    assert_selects(&subject, Query::Items(even.iter().map(item).collect()), &of, &even).await;
    let by_id = Query::Ids(even.iter().map(|index| of[*index].id).collect());
    assert_selects(&subject, by_id, &of, &even).await;
}

/// What was appended in one commit is selected event by event.
pub(crate) async fn a_filter_selects_within_a_commit(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let of: Vec<_> = (0..90).map(|index| tagged(["a-1", "b-1"][index % 2], &[&format!("k:{}", index % 3)])).collect();
    subject.write(of.clone()).await;
    let every = |start, step| (start..90).step_by(step).collect::<Vec<_>>();
    assert_selects(&subject, with_tags(&["k:2"]), &of, &every(2, 3)).await;
    assert_selects(&subject, in_category("b"), &of, &every(1, 2)).await;
    let both = QueryItem { tags: vec![tag("k:0")], ..scoped(Scope::Streams(vec![stream("b-1")])) };
    assert_selects(&subject, both.into(), &of, &every(3, 6)).await;
}
