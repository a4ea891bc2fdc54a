//! An order and its rules, as two pure functions.
//!
//! - An order has at least one CD. Its price is never less than zero. It may be nothing only for a promotion with a name,
//!   and a promotion costs nothing: an order that is free by accident is refused.
//! - An order is paid once, at its full price. Confirming the same payment again changes nothing; another one is refused.
//!   An order that is free needs no payment, so one for it must be a mistake and is refused, too.
//! - It is shipped when it is paid, or free.
//! - It can be cancelled until it is shipped; what had been paid is paid back.
//! - A command that asks for what has happened already is accepted and changes nothing.

mod events;
mod id;

use mainspring::{Decider, Snapshot};
use serde::{Deserialize, Serialize};

use crate::Cents;

pub use events::{OrderCancelled, OrderEvent, OrderPlaced, OrderPlacedV1, OrderShipped, PaymentConfirmed};
pub use id::{CustomerId, OrderId};

/// What is known of an order. Before it was placed, everything is zero.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// How far it has come.
    pub status: Status,
    /// Who ordered.
    pub customer: CustomerId,
    /// How many CDs.
    pub units: u32,
    /// Its price.
    pub cents: Cents,
    /// Why it is free; `None` when it is not.
    pub promotion: Option<String>,
    /// The payment that was confirmed.
    pub payment: Option<String>,
    /// What was paid back.
    pub refund: Cents,
}

/// How far an order has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Nobody has placed it yet.
    #[default]
    New,
    /// It was placed, and waits for its payment or, when it is free, for the carrier.
    Placed,
    /// It is paid and waits for the carrier.
    Paid,
    /// It has left the house.
    Shipped,
    /// It was called off.
    Cancelled,
}

/// What can be asked of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderCommand {
    /// Place it.
    Place {
        /// Who orders.
        customer: CustomerId,
        /// How many CDs.
        units: u32,
        /// Its price.
        cents: Cents,
        /// Why it is free; `None` when it is not.
        promotion: Option<String>,
    },
    /// Take note of its payment.
    ConfirmPayment {
        /// What the payment service calls it.
        payment: String,
        /// How much arrived.
        cents: Cents,
    },
    /// Hand it to the carrier.
    Ship,
    /// Call it off.
    Cancel {
        /// Why.
        reason: String,
    },
}

/// Why an order refuses a command.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OrderError {
    /// An order without a CD.
    #[error("an order has at least one CD")]
    Empty,
    /// A price below zero.
    #[error("{cents} dollars are not a price")]
    Negative {
        /// What was asked for.
        cents: Cents,
    },
    /// A price of nothing that no promotion explains.
    #[error("an order is free only with the name of a promotion")]
    Unpriced,
    /// A promotion that costs something.
    #[error("an order of a promotion is free, this one costs {cents} dollars")]
    NotFree {
        /// What was asked for.
        cents: Cents,
    },
    /// It was placed before, with something else in it.
    #[error("the order was placed already, with something else in it")]
    PlacedOtherwise,
    /// Nobody has placed it.
    #[error("the order has not been placed")]
    NotPlaced,
    /// It is free.
    #[error("the order is free, so there is nothing to pay")]
    NothingToPay,
    /// Not its price.
    #[error("{due} dollars are due, {paid} arrived")]
    WrongAmount {
        /// Its price.
        due: Cents,
        /// What arrived.
        paid: Cents,
    },
    /// A payment without a name cannot be told from another one.
    #[error("a payment has a name")]
    UnnamedPayment,
    /// Another payment was confirmed before.
    #[error("the order was paid already, with payment `{payment}`")]
    PaidOtherwise {
        /// That other payment.
        payment: String,
    },
    /// It is not paid yet.
    #[error("{due} dollars are still due")]
    Unpaid {
        /// Its price.
        due: Cents,
    },
    /// It has left the house.
    #[error("the order was shipped already")]
    Shipped,
    /// It was called off.
    #[error("the order was cancelled")]
    Cancelled,
}

impl Order {
    /// Whether nothing is to be paid for it.
    pub fn is_free(&self) -> bool {
        self.promotion.is_some()
    }

