//! One row for each order: what a customer sees of it.

use std::collections::BTreeMap;

use jiff::civil::Date;
use mainspring::{Failure, Projection, Recorded, sqlite::Views};
use serde::Serialize;
use sqlx::SqliteConnection;

use super::{day, of_orders, write};
use crate::{
    Cents, CustomerId,
    order::{OrderEvent, Status},
};

/// The read model `order_summary`, with one table:
/// `orders (id, customer, units, cents, promotion, status, placed_on, paid_on, shipped_on, cancelled_on, refund)`.
///
/// Days are dates of the events' own time.
#[derive(Clone, Copy, Debug, Default)]
pub struct OrderSummary;

/// What a batch says of one order.
#[derive(Default)]
struct Change<'a> {
    placed: Option<Placed<'a>>,
    status: Status,
    paid_on: Option<Date>,
    shipped_on: Option<Date>,
    cancelled_on: Option<Date>,
    refund: Cents,
}

struct Placed<'a> {
    customer: CustomerId,
    units: u32,
    cents: Cents,
    promotion: Option<&'a str>,
    on: Date,
}

/// What is written of a new order, as the statement takes it.
#[derive(Serialize)]
struct NewRow<'a>(&'a str, CustomerId, u32, Cents, Option<&'a str>, Date, Progress);

/// What is written of one that is known, as the statement takes it.
#[derive(Serialize)]
struct ChangedRow<'a>(&'a str, Progress);

/// The status, the days of payment, shipping and cancellation, and what was paid back.
#[derive(Serialize)]
struct Progress(&'static str, Option<Date>, Option<Date>, Option<Date>, Cents);

const INSERT: &str = "
    INSERT INTO orders
        (id, customer, units, cents, promotion, placed_on, status, paid_on, shipped_on, cancelled_on, refund)
    SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5,
        value ->> '$[6][0]', value ->> '$[6][1]', value ->> '$[6][2]', value ->> '$[6][3]', value ->> '$[6][4]'
    FROM json_each(?1)";

const UPDATE: &str = "
    UPDATE orders SET
        status = change.value ->> '$[1][0]',
        paid_on = coalesce(change.value ->> '$[1][1]', paid_on),
        shipped_on = coalesce(change.value ->> '$[1][2]', shipped_on),
        cancelled_on = coalesce(change.value ->> '$[1][3]', cancelled_on),
        refund = refund + (change.value ->> '$[1][4]')
    FROM json_each(?1) AS change WHERE orders.id = change.value ->> 0";

impl Projection for OrderSummary {
    const NAME: &'static str = "order_summary";
    const VERSION: u32 = 1;
    type View = Views;
    type Event = OrderEvent;

    async fn create(&self, db: &mut SqliteConnection) -> Result<(), Failure> {
        // Not `WITHOUT ROWID`: orders that are placed together stay together, and most changes are to recent ones, so a batch
        // touches few pages.
        let create = "CREATE TABLE orders (
            id TEXT PRIMARY KEY, customer INTEGER NOT NULL, units INTEGER NOT NULL, cents INTEGER NOT NULL,
            promotion TEXT, status TEXT NOT NULL, placed_on TEXT NOT NULL, paid_on TEXT, shipped_on TEXT,
            cancelled_on TEXT, refund INTEGER NOT NULL) STRICT";
        sqlx::query(create).execute(db).await?;
        Ok(())
    }

    async fn apply(&self, db: &mut SqliteConnection, event: &Recorded<OrderEvent>) -> Result<(), Failure> {
        self.apply_batch(db, std::slice::from_ref(event)).await
    }

    async fn apply_batch(&self, db: &mut SqliteConnection, events: &[Recorded<OrderEvent>]) -> Result<(), Failure> {
        let (mut placed, mut changed) = (Vec::new(), Vec::new());
        for (id, change) in changes(events) {
            let Change { placed: new, status, paid_on: paid, shipped_on: shipped, cancelled_on: cancelled, refund } =
                change;
            let progress = Progress(status.as_str(), paid, shipped, cancelled, refund);
            match new {
                Some(Placed { customer, units, cents, promotion, on }) => {
                    placed.push(NewRow(id, customer, units, cents, promotion, on, progress));
                }
                None => changed.push(ChangedRow(id, progress)),
            }
        }
        write(db, INSERT, &placed).await?;
        write(db, UPDATE, &changed).await
    }
}

/// What a batch says of each order, so that each row is written once.
fn changes(events: &[Recorded<OrderEvent>]) -> BTreeMap<&str, Change<'_>> {
    let mut changes = BTreeMap::new();
    for recorded in of_orders(events) {
        let change: &mut Change<'_> = changes.entry(recorded.key()).or_default();
        let on = day(recorded.time());
        match &recorded.event {
            OrderEvent::Placed(new) => {
                let promotion = new.promotion.as_deref();
                let placed = Placed { customer: new.customer, units: new.units, cents: new.cents, promotion, on };
                (change.placed, change.status) = (Some(placed), Status::Placed);
            }
            OrderEvent::Paid(_) => (change.paid_on, change.status) = (Some(on), Status::Paid),
            OrderEvent::Shipped(_) => (change.shipped_on, change.status) = (Some(on), Status::Shipped),
            OrderEvent::Cancelled(cancelled) => {
                (change.cancelled_on, change.status, change.refund) = (Some(on), Status::Cancelled, cancelled.refund);
            }
        }
    }
    changes
}
