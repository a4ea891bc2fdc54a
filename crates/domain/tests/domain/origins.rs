//! What events carry besides the fact: who caused them, for whom, and when.

use futures_util::StreamExt;
use jiff::Timestamp;
use mainspring_domain::{Commit, decide};
use mainspring_event::{EventId, Metadata, MetadataValue, NewEvent, Recorded, Source, TraceContext};
use mainspring_store::{EventStore, MemoryStore, Query, Read, Store};

use crate::{
    bank::{Account, AccountCommand::*, AccountEvent, accounts, events_of, stream},
    courses::{Enrol, open},
};

async fn recorded(store: &MemoryStore, name: &str) -> Recorded<AccountEvent> {
    let batch = store.read(Read::new(Query::stream(stream(name)))).next().await.unwrap().unwrap();
    Recorded::decode(batch.buffer(), 0).unwrap()
}

async fn first(store: &MemoryStore, name: &str) -> NewEvent {
    events_of(store, name).await.remove(0).event
}

#[tokio::test]
async fn a_chain_of_causes_is_one_conversation() {
    let store = MemoryStore::new();
    let accounts = accounts(&store);
    let root = accounts.handle(&1, DepositCents(2)).await.unwrap().events[0];
    for event in events_of(&store, "account-1").await {
        assert_eq!((event.event.metadata.correlation, event.event.metadata.causation), (Some(root), None));
    }
    let second = accounts.handle(&2, Deposit(1)).caused_by(&recorded(&store, "account-1").await).await.unwrap();
    accounts.handle(&3, Deposit(1)).caused_by(&recorded(&store, "account-2").await).await.unwrap();
    let third = first(&store, "account-3").await;
    assert_eq!((third.metadata.correlation, third.metadata.causation), (Some(root), Some(second.events[0])));
}

#[tokio::test]
async fn options_reach_every_event() {
    let store = MemoryStore::new();
    let (conversation, time) = (EventId::new(), "1997-01-01T00:00:00Z".parse::<Timestamp>().unwrap());
    let trace = TraceContext { traceparent: "00-a-b-01".into(), tracestate: None };
    let mut metadata = Metadata::default();
    metadata.trace = Some(trace.clone());
    metadata.insert("subject", MetadataValue::Text("cd".into())).unwrap();
    let shop = Source::new("/shop").unwrap();
    let command = accounts(&store).handle(&1, DepositCents(2)).metadata(metadata).at(time).correlation(conversation);
    command.user("ada").tenant("acme").source(shop.clone()).await.unwrap();
    let events = events_of(&store, "account-1").await;
    assert_eq!(events.len(), 2);
    for event in events {
        let (event, metadata) = (&event.event, &event.event.metadata);
        assert_eq!((event.time, &event.source), (time, &shop));
        assert_eq!((metadata.correlation, metadata.trace.as_ref()), (Some(conversation), Some(&trace)));
        assert_eq!((metadata.user.as_deref(), metadata.tenant.as_deref()), (Some("ada"), Some("acme")));
        assert_eq!(metadata.get("subject"), Some(&MetadataValue::Text("cd".into())));
    }
}

#[tokio::test]
async fn decisions_and_commits_have_origins_too() {
    let store = MemoryStore::new();
    let handle = Store::new(store.clone());
    let root = accounts(&store).handle(&1, Deposit(1)).await.unwrap().events[0];
    let cause = recorded(&store, "account-1").await;
    open(&handle, "rust", 2).await;
    decide(&handle, &Enrol::new("rust", "ada")).caused_by(&cause).user("ada").await.unwrap();
    let metadata = first(&store, "enrolment-rust").await.metadata;
    assert_eq!((metadata.correlation, metadata.causation, metadata.user), (Some(root), Some(root), Some("ada".into())));

    let commit = Commit::new(&handle).tenant("acme");
    commit.handle::<Account>(&7, Deposit(1)).await.unwrap();
    commit.handle::<Account>(&8, Deposit(1)).await.unwrap();
    let begun = commit.append().await.unwrap().events[0];
    let metadata = first(&store, "account-8").await.metadata;
    assert_eq!((metadata.correlation, metadata.tenant), (Some(begun), Some("acme".into())));
}
