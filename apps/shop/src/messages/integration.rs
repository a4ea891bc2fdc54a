//! The contract with other services: what they hear of orders, and how it is made of what the shop knows.

use jiff::civil::Date;
use mainspring::Event;
use serde::{Deserialize, Serialize};

use crate::{
    Cents, CustomerId, OrderId,
    order::{OrderCancelled, OrderEvent, OrderPlaced, PaymentConfirmed},
};

/// The routing keys of what is published.
pub(super) const CONFIRMED: &str = "order.confirmed";
pub(super) const WITHDRAWN: &str = "order.withdrawn";

/// Everything that other services hear.
#[derive(Clone, Debug, PartialEq, Eq, Event)]
pub enum ShopEvent {
    /// An order is certain.
    Confirmed(OrderConfirmed),
    /// An order is off.
    Withdrawn(OrderWithdrawn),
}

/// An order is certain: its payment arrived, or it is free of charge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Event)]
pub struct OrderConfirmed {
    /// Which order.
    pub order: OrderId,
    /// Whose.
    pub customer: CustomerId,
    /// What was paid.
    pub cents: Cents,
    /// The day of the shop on which that was.
    pub day: Date,
}

/// An order was called off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Event)]
pub struct OrderWithdrawn {
    /// Which order.
    pub order: OrderId,
    /// Whose.
    pub customer: CustomerId,
    /// What is paid back; nothing when it had not been confirmed.
    pub refund: Cents,
    /// The day of the shop on which that was.
    pub day: Date,
}

impl ShopEvent {
    /// What others hear of what happened to an order, if anything.
    pub fn of(order: OrderId, day: Date, event: &OrderEvent) -> Option<Self> {
        let confirmed = |customer, cents| Self::Confirmed(OrderConfirmed { order, customer, cents, day });
        Some(match *event {
            OrderEvent::Placed(OrderPlaced { customer, cents: Cents::ZERO, .. }) => confirmed(customer, Cents::ZERO),
            // Of no interest to others: it waits for its payment, or it was heard of before.
            OrderEvent::Placed(_) | OrderEvent::Shipped(_) => return None,
            OrderEvent::Paid(PaymentConfirmed { customer, cents, .. }) => confirmed(customer, cents),
            OrderEvent::Cancelled(OrderCancelled { customer, refund, .. }) => {
                Self::Withdrawn(OrderWithdrawn { order, customer, refund, day })
            }
        })
    }

    /// The order that it is about.
    pub fn order(&self) -> OrderId {
        match self {
            Self::Confirmed(OrderConfirmed { order, .. }) | Self::Withdrawn(OrderWithdrawn { order, .. }) => *order,
        }
    }

    /// The words by which groups choose.
    pub fn routing_key(&self) -> &'static str {
        match self {
            Self::Confirmed(_) => CONFIRMED,
            Self::Withdrawn(_) => WITHDRAWN,
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::order::OrderShipped;

    #[track_caller]
    fn check(event: impl Into<OrderEvent>, routing_key: Option<&str>) {
        let heard = ShopEvent::of(OrderId(17), date(1997, 1, 1), &event.into());
        assert_eq!(heard.as_ref().map(ShopEvent::routing_key), routing_key);
        assert!(heard.is_none_or(|heard| heard.order() == OrderId(17)));
    }

    #[test]
    fn others_hear_of_orders_that_are_certain() {
        let customer = CustomerId(7);
        let placed = |cents| OrderPlaced { customer, units: 1, cents, promotion: None };
        check(placed(Cents(5)), None);
        check(placed(Cents::ZERO), Some("order.confirmed"));
        check(PaymentConfirmed { customer, payment: "p".to_owned(), cents: Cents(5) }, Some("order.confirmed"));
        check(OrderShipped { customer }, None);
        check(OrderCancelled { customer, reason: "x".to_owned(), refund: Cents(5) }, Some("order.withdrawn"));
    }
}
