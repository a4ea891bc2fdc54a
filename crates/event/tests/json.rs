//! The payload of a variant is its fields, whatever serde is told about them.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails by panicking, as the test does")]

use std::{borrow::Cow, collections::BTreeMap, fmt::Debug};

use mainspring_event::Event;
use proptest::prelude::*;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Payment {
    Card { last: u16 },
    Voucher(String),
    Cash,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Address {
    street: String,
    city: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Event, Serialize, Deserialize)]
#[event(crate = mainspring_event)]
#[serde(rename_all = "kebab-case", rename_all_fields = "camelCase")]
enum Shapes {
    #[serde(rename = "something else", alias = "old")]
    Renamed {
        unit_price: i128,
        #[serde(rename = "n")]
        number: u128,
        #[serde(alias = "former")]
        ratio: f64,
    },
    /// Held, so serde needs to know nothing of it; the numbers of the variants after it must still fit.
    #[serde(skip)]
    Held(Elsewhere),
    Optional {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        note: Option<String>,
        #[serde(default)]
        lines: Vec<(String, u32)>,
        nested: Option<Option<u8>>,
    },
    Nothing,
    EmptyBraces {},
    Nested {
        payment: Payment,
        by_day: BTreeMap<u8, Payment>,
        text: Cow<'static, str>,
        unit: (),
    },
    #[serde(rename_all = "SCREAMING_SNAKE_CASE")]
    Flattened {
        order_id: u64,
        #[serde(flatten)]
        address: Address,
        #[serde(flatten)]
        rest: BTreeMap<String, i64>,
    },
}

#[derive(Debug, Clone, PartialEq, Event)]
#[event(crate = mainspring_event)]
struct Elsewhere;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
#[event(crate = mainspring_event)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Strict {
    unit_price: i64,
}

fn check<E: Event + PartialEq + Debug>(event: &E, expected: &str) {
    let payload = event.encode().unwrap();
    assert_eq!(payload.bytes, expected);
    assert_eq!(&decode::<E>(event.event_type().name, expected), event);
}

fn decode<E: Event>(name: &str, payload: &str) -> E {
    E::decode(name, 1, "application/json", payload.as_bytes()).unwrap()
}

#[test]
fn renamed_fields_and_variants() {
    let event = Shapes::Renamed { unit_price: i128::MIN, number: u128::MAX, ratio: 0.1 };
    let expected = format!(r#"{{"unitPrice":{},"n":{},"ratio":0.1}}"#, i128::MIN, u128::MAX);
    check(&event, &expected);
    let aliased = r#"{"unitPrice":1,"n":2,"former":3.0}"#;
    assert_eq!(decode::<Shapes>("Renamed", aliased), Shapes::Renamed { unit_price: 1, number: 2, ratio: 3.0 });
    check(&Strict { unit_price: 3 }, r#"{"unitPrice":3}"#);
    assert!(Strict::decode("Strict", 1, "", br#"{"unitPrice":3,"more":1}"#).is_err());
}

#[test]
fn fields_that_may_be_absent() {
    check(&Shapes::Optional { note: None, lines: vec![], nested: None }, r#"{"lines":[],"nested":null}"#);
    let full =
        Shapes::Optional { note: Some("\u{2028}\"".into()), lines: vec![("a".into(), 1)], nested: Some(Some(1)) };
    check(&full, "{\"note\":\"\u{2028}\\\"\",\"lines\":[[\"a\",1]],\"nested\":1}");
    let least = Shapes::Optional { note: None, lines: vec![], nested: None };
    assert_eq!(decode::<Shapes>("Optional", r#"{"added":{"later":[1]}}"#), least);
}

#[test]
fn variants_without_fields() {
    check(&Shapes::Nothing, "{}");
    check(&Shapes::EmptyBraces {}, "{}");
    check(&Shapes::Held(Elsewhere), "{}");
}

#[test]
fn enums_within_variants_keep_their_own_form() {
    let event = Shapes::Nested {
        payment: Payment::Card { last: 1234 },
        by_day: BTreeMap::from([(1, Payment::Cash), (2, Payment::Voucher("v".into()))]),
        text: Cow::Borrowed("t"),
        unit: (),
    };
    check(
        &event,
        r#"{"payment":{"Card":{"last":1234}},"byDay":{"1":"Cash","2":{"Voucher":"v"}},"text":"t","unit":null}"#,
    );
}

#[test]
fn flattened_fields() {
    let address = Address { street: "High".into(), city: None };
    let event = Shapes::Flattened { order_id: 1, address, rest: BTreeMap::from([("x".to_owned(), -1)]) };
    check(&event, r#"{"ORDER_ID":1,"street":"High","city":null,"x":-1}"#);
}

#[test]
fn what_json_cannot_hold_is_an_encode_error() {
    #[derive(Debug, Serialize, Deserialize, Event)]
    #[event(crate = mainspring_event)]
    enum Bad {
        Keyed { by: BTreeMap<Option<u8>, u8> },
    }
    let error = Bad::Keyed { by: BTreeMap::from([(None, 1)]) }.encode().unwrap_err();
    assert_eq!(error.to_string(), "cannot encode an event of type Keyed");
}

/// The same fields as a variant and as a struct.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
#[event(crate = mainspring_event)]
enum AsVariant {
    Other,
    Fields { a: f64, b: String, c: Option<i64>, d: Vec<f32> },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Event)]
#[event(crate = mainspring_event, name = "Fields")]
struct AsStruct {
    a: f64,
    b: String,
    c: Option<i64>,
    d: Vec<f32>,
}

proptest! {
    #[test]
    fn a_variant_is_written_and_read_as_the_struct_of_its_fields(
        a in proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL | proptest::num::f64::ZERO,
        b in any::<String>(),
        c in any::<Option<i64>>(),
        d in proptest::collection::vec(proptest::num::f32::NORMAL, 0..4),
    ) {
        fn reread<E: Event + DeserializeOwned>(bytes: &[u8]) -> E {
            E::decode("Fields", 1, "application/json", bytes).unwrap()
        }
        let variant = AsVariant::Fields { a, b: b.clone(), c, d: d.clone() };
        let structure = AsStruct { a, b, c, d };
        let payload = variant.encode().unwrap();
        prop_assert_eq!(&payload, &structure.encode().unwrap());
        prop_assert_eq!(reread::<AsVariant>(&payload.bytes), variant);
        prop_assert_eq!(reread::<AsStruct>(&payload.bytes), structure);
    }
}
