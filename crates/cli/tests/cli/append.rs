//! Receipts: for every event, in order, as soon as it is durable, whatever becomes of the others.

use crate::kit::{Place, wait, without};

fn receipt(id: u32, stream: &str, version: u32, position: u32) -> String {
    let id = format!("00000000-0000-7000-8000-{id:012}");
    format!("{{\"id\":\"{id}\",\"stream\":\"{stream}\",\"version\":{version},\"position\":{position}}}\n")
}

fn line(id: u32) -> String {
    format!("{{\"type\":\"Happened\",\"id\":\"00000000-0000-7000-8000-{id:012}\",\"data\":{id}}}\n")
}

#[test]
fn one_event_from_the_command_line() {
    let place = Place::new();
    let args = "append order-1 --type OrderPlaced --payload {\"units\":1.0} --tag customer:7 --tag vip:yes";
    let ran = place.run(args, "");
    assert_eq!(without(&["id"], &ran.out), "{\"id\":\"…\",\"stream\":\"order-1\",\"version\":1,\"position\":1}\n");
    let stored = place.run("events --json", "").out;
    let expected = concat!(
        r#"{"specversion":"1.0","id":"…","source":"mainspring","type":"OrderPlaced","time":"…","#,
        r#""datacontenttype":"application/json","stream":"order-1","streamversion":"1","position":"1","#,
        r#""recordedtime":"…","tags":"[\"customer:7\",\"vip:yes\"]","data":{"units":1.0}}"#,
        "\n"
    );
    assert_eq!(without(&["id", "time", "recordedtime"], &stored), expected);
}

#[test]
fn repeating_an_id_appends_nothing_new() {
    let place = Place::new();
    let id = "--id 00000000-0000-7000-8000-000000000001";
    place.check(&format!("append order-1 --type A {id} --expected none"), "", 0, &receipt(1, "order-1", 1, 1), "");
    place.check(&format!("append order-1 --type A {id} --expected none"), "", 0, &receipt(1, "order-1", 1, 1), "");
    let reused = "error: event id 00000000-0000-7000-8000-000000000001 is already stored at position 1 with other \
                  content or in another append\n";
    place.check(&format!("append order-1 --type B {id}"), "", 1, "", reused);
    // Any text is an id.
    let first = place.run("append order-1 --type A --id placed-1", "");
    assert_eq!(place.run("append order-1 --type A --id placed-1", ""), first);
    assert!(first.out.ends_with("\"version\":2,\"position\":2}\n"), "{}", first.out);
}

#[test]
fn a_conflict_has_its_own_exit_code_and_numbers() {
    let place = Place::with_orders();
    let conflict = |expected| format!("error: stream `order-1` is at version 2, expected {expected}\n");
    place.check("append order-1 --type A --expected none", "", 3, "", &conflict("no stream"));
    place.check("append order-1 --type A --expected 1", "", 3, "", &conflict("version 1"));
    let none = "error: stream `order-9` is at version 0, expected an existing stream\n";
    place.check("append order-9 --type A --expected exists", "", 3, "", none);
    let ran = place.run("append order-1 --expected 3", &(line(11) + &line(12)));
    assert_eq!((ran.code, ran.out.as_str()), (Some(3), ""));
    assert_eq!(ran.err, "error: line 1: stream `order-1` is at version 2, expected version 3\n");
}

#[test]
fn the_expected_version_moves_on_with_every_event() {
    let place = Place::new();
    let both = receipt(1, "a-1", 1, 1) + &receipt(2, "a-1", 2, 2);
    place.check("append a-1 --expected none", &(line(1) + &line(2)), 0, &both, "");
    // Repeated from the start: what is there is answered, the rest appended.
    let more = both + &receipt(3, "a-1", 3, 3) + &receipt(4, "a-1", 4, 4);
    place.check("append a-1 --expected 0", &(line(1) + &line(2) + &line(3) + &line(4)), 0, &more, "");
    // A line that is refused does not count, and a repeated one does not lead back.
    let mixed = line(4) + "nonsense\n" + &line(1) + &line(5) + &line(6);
    let ran = place.run("append a-1 --expected 3", &mixed);
    let expected = [receipt(4, "a-1", 4, 4), receipt(1, "a-1", 1, 1), receipt(5, "a-1", 5, 5), receipt(6, "a-1", 6, 6)];
    assert_eq!((ran.code, ran.out), (Some(1), expected.concat()));
}

#[test]
fn a_bad_line_is_named_and_the_others_are_appended() {
    let place = Place::new();
    let input = [
        &line(1),
        "nonsense\n\n",
        "{\"data\":1}\n",
        &line(2),
        &line(1).replace("Happened", "Other"),
        "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"s\",\"type\":\"T\",\"stream\":\"b-1\"}\n",
        // The last line may lack its end.
        &line(3)[..line(3).len() - 1],
    ];
    let errors = "\
error: line 2: this is not a JSON object: expected ident (column 2)
error: line 4: the event has no `type`: write {\"type\":\"OrderPlaced\",\"data\":{…}}, or a whole CloudEvent
error: line 7: the event says that it belongs to stream `b-1`, not to `a-1`
error: line 6: event id 00000000-0000-7000-8000-000000000001 is already stored at position 1 with other content or in \
another append
error: 3 events appended, 4 lines refused; see above
";
    let receipts = receipt(1, "a-1", 1, 1) + &receipt(2, "a-1", 2, 2) + &receipt(3, "a-1", 3, 3);
    place.check("append a-1", &input.concat(), 1, &receipts, errors);
}

#[test]
fn an_event_that_is_too_large_does_not_keep_others_out() {
    let place = Place::new();
    let large = format!("{{\"type\":\"Large\",\"data\":\"{}\"}}\n", "x".repeat(5 << 20));
    let ran = place.run("append a-1", &(line(1) + &large + &line(2)));
    assert_eq!((ran.code, ran.out), (Some(1), receipt(1, "a-1", 1, 1) + &receipt(2, "a-1", 2, 2)));
    let first = ran.err.lines().next().unwrap();
    assert_eq!(
        first,
        "error: line 2: the payload and metadata of an event, in bytes, is 5242882, the limit is 4194304"
    );
}

#[test]
fn a_receipt_comes_before_the_input_ends() {
    let place = Place::new();
    let mut talk = place.talk("append a-1 --expected none");
    for id in 1..=3 {
        talk.say(line(id).trim());
        assert_eq!(talk.hear() + "\n", receipt(id, "a-1", id, id));
        // It is durable and can be read by another process now.
        assert_eq!(place.run("events --json", "").out.lines().count(), id as usize);
    }
    let ended = talk.end();
    assert_eq!((ended.code, ended.out.as_str(), ended.err.as_str()), (Some(0), "", ""));
}

#[test]
fn many_lines_keep_their_order() {
    let place = Place::new();
    let input: String = (1..=5000).map(line).collect();
    let receipts: String = (1..=5000).map(|id| receipt(id, "a-1", id, id)).collect();
    place.check("append a-1 --expected none", &input, 0, &receipts, "");
    assert!(place.run("verify --json", "").out.starts_with("{\"intact\":true,"));
}

#[test]
fn receipts_that_nobody_reads_do_not_stop_the_events() {
    let place = Place::new();
    let mut child = place.command("append a-1").spawn().unwrap();
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, (1..=2000).map(line).collect::<String>().as_bytes()).unwrap();
    drop(stdin);
    assert_eq!(wait(&mut child), Some(0));
    assert_eq!(std::io::read_to_string(child.stderr.take().unwrap()).unwrap(), "");
    assert_eq!(place.run("events --json", "").out.lines().count(), 2000);
}
