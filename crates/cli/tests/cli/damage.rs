//! Files that are not as they were written: found, named, and never read as if nothing were wrong.

use std::fs;

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
