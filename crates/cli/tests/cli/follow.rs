//! Following: history, then what another process appends, until interrupted or unread.

use crate::kit::Place;

#[test]
fn a_follower_sees_what_is_appended_later() {
    let place = Place::with_orders();
    let follower = place.talk("events --follow --json --type OrderPlaced");
    assert!(follower.hear().contains("\"position\":\"1\""));
    place.run("append order-3 --type OrderPaid", "");
    place.run("append order-3 --type OrderPlaced", "");
    assert!(follower.hear().contains("\"position\":\"5\""));
    // By one process that stays, too.
    let mut writer = place.talk("append order-4");
    for position in 6..9 {
        writer.say("{\"type\":\"OrderPlaced\"}");
        writer.hear();
        assert!(follower.hear().contains(&format!("\"position\":\"{position}\"")));
    }
    assert_eq!(writer.end().code, Some(0));
    follower.interrupt();
    let ended = follower.end();
    assert_eq!((ended.code, ended.out.as_str(), ended.err.as_str()), (Some(0), "", ""));
}

#[test]
fn a_follower_for_people_keeps_its_columns() {
    let place = Place::with_orders();
    let follower = place.talk("events order-2 --follow");
    assert_eq!(
        follower.hear(),
        "POSITION  TIME                  STREAM   VERSION  TYPE            TAGS                 PAYLOAD"
    );
    assert!(follower.hear().contains("OrderCancelled"));
    place.run("append order-2 --expected 1", "{\"type\":\"A\",\"time\":\"1998-01-01T00:00:00Z\"}");
    let later = "       4  1998-01-01T00:00:00Z  order-2        2  A                                    {}";
    assert_eq!(follower.hear(), later);
    follower.interrupt();
    assert_eq!(follower.end().code, Some(0));
}

#[test]
fn a_limit_ends_a_follower() {
    let place = Place::with_orders();
    let follower = place.talk("events --follow --limit 4 --json");
    for _ in 0..3 {
        follower.hear();
    }
    place.run("append order-3 --type A", "");
    let ended = follower.end();
    assert_eq!((ended.code, ended.out.lines().count()), (Some(0), 1));
}
