//! Backups from the command line: taken, brought up to date, verified, restored; and what is refused.

use std::fs;

use mainspring::{Store, disk::DiskStore, projection::prepare, sqlite::Views};
use mainspring_shop::views::OrderSummary;
use serde_json::{Value, json};

use crate::kit::{Place, without};

/// The JSON that a command prints.
#[track_caller]
fn said(place: &Place, args: &str) -> Value {
    let ran = place.run(args, "");
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    serde_json::from_str(&ran.out).unwrap()
}

#[test]
fn a_backup_is_taken_and_brought_up_to_date() {
    let place = Place::with_orders();
    let bytes = said(&place, "stats --json")["log_bytes"].as_u64().unwrap();
    let first = format!(
        "backup: every event up to position 3; 1 segment, of which 0 linked, 1 copied, 0 kept; {bytes} bytes copied\n"
    );
    place.check("backup backup", "", 0, &first, "");
    let again = "{\"backup\":\"backup\",\"position\":3,\"linked\":0,\"copied\":0,\"kept\":1,\"bytes\":0}\n";
    place.check("backup backup --json", "", 0, again, "");
    assert_eq!(place.run("append order-1 --type OrderShipped", "").code, Some(0));
    let more = said(&place, "stats --json")["log_bytes"].as_u64().unwrap() - bytes;
    let grown =
        format!("{{\"backup\":\"backup\",\"position\":4,\"linked\":0,\"copied\":1,\"kept\":0,\"bytes\":{more}}}\n");
    place.check("backup backup --json", "", 0, &grown, "");
    assert_eq!(place.run("events --json --data backup", ""), place.run("events --json", ""));
    assert_eq!(said(&place, "verify --json --data backup")["findings"], json!([]));
}

#[test]
fn a_backup_of_nothing_says_so() {
    let place = Place::new();
    assert_eq!(place.run("import", "").code, Some(0));
    let empty = "backup: no event yet; 1 segment, of which 0 linked, 1 copied, 0 kept; 64 bytes copied\n";
    place.check("backup backup", "", 0, empty, "");
}

#[test]
fn a_backup_is_restored_and_never_written() {
    let place = Place::with_orders();
    assert_eq!(place.run("backup backup", "").code, Some(0));
    let refused = "error: backup holds a backup, which is not written. Restore it into another directory with `mainspring \
                   restore` and open that, or open this one read-only\n";
    place.check("append order-1 --type A --data backup", "", 1, "", refused);

    let note = "note: read models and other readers of the old lineage do not go on in this one: build them anew, with \
                `mainspring projections rebuild` or from the start\n";
    let ran = place.run("restore backup --data new --json", "");
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), note));
    let restored: Value = serde_json::from_str(&ran.out).unwrap();
    let (old, new) = (said(&place, "stats --json"), said(&place, "stats --json --data new"));
    assert_eq!([&restored["store"], &restored["old_lineage"]], [&old["store"], &old["lineage"]]);
    assert_eq!([&restored["store"], &restored["lineage"]], [&new["store"], &new["lineage"]]);
    assert_ne!(old["lineage"], new["lineage"]);
    assert_eq!((&restored["position"], &restored["copied"]), (&json!(3), &json!(1)));
    assert_eq!(place.run("events --json --data new", ""), place.run("events --json", ""));
    let next = "{\"id\":\"…\",\"stream\":\"order-1\",\"version\":3,\"position\":4}\n";
    let appended = place.run("append order-1 --type OrderShipped --expected 2 --data new", "");
    assert_eq!(without(&["id"], &appended.out), next, "{}", appended.err);

    let text = place.run("restore backup --data another", "").out;
    assert!(text.starts_with("another: restored up to position 3 as lineage "), "{text}");
    assert!(text.contains("; 1 segment, of which 0 linked, 1 copied, 0 kept; "), "{text}");
}

