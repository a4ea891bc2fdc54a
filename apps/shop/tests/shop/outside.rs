//! Looking at a shop from outside, also while it works.

use mainspring::{AsOf, Projection, Store, disk::DiskStore, event::Version, sqlite::Views};
use mainspring_shop::{
    Cents, OrderId,
    demo::{Phase, Progress, run},
    load_state,
    order::Status,
    projections::{PROJECTIONS, Rebuild, rebuild},
    views::{DailyRevenue, OrderSummary},
};
use tokio::sync::Notify;

use crate::input::{Place, assert_complete, lines};

const LINES: &str = "7 19970101 2 11.77\n8 19970102 1 0.00\n";

/// The store of a shop, to read beside whoever is writing.
fn store(place: &Place) -> Store {
    Store::new(DiskStore::open_read_only(place.data()).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_now_and_then() {
    let place = Place::with(LINES);
    place.run().await;
    let store = store(&place);
    let load = async |at| load_state(&store, OrderId(1), at).await.map(|order| order.status);
    assert_eq!(load(None).await.unwrap(), Status::Shipped);
    assert_eq!(load(Some(AsOf::Version(Version(1)))).await.unwrap(), Status::Placed);
    assert_eq!(load(Some(AsOf::Version(Version(2)))).await.unwrap(), Status::Paid);
    let error = load(Some(AsOf::Version(Version(9)))).await.unwrap_err();
    assert!(error.to_string().contains("there is no version 9"), "{error}");
    let evening = "1997-01-01T23:59:59Z".parse().unwrap();
    assert_eq!(load(Some(AsOf::Occurred(evening))).await.unwrap(), Status::Paid);
    assert_eq!(load(Some(AsOf::Recorded(evening))).await.unwrap(), Status::New);

    let order = load_state(&store, OrderId(1), None).await.unwrap();
    assert_eq!((order.customer.0, order.units, order.cents), (7, 2, Cents(1_177)));
    assert_eq!(load_state(&store, OrderId(3), None).await.unwrap().status, Status::New);
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_no_shop() {
    let place = Place::with("");
    let error = rebuild(&place.data(), OrderSummary::NAME, |_, _| {}).await.unwrap_err();
    assert!(error.to_string().contains("cannot be opened"), "{error:#}");
    assert!(!place.data().exists(), "looking creates nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_model_is_built_anew() {
    let place = Place::with_purchases(100);
    let report = place.run().await;
    let mut seen = Vec::new();
    let rebuilt = rebuild(&place.data(), DailyRevenue::NAME, |at, head| seen.push((at, head))).await.unwrap();
    let Rebuild::Done { generation: 2, position, .. } = rebuilt else { panic!("{rebuilt:?}") };
    // Messages are events, too.
    assert!(position > report.events);
    assert!(!seen.is_empty() && seen.iter().all(|(at, head)| at <= head && *head == position), "{seen:?}");
    let report = place.run().await;
    assert_complete(&report, &lines(100));
    let models = Views::open(place.data().join("views")).await.unwrap().list().await.unwrap();
    let builds: Vec<_> = models.iter().map(|model| (model.name.as_str(), model.generation.number)).collect();
    assert_eq!(builds, [("daily_revenue", 2), ("order_summary", 1), ("orders_by_customer", 1)]);
    assert!(PROJECTIONS.map(|(name, _)| name).into_iter().eq(builds.iter().map(|(name, _)| *name)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_model_that_the_shop_does_not_have() {
    let place = Place::with(LINES);
    place.run().await;
    let error = rebuild(&place.data(), "profits", |_, _| {}).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the shop has no projection `profits`; it has daily_revenue, order_summary, orders_by_customer"
    );
}

/// Notes that commands are being carried out.
#[derive(Default)]
struct Working(Notify);

impl Progress for Working {
    fn phase(&self, _: Phase, _: u64) {}

    fn at(&self, done: u64) {
        if done > 0 {
            self.0.notify_one();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn beside_a_shop_that_works() {
    let place = Place::with_purchases(10_000);
    let (options, working) = (place.options(), Working::default());
    let look = async {
        working.0.notified().await;
        // How far this order is by now is open; that it can be read is not.
        load_state(&store(&place), OrderId(1), None).await.unwrap();
        rebuild(&place.data(), OrderSummary::NAME, |_, _| {}).await.unwrap()
    };
    let (report, rebuilt) = tokio::join!(run(&options, &working), look);
    assert_eq!(rebuilt, Rebuild::Recorded);
    assert_complete(&report.unwrap(), &lines(10_000));
    assert_complete(&place.run().await, &lines(10_000));
    let models = Views::open(place.data().join("views")).await.unwrap().list().await.unwrap();
    assert!(models.iter().any(|model| model.name == OrderSummary::NAME && model.generation.number == 2));
}
