//! What fails is reported, tried again, and never skipped.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use mainspring_event::Position;
use mainspring_projection::{EventPlace, Options, Phase, Projection, ProjectionError, prepare, prepare_with};
use mainspring_retry::{Advise, Failure, Retry};
use mainspring_store::{CheckpointError, Lineage, MemoryStore, Store};
use mainspring_view_sqlite::Views;

use crate::{
    shop::{DANGLING, Orders, Running, SOON, append, place, run, seen, total},
    stores::Tampered,
};

fn order_at(position: u64) -> EventPlace {
    EventPlace { position: Position(position), stream: "order-1".to_owned(), event_type: "OrderPlaced".to_owned() }
}

/// Fails at a position so often.
fn failing_at(position: u64, times: u32, fail: fn() -> Result<(), Failure>) -> Orders {
    let left = Arc::new(AtomicU32::new(times));
    Orders::with(move |order| {
        let fails = order.position().0 == position
            && left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        if fails { fail() } else { Ok(()) }
    })
}

#[tokio::test]
async fn a_failing_event_is_named_and_tried_until_it_succeeds() {
    let directory = tempfile::tempdir().unwrap();
    let (views, store) = (Views::open(directory.path()).await.unwrap(), Store::new(MemoryStore::new()));
    let last = place(&store, vec![1; 100]).await;
    let failing = failing_at(41, 25, || Err("out of paper".into()));
    let orders = run(failing, &views, &store).await;
    let status = orders.status(|status| status.failure.as_ref().is_some_and(|failure| failure.attempts >= 3)).await;
    let report = status.failure.clone().unwrap();
    assert_eq!((report.event.unwrap(), report.error.as_str()), (order_at(41), "out of paper"));
    assert!(report.next.is_some());
    assert_eq!((status.at, status.lag()), (Position(40), 60), "what came before it is kept");

    let db = orders.projected.read_after(last, SOON).await.unwrap();
    assert_eq!(seen(&db).await, (1..=100).collect::<Vec<_>>());
    assert_eq!(orders.status(|status| status.phase == Phase::Live).await.failure, None);
    orders.stop().await;
}

