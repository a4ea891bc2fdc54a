//! New versions and rebuilds: built beside the old, switched when they have caught up.

use mainspring_event::Position;
use mainspring_projection::{Generation, Phase, ProjectionError, RebuildError, prepare};
use mainspring_store::{MemoryStore, Store};
use mainspring_view_sqlite::{State, ViewError, Views};
use tokio::sync::Semaphore;

use crate::shop::{Orders, SOON, place, run, seen, total, within};

fn generation(version: u32, number: u32) -> Generation {
    Generation { version, number }
}

async fn listed(views: &Views) -> Vec<(u32, u32, State)> {
    let listed = views.list().await.unwrap().into_iter();
    listed.map(|model| (model.generation.version, model.generation.number, model.state)).collect()
}

#[tokio::test]
async fn a_new_version_is_built_while_the_old_one_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let (views, store) = (Views::open(directory.path()).await.unwrap(), Store::new(MemoryStore::new()));
    let last = place(&store, vec![1; 10]).await;
    let first = run(Orders::<1>::new(), &views, &store).await;
    first.projected.read_after(last, SOON).await.unwrap();
    first.stop().await;
    let last = place(&store, vec![1; 10]).await;

    let closed = Orders::<2>::closed();
    let second = run(closed.clone(), &views, &store).await;
    let status = second.status(|status| status.building.is_some()).await;
    assert_eq!((status.reading, status.building.unwrap().generation), (generation(1, 1), generation(2, 1)));
    let old = second.projected.read_after(Position(10), SOON).await.unwrap();
    assert_eq!((total(&old).await, second.projected.lag().await.unwrap()), (10, 10));
    assert_eq!(listed(&views).await, [(1, 1, State::Current), (2, 1, State::Building)]);

    closed.gate.add_permits(Semaphore::MAX_PERMITS);
    let new = second.projected.read_after(last, SOON).await.unwrap();
    assert_eq!((total(&new).await, second.projected.generation()), (20, generation(2, 1)));
    assert_eq!(total(&old).await, 10, "who still reads the old one is not disturbed");
    assert_eq!(listed(&views).await, [(1, 1, State::Retired), (2, 1, State::Current)]);
    second.stop().await;

    let second = run(Orders::<2>::new(), &views, &store).await;
    assert_eq!(listed(&views).await, [(2, 1, State::Current)]);
    assert!(!directory.path().join("orders.v1.sqlite").exists());
    second.stop().await;
}

#[tokio::test]
async fn going_back_to_the_older_program_goes_on_with_its_tables() {
    let directory = tempfile::tempdir().unwrap();
    let (views, store) = (Views::open(directory.path()).await.unwrap(), Store::new(MemoryStore::new()));
    let first = run(Orders::<1>::new(), &views, &store).await;
    first.projected.read_after(place(&store, vec![1; 10]).await, SOON).await.unwrap();
    first.stop().await;
    let second = run(Orders::<2>::new(), &views, &store).await;
    second.status(|status| status.reading == generation(2, 1)).await;
    second.stop().await;
    let last = place(&store, [1]).await;

    // A repetition of what the tables hold already would be refused.
    let again = Orders::<1>::with(|order| if order.position().0 > 10 { Ok(()) } else { Err("seen before".into()) });
    let first = run(again, &views, &store).await;
    let db = first.projected.read_after(last, SOON).await.unwrap();
    assert_eq!((total(&db).await, first.projected.generation()), (11, generation(1, 1)));
    first.stop().await;
}

#[tokio::test]
async fn an_operator_asks_for_a_rebuild_and_the_next_run_does_it() {
    let directory = tempfile::tempdir().unwrap();
    let (views, store) = (Views::open(directory.path()).await.unwrap(), Store::new(MemoryStore::new()));
    let last = place(&store, vec![1; 10]).await;
    let orders = run(Orders::<1>::with(|_| Ok(())), &views, &store).await;
    orders.projected.read_after(last, SOON).await.unwrap();
    orders.stop().await;
    assert!(matches!(views.rebuild("nothing").await, Err(ViewError::Unknown { .. })));
    views.rebuild("orders").await.unwrap();
    assert!(views.list().await.unwrap()[0].rebuild_asked);

    // Interrupted while it builds, it goes on with what it has built and does not begin again.
    let half = Orders::<1>::closed();
    half.gate.add_permits(5);
    let orders = run(half.clone(), &views, &store).await;
    let building = orders.status(|status| status.building.is_some()).await.building.unwrap();
    assert_eq!(building.generation, generation(1, 2));
    assert_eq!(total(&orders.projected.read()).await, 10);
    orders.kill().await;
    assert_eq!(listed(&views).await, [(1, 1, State::Current), (1, 2, State::Building)]);

    let orders = run(Orders::<1>::new(), &views, &store).await;
    orders.status(|status| status.reading == generation(1, 2)).await;
    assert_eq!(seen(&orders.projected.read()).await, (1..=10).collect::<Vec<_>>());
    orders.stop().await;
}

