//! Idempotency keys: a command that is sent twice happens once, and says the same both times.

use mainspring_domain::{CommandError, decide};
use mainspring_event::{EventId, Version};
use mainspring_store::{Append, MemoryStore, Store};
use tokio::task::JoinSet;

use crate::{
    bank::{Account, AccountCommand::*, accounts, events_of, raw},
    courses::{Enrol, open},
    scripted::{Scripted, Step},
};

#[tokio::test]
async fn a_repeated_command_gives_the_original_receipt() {
    let store = MemoryStore::new();
    let accounts = accounts(&store);
    for events in [1, 2, 16, 17, 18, 40] {
        let key = format!("deposit-{events}");
        let original = accounts.handle(&1, DepositCents(events)).idempotency_key(&key).await.unwrap();
        accounts.handle(&1, Deposit(1)).await.unwrap();
        let repeated = accounts.handle(&1, DepositCents(events)).idempotency_key(&key).await.unwrap();
        assert_eq!((repeated.events.len(), &repeated), (events, &original));
    }
    assert_eq!(accounts.load(&1).await.unwrap().balance, 1 + 2 + 16 + 17 + 18 + 40 + 6);
}

#[tokio::test]
async fn a_repeated_command_is_not_judged_again() {
    let accounts = accounts(&MemoryStore::new());
    accounts.handle(&1, Deposit(5)).await.unwrap();
    let original = accounts.handle(&1, Withdraw(5)).idempotency_key("k").await.unwrap();
    assert_eq!(accounts.handle(&1, Withdraw(5)).idempotency_key("k").await.unwrap(), original);
    assert!(accounts.handle(&1, Withdraw(5)).await.unwrap_err().is_rejected());
}

#[tokio::test]
async fn a_key_counts_for_one_aggregate() {
    let accounts = accounts(&MemoryStore::new());
    for id in 1..=2 {
        accounts.handle(&id, Deposit(5)).idempotency_key("k").await.unwrap();
        assert_eq!(accounts.load(&id).await.unwrap().balance, 5);
    }
}

#[tokio::test]
async fn a_command_without_events_leaves_nothing_to_find() {
    let accounts = accounts(&MemoryStore::new());
    assert_eq!(accounts.handle(&1, Empty).idempotency_key("k").await.unwrap().events, []);
    accounts.handle(&1, Deposit(5)).await.unwrap();
    assert_eq!(accounts.handle(&1, Empty).idempotency_key("k").await.unwrap().events.len(), 1);
}

/// The same command, faster, and decided in a state where it came to something else.
fn faster(cents: u64) -> Step {
    let mut twin = raw("account-1", "Withdrawn", 1, &format!(r#"{{"cents":{cents}}}"#));
    twin.id = EventId::derived(&["account-1", "k", "0"]);
    Step::Rival(Append::new([twin]))
}

#[tokio::test]
async fn the_faster_of_two_equal_commands_decides() {
    for cents in [5, 3] {
        let store = Scripted::default();
        accounts(&store).handle(&1, Deposit(5)).await.unwrap();
        store.then([faster(cents)]);
        let receipt = accounts(&store).handle(&1, Empty).idempotency_key("k").await.unwrap();
        assert_eq!(receipt.version, Version(2));
        assert_eq!(accounts(&store).load(&1).await.unwrap(), Account { balance: 5 - cents, movements: 2 });
    }
}

#[tokio::test]
async fn a_key_whose_beginning_is_gone_is_no_success() {
    let store = MemoryStore::new();
    let mut second = raw("account-9", "Deposited", 2, r#"{"cents":1}"#);
    second.id = EventId::derived(&["account-1", "k", "1"]);
    let taken = Append::new([second]);
    mainspring_store::EventStore::append(&store, taken).await.unwrap();
    let error = accounts(&store).handle(&1, DepositCents(2)).idempotency_key("k").await.unwrap_err();
    assert!(matches!(error, CommandError::Failed(_)), "{error:?}");
    assert_eq!(events_of(&store, "account-1").await, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_equal_commands_at_once_happen_once() {
    let store = MemoryStore::new();
    let mut commands = JoinSet::new();
    for _ in 0..32 {
        let accounts = accounts(&store);
        commands.spawn(async move { accounts.handle(&1, DepositCents(3)).idempotency_key("k").await.unwrap() });
    }
    let receipts = commands.join_all().await;
    assert!(receipts.iter().all(|receipt| *receipt == receipts[0] && receipt.events.len() == 3), "{receipts:?}");
    assert_eq!(accounts(&store).load(&1).await.unwrap().balance, 3);
}

#[tokio::test]
async fn a_repeated_decision_gives_the_original_receipt() {
    let store = Store::new(MemoryStore::new());
    open(&store, "rust", 1).await;
    let original = decide(&store, &Enrol::new("rust", "ada")).idempotency_key("k").await.unwrap();
    assert_eq!(decide(&store, &Enrol::new("rust", "ada")).idempotency_key("k").await.unwrap(), original);
    assert_eq!(decide(&store, &Enrol::new("rust", "ada")).await.unwrap().events, []);
    assert_eq!(original.events.len(), 1);
}
