//! The read models of the shop, in SQLite. Each of them declares the events it needs and writes whole batches with one or
//! two statements, because handing a statement to SQLite costs more than a row.
//!
//! Event types belong to the whole store, so a projection may be shown an event of the same name that another part of a
//! business wrote. Whatever is not in a stream of an order is passed by.

mod daily_revenue;
mod order_summary;
mod orders_by_customer;

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use mainspring::{Decider, Failure, Recorded};
use serde::Serialize;
use sqlx::SqliteConnection;

use crate::Order;

pub use daily_revenue::{DailyRevenue, Takings};
pub use order_summary::OrderSummary;
pub use orders_by_customer::{Ordering, OrdersByCustomer};

/// The day of an event: the date of its own time in UTC, which is the shop's time zone.
pub fn day(time: Timestamp) -> Date {
    time.to_zoned(TimeZone::UTC).date()
}

/// The events of orders among these.
fn of_orders<E>(events: &[Recorded<E>]) -> impl Iterator<Item = &Recorded<E>> {
    events.iter().filter(|event| event.envelope().category() == Order::CATEGORY)
}

/// Runs a statement that takes its rows as one array of JSON; none without rows.
async fn write(db: &mut SqliteConnection, statement: &'static str, rows: &[impl Serialize]) -> Result<(), Failure> {
    if !rows.is_empty() {
        sqlx::query(statement).bind(serde_json::to_string(rows)?).execute(db).await?;
    }
    Ok(())
}