#[tokio::test]
async fn a_rebuild_while_it_runs_never_takes_a_reader_back() {
    let directory = tempfile::tempdir().unwrap();
    let (views, store) = (Views::open(directory.path()).await.unwrap(), Store::new(MemoryStore::new()));
    place(&store, vec![1; 3_000]).await;
    let orders = run(Orders::<1>::new(), &views, &store).await;
    orders.status(|status| status.phase == Phase::Live).await;
    let mut written = 3_000;
    for number in 2..=4 {
        orders.projected.rebuild().await.unwrap();
        let switched = async {
            while orders.projected.generation() != generation(1, number) {
                written += 1;
                let db = orders.projected.read_after(place(&store, [1]).await, SOON).await.unwrap();
                assert_eq!(total(&db).await, written);
            }
        };
        within(switched).await;
    }
    let db = orders.projected.read();
    assert_eq!(seen(&db).await, (1..=written as u64).collect::<Vec<_>>());
    assert_eq!(listed(&views).await, [(1, 3, State::Retired), (1, 4, State::Current)]);
    let projected = orders.projected.clone();
    orders.stop().await;
    assert!(matches!(projected.rebuild().await, Err(RebuildError::Stopped { .. })));
}

#[tokio::test]
async fn one_version_has_one_runner() {
    let directory = tempfile::tempdir().unwrap();
    let (views, store) = (Views::open(directory.path()).await.unwrap(), Store::new(MemoryStore::new()));
    let orders = run(Orders::<1>::new(), &views, &store).await;
    let elsewhere = Views::open(directory.path()).await.unwrap();
    let refused = prepare(Orders::<1>::new(), elsewhere, store.clone()).await.err().unwrap();
    let ProjectionError::Open { source, .. } = refused else { panic!("{refused}") };
    assert!(matches!(source.downcast_ref(), Some(ViewError::Locked { version: 1, .. })), "{source}");
    orders.stop().await;
    run(Orders::<1>::new(), &views, &store).await.stop().await;
}

#[tokio::test]
async fn old_and_new_program_run_side_by_side_until_the_old_one_goes() {
    let directory = tempfile::tempdir().unwrap();
    let (views, store) = (Views::open(directory.path()).await.unwrap(), Store::new(MemoryStore::new()));
    place(&store, vec![1; 10]).await;
    let first = run(Orders::<1>::new(), &views, &store).await;
    let second = run(Orders::<2>::new(), &views, &store).await;
    second.status(|status| status.reading == generation(2, 1)).await;
    let last = place(&store, [1]).await;
    assert_eq!(total(&first.projected.read_after(last, SOON).await.unwrap()).await, 11);
    assert_eq!(total(&second.projected.read_after(last, SOON).await.unwrap()).await, 11);
    second.stop().await;

    let second = run(Orders::<2>::new(), &views, &store).await;
    assert_eq!(listed(&views).await, [(1, 1, State::Retired), (2, 1, State::Current)], "the old one is still run");
    first.stop().await;
    second.stop().await;
}

#[tokio::test]
async fn a_file_removed_by_hand_is_built_anew() {
    let directory = tempfile::tempdir().unwrap();
    let (views, store) = (Views::open(directory.path()).await.unwrap(), Store::new(MemoryStore::new()));
    let last = place(&store, vec![1; 10]).await;
    let orders = run(Orders::<1>::new(), &views, &store).await;
    orders.projected.read_after(last, SOON).await.unwrap();
    orders.stop().await;
    std::fs::remove_file(directory.path().join("orders.v1.sqlite")).unwrap();
    let orders = run(Orders::<1>::new(), &views, &store).await;
    let db = orders.projected.read_after(last, SOON).await.unwrap();
    assert_eq!(seen(&db).await, (1..=10).collect::<Vec<_>>());
    orders.stop().await;
}
