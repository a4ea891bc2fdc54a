//! A difference anywhere is found, named and never called reconciled.

use mainspring::{Repository, Store, disk::DiskStore};
use mainspring_shop::{
    Cents, CustomerId, Order, OrderId,
    demo::{Difference, Report},
    order::OrderCommand,
};
use sqlx::{ConnectOptions, sqlite::SqliteConnectOptions};

use crate::input::Place;

const LINES: &str = "7 19970101 2 11.77\n8 19970102 1 20.00\n";

/// Changes something in a read model behind the back of its projection.
async fn tamper(place: &Place, name: &str, sql: &'static str) -> Report {
    let file = place.data().join("views").join(format!("{name}.v1.sqlite"));
    let mut db = SqliteConnectOptions::new().filename(file).connect().await.unwrap();
    let changed = sqlx::query(sql).execute(&mut db).await.unwrap();
    assert_eq!(changed.rows_affected(), 1);
    drop(db);
    place.run().await
}

#[track_caller]
fn check(report: &Report, expected: &[(&str, &str, &str, &str)]) {
    let cell = |value: &Option<String>| value.clone().unwrap_or_else(|| "missing".to_owned());
    let found = report.differences.iter().map(|difference| {
        let Difference { what, input, replay, read_models } = difference;
        (what.clone(), cell(input), cell(replay), cell(read_models))
    });
    let expected = expected.iter().map(|(what, input, replay, read_models)| {
        ((*what).to_owned(), (*input).to_owned(), (*replay).to_owned(), (*read_models).to_owned())
    });
    assert_eq!(found.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    assert!(!report.reconciled);
    let text = report.to_string();
    assert!(text.contains("NOT RECONCILED") && text.contains("in the read models"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_with_other_money() {
    let place = Place::with(LINES);
    place.run().await;
    let report = tamper(&place, "daily_revenue", "UPDATE days SET cents = cents + 1 WHERE day = '1997-01-02'").await;
    check(
        &report,
        &[("revenue in cents", "3177", "3177", "3178"), ("revenue of 1997-01-02", "20.00", "20.00", "20.01")],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_is_missing() {
    let place = Place::with(LINES);
    place.run().await;
    let report = tamper(&place, "order_summary", "DELETE FROM orders WHERE id = '000002'").await;
    check(
        &report,
        &[
            ("orders", "2", "2", "1"),
            ("CDs", "3", "3", "2"),
            ("status of order 000002", "shipped", "shipped", "missing"),
            ("day of order 000002", "1997-01-02", "1997-01-02", "missing"),
            ("customer of order 000002", "8", "8", "missing"),
            ("CDs of order 000002", "1", "1", "missing"),
            ("dollars of order 000002", "20.00", "20.00", "missing"),
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_with_other_orders() {
    let place = Place::with(LINES);
    place.run().await;
    let report = tamper(&place, "orders_by_customer", "UPDATE customers SET units = 9 WHERE customer = 7").await;
    check(&report, &[("CDs of customer 7", "2", "2", "9")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_no_line_explains() {
    let place = Place::with(LINES);
    place.run().await;
    let store = Store::new(DiskStore::open(place.data()).unwrap());
    let (customer, units, cents) = (CustomerId(9), 1, Cents(5));
    let command = OrderCommand::Place { customer, units, cents, promotion: None };
    let orders = Repository::<Order>::new(&store);
    orders.handle(&OrderId(77), command).at("1997-03-01T12:00:00Z".parse().unwrap()).await.unwrap();
    drop((orders, store));
    let report = place.run().await;
    assert!(!report.reconciled);
    let named: Vec<_> = report.differences.iter().map(|difference| difference.what.as_str()).collect();
    assert!(named.contains(&"status of order 000077"), "{named:?}");
    assert!(named.contains(&"orders of 1997-03-01"), "{named:?}");
}
