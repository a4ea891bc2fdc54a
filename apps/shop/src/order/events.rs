//! What can happen to an order. Each event is a type of its own, so that every reader declares the ones it needs.

use mainspring::Event;
use serde::{Deserialize, Serialize};

use crate::{Cents, CustomerId};

/// Everything that can happen to an order. Every event carries the tag `customer:<number>`.
#[derive(Clone, Debug, PartialEq, Eq, Event)]
pub enum OrderEvent {
    /// It was placed.
    Placed(OrderPlaced),
    /// Its payment arrived.
    Paid(PaymentConfirmed),
    /// It left the house.
    Shipped(OrderShipped),
    /// It was called off.
    Cancelled(OrderCancelled),
}

/// A customer placed an order.
///
/// Version 2 says why an order is free of charge. Orders of version 1 with no price are taken for promotions whose name
/// is not known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Event)]
#[event(version = 2, upcast = OrderPlacedV1)]
pub struct OrderPlaced {
    /// Who ordered.
    #[tag]
    pub customer: CustomerId,
    /// How many CDs.
    pub units: u32,
    /// What is to be paid.
    pub cents: Cents,
    /// Why nothing is to be paid; `None` when something is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promotion: Option<String>,
}

/// The shape of [`OrderPlaced`] when the shop was young: it stays readable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Event)]
#[event(name = "OrderPlaced", version = 1)]
pub struct OrderPlacedV1 {
    /// Who ordered.
    #[tag]
    pub customer: CustomerId,
    /// How many CDs.
    pub units: u32,
    /// What is to be paid, which may be nothing.
    pub cents: Cents,
}

/// The payment of an order arrived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Event)]
pub struct PaymentConfirmed {
    /// Who had ordered.
    #[tag]
    pub customer: CustomerId,
    /// What the payment service calls it.
    pub payment: String,
    /// How much arrived.
    pub cents: Cents,
}

/// An order was handed to the carrier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Event)]
pub struct OrderShipped {
    /// Who had ordered.
    #[tag]
    pub customer: CustomerId,
}

/// An order was called off before it was shipped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Event)]
pub struct OrderCancelled {
    /// Who had ordered.
    #[tag]
    pub customer: CustomerId,
    /// Why.
    pub reason: String,
    /// What is paid back: all that had been paid.
    pub refund: Cents,
}

/// The promotion of orders without a price that were placed before promotions had names.
const UNNAMED_PROMOTION: &str = "not recorded";

impl From<OrderPlacedV1> for OrderPlaced {
    fn from(old: OrderPlacedV1) -> Self {
        let OrderPlacedV1 { customer, units, cents } = old;
        let promotion = (cents == Cents::ZERO).then(|| UNNAMED_PROMOTION.to_owned());
        Self { customer, units, cents, promotion }
    }
}

#[cfg(test)]
mod tests {
    use mainspring::{Event, event::DecodeError};

    use super::*;

    #[track_caller]
    fn check(version: u32, payload: &str, promotion: Option<&str>) {
        let read = OrderEvent::decode("OrderPlaced", version, "application/json", payload.as_bytes()).unwrap();
        let OrderEvent::Placed(placed) = read else { panic!("{read:?} is not what was stored") };
        assert_eq!(placed.promotion.as_deref(), promotion);
        assert_eq!(placed.customer, CustomerId(7));
    }

    #[test]
    fn orders_of_version_1_are_still_read() {
        check(1, r#"{"customer":7,"units":2,"cents":2354}"#, None);
        check(1, r#"{"customer":7,"units":2,"cents":0}"#, Some("not recorded"));
        check(2, r#"{"customer":7,"units":2,"cents":2354}"#, None);
        check(2, r#"{"customer":7,"units":2,"cents":0,"promotion":"birthday"}"#, Some("birthday"));
    }

    #[test]
    fn a_newer_version_is_not_guessed_at() {
        let read = OrderEvent::decode("OrderPlaced", 3, "application/json", b"{}");
        assert!(matches!(read, Err(DecodeError::FromTheFuture { version: 3, .. })), "{read:?}");
    }

    #[test]
    fn every_event_is_found_by_its_customer() {
        for event_type in OrderEvent::TYPES {
            assert_eq!(event_type.tags, ["customer"], "{}", event_type.name);
        }
    }
}
