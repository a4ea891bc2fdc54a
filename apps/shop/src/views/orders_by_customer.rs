//! One row for each customer: what they have ordered so far.

use std::collections::BTreeMap;

use mainspring::{Event, Failure, Projection, Recorded, sqlite::Views};
use serde::Serialize;
use sqlx::SqliteConnection;

use super::{of_orders, write};
use crate::{
    Cents, CustomerId,
    order::{OrderCancelled, OrderPlaced},
};

/// The read model `orders_by_customer`, with one table: `customers (customer, orders, units, cents, cancelled, refunded)`.
///
/// `orders`, `units` and `cents` are what the customer has ordered, whatever became of it; `cancelled` says how many of
/// these orders were called off, and `refunded` what was paid back for them.
#[derive(Clone, Copy, Debug, Default)]
pub struct OrdersByCustomer;

/// What [`OrdersByCustomer`] needs to know of orders.
#[derive(Event)]
pub enum Ordering {
    /// A customer ordered.
    Placed(OrderPlaced),
    /// A customer, or the shop, called an order off.
    Cancelled(OrderCancelled),
}

/// What a batch adds to the row of a customer, as the statement takes it.
#[derive(Default, Serialize)]
struct Added {
    orders: u64,
    units: u64,
    cents: Cents,
    cancelled: u64,
    refunded: Cents,
}

const ADD: &str = "
    INSERT INTO customers (customer, orders, units, cents, cancelled, refunded)
    SELECT value ->> 0, value ->> '$[1].orders', value ->> '$[1].units', value ->> '$[1].cents',
        value ->> '$[1].cancelled', value ->> '$[1].refunded'
    FROM json_each(?1) WHERE true
    ON CONFLICT (customer) DO UPDATE SET
        orders = orders + excluded.orders, units = units + excluded.units, cents = cents + excluded.cents,
        cancelled = cancelled + excluded.cancelled, refunded = refunded + excluded.refunded";

impl Projection for OrdersByCustomer {
    const NAME: &'static str = "orders_by_customer";
    const VERSION: u32 = 1;
    type View = Views;
    type Event = Ordering;

    async fn create(&self, db: &mut SqliteConnection) -> Result<(), Failure> {
        let create = "CREATE TABLE customers (
            customer INTEGER PRIMARY KEY, orders INTEGER NOT NULL, units INTEGER NOT NULL, cents INTEGER NOT NULL,
            cancelled INTEGER NOT NULL, refunded INTEGER NOT NULL) STRICT";
        sqlx::query(create).execute(db).await?;
        Ok(())
    }

    async fn apply(&self, db: &mut SqliteConnection, event: &Recorded<Ordering>) -> Result<(), Failure> {
        self.apply_batch(db, std::slice::from_ref(event)).await
    }

    async fn apply_batch(&self, db: &mut SqliteConnection, events: &[Recorded<Ordering>]) -> Result<(), Failure> {
        let mut customers = BTreeMap::<CustomerId, Added>::new();
        for recorded in of_orders(events) {
            match &recorded.event {
                Ordering::Placed(placed) => {
                    let added = customers.entry(placed.customer).or_default();
                    added.orders += 1;
                    added.units += u64::from(placed.units);
                    added.cents = added.cents.checked_add(placed.cents).ok_or("a customer ordered for too much")?;
                }
                Ordering::Cancelled(cancelled) => {
                    let added = customers.entry(cancelled.customer).or_default();
                    added.cancelled += 1;
                    let refunded = added.refunded.checked_add(cancelled.refund);
                    added.refunded = refunded.ok_or("a customer was paid back too much")?;
                }
            }
        }
        write(db, ADD, &customers.into_iter().collect::<Vec<_>>()).await
    }
}
