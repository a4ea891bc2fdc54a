//! Old shapes of events are brought up to date on every way of reading them.

use mainspring_domain::{AsOf, CommandError, Commit, LoadError, Repository, Snapshots, decide};
use mainspring_event::{DecodeError, Version};
use mainspring_store::{Append, EventStore, MemoryStore, Store};

use crate::{
    bank::{Account, AccountCommand::*, accounts, raw},
    courses::{Enrol, Refused},
};

async fn with(events: &[(u32, &str)]) -> MemoryStore {
    let store = MemoryStore::new();
    let events = events.iter().map(|(version, payload)| raw("account-1", "Deposited", *version, payload));
    store.append(Append::new(events)).await.unwrap();
    store
}

#[tokio::test]
async fn an_old_event_is_read_in_todays_shape_everywhere() {
    let store = with(&[(1, r#"{"units":2}"#), (2, r#"{"cents":50}"#)]).await;
    let handle = Store::new(store.clone());
    let expected = Account { balance: 250, movements: 2 };
    assert_eq!(accounts(&store).load(&1).await.unwrap(), expected);
    let early = accounts(&store).load_as_of(&1, AsOf::Version(Version(1))).await.unwrap();
    assert_eq!(early.balance, 200);
    for moment in [AsOf::Recorded(jiff::Timestamp::MAX), AsOf::Occurred(jiff::Timestamp::MAX)] {
        assert_eq!(accounts(&store).load_as_of(&1, moment).await.unwrap(), expected);
    }
    let commit = Commit::new(&handle);
    commit.handle::<Account>(&1, Withdraw(250)).await.unwrap();
    commit.append().await.unwrap();
    accounts(&store).handle(&1, Empty).await.unwrap();
}

#[tokio::test]
async fn an_old_event_after_a_snapshot_is_too() {
    let store = with(&[(1, r#"{"units":2}"#)]).await;
    let accounts = Repository::<Account>::new(&Store::new(store.clone())).with_snapshots(Snapshots::Every(2));
    accounts.handle(&1, Deposit(1)).await.unwrap();
    store.append(Append::new([raw("account-1", "Deposited", 1, r#"{"units":3}"#)])).await.unwrap();
    assert_eq!(accounts.load(&1).await.unwrap(), Account { balance: 501, movements: 3 });
}

#[tokio::test]
async fn an_old_fact_is_read_by_decisions() {
    let store = Store::new(MemoryStore::new());
    let mut opened = raw("imported-1", "CourseOpened", 1, r#"{"course":"rust"}"#);
    opened.tags = vec!["course:rust".parse().unwrap()];
    store.append(Append::new([opened])).await.unwrap();
    decide(&store, &Enrol::new("rust", "ada")).await.unwrap();
    let full = decide(&store, &Enrol::new("rust", "bob")).await.unwrap_err();
    assert!(matches!(full, CommandError::Rejected(Refused::Full)), "{full:?}");
    let commit = Commit::new(&store);
    assert!(commit.decide(&Enrol::new("rust", "bob")).await.unwrap_err().is_rejected());
}

#[tokio::test]
async fn what_cannot_be_brought_up_to_date_stops_the_load() {
    let failing = with(&[(1, r#"{"units":1001}"#)]).await;
    let error = accounts(&failing).load(&1).await.unwrap_err();
    assert!(matches!(error, LoadError::Undecodable { source: DecodeError::Upcast { .. }, .. }), "{error:?}");
    let future = with(&[(3, r#"{"cents":1,"currency":"CHF"}"#)]).await;
    let error = accounts(&future).load(&1).await.unwrap_err();
    assert!(matches!(error, LoadError::Undecodable { source: DecodeError::FromTheFuture { .. }, .. }), "{error:?}");
}
