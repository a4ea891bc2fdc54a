//! The same figures once more, as the read models have them.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use jiff::civil::Date;
use sqlx::Row;

use super::{
    books::{Account, Books, Day, Line},
    shop::Shop,
};
use crate::{Cents, CustomerId};

/// Orders from the order summary, customers from the orders by customer, days from the daily revenue.
pub(super) async fn books(shop: &Shop) -> Result<Books> {
    let [summary, customers, revenue] = shop.readers();
    let mut books = Books::default();
    for row in
        sqlx::query("SELECT id, customer, units, cents, placed_on, status FROM orders").fetch_all(&summary).await?
    {
        let line = Line {
            customer: CustomerId(row.try_get(1)?),
            units: row.try_get(2)?,
            cents: Cents(row.try_get(3)?),
            placed_on: date(row.try_get(4)?)?,
            status: row.try_get(5)?,
        };
        books.orders.insert(row.try_get(0)?, line);
    }
    for row in sqlx::query("SELECT customer, orders, units, cents FROM customers").fetch_all(&customers).await? {
        let account = Account {
            orders: unsigned(row.try_get(1)?)?,
            units: unsigned(row.try_get(2)?)?,
            cents: Cents(row.try_get(3)?),
        };
        books.customers.insert(CustomerId(row.try_get(0)?), account);
    }
    books.days = days(&revenue).await?;
    Ok(books)
}

async fn days(revenue: &sqlx::SqlitePool) -> Result<BTreeMap<Date, Day>> {
    let mut days = BTreeMap::new();
    for row in sqlx::query("SELECT day, orders, cents FROM days").fetch_all(revenue).await? {
        let day = Day { orders: unsigned(row.try_get(1)?)?, cents: Cents(row.try_get(2)?) };
        days.insert(date(row.try_get(0)?)?, day);
    }
    Ok(days)
}

fn date(text: &str) -> Result<Date> {
    text.parse().with_context(|| format!("`{text}` in a read model is not a date"))
}

fn unsigned(count: i64) -> Result<u64> {
    count.try_into().with_context(|| format!("{count} in a read model is not a count"))
}