#[test]
fn what_is_in_the_way_is_left_alone() {
    let place = Place::with_orders();
    assert_eq!(place.run("backup backup", "").code, Some(0));
    let occupied = |what: &str| {
        format!("error: {what}. Nothing was changed: name an empty directory, or one that does not exist\n")
    };
    place.check("backup ./mainspring-data", "", 1, "", &occupied("./mainspring-data holds an event store"));
    place.check("restore backup", "", 1, "", &occupied("./mainspring-data holds an event store"));
    fs::create_dir(place.path("notes")).unwrap();
    place.write("notes/todo", "buy milk");
    let files = occupied("notes holds files that make up neither a store nor a backup");
    place.check("backup notes", "", 1, "", &files);
    place.check("restore backup --data notes", "", 1, "", &files);
    let store = "error: ./mainspring-data holds an event store, not a backup. Take one with `mainspring backup`, or open the \
                 store as it is\n";
    place.check("restore ./mainspring-data --data new", "", 1, "", store);
    let missing = "error: there is no event store in nowhere: check `--data`, or make one with `mainspring demo` or \
                   `mainspring append`\n";
    place.check("restore nowhere --data new", "", 1, "", missing);
    assert!(!place.path("new").exists());
}

#[test]
fn a_damaged_backup_is_not_restored() {
    let place = Place::with_orders();
    assert_eq!(place.run("backup backup", "").code, Some(0));
    let log = place.path("backup/00000001.log");
    let mut bytes = fs::read(&log).unwrap();
    let at = bytes.len() - 100;
    bytes[at] ^= 1;
    fs::write(&log, bytes).unwrap();
    let ran = place.run("restore backup --data new", "");
    assert_eq!((ran.code, ran.out.as_str()), (Some(4), ""), "{}", ran.err);
    let begins = "error: the backup is damaged, and nothing was restored: backup/00000001.log at offset ";
    assert!(ran.err.starts_with(begins) && ran.err.contains("Restore another backup"), "{}", ran.err);
    assert_eq!(place.run("verify --data backup", "").code, Some(4));
    assert_eq!(place.run("events --data new", "").code, Some(1), "what was begun is no store");
}

#[test]
fn indexes_are_built_again() {
    let place = Place::with_orders();
    place.check("reindex", "", 0, "./mainspring-data: 0 full segments, 0 index files built again\n", "");
    place.check("reindex --all --json", "", 0, "{\"segments\":0,\"built\":[]}\n", "");
}

/// A read model that was kept through a restore says that it cannot go on, and is built anew as it says.
#[tokio::test(flavor = "multi_thread")]
async fn a_read_model_of_the_old_lineage_is_refused_and_rebuilt() {
    let place = Place::new();
    for args in ["demo --json --orders 10", "backup backup", "restore backup --data new"] {
        let ran = place.run(args, "");
        assert_eq!(ran.code, Some(0), "{}", ran.err);
    }
    fs::create_dir(place.path("new/views")).unwrap();
    for entry in fs::read_dir(place.path("mainspring-data/views")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), place.path("new/views").join(entry.file_name())).unwrap();
    }
    let new = place.path("new");
    let views = Views::open(new.join("views")).await.unwrap();
    let store = Store::new(DiskStore::open_read_only(&new).unwrap());
    let (_, runner) = prepare(OrderSummary, views, store).await.unwrap();
    let refused = runner.run(std::future::pending()).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "projection `order_summary`: its read model does not belong to this store; ask for a rebuild"
    );
    let cause = std::error::Error::source(&refused).unwrap().to_string();
    assert!(
        cause.starts_with("the checkpoint belongs to lineage ") && cause.ends_with("; rebuild from the start"),
        "{cause}"
    );

    let ran = place.run("projections rebuild order_summary --data new", "");
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    assert!(ran.out.starts_with("order_summary: generation 2 was built up to position "), "{}", ran.out);
    let listed = place.run("projections --json --data new", "").out;
    let current = listed.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let lags: Vec<_> = current.filter(|model| model["state"] == "current").map(|model| model["lag"].clone()).collect();
    assert_eq!(lags, [Value::Null, json!(0), Value::Null], "the others are yet to be built anew");
}