#[tokio::test]
async fn a_permanent_failure_stops_it_and_nothing_is_skipped() {
    let directory = tempfile::tempdir().unwrap();
    let (views, store) = (Views::open(directory.path()).await.unwrap(), Store::new(MemoryStore::new()));
    place(&store, vec![1; 10]).await;
    for _ in 0..2 {
        let failing = failing_at(7, u32::MAX, || Err("no such colour").permanent());
        let orders = run(failing, &views, &store).await;
        let projected = orders.projected.clone();
        let ended = orders.ended().await;
        assert_eq!(
            ended.to_string(),
            "projection `orders`: event 7 (OrderPlaced in stream `order-1`) could not be applied, tried 1 times"
        );
        assert!(matches!(&ended, ProjectionError::Apply { source, .. } if source.to_string() == "no such colour"));
        let status = projected.status();
        assert_eq!((status.phase, status.at), (Phase::Stopped, Position(6)));
        assert_eq!(status.failure.unwrap().next, None);
        assert_eq!(seen(&projected.read()).await, (1..=6).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_schedule_that_ends_stops_it() {
    let directory = tempfile::tempdir().unwrap();
    let (views, store) = (Views::open(directory.path()).await.unwrap(), Store::new(MemoryStore::new()));
    place(&store, [1]).await;
    let failing = failing_at(1, u32::MAX, || Err("again".into()));
    let options = Options { retry: Retry::times(4), ..Options::default() };
    let orders = Running::spawn(prepare_with(failing, views, store, options).await.unwrap());
    let ended = orders.ended().await;
    assert!(matches!(ended, ProjectionError::Apply { attempts: 5, event, .. } if event == order_at(1)));
}

#[tokio::test]
async fn a_panic_is_a_failure_with_its_cause() {
    let directory = tempfile::tempdir().unwrap();
    let (views, store) = (Views::open(directory.path()).await.unwrap(), Store::new(MemoryStore::new()));
    let last = place(&store, vec![1; 10]).await;
    let failing = failing_at(4, 9, || panic!("index {} out of range", 12));
    let orders = run(failing, &views, &store).await;
    let status = orders.status(|status| status.failure.is_some()).await;
    let report = status.failure.unwrap();
    assert_eq!((report.event.unwrap(), report.error.as_str()), (order_at(4), "panicked: index 12 out of range"));
    let db = orders.projected.read_after(last, SOON).await.unwrap();
    assert_eq!(seen(&db).await, (1..=10).collect::<Vec<_>>());
    orders.stop().await;
}

#[tokio::test]
async fn an_event_that_cannot_be_decoded_stops_it() {
    let directory = tempfile::tempdir().unwrap();
    let (views, store) = (Views::open(directory.path()).await.unwrap(), Store::new(MemoryStore::new()));
    place(&store, vec![1; 5]).await;
    append(&store, [("OrderPlaced", r#"{"cents":"many"}"#.to_owned())]).await;
    place(&store, vec![1; 5]).await;
    for _ in 0..2 {
        let orders = run(Orders::<1>::new(), &views, &store).await;
        let projected = orders.projected.clone();
        let ended = orders.ended().await;
        assert!(matches!(ended, ProjectionError::Undecodable { event, .. } if event == order_at(6)));
        assert_eq!(projected.status().failure.unwrap().event.unwrap(), order_at(6));
        assert_eq!(seen(&projected.read()).await, (1..=5).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn an_event_that_only_the_commit_refuses_is_named_too() {
    let directory = tempfile::tempdir().unwrap();
    let (views, store) = (Views::open(directory.path()).await.unwrap(), Store::new(MemoryStore::new()));
    place(&store, [1, 1, DANGLING, 1]).await;
    let orders = run(Orders::<1>::new(), &views, &store).await;
    let status = orders.status(|status| status.failure.as_ref().is_some_and(|failure| failure.attempts > 2)).await;
    let report = status.failure.unwrap();
    assert_eq!((report.event.unwrap(), status.at), (order_at(3), Position(2)));
    assert!(report.error.contains("FOREIGN KEY"), "{}", report.error);
    assert_eq!(total(&orders.projected.read()).await, 2);
    orders.stop().await;
}

#[tokio::test]
async fn a_store_that_fails_for_a_while_is_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let views = Views::open(directory.path()).await.unwrap();
    let tampered = Tampered::new();
    tampered.failing_reads.store(6, Ordering::SeqCst);
    let store = Store::new(tampered);
    place(&store, vec![1; 2_000]).await;
    let orders = run(Orders::<1>::new(), &views, &store).await;
    let last = place(&store, vec![1; 2_000]).await;
    let db = orders.projected.read_after(last, SOON).await.unwrap();
    assert_eq!(seen(&db).await, (1..=4_000).collect::<Vec<_>>());
    orders.status(|status| status.failure.is_none()).await;
    orders.stop().await;
}

#[tokio::test]
async fn a_checkpoint_of_another_history_stops_it_until_it_is_rebuilt() {
    let directory = tempfile::tempdir().unwrap();
    let views = Views::open(directory.path()).await.unwrap();
    let known = Tampered::known();
    let store = Store::new(known.clone());
    let orders = run(Orders::<1>::new(), &views, &store).await;
    orders.projected.read_after(place(&store, [1, 2]).await, SOON).await.unwrap();
    orders.stop().await;

    // Restored from a backup: the same store, another history.
    let identity = known.identity.map(|(store, _)| (store, Lineage::new()));
    let restored = Store::new(Tampered { identity, ..known });
    let stops = async |store: Store| {
        let orders = run(Orders::<1>::new(), &views, &store).await;
        assert_eq!(orders.projected.at(), Position::START, "positions of another history mean nothing");
        match orders.ended().await {
            ProjectionError::Checkpoint { source, .. } => source,
            other => panic!("{other}"),
        }
    };
    assert!(matches!(stops(restored.clone()).await, CheckpointError::OtherLineage { .. }));
    assert!(matches!(stops(Store::new(MemoryStore::new())).await, CheckpointError::OtherStore { .. }));
    assert!(matches!(stops(Store::new(Tampered::known())).await, CheckpointError::BeyondHead { .. }));

    views.rebuild("orders").await.unwrap();
    let orders = run(Orders::<1>::new(), &views, &restored).await;
    orders.status(|status| status.building.is_none()).await;
    let db = orders.projected.read_after(place(&restored, [3]).await, SOON).await.unwrap();
    assert_eq!((orders.projected.generation().number, total(&db).await), (2, 6));
    orders.stop().await;
}

#[tokio::test]
async fn tables_that_cannot_be_created_are_reported_at_once() {
    struct Wrong;
    impl Projection for Wrong {
        const NAME: &'static str = "wrong";
        const VERSION: u32 = 1;
        type View = Views;
        type Event = crate::shop::OrderEvent;
        async fn create(&self, db: &mut sqlx::SqliteConnection) -> Result<(), Failure> {
            sqlx::query("CREATE TABEL x").execute(db).await?;
            Ok(())
        }
        async fn apply(
            &self,
            _: &mut sqlx::SqliteConnection,
            _: &mainspring_event::Recorded<Self::Event>,
        ) -> Result<(), Failure> {
            Ok(())
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let views = Views::open(directory.path()).await.unwrap();
    let refused = prepare(Wrong, views, Store::new(MemoryStore::new())).await.err().unwrap();
    assert!(matches!(&refused, ProjectionError::Create { source, .. } if source.to_string().contains("TABEL")));
}
