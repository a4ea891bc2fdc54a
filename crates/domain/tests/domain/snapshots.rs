//! Snapshots: when they are written, and that whatever is wrong with one, the events decide.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::Timestamp;
use mainspring_domain::{Decider, LoadError, Repository, Snapshot, Snapshots};
use mainspring_event::{Event, EventId, Version};
use mainspring_store::{Append, Clock, EventStore, MemoryStore, Store, StreamChange};
use serde::{Deserialize, Serialize};

use crate::{
    bank::{Account, AccountCommand::*, events_of, raw, stream},
    scripted::{Scripted, Step},
    warnings::Warnings,
};

const REGISTER: &str = "$snapshot-account-1";

fn accounts(store: &(impl EventStore + Clone), when: Snapshots) -> Repository<Account> {
    Repository::new(&Store::new(store.clone())).with_snapshots(when)
}

/// The version that the snapshot of account 1 covers, if there is one.
async fn covered(store: &impl EventStore) -> Option<u64> {
    #[derive(Deserialize)]
    struct Payload {
        version: u64,
    }
    let mut snapshots = events_of(store, REGISTER).await;
    assert!(snapshots.len() <= 1, "only the newest is kept");
    snapshots.pop().map(|snapshot| serde_json::from_slice::<Payload>(&snapshot.event.payload).unwrap().version)
}

async fn truncate_before(store: &impl EventStore, version: u64) {
    let change = StreamChange::TruncateBefore { stream: stream("account-1"), version: Version(version) };
    store.append(Append::default().change(change)).await.unwrap();
}

#[tokio::test]
async fn every_so_many_events() {
    let store = MemoryStore::new();
    let accounts = accounts(&store, Snapshots::Every(3));
    let mut seen = Vec::new();
    for _ in 0..8 {
        accounts.handle(&1, Deposit(1)).await.unwrap();
        seen.push(covered(&store).await.unwrap_or_default());
    }
    assert_eq!(seen, [0, 0, 3, 3, 3, 6, 6, 6]);
    accounts.handle(&1, DepositCents(7)).await.unwrap();
    assert_eq!(covered(&store).await, Some(15));
    assert_eq!(accounts.load(&1).await.unwrap(), Account { balance: 15, movements: 15 });
}

#[tokio::test]
async fn what_a_snapshot_covers_is_not_read_again() {
    let store = MemoryStore::new();
    let accounts = accounts(&store, Snapshots::Every(3));
    accounts.handle(&1, DepositCents(3)).await.unwrap();
    accounts.handle(&1, DepositCents(2)).await.unwrap();
    for first in [3, 4] {
        truncate_before(&store, first).await;
        assert_eq!(accounts.load(&1).await.unwrap(), Account { balance: 5, movements: 5 });
    }
    truncate_before(&store, 5).await;
    let error = accounts.load(&1).await.unwrap_err();
    assert!(matches!(error, LoadError::Truncated { first: Version(5), .. }), "{error:?}");
}

