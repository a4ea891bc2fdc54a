//! The demo, and what can be asked of its orders afterwards.

use serde_json::{Value, json};

use crate::kit::Place;

fn demo(orders: u32) -> Place {
    let place = Place::new();
    let ran = place.run(&format!("demo --json --orders {orders}"), "");
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{}", ran.out);
    place
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn the_demo_reports_to_programs_and_people() {
    let place = Place::new();
    let ran = place.run("demo --json --orders 40", "");
    assert_eq!((ran.code, ran.err.as_str(), ran.out.lines().count()), (Some(0), "", 1));
    let report = json(&ran.out);
    let figures = ["orders", "customers", "units", "revenue_cents", "days", "events"].map(|name| report[name].as_i64());
    assert!(figures.iter().all(|figure| figure.is_some_and(|figure| figure > 0)), "{report}");
    assert_eq!((&report["orders"], &report["reconciled"]), (&json!(40), &json!(true)));
    assert!(report["elapsed_s"].as_f64().unwrap() > 0.0 && report["events_per_s"].as_f64().unwrap() > 0.0);
    // Again, for people: there is nothing left to do.
    let ran = place.run("demo --orders 40", "");
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    assert!(ran.out.contains("already complete") && ran.out.contains("\nReconciled: "), "{}", ran.out);
    assert!(place.run("verify --json", "").out.starts_with("{\"intact\":true,"));
}

#[test]
fn a_demo_that_does_not_reconcile_fails() {
    let place = demo(5);
    let payload = "{\"customer\":1,\"units\":1,\"cents\":100}";
    assert_eq!(place.run(&format!("append order-999999 --type OrderPlaced --payload {payload}"), "").code, Some(0));
    let ran = place.run("demo --json --orders 5", "");
    assert_eq!((ran.code, ran.err.as_str(), &json(&ran.out)["reconciled"]), (Some(1), "", &json!(false)));
}

#[test]
fn the_demo_takes_other_purchases() {
    let place = Place::new();
    let ran = place.run("demo --input nowhere", "");
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""));
    assert!(ran.err.starts_with("error: ") && ran.err.contains("nowhere"), "{}", ran.err);
    place.write("purchases", " 00001 19970101  1   11.77\n 00002 19970112  5   77.00\n");
    let report = json(&place.run("demo --input purchases --json", "").out);
    assert_eq!([&report["orders"], &report["revenue_cents"]], [&json!(2), &json!(8877)]);
}

#[test]
fn the_demo_names_every_line_that_it_refuses() {
    let place = Place::new();
    let bad: String = (2..=14).map(|line| format!("{line} 19970230 1 1.00\n")).collect();
    place.write("purchases", &format!("1 19970101 1 11.77\n{bad}"));
    let ran = place.run("demo --input purchases --json", "");
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    let report = json(&ran.out);
    let lines: Vec<_> = report["refused"].as_array().unwrap().iter().map(|refused| refused["line"].as_u64()).collect();
    assert!(lines.into_iter().eq((2..=14).map(Some)), "{report}");
    assert_eq!([&report["orders"], &report["reconciled"]], [&json!(1), &json!(true)]);

    let ran = place.run("demo --input purchases", "");
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    assert!(ran.out.contains("\n13 lines of the input refused, all others taken:\n"), "{}", ran.out);
    for line in 2..=14 {
        let named = format!("\n  line {line}: `19970230` is not a date (`{line} 19970230 1 1.00`)\n");
        assert!(ran.out.contains(&named), "{}", ran.out);
    }
}

#[test]
fn an_order_is_shown_now_and_then() {
    let place = demo(20);
    let shipped = "\
Order      000001
Status     shipped
Customer   1
CDs        1
Price      11.77 dollars
Payment    payment-000001
";
    place.check("state 1", "", 0, shipped, "");
    place.check("state order-000001 --at-time 2999-01-01", "", 0, shipped, "");
    place.check("state 1 --occurred 2999-01-01", "", 0, shipped, "");
    let placed = shipped.replace("shipped", "placed").replace("Payment    payment-000001\n", "");
    place.check("state 000001 --at-version 1", "", 0, &placed, "");
    let new = "Order      000001\nStatus     new\n";
    place.check("state 1 --at-version 0", "", 0, new, "");
    // It was placed in 1997 and recorded just now.
    place.check("state 1 --occurred 1996-12-31", "", 0, new, "");
    place.check("state 1 --at-time 2000-01-01", "", 0, new, "");
    place.check("state 1 --occurred 2000-01-01", "", 0, shipped, "");
    let state = json(&place.run("state 1 --at-version 1 --json", "").out);
    assert_eq!(
        [&state["order"], &state["status"], &state["cents"]],
        [&json!("000001"), &json!("placed"), &json!(1177)]
    );
    let beyond = "error: stream `order-000001` has come to version 3; there is no version 4 yet\n";
    place.check("state 1 --at-version 4", "", 1, "", beyond);
    let missing = "error: there is no order 000777: `mainspring streams --category order` lists them\n";
    place.check("state 777", "", 1, "", missing);
}
