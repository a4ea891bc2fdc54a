//! One row for each day: how many orders were placed, and how much money came in.

use std::collections::BTreeMap;

use jiff::civil::Date;
use mainspring::{Event, Failure, Projection, Recorded, sqlite::Views};
use serde::Serialize;
use sqlx::SqliteConnection;

use super::{day, of_orders, write};
use crate::{
    Cents,
    order::{OrderCancelled, OrderPlaced, PaymentConfirmed},
};

/// The read model `daily_revenue`, with one table: `days (day, orders, cents)`.
///
/// `orders` are those placed on the day. `cents` is money: it counts on the day when a payment is confirmed, and what is
/// paid back is taken off on the day of the cancellation. Days are dates of the events' own time.
#[derive(Clone, Copy, Debug, Default)]
pub struct DailyRevenue;

/// What [`DailyRevenue`] needs to know of orders.
#[derive(Event)]
pub enum Takings {
    /// An order came in.
    Placed(OrderPlaced),
    /// Money came in.
    Paid(PaymentConfirmed),
    /// Money may have been paid back.
    Cancelled(OrderCancelled),
}

/// What a batch adds to the row of a day, as the statement takes it.
#[derive(Default, Serialize)]
struct Added {
    orders: u64,
    cents: Cents,
}

const ADD: &str = "
    INSERT INTO days (day, orders, cents)
    SELECT value ->> 0, value ->> '$[1].orders', value ->> '$[1].cents' FROM json_each(?1) WHERE true
    ON CONFLICT (day) DO UPDATE SET orders = orders + excluded.orders, cents = cents + excluded.cents";

impl Projection for DailyRevenue {
    const NAME: &'static str = "daily_revenue";
    const VERSION: u32 = 1;
    type View = Views;
    type Event = Takings;

    async fn create(&self, db: &mut SqliteConnection) -> Result<(), Failure> {
        let create = "CREATE TABLE days (day TEXT PRIMARY KEY, orders INTEGER NOT NULL, cents INTEGER NOT NULL)
                      STRICT, WITHOUT ROWID";
        sqlx::query(create).execute(db).await?;
        Ok(())
    }

    async fn apply(&self, db: &mut SqliteConnection, event: &Recorded<Takings>) -> Result<(), Failure> {
        self.apply_batch(db, std::slice::from_ref(event)).await
    }

    async fn apply_batch(&self, db: &mut SqliteConnection, events: &[Recorded<Takings>]) -> Result<(), Failure> {
        let mut days = BTreeMap::<Date, Added>::new();
        for recorded in of_orders(events) {
            let added = days.entry(day(recorded.time())).or_default();
            let cents = match &recorded.event {
                Takings::Placed(_) => {
                    added.orders += 1;
                    Some(added.cents)
                }
                Takings::Paid(paid) => added.cents.checked_add(paid.cents),
                Takings::Cancelled(cancelled) => added.cents.checked_sub(cancelled.refund),
            };
            added.cents = cents.ok_or("a day's money cannot be counted")?;
        }
        write(db, ADD, &days.into_iter().collect::<Vec<_>>()).await
    }
}
