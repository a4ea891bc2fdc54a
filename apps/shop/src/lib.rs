//! A CD shop on Mainspring: what an application with events looks like, and a demo with real data that has to add up.
//!
//! - [`order`]: an order and its rules, a pure [`Order`] that needs no database to be tested.
//! - [`views`]: the read models *order summary*, *orders by customer* and *daily revenue*.
//! - [`data`]: 69,659 purchases of 1997 and 1998, and how such a file is read.
//! - [`messages`]: what other services hear of orders: mails, figures by day, an audit trail.
//! - [`demo`]: makes every purchase an order, and reconciles input, events and read models to the cent.
//! - [`load_state`] and [`projections`]: looking at a shop from outside while it works.
//!
//! ```
//! use mainspring::testing::given;
//! use mainspring_shop::{
//!     Cents, CustomerId, Order,
//!     order::{OrderCommand, OrderError, OrderPlaced, OrderShipped, PaymentConfirmed},
//! };
//!
//! let customer = CustomerId(7);
//! let placed = OrderPlaced { customer, units: 2, cents: Cents(3_998), promotion: None };
//! let paid = PaymentConfirmed { customer, payment: "p-1".into(), cents: Cents(3_998) };
//!
//! given::<Order>([placed.clone().into()]).when(OrderCommand::Ship).then_rejected(OrderError::Unpaid { due: Cents(3_998) });
//! given::<Order>([placed.into(), paid.into()]).when(OrderCommand::Ship).then([OrderShipped { customer }]);
//! ```
//!
//! The shop sells for US dollars only, and its days are days in UTC.

mod cents;
pub mod data;
pub mod demo;
pub mod messages;
pub mod order;
pub mod projections;
mod state;
pub mod views;

pub use cents::{Cents, ParseCentsError};
pub use order::{CustomerId, Order, OrderId};
pub use state::load_state;
