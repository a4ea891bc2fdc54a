//! What the derives promise: three shapes of event, tags, names, versions and upcasts.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking, as the test does")]

use std::sync::Arc;

use mainspring_event::{
    DecodeError, Event, EventBuffer, EventId, EventRef, EventType, MetadataRef, NameError, Position, Recorded, Tagged,
    Tags, Version,
};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
#[event(crate = mainspring_event)]
enum OrderEvent {
    #[event(version = 3, upcast = OrderPlacedV1, upcast = OrderPlacedV2)]
    OrderPlaced {
        #[tag]
        customer: u64,
        #[tag("voucher")]
        code: Option<String>,
        units: u32,
    },
    #[event(name = "OrderPaid")]
    Paid {
        payment: String,
    },
    OrderShipped,
}

#[derive(Serialize, Deserialize, Event)]
#[event(crate = mainspring_event, name = "OrderPlaced", version = 1)]
struct OrderPlacedV1 {
    customer: u64,
}

#[derive(Serialize, Deserialize, Event)]
#[event(crate = mainspring_event, name = "OrderPlaced", version = 2)]
struct OrderPlacedV2 {
    customer: String,
    units: u32,
}

impl From<OrderPlacedV1> for OrderEvent {
    fn from(old: OrderPlacedV1) -> Self {
        Self::OrderPlaced { customer: old.customer, code: None, units: 1 }
    }
}

impl TryFrom<OrderPlacedV2> for OrderEvent {
    type Error = std::num::ParseIntError;

