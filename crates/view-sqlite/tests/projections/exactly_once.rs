//! Each event has its effect once, whatever happens to the runner in between.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
};

use mainspring_projection::prepare_with;
use mainspring_store::{MemoryStore, Store};
use mainspring_view_sqlite::Views;

use crate::shop::{Orders, SOON, impatient, place, run, seen, total};

#[tokio::test]
async fn stopped_and_started_again() {
    let directory = tempfile::tempdir().unwrap();
    let (views, store) = (Views::open(directory.path()).await.unwrap(), Store::new(MemoryStore::new()));
    for round in 1..=10 {
        place(&store, vec![1; 300]).await;
        let orders = run(Orders::<1>::new(), &views, &store).await;
        orders.status(|status| status.at.0 > round * 150).await;
        if round % 2 == 0 { orders.stop().await } else { orders.kill().await }
    }
    let orders = run(Orders::<1>::new(), &views, &store).await;
    let db = orders.projected.read_after(place(&store, [1]).await, SOON).await.unwrap();
    assert_eq!(seen(&db).await, (1..=3_001).collect::<Vec<_>>());
    assert_eq!(total(&db).await, 3_001);
    orders.stop().await;
}

/// The future is dropped at its first, second, … point of suspension, and another one goes on from what it left.
#[tokio::test]
async fn dropped_wherever_it_waits() {
    let directory = tempfile::tempdir().unwrap();
    let (views, store) = (Views::open(directory.path()).await.unwrap(), Store::new(MemoryStore::new()));
    for polls in 1..=120 {
        let last = place(&store, [1, 2, 3]).await;
        let (orders, runner) =
            prepare_with(Orders::<1>::new(), views.clone(), store.clone(), impatient()).await.unwrap();
        {
            let mut run = pin!(runner.run(std::future::pending()));
            let mut left = polls;
            poll_fn(|cx| {
                left -= 1;
                let ended = run.as_mut().poll(cx).is_ready() || left == 0 || orders.at() == last;
                if ended { Poll::Ready(()) } else { Poll::Pending }
            })
            .await;
        }
    }
    let orders = run(Orders::<1>::new(), &views, &store).await;
    let db = orders.projected.read_after(place(&store, [1]).await, SOON).await.unwrap();
    assert_eq!(seen(&db).await, (1..=361).collect::<Vec<_>>());
    assert_eq!(total(&db).await, 721);
    orders.stop().await;
}
