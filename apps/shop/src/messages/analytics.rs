//! Figures by day: for each batch of messages and each day in it, one event says how much came in.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use futures_util::StreamExt;
use jiff::civil::Date;
use mainspring::{
    Commit, Event, Failure, Store,
    event::{Category, NewEvent, StreamName},
    messaging::Batch,
    store::{Append, Query, Read},
};
use serde::{Deserialize, Serialize};

use super::{OrderConfirmed, OrderWithdrawn};
use crate::Cents;

/// The category of the days.
const SALES: &str = "sales";

/// The confirmed orders of a day, and the money they brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sales {
    pub(crate) orders: u64,
    pub(crate) cents: Cents,
}

/// What came in on a day, in the stream of the day.
#[derive(Serialize, Deserialize, Event)]
struct SalesCounted {
    day: Date,
    sales: Sales,
}

/// What money depends on.
#[derive(Event)]
pub(super) enum Takings {
    Confirmed(OrderConfirmed),
    Withdrawn(OrderWithdrawn),
}

impl Sales {
    /// With more of it; `None` when that is too large.
    pub(crate) fn and(self, orders: u64, cents: Cents) -> Option<Self> {
        Some(Self { orders: self.orders.checked_add(orders)?, cents: self.cents.checked_add(cents)? })
    }
}

/// Adds up what was delivered. It is counted and acknowledged in one append, so each message counts once.
pub(super) async fn count(batch: Batch<Takings>, commit: Commit) -> Result<(), Failure> {
    let mut days = BTreeMap::<Date, Sales>::new();
    for taken in batch {
        let (day, orders, cents) = match taken.event {
            Takings::Confirmed(OrderConfirmed { day, cents, .. }) => (day, 1, cents),
            Takings::Withdrawn(OrderWithdrawn { day, refund, .. }) => (day, 0, Cents(-refund.0)),
        };
        let sales = days.entry(day).or_default();
        *sales = sales.and(orders, cents).ok_or("the money of a day is too much to be counted")?;
    }
    let mut counts = Append::default();
    for (day, sales) in days {
        let counted = SalesCounted { day, sales };
        let event_type = counted.event_type().name.parse()?;
        counts.events.push(NewEvent::json(StreamName::of(SALES, day)?, event_type, counted.encode()?.bytes));
    }
    Ok(commit.append(counts)?)
}

/// All days.
pub(crate) async fn sales(store: &Store) -> Result<BTreeMap<Date, Sales>> {
    let mut days = BTreeMap::<_, Sales>::new();
    let mut batches = store.read(Read::new(Query::category(Category::new(SALES)?)));
    while let Some(batch) = batches.next().await {
        for event in batch?.iter() {
            let counted =
                SalesCounted::decode(event.event_type, event.schema_version, event.content_type, event.payload);
            let SalesCounted { day, sales: Sales { orders, cents } } = counted?;
            let sales = days.entry(day).or_default();
            *sales = sales.and(orders, cents).context("the money of a day is too much to be counted")?;
        }
    }
    Ok(days)
}
