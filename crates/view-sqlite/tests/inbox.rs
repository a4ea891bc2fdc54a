//! Handlers whose effects are in SQLite, exactly once.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking, as the test does")]

use std::{sync::Arc, time::Duration};

use mainspring_broker::{Broker, MemoryBroker};
use mainspring_event::{Event, EventId};
use mainspring_messaging::{Delivered, FromRef, Once, Publisher, State, Subscription, Subscriptions};
use mainspring_retry::{Failure, Retry};
use mainspring_view_sqlite::{
    Sqlite,
    inbox::{once, once_within},
};
use serde::{Deserialize, Serialize};
use sqlx::{
    SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode},
};

#[derive(Serialize, Deserialize, Event)]
#[event(crate = mainspring_event)]
struct Placed {
    order: i64,
}

#[derive(Clone, FromRef)]
#[from_ref(crate = mainspring_messaging)]
struct Services {
    pool: SqlitePool,
    failures: u32,
}

async fn pool(directory: &tempfile::TempDir) -> SqlitePool {
    let options = SqliteConnectOptions::new().filename(directory.path().join("billing.sqlite"));
    let options = options.create_if_missing(true).journal_mode(SqliteJournalMode::Wal);
    let pool = SqlitePool::connect_with(options).await.unwrap();
    sqlx::query("CREATE TABLE invoices (\"order\" INTEGER)").execute(&pool).await.unwrap();
    pool
}

async fn invoices(pool: &SqlitePool) -> Vec<i64> {
    sqlx::query_scalar("SELECT \"order\" FROM invoices ORDER BY \"order\"").fetch_all(pool).await.unwrap()
}

async fn bill(placed: Delivered<Placed>, mut tx: Once<Sqlite>, State(failures): State<u32>) -> Result<(), Failure> {
    sqlx::query("INSERT INTO invoices VALUES (?1)").bind(placed.event.order).execute(&mut **tx).await?;
    if placed.attempt() <= failures { Err("after it has written".into()) } else { Ok(()) }
}

/// Runs the handler until everything that `work` publishes is settled.
async fn run(services: Services, work: impl AsyncFnOnce(&Publisher)) {
    let broker = Arc::new(MemoryBroker::new());
    let on = Subscription::new("orders", "billing").retry(Retry::times(2));
    let (_, runner) = Subscriptions::new(services).on(on, bill).prepare(broker.clone()).await.unwrap();
    let until_settled = async {
        work(&Publisher::new(broker.clone())).await;
        let mut looks = tokio::time::interval(Duration::from_millis(2));
        let lag = async || {
            let groups = broker.admin().unwrap().groups().await.unwrap();
            groups.into_iter().find(|status| status.group.as_str() == "billing").unwrap().lag
        };
        while lag().await > 0 {
            looks.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), runner.run(until_settled)).await.unwrap().unwrap();
}

#[tokio::test]
async fn many_at_once_write_once_each() {
    let directory = tempfile::tempdir().unwrap();
    let pool = pool(&directory).await;
    let services = Services { pool: pool.clone(), failures: 0 };
    run(services, async |publisher| {
        for order in 0..40 {
            let message = publisher.publish("orders", &Placed { order }).key(order).into_message().unwrap();
            publisher.send(message.clone()).await.unwrap();
            publisher.send(message).await.unwrap();
        }
    })
    .await;
    assert_eq!(invoices(&pool).await, (0..40).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_failed_attempts_wrote_is_rolled_back() {
    let directory = tempfile::tempdir().unwrap();
    let pool = pool(&directory).await;
    for (failures, expected) in [(1, vec![17]), (9, vec![17])] {
        let services = Services { pool: pool.clone(), failures };
        run(services, async |publisher| {
            publisher.publish("orders", &Placed { order: 17 }).await.unwrap();
        })
        .await;
        assert_eq!(invoices(&pool).await, expected, "with {failures} failures");
    }
}

#[tokio::test]
async fn a_plain_service_has_the_same_inbox() {
    let directory = tempfile::tempdir().unwrap();
    let pool = pool(&directory).await;
    let (id, other) = (EventId::new(), EventId::new());
    let seen = async |handler: &str, id, commit| {
        let mut tx = pool.begin().await.unwrap();
        let seen = once(&mut tx, handler, id).await.unwrap();
        if commit {
            tx.commit().await.unwrap();
        }
        seen.is_duplicate()
    };
    assert!(!seen("billing", id, false).await);
    assert!(!seen("billing", id, true).await, "the first time was rolled back");
    assert!(seen("billing", id, true).await);
    assert!(!seen("shipping", id, true).await, "another handler has an inbox of its own");
    assert!(!seen("billing", other, true).await);
}

#[tokio::test]
async fn entries_expire_after_their_window() {
    let directory = tempfile::tempdir().unwrap();
    let pool = pool(&directory).await;
    let mut tx = pool.begin().await.unwrap();
    let ids: Vec<_> = (0..4).map(|_| EventId::new()).collect();
    for id in &ids {
        assert!(!once(&mut tx, "billing", *id).await.unwrap().is_duplicate());
    }
    sqlx::query("UPDATE mainspring_inbox SET handled = handled - 100").execute(&mut *tx).await.unwrap();
    assert!(once_within(&mut tx, "billing", ids[0], Duration::from_secs(200)).await.unwrap().is_duplicate());
    for _ in 0..2 {
        let fresh = once_within(&mut tx, "billing", EventId::new(), Duration::from_secs(50)).await.unwrap();
        assert!(!fresh.is_duplicate());
    }
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM mainspring_inbox").fetch_one(&mut *tx).await.unwrap();
    assert_eq!(left, 2, "the fresh ones");
    assert!(!once(&mut tx, "billing", ids[0]).await.unwrap().is_duplicate());
}
