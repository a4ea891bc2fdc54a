//! Several decisions in one append.

use mainspring_domain::{CommandError, Commit};
use mainspring_event::{Position, Version};
use mainspring_store::{AppendError, Check, Conflict, EventStore, MemoryStore, Store};

use crate::{
    bank::{Account, AccountCommand::*, accounts, events_of},
    courses::{Enrol, Refused, open},
    scripted::Scripted,
};

#[tokio::test]
async fn all_of_it_is_one_append() {
    let store = Scripted::default();
    let handle = Store::new(store.clone());
    open(&handle, "rust", 1).await;
    accounts(&store).handle(&1, Deposit(9)).await.unwrap();
    let commit = Commit::new(&handle);
    commit.handle::<Account>(&1, Withdraw(9)).await.unwrap();
    commit.handle::<Account>(&2, Deposit(9)).await.unwrap();
    commit.decide(&Enrol::new("rust", "ada")).await.unwrap();
    assert_eq!(store.appends().len(), 2);
    let receipt = commit.append().await.unwrap();
    assert_eq!((receipt.position, receipt.version, receipt.events.len()), (Position(5), Version(1), 3));
    let append = store.appends().remove(2);
    assert_eq!((append.events.len(), append.checks.len()), (3, 3));
    assert_eq!(accounts(&store).load(&2).await.unwrap().balance, 9);
}

#[tokio::test]
async fn each_decision_sees_what_was_staged_before_it() {
    let store = MemoryStore::new();
    let handle = Store::new(store.clone());
    open(&handle, "rust", 1).await;
    let commit = Commit::new(&handle);
    commit.handle::<Account>(&1, Deposit(5)).await.unwrap();
    commit.handle::<Account>(&1, Withdraw(3)).await.unwrap();
    let refused = commit.handle::<Account>(&1, Withdraw(3)).await.unwrap_err();
    assert!(refused.is_rejected(), "{refused:?}");
    commit.decide(&Enrol::new("rust", "ada")).await.unwrap();
    let full = commit.decide(&Enrol::new("rust", "bob")).await.unwrap_err();
    assert!(matches!(full, CommandError::Rejected(Refused::Full)), "{full:?}");
    let receipt = commit.append().await.unwrap();
    assert_eq!(receipt.events.len(), 3);
    assert_eq!(accounts(&store).load(&1).await.unwrap(), Account { balance: 2, movements: 2 });
    assert_eq!(events_of(&store, "enrolment-rust").await.len(), 1);
}

#[tokio::test]
async fn decisions_at_the_same_time_see_each_other() {
    let store = Scripted::default();
    store.delay_reads(std::time::Duration::from_millis(1));
    accounts(&store).handle(&1, Deposit(5)).await.unwrap();
    let commit = Commit::new(&Store::new(store.clone()));
    let clone = commit.clone();
    let (one, other) =
        tokio::join!(commit.handle::<Account>(&1, Withdraw(5)), clone.handle::<Account>(&1, Withdraw(5)));
    assert_eq!([one.is_ok(), other.is_ok()].into_iter().filter(|ok| *ok).count(), 1);
    commit.append().await.unwrap();
    assert_eq!(accounts(&store).load(&1).await.unwrap().balance, 0);
}

#[tokio::test]
async fn a_stream_that_moves_between_two_decisions_is_a_conflict() {
    let store = MemoryStore::new();
    let commit = Commit::new(&Store::new(store.clone()));
    commit.handle::<Account>(&1, Deposit(5)).await.unwrap();
    accounts(&store).handle(&1, Deposit(1)).await.unwrap();
    let error = commit.handle::<Account>(&1, Deposit(5)).await.unwrap_err();
    let CommandError::Conflict { attempts: 1, last: AppendError::Conflict(last) } = error else { panic!("{error:?}") };
    assert!(matches!(last, Conflict::Stream { actual: Version(1), .. }), "{last:?}");
    let error = commit.append().await.unwrap_err();
    assert!(matches!(error, AppendError::Conflict(Conflict::Stream { actual: Version(1), .. })), "{error:?}");
    assert_eq!(accounts(&store).load(&1).await.unwrap().balance, 1);
}

#[tokio::test]
async fn where_nothing_happens_nothing_is_written() {
    let store = Scripted::default();
    let handle = Store::new(store.clone());
    open(&handle, "rust", 1).await;
    let commit = Commit::new(&handle);
    commit.handle::<Account>(&1, Empty).await.unwrap();
    let receipt = commit.append().await.unwrap();
    assert_eq!((receipt.position, receipt.events.len(), store.appends().len()), (Position(1), 0, 1));
}

#[tokio::test]
async fn a_commit_can_be_taken_along_and_is_closed_then() {
    let store = MemoryStore::new();
    let commit = Commit::new(&Store::new(store.clone()));
    let shared = commit.clone();
    commit.handle::<Account>(&1, Empty).await.unwrap();
    commit.handle::<Account>(&2, Deposit(1)).await.unwrap();
    let append = commit.into_append();
    assert_eq!(append.events.len(), 1);
    assert!(append.checks.iter().all(|check| matches!(check, Check::Stream { .. })) && append.checks.len() == 2);
    let late = shared.handle::<Account>(&3, Deposit(1)).await.unwrap_err();
    assert!(matches!(late, CommandError::Invalid(_)), "{late:?}");
    store.append(append).await.unwrap();
    assert_eq!(accounts(&store).load(&2).await.unwrap().balance, 1);
}
