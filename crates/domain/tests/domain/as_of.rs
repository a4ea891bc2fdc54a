//! The state at an earlier moment: three different questions with three different answers.

use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use mainspring_domain::{AsOf, LoadError};
use mainspring_event::Version;
use mainspring_store::{Clock, MemoryStore};

use crate::bank::{Account, AccountCommand::*, accounts};

#[derive(Default)]
struct ManualClock(Mutex<Timestamp>);

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

fn day(day: i64) -> Timestamp {
    Timestamp::from_second(852_076_800 + day * 86_400).unwrap()
}

/// Recorded on days 10, 20 and 30; happened on days 1, 3 and 2.
async fn history() -> MemoryStore {
    let clock = Arc::new(ManualClock::default());
    let store = MemoryStore::with_clock(clock.clone());
    for (recorded, happened, cents) in [(10, 1, 1), (20, 3, 10), (30, 2, 100)] {
        *clock.0.lock().unwrap() = day(recorded);
        accounts(&store).handle(&1, Deposit(cents)).at(day(happened)).await.unwrap();
    }
    store
}

async fn balance(store: &MemoryStore, moment: AsOf) -> u64 {
    accounts(store).load_as_of(&1, moment).await.unwrap().balance
}

#[tokio::test]
async fn after_a_version() {
    let store = history().await;
    for (version, expected) in [(0, 0), (1, 1), (2, 11), (3, 111)] {
        assert_eq!(balance(&store, AsOf::Version(Version(version))).await, expected, "version {version}");
    }
    let error = accounts(&store).load_as_of(&1, AsOf::Version(Version(4))).await.unwrap_err();
    assert!(matches!(error, LoadError::BeyondHead { wanted: Version(4), head: Version(3), .. }), "{error:?}");
}

#[tokio::test]
async fn what_the_store_had() {
    let store = history().await;
    for (moment, expected) in [(9, 0), (10, 1), (19, 1), (20, 11), (29, 11), (30, 111), (99, 111)] {
        assert_eq!(balance(&store, AsOf::Recorded(day(moment))).await, expected, "day {moment}");
    }
}

#[tokio::test]
async fn what_had_happened() {
    let store = history().await;
    for (moment, expected) in [(0, 0), (1, 1), (2, 101), (3, 111), (99, 111)] {
        assert_eq!(balance(&store, AsOf::Occurred(day(moment))).await, expected, "day {moment}");
    }
}

#[tokio::test]
async fn an_aggregate_that_never_was_is_new_at_every_moment() {
    let store = MemoryStore::new();
    for moment in [AsOf::Recorded(day(1)), AsOf::Occurred(day(1)), AsOf::Version(Version(0))] {
        assert_eq!(accounts(&store).load_as_of(&1, moment).await.unwrap(), Account::default());
    }
}

#[tokio::test]
async fn a_long_history_is_read_to_the_wanted_moment() {
    let store = MemoryStore::new();
    for _ in 0..20 {
        accounts(&store).handle(&1, DepositCents(100)).await.unwrap();
    }
    for version in [1, 511, 512, 513, 1999, 2000] {
        assert_eq!(balance(&store, AsOf::Version(Version(version))).await, version);
    }
}
