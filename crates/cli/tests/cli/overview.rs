//! Streams, statistics, the clean check, and the directory that is not there.

use crate::kit::{Place, without};

#[test]
fn streams_are_listed() {
    let place = Place::with_orders();
    place.run("append cart-1 --type Opened", "");
    let table = "\
STREAM   VERSION  EVENTS  LAST POSITION
cart-1         1       1              4
order-1        2       2              2
order-2        1       1              3
";
    place.check("streams", "", 0, table, "");
    let lines = "\
{\"name\":\"order-1\",\"version\":2,\"events\":2,\"last\":2}
{\"name\":\"order-2\",\"version\":1,\"events\":1,\"last\":3}
";
    place.check("streams --category order --json", "", 0, lines, "");
    let first = "{\"name\":\"cart-1\",\"version\":1,\"events\":1,\"last\":4}\n";
    place.check("streams --limit 1 --json", "", 0, first, "note: the first 1 of 3 streams are shown\n");
    place.check("streams --category basket", "", 0, "", "note: there is no such stream\n");
}

#[test]
fn statistics_for_people() {
    let place = Place::with_orders();
    let known: serde_json::Value = serde_json::from_str(&place.run("stats --json", "").out).unwrap();
    let (store, lineage) = (known["store"].as_str().unwrap(), known["lineage"].as_str().unwrap());
    let (bytes, one) = (known["log_bytes"].as_u64().unwrap(), known["bytes_per_event"].as_f64().unwrap());
    assert!((100..1000).contains(&bytes), "{bytes} bytes take another width");
    let expected = format!(
        "\
Store      {store}
Lineage    {lineage}
Events     3
Streams    2
Positions  1 to 3
Log        {bytes} bytes in 1 segment
Per event  {one:.1} bytes

CATEGORY  STREAMS  EVENTS
order           2       3

TYPE            EVENTS
OrderCancelled       1
OrderPaid            1
OrderPlaced          1

SEGMENT  EVENTS       SIZE  STATE
      1       3  {bytes} bytes  active
"
    );
    place.check("stats", "", 0, &expected, "");
}

#[test]
fn statistics_for_programs() {
    let place = Place::with_orders();
    let json: serde_json::Value = serde_json::from_str(&place.run("stats --json", "").out).unwrap();
    let count = |name: &str| json[name].as_u64().unwrap();
    assert_eq!(["first", "head", "events", "internal_events", "streams"].map(count), [1, 3, 3, 0, 2]);
    assert_eq!(json["categories"], serde_json::json!([{"name": "order", "streams": 2, "events": 3}]));
    assert_eq!(json["types"][0], serde_json::json!({"name": "OrderCancelled", "events": 1}));
    let (bytes, one) = (count("log_bytes"), json["bytes_per_event"].as_f64().unwrap());
    assert!(bytes > 0 && (one * 3.0).round() as u64 == bytes, "{bytes} {one}");
    assert_eq!(json["segments"], serde_json::json!([{"number": 1, "events": 3, "bytes": bytes, "sealed": false}]));
}

#[test]
fn an_intact_store_is_said_to_be() {
    let place = Place::with_orders();
    let ran = place.run("verify", "");
    let mut lines = ran.out.lines();
    let summary = lines.next().unwrap();
    assert!(summary.starts_with("./mainspring-data: 1 segment, ") && summary.contains(" 3 events, 0 index files; "));
    assert_eq!((lines.next(), lines.next(), ran.code), (Some("intact"), None, Some(0)));
    let json: serde_json::Value = serde_json::from_str(&place.run("verify --json", "").out).unwrap();
    assert_eq!((&json["intact"], &json["events"], &json["damages"]), (&true.into(), &3.into(), &serde_json::json!([])));
}

#[test]
fn a_missing_directory_is_not_made_by_reading() {
    let place = Place::new();
    let missing = "error: there is no event store in nowhere: check `--data`, or make one with `mainspring demo` or \
                   `mainspring append`\n";
    for args in ["events", "events --follow", "streams", "stats", "verify", "export", "state 17", "projections"] {
        place.check(&format!("{args} --data nowhere"), "", 1, "", missing);
        place.check(&format!("--json --data nowhere {args}"), "", 1, "", missing);
    }
    assert!(!place.path("nowhere").exists());
}

#[test]
fn the_directory_may_come_from_the_environment() {
    let place = Place::new();
    let status = place.command("append a-1 --type A").env("MAINSPRING_DATA", "elsewhere").status().unwrap();
    assert!(status.success() && place.path("elsewhere").exists() && !place.path("mainspring-data").exists());
    let line = "{\"id\":\"…\",\"stream\":\"a-1\",\"version\":2,\"position\":2}\n";
    assert_eq!(without(&["id"], &place.run("append a-1 --type A --data elsewhere", "").out), line);
}