    fn try_from(old: OrderPlacedV2) -> Result<Self, Self::Error> {
        Ok(Self::OrderPlaced { customer: old.customer.parse()?, code: None, units: old.units })
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
#[event(crate = mainspring_event)]
struct CourseOpened {
    #[tag]
    course: String,
    seats: u32,
}

#[derive(Debug, Clone, PartialEq, Event)]
#[event(crate = mainspring_event, version = 2)]
struct TermEnded;

/// A view: no serde.
#[derive(Debug, Clone, PartialEq, Event)]
#[event(crate = mainspring_event)]
enum Fact {
    Order(OrderEvent),
    Opened(CourseOpened),
    Ended(TermEnded),
    Closed,
}

fn decode<E: Event>(name: &str, version: u32, payload: &str) -> Result<E, DecodeError> {
    E::decode(name, version, "application/json", payload.as_bytes())
}

fn roundtrip<E: Event + PartialEq + std::fmt::Debug>(event: &E, expected: &str) {
    let payload = event.encode().unwrap();
    assert_eq!(payload.bytes, expected);
    let event_type = event.event_type();
    assert_eq!(&decode::<E>(event_type.name, event_type.version, expected).unwrap(), event);
}

fn tags_of(event: &impl Event) -> Vec<String> {
    event.tags().unwrap().iter().map(ToString::to_string).collect()
}

#[test]
fn an_enum_owns_its_struct_and_unit_variants() {
    let placed = EventType { name: "OrderPlaced", version: 3, tags: &["customer", "voucher"] };
    let paid = EventType { name: "OrderPaid", version: 1, tags: &[] };
    let shipped = EventType { name: "OrderShipped", version: 1, tags: &[] };
    assert_eq!(OrderEvent::TYPES, [placed, paid, shipped]);
    assert_eq!(OrderEvent::OrderShipped.event_type(), &shipped);
    let event = OrderEvent::OrderPlaced { customer: 7, code: Some("x:y".into()), units: 2 };
    assert_eq!(event.event_type(), &placed);
    roundtrip(&event, r#"{"customer":7,"code":"x:y","units":2}"#);
    roundtrip(&OrderEvent::Paid { payment: "p".into() }, r#"{"payment":"p"}"#);
    roundtrip(&OrderEvent::OrderShipped, "{}");
}

#[test]
fn a_struct_is_one_type() {
    assert_eq!(CourseOpened::TYPES, [EventType { name: "CourseOpened", version: 1, tags: &["course"] }]);
    roundtrip(&CourseOpened { course: "rust".into(), seats: 3 }, r#"{"course":"rust","seats":3}"#);
    assert_eq!(TermEnded::TYPES, [EventType { name: "TermEnded", version: 2, tags: &[] }]);
    roundtrip(&TermEnded, "{}");
}

#[test]
fn a_view_is_the_sum_of_the_events_it_holds() {
    let names: Vec<_> = Fact::TYPES.iter().map(|known| (known.name, known.version)).collect();
    let expected = [
        ("OrderPlaced", 3),
        ("OrderPaid", 1),
        ("OrderShipped", 1),
        ("CourseOpened", 1),
        ("TermEnded", 2),
        ("Closed", 1),
    ];
    assert_eq!(names, expected);
    let fact = Fact::from(CourseOpened { course: "rust".into(), seats: 3 });
    assert_eq!((fact.event_type().name, tags_of(&fact)), ("CourseOpened", vec!["course:rust".to_owned()]));
    roundtrip(&fact, r#"{"course":"rust","seats":3}"#);
    roundtrip(&Fact::Closed, "{}");
    let old: Fact = decode("OrderPlaced", 1, r#"{"customer":7}"#).unwrap();
    assert_eq!(old, OrderEvent::OrderPlaced { customer: 7, code: None, units: 1 }.into());
}

#[test]
fn an_absent_option_is_no_tag() {
    let with = OrderEvent::OrderPlaced { customer: 7, code: Some("abc".into()), units: 1 };
    assert_eq!(tags_of(&with), ["customer:7", "voucher:abc"]);
    let without = OrderEvent::OrderPlaced { customer: 7, code: None, units: 1 };
    assert_eq!(tags_of(&without), ["customer:7"]);
}

#[test]
fn a_tag_that_cannot_be_written_is_an_error() {
    let opened = CourseOpened { course: "a\nb".into(), seats: 1 };
    assert!(matches!(opened.tags(), Err(NameError::Character { found: '\n', .. })));
}

#[test]
fn an_old_version_goes_through_its_upcast() {
    let expected = |units| OrderEvent::OrderPlaced { customer: 7, code: None, units };
    assert_eq!(decode::<OrderEvent>("OrderPlaced", 1, r#"{"customer":7}"#).unwrap(), expected(1));
    assert_eq!(decode::<OrderEvent>("OrderPlaced", 2, r#"{"customer":"7","units":4}"#).unwrap(), expected(4));
    let failed = decode::<OrderEvent>("OrderPlaced", 2, r#"{"customer":"ada","units":4}"#).unwrap_err();
    assert!(matches!(&failed, DecodeError::Upcast { version: 2, .. }));
    assert_eq!(failed.to_string(), "OrderPlaced version 2 cannot be brought up to date");
    assert_eq!(std::error::Error::source(&failed).unwrap().to_string(), "invalid digit found in string");
}

/// `V3 <- V2 <- V1`: each shape knows only the one before it.
#[derive(Debug, PartialEq, Serialize, Deserialize, Event)]
#[event(crate = mainspring_event, name = "Moved", version = 3, upcast = MovedV2)]
struct Moved {
    #[serde(default)]
    floor: u8,
    to: String,
}

#[derive(Serialize, Deserialize, Event)]
#[event(crate = mainspring_event, name = "Moved", version = 2, upcast = MovedV1)]
struct MovedV2 {
    street: String,
    house: u32,
}

#[derive(Serialize, Deserialize, Event)]
#[event(crate = mainspring_event, name = "Moved")]
struct MovedV1 {
    street: String,
}

impl From<MovedV1> for MovedV2 {
    fn from(old: MovedV1) -> Self {
        Self { street: old.street, house: 1 }
    }
}

impl From<MovedV2> for Moved {
    fn from(old: MovedV2) -> Self {
        Self { floor: 0, to: format!("{} {}", old.street, old.house) }
    }
}

#[test]
fn upcasts_chain() {
    let moved = |to: &str| Moved { floor: 0, to: to.into() };
    assert_eq!(decode::<Moved>("Moved", 1, r#"{"street":"High"}"#).unwrap(), moved("High 1"));
    assert_eq!(decode::<Moved>("Moved", 2, r#"{"street":"High","house":9}"#).unwrap(), moved("High 9"));
    assert_eq!(decode::<Moved>("Moved", 3, r#"{"to":"High 9"}"#).unwrap(), moved("High 9"));
}

#[test]
fn what_cannot_be_read_says_why() {
    let check = |name: &str, version, content_type: &str, payload: &str, expected: &str| {
        let error = Fact::decode(name, version, content_type, payload.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), expected);
        error
    };
    let json = "application/json";
    check(
        "Nope",
        1,
        json,
        "{}",
        "no event type here is called `Nope`: add a variant for it, or leave it out of what is read",
    );
    let message = "CourseOpened has version 2 but this program knows versions up to 1: run a newer program";
    assert!(matches!(check("CourseOpened", 2, json, "{}", message), DecodeError::FromTheFuture { known: 1, .. }));
    let message = "TermEnded has version 3 but this program knows versions up to 2: run a newer program";
    check("TermEnded", 3, json, "{}", message);
    let message = "OrderPaid version 1 is stored as `image/png`, which is not JSON: implement `Event` for it by hand";
    check("OrderPaid", 1, "image/png", "", message);
    let message = "OrderPaid version 1 does not have the shape of its type (the current version is 1)";
    for wrong in ["", "null", "{}", "17", r#"{"payment":1}"#, r#"{"payment":"p"} x"#, r#"{"payment":"p""#] {
        assert!(matches!(check("OrderPaid", 1, json, wrong, message), DecodeError::Malformed { .. }), "{wrong}");
    }
    for wrong in ["", "null", "[]", "{", "{} {}", "\"OrderShipped\""] {
        assert!(decode::<OrderEvent>("OrderShipped", 1, wrong).is_err(), "{wrong}");
        assert!(decode::<TermEnded>("TermEnded", 2, wrong).is_err(), "{wrong}");
    }
}

#[test]
fn fields_that_are_not_known_are_passed_over() {
    assert_eq!(
        decode::<OrderEvent>("OrderShipped", 1, r#"{"carrier":{"name":"x"}}"#).unwrap(),
        OrderEvent::OrderShipped
    );
    let paid = OrderEvent::Paid { payment: "p".into() };
    assert_eq!(decode::<OrderEvent>("OrderPaid", 1, r#" {"note":[1,2],"payment":"p"} "#).unwrap(), paid);
    assert!(Fact::decode("OrderPaid", 1, "application/vnd.shop+json; charset=utf-8", br#"{"payment":"p"}"#).is_ok());
}

#[derive(Tagged)]
#[event(crate = mainspring_event)]
enum Command<'a, T: std::fmt::Display> {
    Transfer {
        #[tag("account")]
        from: &'a str,
        #[tag("account")]
        to: T,
    },
    Close {
        #[tag]
        account: u8,
        #[tag]
        r#type: Option<u8>,
    },
    Sweep(#[allow(dead_code)] u8),
    Stop,
}

#[test]
fn a_command_has_the_tags_of_its_variant() {
    assert_eq!(Command::<u8>::KEYS, ["account", "type"]);
    let text = |command: Command<'_, u8>| command.tags().unwrap().iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(text(Command::Transfer { from: "a", to: 2 }), ["account:a", "account:2"]);
    assert_eq!(text(Command::Close { account: 1, r#type: Some(2) }), ["account:1", "type:2"]);
    assert_eq!(text(Command::Close { account: 1, r#type: None }), ["account:1"]);
    assert!(text(Command::Sweep(1)).is_empty() && text(Command::Stop).is_empty());
}

struct OneEvent;

impl EventBuffer for OneEvent {
    fn len(&self) -> usize {
        1
    }

    fn get(&self, _: usize) -> EventRef<'_> {
        EventRef {
            id: EventId::from_bytes([7; 16]),
            stream: "order-17",
            event_type: "OrderPlaced",
            schema_version: 1,
            time: jiff::Timestamp::UNIX_EPOCH,
            source: "test",
            content_type: "application/json",
            tags: Tags::owned(&[]),
            metadata: MetadataRef::new(&[]),
            payload: br#"{"customer":7}"#,
            version: Version(1),
            position: Position(1),
            recorded: jiff::Timestamp::UNIX_EPOCH,
        }
    }
}

#[test]
fn a_stored_event_decodes_with_its_envelope() {
    let batch: Arc<dyn EventBuffer> = Arc::new(OneEvent);
    let recorded = Recorded::<Fact>::decode(&batch, 0).unwrap();
    assert_eq!(recorded.event, OrderEvent::OrderPlaced { customer: 7, code: None, units: 1 }.into());
    assert_eq!((recorded.key(), recorded.position()), ("17", Position(1)));
    assert!(matches!(Recorded::<CourseOpened>::decode(&batch, 0), Err(DecodeError::UnknownType { .. })));
}
