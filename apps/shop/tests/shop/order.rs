//! The rules of an order, one after the other.

use mainspring::{Decider, testing::given};
use mainspring_shop::{
    Cents, CustomerId, Order,
    order::{
        OrderCancelled, OrderCommand, OrderError, OrderEvent, OrderPlaced, OrderShipped, PaymentConfirmed, Status,
    },
};

const CUSTOMER: CustomerId = CustomerId(7);
const PRICE: Cents = Cents(3_998);

fn place(units: u32, cents: i64, promotion: Option<&str>) -> OrderCommand {
    OrderCommand::Place { customer: CUSTOMER, units, cents: Cents(cents), promotion: promotion.map(str::to_owned) }
}

fn pay(payment: &str, cents: i64) -> OrderCommand {
    OrderCommand::ConfirmPayment { payment: payment.to_owned(), cents: Cents(cents) }
}

fn cancel() -> OrderCommand {
    OrderCommand::Cancel { reason: "changed my mind".to_owned() }
}

fn placed() -> OrderEvent {
    OrderPlaced { customer: CUSTOMER, units: 2, cents: PRICE, promotion: None }.into()
}

fn free() -> OrderEvent {
    OrderPlaced { customer: CUSTOMER, units: 1, cents: Cents::ZERO, promotion: Some("birthday".to_owned()) }.into()
}

fn paid() -> OrderEvent {
    PaymentConfirmed { customer: CUSTOMER, payment: "p-1".to_owned(), cents: PRICE }.into()
}

fn shipped() -> OrderEvent {
    OrderShipped { customer: CUSTOMER }.into()
}

fn cancelled(refund: Cents) -> OrderEvent {
    OrderCancelled { customer: CUSTOMER, reason: "changed my mind".to_owned(), refund }.into()
}

#[test]
fn an_order_is_placed() {
    given::<Order>([]).when(place(2, 3_998, None)).then([placed()]);
    given::<Order>([]).when(place(1, 0, Some("birthday"))).then([free()]);
}

#[test]
fn an_order_has_a_cd_and_a_price() {
    given::<Order>([]).when(place(0, 3_998, None)).then_rejected(OrderError::Empty);
    given::<Order>([]).when(place(1, -1, None)).then_rejected(OrderError::Negative { cents: Cents(-1) });
    given::<Order>([]).when(place(1, -1, Some("x"))).then_rejected(OrderError::Negative { cents: Cents(-1) });
}

#[test]
fn an_order_is_free_only_on_purpose() {
    given::<Order>([]).when(place(1, 0, None)).then_rejected(OrderError::Unpriced);
    given::<Order>([]).when(place(1, 0, Some(""))).then_rejected(OrderError::Unpriced);
    given::<Order>([]).when(place(1, 5, Some("birthday"))).then_rejected(OrderError::NotFree { cents: Cents(5) });
}

#[test]
fn an_order_is_placed_once() {
    given::<Order>([placed()]).when(place(2, 3_998, None)).then_nothing();
    given::<Order>([placed(), paid(), shipped()]).when(place(2, 3_998, None)).then_nothing();
    given::<Order>([placed()]).when(place(3, 3_998, None)).then_rejected(OrderError::PlacedOtherwise);
    given::<Order>([free()]).when(place(1, 0, Some("autumn"))).then_rejected(OrderError::PlacedOtherwise);
}

#[test]
fn an_order_is_paid_at_its_price() {
    given::<Order>([placed()]).when(pay("p-1", 3_998)).then([paid()]);
    let wrong = |paid| OrderError::WrongAmount { due: PRICE, paid: Cents(paid) };
    given::<Order>([placed()]).when(pay("p-1", 3_997)).then_rejected(wrong(3_997));
    given::<Order>([placed()]).when(pay("p-1", 3_999)).then_rejected(wrong(3_999));
    given::<Order>([placed()]).when(pay("", 3_998)).then_rejected(OrderError::UnnamedPayment);
    given::<Order>([]).when(pay("p-1", 3_998)).then_rejected(OrderError::NotPlaced);
}

