//! What readers see, and when.

use std::time::Duration;

use mainspring_event::Position;
use mainspring_projection::{Phase, WaitError, prepare};
use mainspring_store::{MemoryStore, Store};
use mainspring_view_sqlite::{State, ViewError, Views};

use crate::shop::{Count, Orders, SOON, place, ring, run, seen, total, within};

#[tokio::test]
async fn a_writer_reads_what_it_wrote() {
    let directory = tempfile::tempdir().unwrap();
    let (views, store) = (Views::open(directory.path()).await.unwrap(), Store::new(MemoryStore::new()));
    let orders = run(Orders::<1>::new(), &views, &store).await;
    for sum in 1..=50 {
        let position = place(&store, [1]).await;
        let db = orders.projected.read_after(position, SOON).await.unwrap();
        assert_eq!(total(&db).await, sum);
    }
    assert_eq!(orders.status(|status| status.phase == Phase::Live).await.lag(), 0);
    orders.stop().await;
}

#[tokio::test]
async fn tables_are_there_before_anything_runs() {
    let directory = tempfile::tempdir().unwrap();
    let (views, store) = (Views::open(directory.path()).await.unwrap(), Store::new(MemoryStore::new()));
    let (orders, runner) = prepare(Orders::<1>::new(), views, store).await.unwrap();
    assert_eq!(total(&orders.read()).await, 0);
    drop(runner);
}

#[tokio::test]
async fn positions_without_a_match_are_reached_at_once_and_the_checkpoint_follows() {
    let directory = tempfile::tempdir().unwrap();
    let (views, store) = (Views::open(directory.path()).await.unwrap(), Store::new(MemoryStore::new()));
    let orders = run(Orders::<1>::new(), &views, &store).await;
    let mut last = place(&store, [5]).await;
    for _ in 0..20 {
        last = ring(&store).await;
        orders.projected.read_after(last, SOON).await.unwrap();
    }
    assert_eq!(orders.projected.lag().await.unwrap(), 0);
    let committed = async {
        while views.list().await.unwrap()[0].checkpoint.map(|checkpoint| checkpoint.position) != Some(last) {
            tokio::task::yield_now().await;
        }
    };
    within(committed).await;
    last = ring(&store).await;
    orders.projected.read_after(last, SOON).await.unwrap();
    orders.stop().await;
    let checkpoint = views.list().await.unwrap()[0].checkpoint.unwrap();
    assert_eq!(checkpoint, store.info().await.unwrap().checkpoint(last));
}

#[tokio::test]
async fn a_reader_in_vain_is_told_how_far_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let (views, store) = (Views::open(directory.path()).await.unwrap(), Store::new(MemoryStore::new()));
    let closed = Orders::<1>::closed();
    let orders = run(closed.clone(), &views, &store).await;
    let (wanted, waited) = (place(&store, [1, 2, 3]).await, Duration::from_millis(20));
    let lagging = orders.projected.read_after(wanted, waited).await.unwrap_err();
    assert_eq!(lagging, WaitError::Lagging { name: "orders", at: Position(0), wanted, waited });
    assert_eq!(orders.projected.lag().await.unwrap(), 3);

    let waiting = tokio::spawn({
        let projected = orders.projected.clone();
        async move { projected.read_after(wanted, SOON).await }
    });
    let projected = orders.projected.clone();
    orders.kill().await;
    assert_eq!(within(waiting).await.unwrap().unwrap_err(), WaitError::Stopped { name: "orders" });
    assert_eq!(projected.status().phase, Phase::Stopped);
    assert_eq!(total(&projected.read()).await, 0);
}

#[tokio::test]
async fn several_projections_live_side_by_side() {
    let directory = tempfile::tempdir().unwrap();
    let (views, store) = (Views::open(directory.path()).await.unwrap(), Store::new(MemoryStore::new()));
    place(&store, vec![1; 1_000]).await;
    let (orders, count) = (run(Orders::<1>::new(), &views, &store).await, run(Count, &views, &store).await);
    let last = place(&store, vec![1; 1_000]).await;
    let db = orders.projected.read_after(last, SOON).await.unwrap();
    assert_eq!(seen(&db).await, (1..=2_000).collect::<Vec<_>>());
    let db = count.projected.read_after(last, SOON).await.unwrap();
    let events: i64 = sqlx::query_scalar("SELECT events FROM total").fetch_one(&db).await.unwrap();
    assert_eq!(events, 2_000);

    let listed = views.list().await.unwrap();
    let short: Vec<_> =
        listed.iter().map(|model| (model.name.as_str(), model.generation.version, model.state)).collect();
    assert_eq!(short, [("count", 7, State::Current), ("orders", 1, State::Current)]);
    assert!(listed.iter().all(|model| model.bytes > 0 && model.checkpoint.unwrap().position == last));
    orders.stop().await;
    count.stop().await;
}

#[tokio::test]
async fn an_operator_reads_by_name_and_cannot_write() {
    let directory = tempfile::tempdir().unwrap();
    let (views, store) = (Views::open(directory.path()).await.unwrap(), Store::new(MemoryStore::new()));
    let orders = run(Orders::<1>::new(), &views, &store).await;
    orders.projected.read_after(place(&store, [3, 4]).await, SOON).await.unwrap();
    let read_only = async || {
        let elsewhere = Views::open(directory.path()).await.unwrap();
        let db = elsewhere.reader("orders").await.unwrap();
        assert_eq!(total(&db).await, 7);
        let refused = sqlx::query("DELETE FROM total").execute(&db).await.unwrap_err();
        assert!(refused.to_string().contains("readonly"), "{refused}");
    };
    read_only().await;
    orders.stop().await;
    read_only().await;
    assert!(matches!(views.reader("nothing").await, Err(ViewError::Unknown { .. })));
}
