//! The demo from beginning to end.

use std::fs;

use mainspring::{
    Repository, Store,
    disk::DiskStore,
    event::{NewEvent, StreamName},
    store::Append,
};
use mainspring_shop::{
    Cents, CustomerId, Order, OrderId,
    demo::{Options, Phase, run},
    order::OrderCommand,
};

use crate::input::{Place, assert_complete, lines};

#[tokio::test(flavor = "multi_thread")]
async fn every_purchase_becomes_an_order() {
    let place = Place::with_purchases(300);
    let report = place.run().await;
    assert_complete(&report, &lines(300));
    assert_eq!((report.customers, report.commands, report.events_appended), (100, 870, 870));
    assert!(!report.resumed && !report.already_complete);
    assert!(report.events_per_s > 0.0 && report.size.store_bytes > 0 && report.size.views_bytes > 0);
    let latency = report.latency.unwrap();
    assert!(0.0 < latency.p50_ms && latency.p50_ms <= latency.p99_ms && latency.p99_ms <= latency.max_ms);
    let phases: f64 = report.phases.iter().map(|time| time.seconds).sum();
    assert!(phases <= report.elapsed_s);
    for projection in &report.effort.projections {
        let all = if projection.name == "orders_by_customer" {
            300
        } else {
            870 - 300 * u64::from(projection.name == "daily_revenue")
        };
        assert_eq!(projection.events, all, "{projection:?}");
        assert!((1..=all).contains(&projection.transactions) && projection.busy_s > 0.0, "{projection:?}");
        let lag = projection.lag.unwrap();
        assert!(0.0 < lag.p50_ms && lag.p50_ms <= lag.p99_ms && lag.p99_ms <= lag.max_ms, "{projection:?}");
    }
    let command = report.effort.command.unwrap();
    assert!(command.appending_ms > 0.0 && command.appending_ms + command.deciding_ms <= latency.max_ms, "{command:?}");
    assert_eq!(report.phases.iter().filter(|time| time.phase == Phase::Commands).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn once_more_after_it_is_complete() {
    let place = Place::with_purchases(200);
    place.run().await;
    let report = place.run().await;
    assert_complete(&report, &lines(200));
    assert!(report.already_complete && !report.resumed);
    assert_eq!((report.commands, report.events_appended, report.latency), (0, 0, None));
    assert_eq!(report.effort.command, None);
    assert!(report.effort.projections.iter().all(|done| done.events == 0 && done.lag.is_none()), "{report}");
    assert!(report.to_string().contains("already complete"), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_orders_and_then_all() {
    let place = Place::with_purchases(300);
    assert_complete(&place.run_first(100).await, &lines(100));
    let report = place.run().await;
    assert_complete(&report, &lines(300));
    assert!(report.resumed);
    assert_eq!(report.commands, 580);
}

#[tokio::test(flavor = "multi_thread")]
async fn fewer_orders_than_there_are() {
    let place = Place::with_purchases(100);
    place.run().await;
    let report = place.run_first(10).await;
    assert_complete(&report, &lines(100));
    assert!(report.already_complete);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bundled_purchases() {
    let place = Place::with("");
    let options = Options { data: place.data(), orders: Some(500), input: None, linger: None };
    let report = run(&options, &()).await.unwrap();
    assert!(report.reconciled, "{report}");
    assert_eq!((report.orders, report.refused.len()), (500, 0));
    assert!(report.input.contains("cdnow"));
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_lines_are_refused_and_the_others_taken() {
    let good = lines(50);
    let bad = format!("{good}7 19970230 1 1.00\n7 19970201 1\n{}", "8 19970203 1 9.99\n");
    let place = Place::with(&bad);
    let report = place.run().await;
    assert_complete(&report, &bad);
    assert_eq!(report.orders, 51);
    assert_eq!(report.refused.iter().map(|refused| refused.line).collect::<Vec<_>>(), [52, 53]);
    let text = report.to_string();
    assert!(text.contains("line 52: `19970230` is not a date (`7 19970230 1 1.00`)"), "{text}");
    assert!(text.contains("line 53: "), "{text}");

    let mended = bad.replace("19970230", "19970228");
    fs::write(place.input(), &mended).unwrap();
    let report = place.run().await;
    assert_complete(&report, &mended);
    assert_eq!((report.orders, report.commands, report.refused.len()), (52, 3, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_input_that_is_not_there() {
    let place = Place::with("");
    fs::remove_file(place.input()).unwrap();
    let error = run(&place.options(), &()).await.unwrap_err();
    assert!(error.to_string().contains("purchases.txt"), "{error:#}");
    assert!(!place.data().exists(), "nothing was made of it");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_input_without_purchases() {
    let report = Place::with("customer_id date number_of_cds dollar_value\n").run().await;
    assert!(report.reconciled && !report.already_complete);
    assert_eq!((report.orders, report.days, report.events), (0, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_orders_of_another_input() {
    let place = Place::with_purchases(20);
    place.run().await;
    fs::write(place.input(), "1 19970101 1 1.00\n").unwrap();
    let error = run(&place.options(), &()).await.unwrap_err().to_string();
    assert!(error.contains("order 000001") && error.contains("line 1"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_was_begun_is_finished() {
    let place = Place::with("7 19970101 2 11.77\n8 19970102 1 0.00\n");
    let store = Store::new(DiskStore::open(place.data()).unwrap());
    let (customer, units, cents) = (CustomerId(8), 1, Cents::ZERO);
    let command = OrderCommand::Place { customer, units, cents, promotion: Some("by hand".to_owned()) };
    let second = Repository::<Order>::new(&store);
    second.handle(&OrderId(2), command).at("1997-01-02T12:00:00Z".parse().unwrap()).await.unwrap();
    drop((second, store));
    let report = place.run_first(1).await;
    assert_complete(&report, "7 19970101 2 11.77\n8 19970102 1 0.00\n");
    assert_eq!(report.commands, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_else_is_in_the_store_does_not_disturb() {
    let place = Place::with_purchases(60);
    let store = Store::new(DiskStore::open(place.data()).unwrap());
    let order = br#"{"customer":7,"units":1000,"cents":100000}"#.as_slice();
    let other = [("account-ada", "Deposited", b"{}".as_slice()), ("wholesale-1", "OrderPlaced", order)];
    let events = other.map(|(stream, name, payload)| {
        NewEvent::json(StreamName::new(stream).unwrap(), name.parse().unwrap(), payload)
    });
    store.append(Append::new(events)).await.unwrap();
    drop(store);
    assert_complete(&place.run().await, &lines(60));
    assert_complete(&place.run().await, &lines(60));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_for_programs() {
    let report = Place::with("7 19970101 2 11.77\n7 19970102 1 0.00\nx\n").run().await;
    let json = serde_json::to_value(&report).unwrap();
    for (name, expected) in [("orders", 2), ("customers", 1), ("units", 3), ("revenue_cents", 1_177), ("days", 2)] {
        assert_eq!(json[name], expected, "{name}");
    }
    assert_eq!(json["events"], 5);
    assert_eq!(json["reconciled"], true);
    assert_eq!(json["totals"]["units"], serde_json::json!({ "input": 3, "replay": 3, "read_models": 3 }));
    assert_eq!(json["refused"][0]["line"], 3);
    let projections = json["effort"]["projections"].as_array().unwrap();
    let names: Vec<_> = projections.iter().map(|projection| projection["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["order_summary", "orders_by_customer", "daily_revenue"]);
    assert!(json["elapsed_s"].as_f64().unwrap() > 0.0 && json["events_per_s"].as_f64().unwrap() > 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_for_people() {
    let text = Place::with("7 19970101 2 1234.56\n7 19970102 1 0.00\n").run().await.to_string();
    let table: Vec<_> = text.lines().skip_while(|line| !line.is_empty()).take(8).collect();
    assert_eq!(
        table,
        [
            "",
            "                       input          replay     read models",
            "orders                     2               2               2",
            "customers                  1               1               1",
            "CDs                        3               3               3",
            "revenue             1,234.56        1,234.56        1,234.56",
            "days                       2               2               2",
            "",
        ]
    );
    assert!(text.contains("\nReconciled: all totals, days, customers, orders and messages are equal.\n"), "{text}");
    let projections: Vec<_> = text.lines().skip_while(|line| !line.starts_with("projection ")).skip(1).collect();
    let names: Vec<_> = projections.iter().map(|line| line.split_whitespace().take(2).collect::<Vec<_>>()).collect();
    assert_eq!(names, [["order_summary", "5"], ["orders_by_customer", "2"], ["daily_revenue", "3"]], "{text}");
    assert!(text.contains("events       5 in the store, 5 of them appended by this run\n"), "{text}");
}
