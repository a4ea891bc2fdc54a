//! The figures that have to agree, in one shape whatever they were computed from.

use std::collections::BTreeMap;

use anyhow::Result;
use jiff::civil::Date;

use super::total;
use crate::{Cents, CustomerId, data::Purchase, order::Status};

/// What a shop's orders come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Books {
    pub(super) orders: BTreeMap<String, Line>,
    pub(super) customers: BTreeMap<CustomerId, Account>,
    pub(super) days: BTreeMap<Date, Day>,
}

/// One order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) customer: CustomerId,
    pub(super) units: u32,
    pub(super) cents: Cents,
    pub(super) placed_on: Date,
    pub(super) status: String,
}

/// What one customer has ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) orders: u64,
    pub(super) units: u64,
    pub(super) cents: Cents,
}

/// The orders placed on one day, and the money that came in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Day {
    pub(super) orders: u64,
    pub(super) cents: Cents,
}

impl Books {
    /// The books of these orders, when so much came in on these days.
    pub(super) fn new(orders: BTreeMap<String, Line>, days: BTreeMap<Date, Day>) -> Result<Self> {
        let mut customers = BTreeMap::<_, Account>::new();
        for line in orders.values() {
            let account = customers.entry(line.customer).or_default();
            account.orders += 1;
            account.units += u64::from(line.units);
            account.cents = total(account.cents.checked_add(line.cents))?;
        }
        Ok(Self { orders, customers, days })
    }

    /// The books as they are when each purchase is an order that was paid on its day and shipped.
    pub(super) fn of_purchases(purchases: &[&Purchase]) -> Result<Self> {
        let (mut orders, mut days) = (BTreeMap::new(), BTreeMap::<_, Day>::new());
        for purchase in purchases {
            let Purchase { order, customer, date, units, cents, .. } = **purchase;
            let day = days.entry(date).or_default();
            day.orders += 1;
            day.cents = total(day.cents.checked_add(cents))?;
            let status = Status::Shipped.as_str().to_owned();
            orders.insert(order.to_string(), Line { customer, units, cents, placed_on: date, status });
        }
        Self::new(orders, days)
    }

    /// All CDs of all orders.
    pub(super) fn units(&self) -> Option<i64> {
        self.orders.values().try_fold(0_i64, |sum, line| sum.checked_add(i64::from(line.units)))
    }

    /// All money of all days.
    pub(super) fn revenue(&self) -> Option<Cents> {
        self.days.values().try_fold(Cents::ZERO, |sum, day| sum.checked_add(day.cents))
    }

    /// On how many days orders were placed.
    pub(super) fn trading_days(&self) -> usize {
        self.days.values().filter(|day| day.orders > 0).count()
    }
}
