//! The examples of the guide to messages run, and say what the guide says that they say.

use std::{path::Path, process::Command};

#[track_caller]
fn check(name: &str, expected: &str) {
    let test = std::env::current_exe().expect("the test has a file");
    let target = test.ancestors().nth(2).expect("tests are built below the target directory");
    let directory = tempfile::tempdir().expect("a directory for the program");
    let ran = Command::new(target.join("examples").join(name)).current_dir(&directory).output();
    let ran = ran.expect("`cargo test` builds the examples; run it without naming a single test target");
    assert_eq!(String::from_utf8_lossy(&ran.stderr), "");
    assert_eq!(String::from_utf8_lossy(&ran.stdout), expected);
    assert!(ran.status.success());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let guide = std::fs::read_to_string(root.join("docs/messaging.md")).expect("the guide is there");
    let shown = format!("```text\n{expected}```");
    assert!(guide.contains(name) && guide.contains(&shown), "docs/messaging.md must show what {name} says:\n{shown}");
}

#[test]
fn publish_and_subscribe() {
    check("messaging_publish", "notify ada@example.org of order 17\npack order 17\n");
}

#[test]
fn a_queue() {
    let steps = "parcel a: steps [1, 2, 3]\nparcel b: steps [1, 2, 3]\nparcel c: steps [1, 2, 3]\n1 attempt failed\n";
    check("messaging_queue", steps);
}

#[test]
fn a_stream() {
    check("messaging_stream", "average has read [19, 20, 21, 22]\nalarm has read [19, 20, 21, 22]\n");
}

#[test]
fn request_and_reply() {
    check("messaging_request", "it costs 1200 cents\nno answer in time: it may have been handled, or not\n");
}

#[test]
fn routing() {
    check("messaging_routing", "all: [1, 2, 3, 4]\ndirect: [2]\nheaders: [2]\npattern: [1, 2, 4]\n");
}

#[test]
fn delay() {
    let said = "2 messages are not due yet\norder 2 was paid, its reminder is taken back: true\norder 1 is reminded\n";
    check("messaging_delay", said);
}

#[test]
fn dead_letters() {
    check(
        "messaging_dead_letter",
        "billing gave up after 1 attempts: there is no order 0\n\
         billing gave up after 3 attempts: the printer is on fire\n\
         billed: [Some(13), Some(17)]; 1 left\n",
    );
}

#[test]
fn the_inbox() {
    check("messaging_inbox", "3 deliveries, 1 row, 2354 cents\nknown: true\n");
}
