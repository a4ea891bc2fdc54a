//! `Query::matches` is the definition that every index must agree with, and a query survives its serialised form.

use jiff::Timestamp;
use mainspring_event::{EventId, MetadataRef, NewEvent, Position, StoredEvent, Version};
use mainspring_store::{Check, Expected, Query, QueryItem, Read, ReadFrom, Scope};

fn stored(stream: &str, event_type: &str, tags: &[&str]) -> StoredEvent {
    let event = NewEvent {
        tags: tags.iter().map(|tag| tag.parse().expect("a valid tag")).collect(),
        ..NewEvent::json(stream.parse().expect("a valid name"), event_type.parse().expect("a valid type"), "{}")
    };
    StoredEvent { event, version: Version(1), position: Position(1), recorded: Timestamp::UNIX_EPOCH }
}

fn matches(query: &Query, event: &StoredEvent) -> bool {
    query.matches(&event.borrowed(MetadataRef::new(&[])))
}

#[test]
fn an_item_joins_by_and_and_items_join_by_or() {
    let event = stored("order-1", "Placed", &["customer:7", "region:eu"]);
    let item = QueryItem {
        scope: Scope::Category("order".parse().unwrap()),
        types: vec!["Paid".parse().unwrap(), "Placed".parse().unwrap()],
        tags: vec!["region:eu".parse().unwrap()],
    };
    assert!(matches(&item.clone().into(), &event));
    let wrong = [
        QueryItem { scope: Scope::Category("ord".parse().unwrap()), ..item.clone() },
        QueryItem { types: vec!["Paid".parse().unwrap()], ..item.clone() },
        QueryItem { tags: vec!["region:eu".parse().unwrap(), "region:us".parse().unwrap()], ..item.clone() },
    ];
    assert!(!matches(&Query::Items(wrong.to_vec()), &event));
    assert!(matches(&Query::Items([wrong.to_vec(), vec![item]].concat()), &event));
    assert!(!matches(&Query::Items(Vec::new()), &event));
}

#[test]
fn an_internal_event_matches_only_where_named() {
    let event = stored("$lease-1", "Taken", &[]);
    let unnamed = [Query::All, QueryItem::default().into(), Query::types(["Taken".parse().unwrap()])];
    assert!(unnamed.iter().all(|query| !matches(query, &event)));
    let named = [
        Query::stream("$lease-1".parse().unwrap()),
        Query::category("$lease".parse().unwrap()),
        Query::Ids(vec![event.event.id]),
    ];
    assert!(named.iter().all(|query| matches(query, &event)));
}

#[test]
fn a_single_stream_is_one_item_with_one_stream() {
    let stream: mainspring_event::StreamName = "order-1".parse().unwrap();
    assert_eq!(Query::stream(stream.clone()).single_stream(), Some(&stream));
    let item = |streams| QueryItem { scope: Scope::Streams(streams), ..QueryItem::default() };
    for query in [
        Query::All,
        Query::Ids(vec![EventId::new()]),
        Query::category("order".parse().unwrap()),
        Query::Items(vec![]),
        item(vec![]).into(),
        item(vec![stream.clone(), stream.clone()]).into(),
        Query::Items(vec![item(vec![stream.clone()]), item(vec![stream])]),
    ] {
        assert_eq!(query.single_stream(), None, "{query:?}");
    }
}

#[test]
fn what_crosses_the_wire_comes_back_the_same() {
    let query = Query::Items(vec![QueryItem {
        scope: Scope::Streams(vec!["order-1".parse().unwrap()]),
        types: vec!["Placed".parse().unwrap()],
        tags: vec!["k:v".parse().unwrap()],
    }]);
    let read = Read::new(query.clone()).from(ReadFrom::After(Position(7))).limit(3).backwards();
    let text = serde_json::to_string(&read).unwrap();
    assert_eq!(serde_json::from_str::<Read>(&text).unwrap(), read);
    let checks = [
        Check::NoMatch { query, after: Some(Position(7)) },
        Check::Stream { stream: "order-1".parse().unwrap(), expected: Expected::Exactly(Version(3)) },
    ];
    let text = serde_json::to_string(&checks).unwrap();
    assert_eq!(serde_json::from_str::<[Check; 2]>(&text).unwrap(), checks);
}

#[test]
fn a_read_that_no_store_can_answer_is_refused() {
    let stream = Query::stream("order-1".parse().unwrap());
    let from_version = |query| Read::new(query).from(ReadFrom::Version(Version(1)));
    assert!(from_version(stream.clone()).follow().validate().is_ok());
    assert!(from_version(stream).backwards().validate().is_ok());
    assert!(from_version(Query::All).validate().is_err());
    assert!(Read::new(Query::All).backwards().follow().validate().is_err());
}
