//! Freeing the space of what retention has removed.

use mainspring::{
    disk::Options,
    event::NewEvent,
    store::{Append, EventStore as _, Retained, Retention, StreamChange},
};

use crate::kit::Place;

/// A place whose store has full segments with events that retention has removed.
fn with_much_to_remove() -> Place {
    let place = Place::new();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let options = Options::default().segment_bytes(4096).replayable();
        let store = options.open(place.path("mainspring-data")).unwrap();
        let event = |stream: &str| {
            NewEvent::json(stream.parse().unwrap(), "Noted".parse().unwrap(), format!("{{\"n\":\"{:0200}\"}}", 7))
        };
        for _ in 0..30 {
            store.append(Append::new([event("a-1"), event("b-1")])).await.unwrap();
        }
        let target = Retained::Stream("a-1".parse().unwrap());
        let retention = Retention { max_count: Some(1), max_age: None };
        store.append(Append::default().change(StreamChange::Retain { target, retention })).await.unwrap();
        store.close().unwrap();
    });
    place
}

#[test]
fn space_is_freed_and_a_second_time_there_is_none() {
    let place = with_much_to_remove();
    let before = place.run("events --json", "");
    let ran = place.run("scavenge", "");
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""));
    // How many bytes an index takes is not for this program to say.
    let (said, freed) = ran.out.rsplit_once(", ").unwrap();
    let expected = "\
./mainspring-data: 14 full segments looked at
14 written again, 0 gone
28 events removed";
    assert_eq!(said, expected);
    assert!(freed.ends_with(" KiB free\n"), "{freed}");
    assert_eq!(place.run("events --json", ""), before);
    assert_eq!(place.run("verify", "").code, Some(0));
    let again = "\
./mainspring-data: 1 full segment looked at
nothing to remove; the segment that is being written is left alone
";
    place.check("scavenge", "", 0, again, "");
}

#[test]
fn programs_are_told_the_numbers() {
    let place = with_much_to_remove();
    let ran = place.run("scavenge --json", "");
    let json: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let number = |name: &str| json[name].as_u64().unwrap();
    assert_eq!((ran.code, number("segments"), number("rewritten"), number("removed")), (Some(0), 14, 14, 0));
    assert!(number("events") > 20 && number("bytes") > 5_000, "{json}");
    let nothing = "{\"segments\":1,\"rewritten\":0,\"removed\":0,\"events\":0,\"bytes\":0}\n";
    place.check("scavenge --json", "", 0, nothing, "");
}

#[test]
fn it_makes_no_store_and_waits_for_no_writer() {
    let place = Place::new();
    let missing = "error: there is no event store in nowhere: check `--data`, or make one with `mainspring demo` or \
                   `mainspring append`\n";
    place.check("scavenge --data nowhere", "", 1, "", missing);
    assert!(!place.path("nowhere").exists());
    let place = Place::with_orders();
    let mut writer = place.talk("append order-3");
    writer.say("{\"type\":\"OrderPlaced\"}");
    writer.hear();
    let refused = place.run("scavenge", "");
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("stop it first"), "{}", refused.err);
    assert_eq!(writer.end().code, Some(0));
}