    fn place(&self, placed: OrderPlaced) -> Result<Vec<OrderEvent>, OrderError> {
        let free = placed.promotion.as_ref().is_some_and(|name| !name.is_empty());
        match placed.cents {
            _ if self.status != Status::New && self.was_placed_as(&placed) => Ok(Vec::new()),
            _ if self.status != Status::New => Err(OrderError::PlacedOtherwise),
            _ if placed.units == 0 => Err(OrderError::Empty),
            cents if cents < Cents::ZERO => Err(OrderError::Negative { cents }),
            Cents::ZERO if !free => Err(OrderError::Unpriced),
            cents if cents > Cents::ZERO && placed.promotion.is_some() => Err(OrderError::NotFree { cents }),
            _ => Ok(vec![placed.into()]),
        }
    }

    fn was_placed_as(&self, placed: &OrderPlaced) -> bool {
        let OrderPlaced { customer, units, cents, promotion } = placed;
        (self.customer, self.units, self.cents) == (*customer, *units, *cents) && self.promotion == *promotion
    }

    fn confirm(&self, payment: String, cents: Cents) -> Result<Vec<OrderEvent>, OrderError> {
        match (self.status, &self.payment) {
            (Status::New, _) => Err(OrderError::NotPlaced),
            _ if self.is_free() => Err(OrderError::NothingToPay),
            _ if cents != self.cents => Err(OrderError::WrongAmount { due: self.cents, paid: cents }),
            (_, Some(known)) if *known == payment => Ok(Vec::new()),
            (Status::Cancelled, _) => Err(OrderError::Cancelled),
            (_, Some(known)) => Err(OrderError::PaidOtherwise { payment: known.clone() }),
            _ if payment.is_empty() => Err(OrderError::UnnamedPayment),
            _ => Ok(vec![PaymentConfirmed { customer: self.customer, payment, cents }.into()]),
        }
    }

    fn ship(&self) -> Result<Vec<OrderEvent>, OrderError> {
        match self.status {
            Status::New => Err(OrderError::NotPlaced),
            Status::Placed if !self.is_free() => Err(OrderError::Unpaid { due: self.cents }),
            Status::Placed | Status::Paid => Ok(vec![OrderShipped { customer: self.customer }.into()]),
            Status::Shipped => Ok(Vec::new()),
            Status::Cancelled => Err(OrderError::Cancelled),
        }
    }

    fn cancel(&self, reason: String) -> Result<Vec<OrderEvent>, OrderError> {
        let refund = match self.status {
            Status::New => return Err(OrderError::NotPlaced),
            Status::Placed => Cents::ZERO,
            Status::Paid => self.cents,
            Status::Shipped => return Err(OrderError::Shipped),
            Status::Cancelled => return Ok(Vec::new()),
        };
        Ok(vec![OrderCancelled { customer: self.customer, reason, refund }.into()])
    }
}

impl Decider for Order {
    const CATEGORY: &'static str = "order";
    type Id = OrderId;
    type Command = OrderCommand;
    type Event = OrderEvent;
    type Error = OrderError;

    fn evolve(&mut self, event: &OrderEvent) {
        match event {
            OrderEvent::Placed(OrderPlaced { customer, units, cents, promotion }) => {
                (self.status, self.customer, self.units, self.cents) = (Status::Placed, *customer, *units, *cents);
                self.promotion.clone_from(promotion);
            }
            OrderEvent::Paid(paid) => {
                self.status = Status::Paid;
                self.payment = Some(paid.payment.clone());
            }
            OrderEvent::Shipped(_) => self.status = Status::Shipped,
            OrderEvent::Cancelled(cancelled) => {
                self.status = Status::Cancelled;
                self.refund = cancelled.refund;
            }
        }
    }

    fn decide(&self, command: OrderCommand) -> Result<Vec<OrderEvent>, OrderError> {
        match command {
            OrderCommand::Place { customer, units, cents, promotion } => {
                self.place(OrderPlaced { customer, units, cents, promotion })
            }
            OrderCommand::ConfirmPayment { payment, cents } => self.confirm(payment, cents),
            OrderCommand::Ship => self.ship(),
            OrderCommand::Cancel { reason } => self.cancel(reason),
        }
    }
}

impl Snapshot for Order {
    const VERSION: u32 = 1;
}

impl Status {
    /// The word for it in read models and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Placed => "placed",
            Self::Paid => "paid",
            Self::Shipped => "shipped",
            Self::Cancelled => "cancelled",
        }
    }
}