#[test]
fn the_same_payment_may_be_confirmed_again() {
    given::<Order>([placed(), paid()]).when(pay("p-1", 3_998)).then_nothing();
    given::<Order>([placed(), paid(), shipped()]).when(pay("p-1", 3_998)).then_nothing();
    given::<Order>([placed(), paid(), cancelled(PRICE)]).when(pay("p-1", 3_998)).then_nothing();
    let other = OrderError::PaidOtherwise { payment: "p-1".to_owned() };
    given::<Order>([placed(), paid()]).when(pay("p-2", 3_998)).then_rejected(other);
    let wrong = OrderError::WrongAmount { due: PRICE, paid: Cents(1) };
    given::<Order>([placed(), paid()]).when(pay("p-1", 1)).then_rejected(wrong);
}

#[test]
fn a_free_order_takes_no_payment() {
    given::<Order>([free()]).when(pay("p-1", 0)).then_rejected(OrderError::NothingToPay);
    given::<Order>([free()]).when(OrderCommand::Ship).then([shipped()]);
}

#[test]
fn an_order_is_shipped_when_it_is_paid() {
    given::<Order>([]).when(OrderCommand::Ship).then_rejected(OrderError::NotPlaced);
    given::<Order>([placed()]).when(OrderCommand::Ship).then_rejected(OrderError::Unpaid { due: PRICE });
    given::<Order>([placed(), paid()]).when(OrderCommand::Ship).then([shipped()]);
    given::<Order>([placed(), paid(), shipped()]).when(OrderCommand::Ship).then_nothing();
}

#[test]
fn an_order_is_cancelled_until_it_is_shipped() {
    given::<Order>([]).when(cancel()).then_rejected(OrderError::NotPlaced);
    given::<Order>([placed()]).when(cancel()).then([cancelled(Cents::ZERO)]);
    given::<Order>([placed(), paid(), shipped()]).when(cancel()).then_rejected(OrderError::Shipped);
    given::<Order>([placed(), cancelled(Cents::ZERO)]).when(cancel()).then_nothing();
}

#[test]
fn what_was_paid_is_paid_back() {
    given::<Order>([placed(), paid()]).when(cancel()).then([cancelled(PRICE)]);
    let state = given::<Order>([placed(), paid(), cancelled(PRICE)]).state();
    assert_eq!((state.status, state.refund), (Status::Cancelled, PRICE));
}

#[test]
fn a_cancelled_order_is_over() {
    let history = || [placed(), cancelled(Cents::ZERO)];
    given::<Order>(history()).when(pay("p-1", 3_998)).then_rejected(OrderError::Cancelled);
    given::<Order>(history()).when(OrderCommand::Ship).then_rejected(OrderError::Cancelled);
    given::<Order>(history()).when(place(9, 9, None)).then_rejected(OrderError::PlacedOtherwise);
}

#[test]
fn the_state_is_what_happened() {
    let order = given::<Order>([placed(), paid()]).state();
    let expected = Order {
        status: Status::Paid,
        customer: CUSTOMER,
        units: 2,
        cents: PRICE,
        promotion: None,
        payment: Some("p-1".to_owned()),
        refund: Cents::ZERO,
    };
    assert_eq!(order, expected);
    let json = serde_json::to_string(&order).unwrap();
    assert_eq!(
        json,
        r#"{"status":"paid","customer":7,"units":2,"cents":3998,"promotion":null,"payment":"p-1","refund":0}"#
    );
    assert_eq!(serde_json::from_str::<Order>(&json).unwrap(), order);
}

#[test]
fn a_command_never_leaves_a_state_that_refuses_it_again() {
    let steps = [place(2, 3_998, None), pay("p-1", 3_998), OrderCommand::Ship];
    let mut order = Order::default();
    for step in steps {
        for event in order.decide(step.clone()).unwrap() {
            order.evolve(&event);
        }
        assert_eq!(order.decide(step), Ok(Vec::new()));
    }
    assert_eq!(order.status, Status::Shipped);
}
