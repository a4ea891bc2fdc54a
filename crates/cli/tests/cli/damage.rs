//! Files that are not as they were written: found, named, and never read as if nothing were wrong.

use std::fs;

use mainspring::{
    disk::Options,
    event::NewEvent,
    store::{Append, EventStore},
};

use crate::kit::Place;

/// Flips a bit of the first event's payload; answers the log's name.
fn damaged() -> (Place, String) {
    let place = Place::with_orders();
    let log = fs::read_dir(place.path("mainspring-data"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|extension| extension == "log"))
        .unwrap();
    let mut bytes = fs::read(&log).unwrap();
    let at = bytes.windows(7).position(|window| window == b"\"units\"").unwrap();
    bytes[at + 1] ^= 1;
    fs::write(&log, bytes).unwrap();
    let name = format!("./mainspring-data/{}", log.file_name().unwrap().to_str().unwrap());
    (place, name)
}

#[test]
fn verify_says_where_and_what_to_do() {
    let (place, log) = damaged();
    let ran = place.run("verify", "");
    assert_eq!((ran.code, ran.err.as_str()), (Some(4), ""), "{}", ran.out);
    let lines: Vec<_> = ran.out.lines().collect();
    assert!(lines[1].starts_with(&format!("damaged: {log} at offset ")), "{}", ran.out);
    assert!(lines[1].ends_with(": a frame cannot be read, but it had been synced"), "{}", ran.out);
    let rest = [
        "  lost: positions 1 to 2",
        "  do:   Keep the directory as it is, copy it before you try anything, and restore a backup into another one with \
         `mainspring restore`.",
        "1 damage found",
    ];
    assert_eq!(lines[2..], rest);
}

#[test]
fn verify_tells_programs_the_same() {
    let (place, log) = damaged();
    let ran = place.run("verify --json", "");
    let mut json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.code, &json["intact"]), (Some(4), &false.into()));
    let finding = &mut json["findings"][0];
    assert!(finding["offset"].take().as_u64().unwrap() > 0);
    assert!(finding["advice"].take().as_str().unwrap().contains("mainspring restore"));
    let expected = serde_json::json!({
        "kind": "frame_damaged",
        "damage": true,
        "file": log,
        "offset": null,
        "what": "a frame cannot be read, but it had been synced",
        "lost": { "from": 1, "to": 2 },
        "advice": null,
    });
    assert_eq!(*finding, expected);
}

#[test]
fn a_torn_end_is_found_and_no_damage() {
    let place = Place::with_orders();
    let log = place.path("mainspring-data/00000001.log");
    let mut bytes = fs::read(&log).unwrap();
    let length = bytes.len();
    bytes.extend_from_slice(b"torn off");
    fs::write(&log, bytes).unwrap();
    let ran = place.run("verify", "");
    let (_, found) = ran.out.split_once('\n').unwrap();
    let expected = format!(
        "\
found: ./mainspring-data/00000001.log at offset {length}: 8 bytes at the end were never acknowledged
  lost: no event
  do:   Nothing: it was never acknowledged, and the next writer cuts it off.
intact
"
    );
    assert_eq!((ran.code, found, ran.err.as_str()), (Some(0), expected.as_str(), ""));
}

#[test]
fn no_command_reads_past_damage() {
    let (place, log) = damaged();
    for args in ["events", "streams", "stats", "export", "append order-1 --type A", "import --append"] {
        let ran = place.run(args, "");
        assert_eq!((ran.code, ran.out.as_str()), (Some(4), ""), "{args}: {}", ran.err);
        assert!(ran.err.starts_with(&format!("error: {log} is damaged at offset ")), "{args}: {}", ran.err);
    }
}

#[test]
fn a_damaged_or_missing_manifest_is_damage_too() {
    let place = Place::with_orders();
    let manifest = place.path("mainspring-data/MANIFEST");
    let mut bytes = fs::read(&manifest).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&manifest, bytes).unwrap();
    let ran = place.run("verify", "");
    assert_eq!(ran.code, Some(4));
    assert!(ran.out.contains("damaged: ./mainspring-data/MANIFEST at offset 0: "), "{}", ran.out);
    assert_eq!(place.run("events", "").code, Some(4));
    fs::remove_file(&manifest).unwrap();
    assert_eq!(place.run("verify", "").code, Some(4));
    assert_eq!(place.run("append order-1 --type A", "").code, Some(4));
}

/// A store of small segments, with runs of the directory.
async fn of_segments() -> Place {
    let place = Place::new();
    let options = Options::default().segment_bytes(4096).replayable();
    let store = options.open(place.path("mainspring-data")).unwrap();
    for _ in 0..30 {
        let event = NewEvent::json("note-1".parse().unwrap(), "Noted".parse().unwrap(), vec![b'x'; 201]);
        store.append(Append::new([event])).await.unwrap();
    }
    store.close().unwrap();
    place
}

/// Changes one byte of a file of the store.
fn change(place: &Place, file: &str, at: impl Fn(&[u8]) -> usize) {
    let path = place.path("mainspring-data").join(file);
    let mut bytes = fs::read(&path).unwrap();
    let at = at(&bytes);
    bytes[at] ^= 1;
    fs::write(&path, bytes).unwrap();
}

/// What `verify` says of a change that costs no event, to people and to programs.
fn costs_no_event(place: &Place, file: &str, offset: u64, kind: &str, what: &str, advice: &str) {
    let file = format!("./mainspring-data/{file}");
    let ran = place.run("verify", "");
    let (_, found) = ran.out.split_once('\n').unwrap();
    let expected =
        format!("damaged: {file} at offset {offset}: {what}\n  lost: no event\n  do:   {advice}.\n1 damage found\n");
    assert_eq!((ran.code, found, ran.err.as_str()), (Some(4), expected.as_str(), ""));
    let ran = place.run("verify --json", "");
    let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.code, &json["intact"], &json["events"]), (Some(4), &false.into(), &30.into()));
    let expected = serde_json::json!([{
        "kind": kind,
        "damage": true,
        "file": file,
        "offset": offset,
        "what": what,
        "lost": null,
        "advice": advice,
    }]);
    assert_eq!(json["findings"], expected);
    let ran = place.run("events --json", "");
    assert_eq!((ran.code, ran.out.lines().count()), (Some(0), 30), "every event is shown: {}", ran.err);
}

#[tokio::test]
async fn padding_that_is_not_zero_costs_no_event() {
    let place = of_segments().await;
    let number = |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    // The last byte of the first frame.
    change(&place, "00000001.log", |bytes| {
        let end = 64 + number(bytes, 64 + 8);
        assert_eq!(bytes[end - 1], 0, "the frame is filled up");
        end - 1
    });
    let what = "what fills up this commit is not zero";
    let advice = "Make a backup and check the disk: what it did to bytes that mean nothing it can do to others";
    costs_no_event(&place, "00000001.log", 64, "padding_damaged", what, advice);
}

#[tokio::test]
async fn a_bad_run_of_the_directory_costs_no_event() {
    let place = of_segments().await;
    let run = "00000001-00000001.dir";
    change(&place, run, |bytes| bytes.len() - 1);
    let advice = "Delete it, the next writer writes it again, and check the disk";
    costs_no_event(&place, run, 0, "run_damaged", "it is not what was written", advice);
    fs::remove_file(place.path("mainspring-data").join(run)).unwrap();
    assert_eq!(place.run("verify", "").code, Some(0), "one that is not there is no damage");
    assert_eq!(place.run("append note-1 --type Noted", "").code, Some(0));
    assert_eq!(place.run("verify", "").code, Some(0));
}
