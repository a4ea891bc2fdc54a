//! Several processes at one directory: one writes, any number reads.

use crate::kit::Place;

#[test]
fn readers_work_beside_a_writer_and_a_second_writer_is_refused() {
    let place = Place::with_orders();
    let mut writer = place.talk("append order-3");
    writer.say("{\"type\":\"OrderPlaced\"}");
    writer.hear();
    assert_eq!(place.run("events --json", "").out.lines().count(), 4);
    assert_eq!(place.run("streams --json", "").out.lines().count(), 3);
    for args in ["stats", "verify", "export"] {
        let ran = place.run(args, "");
        assert_eq!(ran.code, Some(0), "{args}: {}", ran.err);
    }
    let taken = place.run("backup elsewhere --json", "");
    assert_eq!(taken.code, Some(0), "{}", taken.err);
    assert!(taken.out.starts_with("{\"backup\":\"elsewhere\",\"position\":4,"), "{}", taken.out);
    let process = writer.child.id();
    let locked = format!(
        "error: process {process} writes to the event store in ./mainspring-data: stop it first, only reading works \
         beside it\n"
    );
    place.check("append order-4 --type A", "", 1, "", &locked);
    place.check("import --append", "", 1, "", &locked);
    place.check("reindex", "", 1, "", &locked);
    writer.say("{\"type\":\"OrderPaid\"}");
    assert!(writer.hear().ends_with("\"version\":2,\"position\":5}"));
    assert_eq!(writer.end().code, Some(0));
    assert_eq!(place.run("append order-4 --type A", "").code, Some(0));
}

#[test]
fn a_writer_that_was_killed_leaves_what_it_acknowledged() {
    let place = Place::new();
    let mut writer = place.talk("append order-1");
    for _ in 0..10 {
        writer.say("{\"type\":\"OrderPlaced\"}");
        writer.hear();
    }
    writer.child.kill().unwrap();
    assert_eq!(writer.end().code, None);
    assert_eq!(place.run("events --json", "").out.lines().count(), 10);
    let ran = place.run("append order-1 --type OrderPaid --expected 10", "");
    assert_eq!(ran.code, Some(0), "{}", ran.err);
}