#[tokio::test]
async fn a_snapshot_is_an_append_of_its_own_after_the_command() {
    let store = Scripted::default();
    accounts(&store, Snapshots::Every(1)).handle(&1, Deposit(1)).await.unwrap();
    let appends = store.appends();
    let streams: Vec<_> = appends.iter().map(|append| append.events[0].stream.as_str()).collect();
    assert_eq!(streams, ["account-1", REGISTER]);
    let snapshot = &appends[1].events[0];
    assert_eq!((snapshot.event_type.as_str(), snapshot.schema_version, snapshot.tags.len()), ("account", 3, 0));
    assert_eq!(snapshot.payload, r#"{"version":1,"state":{"balance":1,"movements":1}}"#);
}

#[tokio::test]
async fn a_command_without_events_writes_one_that_is_due() {
    let store = MemoryStore::new();
    accounts(&store, Snapshots::Every(99)).handle(&1, DepositCents(3)).await.unwrap();
    accounts(&store, Snapshots::Every(3)).handle(&2, Empty).await.unwrap();
    assert_eq!(events_of(&store, "$snapshot-account-2").await, []);
    accounts(&store, Snapshots::Every(3)).handle(&1, DepositCents(0)).await.unwrap();
    assert_eq!(covered(&store).await, Some(3));
}

#[tokio::test]
async fn when_the_oldest_uncovered_event_is_old() {
    struct FixedClock(Mutex<Timestamp>);
    impl Clock for FixedClock {
        fn now(&self) -> Timestamp {
            *self.0.lock().unwrap()
        }
    }
    let hour = Duration::from_secs(3600);
    let clock = Arc::new(FixedClock(Mutex::new(Timestamp::now() - 2 * hour)));
    let store = MemoryStore::with_clock(clock.clone());
    let accounts = accounts(&store, Snapshots::OlderThan(hour));
    accounts.handle(&1, Deposit(1)).await.unwrap();
    assert_eq!(covered(&store).await, None);
    *clock.0.lock().unwrap() = Timestamp::now();
    accounts.handle(&1, Deposit(1)).await.unwrap();
    assert_eq!(covered(&store).await, Some(2));
    accounts.handle(&1, DepositCents(2)).await.unwrap();
    accounts.handle(&1, Deposit(1)).await.unwrap();
    assert_eq!(covered(&store).await, Some(2));
}

#[tokio::test(start_paused = true)]
async fn when_loading_was_slow() {
    let store = Scripted::default();
    let accounts = accounts(&store, Snapshots::SlowerThan(Duration::from_millis(50)));
    accounts.handle(&1, Deposit(1)).await.unwrap();
    assert_eq!(covered(&store.inner).await, None);
    store.delay_reads(Duration::from_millis(40));
    accounts.handle(&1, Deposit(1)).await.unwrap();
    assert_eq!(covered(&store.inner).await, Some(2));
}

#[tokio::test]
async fn one_that_cannot_be_used_is_reported_and_the_events_decide() {
    let good = r#"{"version":1,"state":{"balance":77,"movements":77}}"#;
    let beyond = r#"{"version":9,"state":{"balance":77,"movements":77}}"#;
    let nowhere = r#"{"version":0,"state":{"balance":77,"movements":77}}"#;
    let warnings = Warnings::listen();
    for (name, version, payload, why) in [
        ("account", 3, "rubbish", "expected value"),
        ("account", 3, r#"{"version":1,"state":{}}"#, "missing field `balance`"),
        ("account", 2, good, "made by `account` version 2"),
        ("account", 4, good, "made by `account` version 4"),
        ("ledger", 3, good, "made by `ledger` version 3"),
        ("account", 3, beyond, "covers version 9"),
        ("account", 3, nowhere, "covers version 0"),
    ] {
        let store = MemoryStore::new();
        let accounts = accounts(&store, Snapshots::Every(2));
        accounts.handle(&1, Deposit(5)).await.unwrap();
        store.append(Append::new([raw(REGISTER, name, version, payload)])).await.unwrap();
        assert_eq!(warnings.take(), [""; 0]);
        assert_eq!(accounts.load(&1).await.unwrap(), Account { balance: 5, movements: 1 }, "{payload}");
        let heard = warnings.take();
        assert!(heard.len() == 1 && heard[0].contains(why) && heard[0].contains("account-1"), "{heard:?}");
        accounts.handle(&1, Deposit(5)).await.unwrap();
        warnings.take();
        assert_eq!(accounts.load(&1).await.unwrap(), Account { balance: 10, movements: 2 });
        assert_eq!(warnings.take(), [""; 0], "a good one has replaced it");
    }
}

#[tokio::test]
async fn one_that_can_be_used_is_used() {
    let store = MemoryStore::new();
    let accounts = accounts(&store, Snapshots::Every(99));
    accounts.handle(&1, DepositCents(2)).await.unwrap();
    let trusted = r#"{"version":1,"state":{"balance":70,"movements":1}}"#;
    store.append(Append::new([raw(REGISTER, "account", 3, trusted)])).await.unwrap();
    assert_eq!(accounts.load(&1).await.unwrap(), Account { balance: 71, movements: 2 });
}

#[tokio::test]
async fn a_failure_to_read_or_write_one_does_not_fail_the_command() {
    let warnings = Warnings::listen();
    for fault in [Step::Fail, Step::LoseRequest] {
        let store = Scripted::new([Step::Pass, fault]);
        let accounts = accounts(&store, Snapshots::Every(1));
        assert_eq!(accounts.handle(&1, Deposit(1)).await.unwrap().version, Version(1));
        let heard = warnings.take();
        assert!(heard.len() == 1 && heard[0].contains("no snapshot was written"), "{heard:?}");
        assert_eq!((store.appends().len(), covered(&store).await), (2, None));
        store.fail_reads_of(REGISTER);
        accounts.handle(&1, Deposit(1)).await.unwrap();
        assert!(warnings.take()[0].contains("cannot be read"));
        assert_eq!((store.appends().len(), covered(&store.inner).await), (3, None));
    }
}

#[tokio::test]
async fn a_newer_snapshot_is_not_replaced_by_an_older_one() {
    let warnings = Warnings::listen();
    let newer = r#"{"version":8,"state":{"balance":8,"movements":8}}"#;
    let store = Scripted::default();
    let accounts = accounts(&store, Snapshots::Every(1));
    accounts.handle(&1, Deposit(1)).await.unwrap();
    store.then([Step::Pass, Step::Rival(Append::new([raw(REGISTER, "account", 3, newer)]))]);
    accounts.handle(&1, Deposit(1)).await.unwrap();
    assert_eq!(covered(&store).await, Some(8));
    assert_eq!(warnings.take(), [""; 0]);
}

#[tokio::test]
async fn no_snapshot_is_written_where_an_equal_command_was_faster() {
    let store = Scripted::default();
    let accounts = accounts(&store, Snapshots::Every(2));
    accounts.handle(&1, Deposit(5)).await.unwrap();
    let between = raw("account-1", "Deposited", 2, r#"{"cents":1}"#);
    let mut twin = raw("account-1", "Withdrawn", 1, r#"{"cents":5}"#);
    twin.id = EventId::derived(&["account-1", "k", "0"]);
    store.then([Step::Rival(Append::new([between, twin]))]);
    let receipt = accounts.handle(&1, Withdraw(5)).idempotency_key("k").await.unwrap();
    assert_eq!((receipt.version, covered(&store).await), (Version(3), None));
    assert_eq!(accounts.load(&1).await.unwrap(), Account { balance: 1, movements: 3 });
}

#[tokio::test]
async fn a_stream_whose_name_leaves_no_room_for_a_snapshot_still_works() {
    #[derive(Serialize, Deserialize, Event)]
    #[event(crate = mainspring_event)]
    struct Noted {}
    #[derive(Default, Serialize, Deserialize)]
    struct Notes(u32);
    impl Decider for Notes {
        const CATEGORY: &'static str = "notes";
        type Id = str;
        type Command = ();
        type Event = Noted;
        type Error = std::convert::Infallible;
        fn evolve(&mut self, _: &Noted) {
            self.0 += 1;
        }
        fn decide(&self, (): ()) -> Result<Vec<Noted>, Self::Error> {
            Ok(vec![Noted {}])
        }
    }
    impl Snapshot for Notes {
        const NAME: &'static str = "all notes";
        const VERSION: u32 = 1;
    }
    let warnings = Warnings::listen();
    let store = Store::new(MemoryStore::new());
    let notes = Repository::<Notes>::new(&store).with_snapshots(Snapshots::Every(1));
    let id = "x".repeat(245);
    for _ in 0..2 {
        notes.handle(&id, ()).await.unwrap();
    }
    assert_eq!((notes.load(&id).await.unwrap().0, warnings.take().len()), (2, 3));
    notes.handle("short", ()).await.unwrap();
    assert_eq!((notes.load("short").await.unwrap().0, warnings.take().len()), (1, 0));
}
