//! Topics, groups, sending, taking part and schedules, through the broker of the directory.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use mainspring::{Store, disk::DiskStore};
use mainspring_broker::Broker;
use mainspring_broker_embedded::EmbeddedBroker;
use mainspring_broker_socket::Server;

use crate::kit::{Place, without};

/// A place with orders in two partitions, and billing, which gets them.
fn with_billing() -> Place {
    let place = Place::new();
    place.check("topics create orders --partitions 2", "", 0, "orders is made\n", "");
    place.check("subscriptions create billing --from orders", "", 0, "billing is made\n", "");
    place
}

const NO_TOPIC: &str = "error: there is no topic `nowhere`: `mainspring topics` lists the topics, `mainspring topics \
                        create nowhere` makes it\n";

const NO_GROUP: &str = "error: there is no group `nobody`: `mainspring subscriptions` lists the groups, `mainspring \
                        subscriptions create nobody --from TOPIC` makes it\n";

#[test]
fn topics_are_made_and_listed() {
    let place = Place::new();
    place.check("topics create orders --partitions 2", "", 0, "orders is made\n", "");
    place.check("topics create orders --partitions 2", "", 0, "orders was there already\n", "");
    let made = "{\"name\":\"audit\",\"created\":true}\n";
    place.check("topics create audit --log --max-age 7d --max-bytes 2048 --dedupe 10m --json", "", 0, made, "");
    place.check("publish audit hello", "", 0, &receipt("audit", 0, 0), "");
    let table = "\
TOPIC   PARTITIONS  KEPT  SENT  KEEPS
audit            1     1     1  a log of 7d or 2.0 KiB, duplicates dropped for 10m
orders           2     0     0  until settled
";
    place.check("topics", "", 0, table, "");
    place.check("topics list", "", 0, table, "");
    let lines = "\
{\"name\":\"audit\",\"log\":true,\"max_age\":604800.0,\"max_bytes\":2048,\"dedupe\":600.0,\"partitions\":[{\"first\":0,\"next\":1}]}
{\"name\":\"orders\",\"log\":false,\"partitions\":[{\"first\":0,\"next\":0},{\"first\":0,\"next\":0}]}
";
    place.check("topics --json", "", 0, lines, "");
    let ran = place.run("topics create orders", "");
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""));
    assert!(ran.err.starts_with("error: it is there already, and otherwise: topic `orders`: "), "{}", ran.err);
}

/// The answer to a message that was sent.
fn receipt(topic: &str, partition: u32, offset: u64) -> String {
    format!(
        "{{\"place\":\"{topic}/{partition}/{offset}\",\"topic\":\"{topic}\",\"partition\":{partition},\"offset\":{offset},\
         \"duplicate\":false}}\n"
    )
}

