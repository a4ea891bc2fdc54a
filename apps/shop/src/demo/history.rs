//! What has happened to all orders, replayed from their events alone.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result};
use futures_util::StreamExt;
use jiff::civil::Date;
use mainspring::{
    Decider, Event, Store,
    event::{Category, EventRef},
    store::{Query, Read},
};

use super::{
    books::{Books, Day, Line},
    messages::Heard,
    total,
};
use crate::{
    Cents, Order, OrderId,
    data::Purchase,
    messages::ShopEvent,
    order::{OrderEvent, Status},
    views::day,
};

/// Every order of a store, and the money of every day.
#[derive(Default)]
pub(super) struct History {
    orders: HashMap<String, Told>,
    days: BTreeMap<Date, Day>,
    /// What others have to hear of them.
    pub(super) heard: Heard,
    /// How many events were replayed.
    pub(super) events: u64,
}

/// One order as its events tell.
#[derive(Default)]
pub(super) struct Told {
    order: Order,
    placed_on: Date,
}

impl History {
    /// Reads the category of orders from its first event to its last.
    pub(super) async fn read(store: &Store) -> Result<Self> {
        let mut history = Self::default();
        let mut batches = store.read(Read::new(Query::category(Category::new(Order::CATEGORY)?)));
        while let Some(batch) = batches.next().await {
            for event in batch?.iter() {
                history.take(&event).with_context(|| {
                    format!("the event at position {} in stream `{}` cannot be replayed", event.position, event.stream)
                })?;
            }
        }
        Ok(history)
    }

    pub(super) fn order(&self, id: OrderId) -> Option<&Told> {
        self.orders.get(&id.to_string())
    }

    /// What the orders add up to.
    pub(super) fn books(self) -> Result<Books> {
        let lines = self.orders.into_iter().map(|(id, Told { order, placed_on })| {
            let Order { customer, units, cents, status, .. } = order;
            (id, Line { customer, units, cents, placed_on, status: status.as_str().to_owned() })
        });
        Books::new(lines.collect(), self.days)
    }

    fn take(&mut self, stored: &EventRef<'_>) -> Result<()> {
        let event = OrderEvent::decode(stored.event_type, stored.schema_version, stored.content_type, stored.payload)?;
        let on = day(stored.time);
        let money = match &event {
            OrderEvent::Paid(paid) => paid.cents,
            OrderEvent::Cancelled(cancelled) => total(Cents::ZERO.checked_sub(cancelled.refund))?,
            OrderEvent::Placed(_) | OrderEvent::Shipped(_) => Cents::ZERO,
        };
        let heard = OrderId::of_key(stored.key()).and_then(|order| ShopEvent::of(order, on, &event));
        if let Some(heard) = heard {
            self.heard.add(&heard)?;
        }
        let placed = matches!(event, OrderEvent::Placed(_));
        if placed || money != Cents::ZERO {
            let day = self.days.entry(on).or_default();
            day.orders += u64::from(placed);
            day.cents = total(day.cents.checked_add(money))?;
        }
        if !self.orders.contains_key(stored.key()) {
            self.orders.insert(stored.key().to_owned(), Told { placed_on: on, ..Told::default() });
        }
        if let Some(told) = self.orders.get_mut(stored.key()) {
            told.order.evolve(&event);
        }
        self.events += 1;
        Ok(())
    }
}

impl Told {
    /// How far the order has come.
    pub(super) fn status(&self) -> Status {
        self.order.status
    }

    /// Whether the order was placed for this purchase.
    pub(super) fn is_of(&self, purchase: &Purchase) -> bool {
        let Purchase { customer, units, cents, date, .. } = purchase;
        (self.order.customer, self.order.units, self.order.cents) == (*customer, *units, *cents)
            && self.placed_on == *date
    }
}
