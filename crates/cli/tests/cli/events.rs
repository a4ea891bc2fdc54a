//! Reading: filters that combine, places to begin, both directions, both forms.

use std::io::{BufRead as _, BufReader};

use crate::kit::{Place, wait, without};

/// Checks which positions are read.
#[track_caller]
fn check(place: &Place, args: &str, positions: &[u64]) {
    let ran = place.run(&format!("events --json {args}"), "");
    let found: Vec<u64> = ran
        .out
        .lines()
        .map(|line| line.split("\"position\":\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap())
        .collect();
    assert_eq!((ran.code, found.as_slice()), (Some(0), positions), "{}", ran.err);
}

#[test]
fn events_for_people_are_aligned() {
    let expected = "\
POSITION  TIME                  STREAM   VERSION  TYPE            TAGS                 PAYLOAD
       1  1997-01-01T00:00:00Z  order-1        1  OrderPlaced     customer:7           {\"units\":2}
       2  1997-01-02T09:30:00Z  order-1        2  OrderPaid                            {}
       3  1997-01-03T00:00:00Z  order-2        1  OrderCancelled  customer:7 why:late  {\"why\":\"late\"}
";
    Place::with_orders().check("events", "", 0, expected, "");
}

#[test]
fn events_for_programs_are_cloud_events() {
    let ran = Place::with_orders().run("events order-2 --json", "");
    let expected = concat!(
        r#"{"specversion":"1.0","id":"00000000-0000-7000-8000-000000000003","source":"mainspring","#,
        r#""type":"OrderCancelled","time":"1997-01-03T00:00:00Z","datacontenttype":"application/json","#,
        r#""stream":"order-2","streamversion":"1","position":"3","recordedtime":"…","#,
        r#""tags":"[\"customer:7\",\"why:late\"]","data":{"why":"late"}}"#,
        "\n"
    );
    assert_eq!(without(&["recordedtime"], &ran.out), expected);
}

#[test]
fn filters_combine() {
    let place = Place::with_orders();
    check(&place, "", &[1, 2, 3]);
    check(&place, "order-1", &[1, 2]);
    check(&place, "--category order", &[1, 2, 3]);
    check(&place, "--type OrderPaid --type OrderCancelled", &[2, 3]);
    check(&place, "--tag customer:7", &[1, 3]);
    check(&place, "--tag customer:7 --tag why:late", &[3]);
    check(&place, "--category order --type OrderPlaced --type OrderPaid --tag customer:7", &[1]);
    check(&place, "order-1 --type OrderCancelled", &[]);
    place.check("events order-9", "", 0, "", "note: there is no such event\n");
}

#[test]
fn a_read_begins_where_it_is_told() {
    let place = Place::with_orders();
    check(&place, "--from 0", &[1, 2, 3]);
    check(&place, "--from 2", &[2, 3]);
    check(&place, "--from 2 --backwards", &[2, 1]);
    check(&place, "--backwards --limit 2", &[3, 2]);
    check(&place, "order-1 --from-version 2", &[2]);
    check(&place, "order-1 --from-version 1 --backwards", &[1]);
    check(&place, "--from-time 2000-01-01", &[1, 2, 3]);
    check(&place, "--from-time 2999-01-01T00:00:00Z", &[]);
    check(&place, "--from-time 2999-01-01 --backwards", &[3, 2, 1]);
    check(&place, "--from 18446744073709551615 --backwards", &[3, 2, 1]);
    let beyond = "error: position 8 is beyond the head of this store (3): it was taken from another store\n";
    place.check("events --from 9", "", 1, "", beyond);
}

#[test]
fn internal_events_are_read_only_by_name() {
    let place = Place::new();
    let internal = concat!(
        r#"{"specversion":"1.0","id":"1","source":"s","type":"T","stream":"$lease-1","streamversion":"1","#,
        r#""position":"1","recordedtime":"2026-01-01T00:00:00Z"}"#
    );
    assert_eq!(place.run("import", internal).code, Some(0));
    check(&place, "", &[]);
    check(&place, "--type T", &[]);
    check(&place, "$lease-1", &[1]);
    check(&place, "--category $lease", &[1]);
    place.check("streams --json", "", 0, "", "note: there is no such stream\n");
    let line = "{\"name\":\"$lease-1\",\"version\":1,\"events\":1,\"last\":1}\n";
    place.check("streams --json --category $lease", "", 0, line, "");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let place = Place::new();
    let line = "{\"type\":\"Happened\",\"data\":\"some text to fill the pipe with, more than it can hold\"}\n";
    assert_eq!(place.run("append a-1", &line.repeat(3000)).code, Some(0));
    for args in ["events", "events --json", "events --follow", "export", "streams"] {
        let mut child = place.command(args).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        out.read_line(&mut first).unwrap();
        assert!(!first.is_empty(), "{args}");
        drop(out);
        assert_eq!(wait(&mut child), Some(0), "{args}");
        assert_eq!(std::io::read_to_string(child.stderr.take().unwrap()).unwrap(), "", "{args}");
    }
}