#[test]
fn groups_are_made_and_listed_with_their_lag() {
    let place = with_billing();
    let made = "subscriptions create europe --from orders --pattern *.eu --order key-parks --sharing slices --json";
    place.check(made, "", 0, "{\"name\":\"europe\",\"created\":true}\n", "");
    place.check("subscriptions create billing --from orders", "", 0, "billing was there already\n", "");
    place.check("publish orders a --routing-key order.eu --key k", "", 0, &receipt("orders", 0, 0), "");
    let consumed = "PLACE       ATTEMPT  KEY  BODY\norders/0/0        1  k    a\n";
    place.check("consume europe", "", 0, consumed, "");
    let table = "\
GROUP    MEMBERS  LAG  IN FLIGHT  HELD KEYS
billing        0    1          0          0
europe         0    0          0          0
";
    place.check("subscriptions", "", 0, table, "");
    let lines = "\
{\"group\":\"billing\",\"members\":0,\"lag\":1,\"in_flight\":0,\"held_keys\":0}
{\"group\":\"europe\",\"members\":0,\"lag\":0,\"in_flight\":0,\"held_keys\":0}
";
    place.check("subscriptions list --json", "", 0, lines, "");
    place.check("publish orders b --routing-key order.us --key k", "", 0, &receipt("orders", 0, 1), "");
    place.check("consume europe", "", 0, "", "note: there is nothing to deliver\n");
    place.check("subscriptions create x --from nowhere", "", 1, "", NO_TOPIC);
    place.check("subscriptions create x --from orders --dead-letter nowhere", "", 1, "", NO_TOPIC);
}

#[test]
fn messages_come_from_the_command_line_or_one_a_line() {
    let place = with_billing();
    place.check("publish orders hello --key k --header a=b=c --priority 3", "", 0, &receipt("orders", 0, 0), "");
    let sent = place.run("publish orders --key k", "one\n\n{\"two\": 2}\n");
    assert_eq!((sent.code, sent.err.as_str()), (Some(0), ""));
    assert_eq!(sent.out, receipt("orders", 0, 1) + &receipt("orders", 0, 2));
    let lines = "\
{\"place\":\"orders/0/0\",\"attempt\":1,\"stored\":\"…\",\"topic\":\"orders\",\"key\":\"k\",\"priority\":3,\"headers\":[{\"name\":\"a\",\"value\":\"b=c\"}],\"body\":\"hello\"}
{\"place\":\"orders/0/1\",\"attempt\":1,\"stored\":\"…\",\"topic\":\"orders\",\"key\":\"k\",\"body\":\"one\"}
{\"place\":\"orders/0/2\",\"attempt\":1,\"stored\":\"…\",\"topic\":\"orders\",\"key\":\"k\",\"body\":\"{\\\"two\\\": 2}\"}
";
    assert_eq!(without(&["stored"], &place.run("consume billing --json", "").out), lines);
}

#[test]
fn what_cannot_be_sent_is_refused_and_keeps_nothing_else_out() {
    let place = with_billing();
    place.check("publish nowhere hello", "", 1, "", NO_TOPIC);
    place.check("topics create lonely", "", 0, "lonely is made\n", "");
    let unwanted = "error: no group gets such a message from `lonely`: `mainspring subscriptions create` makes one that \
                    does\nerror: 0 messages sent, 1 refused; see above\n";
    place.check("publish lonely hello", "", 1, "", unwanted);
    let large = format!("small\n{}\nlast\n", "x".repeat((1 << 20) + 1));
    let ran = place.run("publish orders", &large);
    assert_eq!((ran.code, ran.out.lines().count()), (Some(1), 2), "{}", ran.err);
    let expected = "error: line 2: a message, in bytes, is 1048577, the limit is 1048576\n\
                    error: 2 messages sent, 1 refused; see above\n";
    assert_eq!(ran.err, expected);
}

#[test]
fn a_line_that_nothing_can_carry_is_refused_alone() {
    let place = with_billing();
    let ran = place.run("publish orders", &"x".repeat((32 << 20) + 1));
    let expected = "error: line 1: the line is longer than 33554432 bytes, which no event can be\n\
                    error: 0 messages sent, 1 refused; see above\n";
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (Some(1), "", expected));
    // Together they are more than one batch may be.
    let header = format!("--header big={}", "x".repeat(40_000));
    let ran = place.run(&format!("publish orders {header}"), &"y\n".repeat(400));
    assert_eq!((ran.code, ran.out.lines().count(), ran.err.as_str()), (Some(0), 400, ""));
}

#[test]
fn messages_are_settled_after_they_were_printed() {
    let place = with_billing();
    place.run("publish orders --key k", "1\n2\n3\n");
    let all = "\
PLACE       ATTEMPT  KEY  BODY
orders/0/0        1  k    1
orders/0/1        1  k    2
orders/0/2        1  k    3
";
    place.check("consume billing --no-ack", "", 0, all, "");
    place.check("consume billing --no-ack", "", 0, all, "");
    let first = "PLACE       ATTEMPT  KEY  BODY\norders/0/0        1  k    1\n";
    place.check("consume billing --count 1", "", 0, first, "");
    let rest = "\
PLACE       ATTEMPT  KEY  BODY
orders/0/1        1  k    2
orders/0/2        1  k    3
";
    place.check("consume billing", "", 0, rest, "");
    place.check("consume billing", "", 0, "", "note: there is nothing to deliver\n");
    place.check("consume nobody", "", 1, "", NO_GROUP);
    place.run("publish orders --key k", &"x\n".repeat(1_001));
    let ran = place.run("consume billing --no-ack --json", "");
    let note = "note: there may be more; without settling, no more can be printed at once\n";
    assert_eq!((ran.code, ran.out.lines().count(), ran.err.as_str()), (Some(0), 1_000, note));
    let ran = place.run("consume billing --json", "");
    assert_eq!((ran.code, ran.out.lines().count(), ran.err.as_str()), (Some(0), 1_001, ""));
}

#[test]
fn a_body_does_nothing_to_a_terminal() {
    let place = with_billing();
    place.run("publish orders --key k", "\u{1b}[31mred\n");
    let shown = "PLACE       ATTEMPT  KEY  BODY\norders/0/0        1  k    \\u{1b}[31mred\n";
    place.check("consume billing", "", 0, shown, "");
}

#[test]
fn following_waits_for_what_comes_due_until_interrupted() {
    let place = with_billing();
    let sent = place.run("publish orders later --key k --delay 1s", "");
    assert_eq!(sent.out, "{\"place\":null,\"duplicate\":false}\n");
    let follower = place.talk("consume billing --follow --json");
    let line = follower.hear();
    assert!(line.ends_with("\"topic\":\"orders\",\"key\":\"k\",\"body\":\"later\"}"), "{line}");
    follower.interrupt();
    let ended = follower.end();
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
    place.check("consume billing", "", 0, "", "note: there is nothing to deliver\n");
}

#[test]
fn schedules_are_listed_and_cancelled() {
    let place = with_billing();
    place.check("schedule list", "", 0, "", "note: no message waits for its time\n");
    place.run("publish orders second --delay 2h", "");
    place.run("publish orders first --delay 1h --key k", "");
    let listed = place.run("schedule list --json", "").out;
    let lines: Vec<serde_json::Value> = listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.iter().map(|line| line["body"].as_str().unwrap()).collect::<Vec<_>>(), ["first", "second"]);
    assert!(lines[0]["due"].as_str() < lines[1]["due"].as_str());
    let id = lines[0]["id"].as_str().unwrap();
    let table = place.run("schedule list --limit 1", "");
    let cells: Vec<_> = table.out.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!((cells[0], &cells[2..]), (id, &["orders", "k", "first"][..]));
    assert_eq!(table.err, "note: there are more; `--limit` shows more than 1\n");
    place.check(&format!("schedule cancel {id}"), "", 0, &format!("{id} is cancelled\n"), "");
    let gone = format!(
        "warning: no message waits under {id}: it came, or was cancelled before\n\
         error: 1 of 1 were not there to be cancelled\n"
    );
    place.check(&format!("schedule cancel {id}"), "", 1, "", &gone);
    assert_eq!(place.run("schedule list --json", "").out.lines().count(), 1);
}

#[test]
fn a_directory_that_somebody_holds_is_not_taken() {
    let place = with_billing();
    let holder = DiskStore::open(place.path("mainspring-data")).unwrap();
    let process = std::process::id();
    let held =
        format!("error: process {process} has the directory ./mainspring-data, and the broker in it: stop it first\n");
    for args in ["topics", "subscriptions", "publish orders two", "consume billing", "schedule list"] {
        place.check(args, "", 1, "", &held);
    }
    holder.close().unwrap();
}

#[test]
fn two_terminals_work_with_one_directory() {
    let place = with_billing();
    let mut sender = place.talk("publish orders --key k");
    sender.say("one");
    sender.hear();
    let follower = place.talk("consume billing --follow --json");
    assert!(follower.hear().ends_with("\"body\":\"one\"}"));
    sender.say("two");
    assert!(follower.hear().ends_with("\"body\":\"two\"}"));
    assert_eq!(place.run("topics", "").out.lines().count(), 2);
    follower.interrupt();
    assert_eq!(follower.end().code, Some(0));
    assert_eq!(sender.end().code, Some(0));
    place.check("consume billing", "", 0, "", "note: there is nothing to deliver\n");
}

#[test]
fn the_broker_of_a_process_that_serves_it_is_worked_with() {
    let place = with_billing();
    let directory = place.path("mainspring-data");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (broker, server) = runtime.block_on(async {
        let store = DiskStore::open(&directory).unwrap();
        let broker: Arc<dyn Broker> = Arc::new(EmbeddedBroker::open(Store::new(store)).await.unwrap());
        let server = Server::serve(broker.clone(), directory.join("broker.sock")).await.unwrap();
        (broker, server)
    });
    let follower = place.talk("consume billing --follow --json");
    place.check("publish orders one --key k", "", 0, &receipt("orders", 0, 0), "");
    assert!(follower.hear().ends_with("\"key\":\"k\",\"body\":\"one\"}"));
    let table = "GROUP    MEMBERS  LAG  IN FLIGHT  HELD KEYS\nbilling        1    0          0          0\n";
    let settled = || place.run("subscriptions", "").out == table;
    assert!((0..100).any(|_| settled()), "what was printed is settled soon");
    place.run("publish orders later --delay 1h", "");
    let listed = place.run("schedule list --json", "").out;
    let scheduled: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let id = scheduled["id"].as_str().unwrap();
    place.check(&format!("schedule cancel {id}"), "", 0, &format!("{id} is cancelled\n"), "");
    place.check("consume nobody", "", 1, "", NO_GROUP);
    follower.interrupt();
    assert_eq!(follower.end().code, Some(0));
    runtime.block_on(async {
        broker.close(Instant::now() + Duration::from_secs(5)).await.unwrap();
        server.stop().await.unwrap();
    });
}

#[test]
fn a_missing_broker_is_not_made_by_looking() {
    let place = Place::new();
    let missing = "error: there is no broker in nowhere: check `--data`, or make one with `mainspring topics create`\n";
    for args in [
        "topics",
        "subscriptions",
        "subscriptions create g --from t",
        "publish t b",
        "consume g",
        "dead-letters list g",
        "schedule list",
    ] {
        place.check(&format!("{args} --data nowhere"), "", 1, "", missing);
    }
    assert!(!place.path("nowhere").exists());
}
