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
    let types = known["types"].as_array().unwrap();
    let sizes: Vec<_> = types.iter().map(|one| one["bytes"].as_u64().unwrap()).collect();
    let category = &known["categories"][0];
    let (order, each) = (category["bytes"].as_u64().unwrap(), category["bytes_per_event"].as_f64().unwrap());
    let widths = [bytes, order].into_iter().chain(sizes.iter().copied());
    assert!(widths.clone().all(|size| (100..1000).contains(&size)), "{widths:?}: some take another width");
    let expected = format!(
        "\
Store      {store}
Lineage    {lineage}
Events     3
Streams    2
Positions  1 to 3
Log        {bytes} bytes in 1 segment
Indexes    0 bytes
Per event  {one:.1} bytes

CATEGORY  STREAMS  EVENTS       SIZE  BYTES/EVENT
order           2       3  {order} bytes        {each:.1}

TYPE            EVENTS       SIZE  BYTES/EVENT
OrderCancelled       1  {} bytes        {}.0
OrderPaid            1  {} bytes        {}.0
OrderPlaced          1  {} bytes        {}.0

SEGMENT  EVENTS       SIZE  INDEX  STATE
      1       3  {bytes} bytes      -  active
",
        sizes[0], sizes[0], sizes[1], sizes[1], sizes[2], sizes[2],
    );
    place.check("stats", "", 0, &expected, "");
}

#[test]
fn statistics_for_programs() {
    let place = Place::with_orders();
    let json: serde_json::Value = serde_json::from_str(&place.run("stats --json", "").out).unwrap();
    let count = |name: &str| json[name].as_u64().unwrap();
    assert_eq!(["first", "head", "events", "internal_events", "streams"].map(count), [1, 3, 3, 0, 2]);
    let each = |of: &serde_json::Value, bytes: &str, events: u64| {
        let (bytes, each) = (of[bytes].as_u64().unwrap(), of["bytes_per_event"].as_f64().unwrap());
        assert!(bytes > 0 && (each * events as f64 - bytes as f64).abs() < events as f64 / 10.0, "{bytes} {each}");
        bytes
    };
    let (bytes, order) = (each(&json, "log_bytes", 3), each(&json["categories"][0], "bytes", 3));
    let sizes: Vec<_> = json["types"].as_array().unwrap().iter().map(|one| each(one, "bytes", 1)).collect();
    assert_eq!((sizes.iter().sum::<u64>(), sizes.len()), (order, 3), "types and categories count the same events");
    assert!(order < bytes && order > bytes - 400, "{order} of {bytes}: what remains stands before the first event");
    let category = serde_json::json!([
        {"name": "order", "streams": 2, "events": 3, "bytes": order, "bytes_per_event": json["categories"][0]["bytes_per_event"]}
    ]);
    assert_eq!(json["categories"], category);
    let first = serde_json::json!({"name": "OrderCancelled", "events": 1, "bytes": sizes[0], "bytes_per_event": sizes[0] as f64});
    assert_eq!(json["types"][0], first);
    let segment = serde_json::json!([{"number": 1, "events": 3, "bytes": bytes, "index_bytes": 0, "sealed": false}]);
    assert_eq!(json["segments"], segment);
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
    assert_eq!(
        (&json["intact"], &json["events"], &json["findings"]),
        (&true.into(), &3.into(), &serde_json::json!([]))
    );
}

#[test]
fn a_missing_directory_is_not_made_by_reading() {
    let place = Place::new();
    let missing = "error: there is no event store in nowhere: check `--data`, or make one with `mainspring demo` or \
                   `mainspring append`\n";
    for args in [
        "events",
        "events --follow",
        "streams",
        "stats",
        "verify",
        "export",
        "state 17",
        "projections",
        "reindex",
        "backup b",
    ] {
        place.check(&format!("{args} --data nowhere"), "", 1, "", missing);
        place.check(&format!("--json --data nowhere {args}"), "", 1, "", missing);
    }
    assert!(!place.path("nowhere").exists() && !place.path("b").exists());
}

#[test]
fn the_directory_may_come_from_the_environment() {
    let place = Place::new();
    let status = place.command("append a-1 --type A").env("MAINSPRING_DATA", "elsewhere").status().unwrap();
    assert!(status.success() && place.path("elsewhere").exists() && !place.path("mainspring-data").exists());
    let line = "{\"id\":\"…\",\"stream\":\"a-1\",\"version\":2,\"position\":2}\n";
    assert_eq!(without(&["id"], &place.run("append a-1 --type A --data elsewhere", "").out), line);
}
