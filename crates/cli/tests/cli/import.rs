//! Taking over events: all or a part that is named, and never twice.

use crate::kit::Place;

fn stored(position: u32, stream: &str, version: u32) -> String {
    format!(
        "{{\"specversion\":\"1.0\",\"id\":\"{position}\",\"source\":\"/s\",\"type\":\"T\",\"stream\":\"{stream}\",\
         \"streamversion\":\"{version}\",\"position\":\"{position}\",\"recordedtime\":\"2026-01-01T00:00:00Z\"}}\n"
    )
}

#[test]
fn a_copy_keeps_places_and_gaps() {
    let place = Place::new();
    // Position 2 and version 1 of b-1 were removed before the export.
    let history = stored(1, "a-1", 1) + &stored(3, "b-1", 2) + &stored(7, "a-1", 2);
    place.check("import", &history, 0, "3 events imported; the store is at position 7\n", "");
    let exported = place.run("export", "");
    assert_eq!((exported.out.as_str(), exported.err.as_str()), (history.as_str(), "note: 3 events exported\n"));
    assert!(place.run("append b-1 --type A --expected 2", "").out.ends_with("\"version\":3,\"position\":8}\n"));
}

#[test]
fn a_store_with_events_is_not_copied_into() {
    let place = Place::with_orders();
    let refused = "error: the event store in ./mainspring-data is not empty (it is at position 3): import into another \
                   directory, or give the events new positions with `--append`\n";
    place.check("import", &stored(9, "a-1", 1), 1, "", refused);
    place.write("file", &stored(9, "a-1", 1));
    place.check("import file", "", 1, "", refused);
}

#[test]
fn joining_gives_new_places_once() {
    let place = Place::with_orders();
    let events = stored(1, "a-1", 1) + &stored(3, "order-1", 2);
    place.check("import --append", &events, 0, "2 events imported; the store is at position 5\n", "");
    let again = "0 events imported, 2 known already; the store is at position 5\n";
    place.check("import --append", &events, 0, again, "");
    let more = events + &stored(4, "a-1", 2);
    place.check("import --append --json", &more, 0, "{\"events\":1,\"known\":2,\"head\":6}\n", "");
    assert_eq!(place.run("streams --json", "").out.lines().nth(1).unwrap().split(',').nth(1), Some("\"version\":3"));
}

#[test]
fn events_of_other_programs_have_no_place() {
    let place = Place::new();
    let foreign = "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"T\",\"subject\":\"x\"}\n";
    let refused = "error: nothing was imported: line 1: an event without a place of its own can only be imported with \
                   `--append`: the CloudEvent has no `streamversion`\n";
    place.check("import", foreign, 1, "", refused);
    place.check("import --append", foreign, 0, "1 event imported; the store is at position 1\n", "");
    let stream = place.run("streams --json", "").out;
    assert_eq!(stream, "{\"name\":\"cloudevents-/s#x\",\"version\":1,\"events\":1,\"last\":1}\n");
}

#[test]
fn a_bad_line_in_a_file_keeps_all_of_it_out() {
    let place = Place::new();
    place.write("file", &(stored(1, "a-1", 1) + "nonsense\n\n{}\n" + &stored(1, "a-1", 2)));
    let errors = "\
error: line 2: this is not a CloudEvent in JSON: expected ident at line 1 column 2
error: line 4: the CloudEvent has no `specversion`
error: line 5: position 1 follows position 1
error: file has 3 bad lines; nothing of it was imported
";
    place.check("import file", "", 1, "", errors);
    assert!(!place.path("mainspring-data").exists());
    place.write("internal", &stored(1, "$lease-1", 1));
    let errors = "\
error: line 1: stream `$lease-1` is internal: its events can only be imported into an empty store
error: internal has 1 bad line; nothing of it was imported
";
    place.check("import --append internal", "", 1, "", errors);
}

#[test]
fn a_bad_line_in_a_pipe_says_how_much_came_before() {
    let place = Place::new();
    let history: String = (1..=5000).map(|position| stored(position, "a-1", position)).collect();
    let ran = place.run("import", &(history.clone() + "nonsense"));
    assert_eq!((ran.code, ran.out.as_str()), (Some(1), ""));
    let expected =
        "error: only the first 4,096 events were imported; remove the directory and import again: line 5001: ";
    assert!(ran.err.starts_with(expected), "{}", ran.err);
    assert_eq!(place.run("events --json", "").out.lines().count(), 4096);
    let ran = place.run("import --append --data other", &(history + "nonsense"));
    let expected = "error: 5,000 events imported before it, and no more; repeating the import when it is mended is safe: \
                    line 5001: ";
    assert!(ran.err.starts_with(expected), "{}", ran.err);
}

#[test]
fn what_cannot_follow_is_named_by_its_line() {
    let place = Place::new();
    let ran = place.run("import", &(stored(1, "a-1", 1) + &stored(2, "a-1", 1)));
    assert_eq!(ran.code, Some(1));
    let expected =
        "error: nothing was imported: line 2: the event at position 2 cannot follow what the store already has: ";
    assert!(ran.err.starts_with(expected), "{}", ran.err);
}

#[test]
fn a_file_that_is_not_there_is_said_so() {
    let place = Place::new();
    let missing = "error: nowhere cannot be read: No such file or directory (os error 2)\n";
    place.check("import nowhere", "", 1, "", missing);
    assert!(!place.path("mainspring-data").exists());
}
