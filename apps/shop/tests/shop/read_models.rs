//! The read models: what is in them, and that it does not depend on how the events came.

use std::time::Duration;

use jiff::Timestamp;
use mainspring::{
    Projection, Repository, Store,
    projection::{Projected, prepare},
    sqlite::Views,
    store::MemoryStore,
};
use mainspring_shop::{
    Cents, CustomerId, Order, OrderId,
    order::OrderCommand,
    views::{DailyRevenue, OrderSummary, OrdersByCustomer},
};
use sqlx::{Row, SqlitePool};
use tempfile::TempDir;

const SOON: Duration = Duration::from_secs(30);

const ORDERS: &str = "SELECT concat_ws(' ', id, customer, units, cents, ifnull(promotion, '-'), status, placed_on,
    ifnull(paid_on, '-'), ifnull(shipped_on, '-'), ifnull(cancelled_on, '-'), refund) FROM orders ORDER BY id";
const CUSTOMERS: &str =
    "SELECT concat_ws(' ', customer, orders, units, cents, cancelled, refunded) FROM customers ORDER BY customer";
const DAYS: &str = "SELECT concat_ws(' ', day, orders, cents) FROM days ORDER BY day";

/// Two customers; one order is shipped, one cancelled before and one after its payment, one is free. Where a read model is
/// given, each command waits for it, so that each event comes in a batch of its own.
async fn history<P: Projection>(store: &Store, watched: Option<&Projected<P>>) {
    let orders = Repository::<Order>::new(store);
    let place = |customer, cents| OrderCommand::Place {
        customer: CustomerId(customer),
        units: 2,
        cents: Cents(cents),
        promotion: (cents == 0).then(|| "birthday".to_owned()),
    };
    let pay = |cents| OrderCommand::ConfirmPayment { payment: "p".to_owned(), cents: Cents(cents) };
    let cancel = || OrderCommand::Cancel { reason: "late".to_owned() };
    for (day, number, command) in [
        ("1997-01-01", 1, place(7, 500)),
        ("1997-01-01", 2, place(7, 300)),
        ("1997-01-01", 3, place(8, 70)),
        ("1997-01-01", 1, pay(500)),
        ("1997-01-02", 2, pay(300)),
        ("1997-01-02", 4, place(8, 0)),
        ("1997-01-02", 3, cancel()),
        ("1997-01-03", 1, OrderCommand::Ship),
        ("1997-01-03", 4, OrderCommand::Ship),
        ("1997-01-04", 2, cancel()),
    ] {
        let time: Timestamp = format!("{day}T23:59:59Z").parse().unwrap();
        let receipt = orders.handle(&OrderId(number), command).at(time).await.unwrap();
        if let Some(watched) = watched {
            watched.read_after(receipt.position, SOON).await.unwrap();
        }
    }
}

/// The rows of a read model that saw the events one by one, or all at once.
async fn rows<P: Projection<View = Views>>(projection: P, live: bool, query: &'static str) -> Vec<String> {
    let (store, directory) = (Store::new(MemoryStore::new()), TempDir::new().unwrap());
    if !live {
        history::<P>(&store, None).await;
    }
    let views = Views::open(directory.path()).await.unwrap();
    let (projected, runner) = prepare(projection, views, store.clone()).await.unwrap();
    let running = tokio::spawn(runner.run(std::future::pending()));
    if live {
        history(&store, Some(&projected)).await;
    }
    let head = store.info().await.unwrap().head;
    let db: SqlitePool = projected.read_after(head, SOON).await.unwrap();
    let rows = sqlx::query(query).fetch_all(&db).await.unwrap();
    running.abort();
    rows.iter().map(|row| row.get(0)).collect()
}

async fn check<P: Projection<View = Views>>(projection: fn() -> P, query: &'static str, expected: &[&str]) {
    assert_eq!(rows(projection(), true, query).await, expected, "one by one");
    assert_eq!(rows(projection(), false, query).await, expected, "all at once");
}

#[tokio::test]
async fn the_order_summary() {
    let expected = [
        "000001 7 2 500 - shipped 1997-01-01 1997-01-01 1997-01-03 - 0",
        "000002 7 2 300 - cancelled 1997-01-01 1997-01-02 - 1997-01-04 300",
        "000003 8 2 70 - cancelled 1997-01-01 - - 1997-01-02 0",
        "000004 8 2 0 birthday shipped 1997-01-02 - 1997-01-03 - 0",
    ];
    check(|| OrderSummary, ORDERS, &expected).await;
}

#[tokio::test]
async fn the_orders_by_customer() {
    check(|| OrdersByCustomer, CUSTOMERS, &["7 2 4 800 1 300", "8 2 4 70 1 0"]).await;
}

#[tokio::test]
async fn the_daily_revenue_is_money_that_came_in() {
    check(|| DailyRevenue, DAYS, &["1997-01-01 3 500", "1997-01-02 1 300", "1997-01-04 0 -300"]).await;
}
