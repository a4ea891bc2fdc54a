//! Dead letters: looking takes nothing, and what leaves goes in one step to the group that gave it up.

use std::time::{Duration, Instant};

use crate::kit::{Place, without};

/// A place where billing has given up these messages because they expired, and `keeper` keeps them.
fn with_letters(bodies: &[&str]) -> Place {
    let place = Place::new();
    place.check("topics create orders", "", 0, "orders is made\n", "");
    place.check("topics create dead", "", 0, "dead is made\n", "");
    place.check("subscriptions create keeper --from dead", "", 0, "keeper is made\n", "");
    let billing = "subscriptions create billing --from orders --dead-letter dead --order key-blocks --hold";
    place.check(billing, "", 0, "billing is made\n", "");
    place.check("subscriptions create shipping --from orders", "", 0, "shipping is made\n", "");
    for body in bodies {
        let sent = place.run(&format!("publish orders {body} --header a=b --expires-after 1ms"), "");
        assert_eq!(sent.code, Some(0), "{}", sent.err);
    }
    place.check("consume billing", "", 0, "", "note: there is nothing to deliver\n");
    place.check("consume shipping", "", 0, "", "note: there is nothing to deliver\n");
    place
}

/// The text with one space between words, and without moments.
fn words(text: &str) -> String {
    let word = |word: &str| match word.parse::<jiff::Timestamp>() {
        Ok(_) => "…".to_owned(),
        Err(_) => word.to_owned(),
    };
    let line = |line: &str| line.split_whitespace().map(word).collect::<Vec<_>>().join(" ");
    text.lines().map(|text| line(text) + "\n").collect()
}

#[test]
fn dead_letters_are_listed_and_shown_and_stay_as_they_are() {
    let place = with_letters(&["one", "two"]);
    let table = "\
PLACE DIED GROUP FROM ATTEMPTS KEY REASON
dead/0/0 … billing orders 0 - expired
dead/0/1 … billing orders 0 - expired
";
    for _ in 0..2 {
        let ran = place.run("dead-letters list keeper", "");
        assert_eq!((ran.code, words(&ran.out).as_str(), ran.err.as_str()), (Some(0), table, ""));
    }
    let shown = "\
Place dead/0/1
Given up by billing
Reason expired
Attempts 0
From orders/0/1
Sent …
Given up …
Header a=b
Body two
";
    assert_eq!(words(&place.run("dead-letters show keeper dead/0/1", "").out), shown);
    let json = "{\"place\":\"dead/0/1\",\"in_flight\":false,\"letter\":{\"group\":\"billing\",\"reason\":\"expired\",\"attempts\":0,\"origin\":\"orders/0/1\",\"stored\":\"…\",\"first_attempt\":null,\"died\":\"…\"},\"message\":{\"topic\":\"orders\",\"headers\":[{\"name\":\"a\",\"value\":\"b\"}],\"body\":\"two\"}}\n";
    assert_eq!(without(&["stored", "died"], &place.run("dead-letters show keeper dead/0/1 --json", "").out), json);
    let listed = place.run("dead-letters list keeper --limit 1 --json", "");
    assert_eq!(
        (listed.out.lines().count(), listed.err.as_str()),
        (1, "note: there are more; `--limit` shows more than 1\n")
    );
    let consumed = place.run("consume keeper --json", "").out;
    assert!(
        consumed.lines().count() == 2 && consumed.lines().all(|line| line.contains("\"attempt\":1,")),
        "{consumed}"
    );
}

#[test]
fn what_is_not_there_is_said() {
    let place = with_letters(&["one"]);
    let missing =
        "error: group `keeper` has nothing at dead/0/7: `mainspring dead-letters list keeper` lists what it has\n";
    place.check("dead-letters show keeper dead/0/7", "", 1, "", missing);
    place.check("dead-letters edit keeper dead/0/7 --body x", "", 1, "", missing);
    let twice = format!("{missing}error: 1 of 1 were not resubmitted; see above\n");
    place.check("dead-letters resubmit keeper dead/0/7", "", 1, "", &twice);
    let nobody = "error: there is no group `nobody`: `mainspring subscriptions` lists the groups, `mainspring \
                  subscriptions create nobody --from TOPIC` makes it\n";
    for args in ["list nobody", "show nobody dead/0/0", "purge nobody --all"] {
        place.check(&format!("dead-letters {args}"), "", 1, "", nobody);
    }
    let redriven = place.run("dead-letters redrive nobody", "");
    assert_eq!((redriven.code, redriven.err.as_str()), (Some(1), nobody));
    place.check("dead-letters list billing", "", 0, "", "note: group `billing` has no dead letters\n");
}

#[test]
fn a_dead_letter_goes_to_whoever_gave_it_up_and_to_no_other() {
    let place = with_letters(&["one", "two"]);
    place.check("dead-letters resubmit keeper dead/0/1", "", 0, "dead/0/1 goes to `billing` again\n", "");
    place.check("consume shipping", "", 0, "", "note: there is nothing to deliver\n");
    let consumed = "PLACE       ATTEMPT  KEY  BODY\norders/0/2        1  -    two\n";
    place.check("consume billing", "", 0, consumed, "");
    assert_eq!(place.run("dead-letters list keeper --json", "").out.lines().count(), 1);
    let line = "{\"resubmitted\":\"dead/0/0\",\"to\":\"billing\",\"place\":\"orders/0/3\",\"topic\":\"orders\",\"partition\":0,\"offset\":3,\"duplicate\":false}\n";
    place.check("dead-letters resubmit keeper dead/0/0 --json", "", 0, line, "");
    place.check("dead-letters list keeper", "", 0, "", "note: group `keeper` has no dead letters\n");
}

#[test]
fn a_dead_letter_is_changed_before_it_goes() {
    let place = with_letters(&["one", "two"]);
    let edit = "dead-letters edit keeper dead/0/0 --body mended --header a=c --header d=e";
    place.check(edit, "", 0, "dead/0/0 goes to `billing` again\n", "");
    let edit = "dead-letters edit keeper dead/0/1 --without-header a";
    place.check(edit, "", 0, "dead/0/1 goes to `billing` again\n", "");
    let expected = "\
{\"place\":\"orders/0/2\",\"attempt\":1,\"stored\":\"…\",\"topic\":\"orders\",\"headers\":[{\"name\":\"mainspring-only\",\"value\":\"billing\"},{\"name\":\"a\",\"value\":\"c\"},{\"name\":\"d\",\"value\":\"e\"}],\"body\":\"mended\"}
{\"place\":\"orders/0/3\",\"attempt\":1,\"stored\":\"…\",\"topic\":\"orders\",\"headers\":[{\"name\":\"mainspring-only\",\"value\":\"billing\"}],\"body\":\"two\"}
";
    assert_eq!(without(&["stored"], &place.run("consume billing --json", "").out), expected);
}

#[test]
fn dead_letters_are_removed_for_good() {
    let place = with_letters(&["one", "two", "three"]);
    let refused = "error: 1 of 2 were not there to be removed\n";
    place.check("dead-letters purge keeper dead/0/1 dead/0/9", "", 1, "1 message removed\n", refused);
    let listed = place.run("dead-letters list keeper --json", "").out;
    assert!(listed.lines().count() == 2 && !listed.contains("two"), "{listed}");
    place.check("dead-letters purge keeper --all --json", "", 0, "{\"group\":\"keeper\",\"purged\":2}\n", "");
    place.check("consume keeper", "", 0, "", "note: there is nothing to deliver\n");
}

#[test]
fn a_redrive_sends_all_in_order_and_not_faster_than_asked() {
    let place = with_letters(&["one", "two", "three", "four"]);
    place.check("dead-letters redrive keeper --count 1", "", 0, "1 message resubmitted\n", "");
    let begin = Instant::now();
    let json = "{\"resubmitted\":3,\"refused\":0}\n";
    place.check("dead-letters redrive keeper --rate 5/s --json", "", 0, json, "");
    assert!(begin.elapsed() >= Duration::from_millis(400), "three messages at five a second take two fifths of one");
    let consumed = place.run("consume billing", "").out;
    let bodies: Vec<_> = consumed.lines().skip(1).filter_map(|line| line.split_whitespace().last()).collect();
    assert_eq!(bodies, ["one", "two", "three", "four"]);
    place.check("dead-letters redrive keeper", "", 0, "0 messages resubmitted\n", "");
}

#[test]
fn a_redrive_leaves_what_is_no_dead_letter() {
    let place = with_letters(&["one"]);
    place.run("publish dead stray", "");
    let refused = "error: dead/0/1: the message at dead/0/1 is no dead letter, so nobody knows where it was to go\n\
                   error: 1 message refused; see above\n";
    place.check("dead-letters redrive keeper", "", 1, "1 message resubmitted\n", refused);
    let table = "PLACE DIED GROUP FROM ATTEMPTS KEY REASON\ndead/0/1 - - - - - it is no dead letter\n";
    assert_eq!(words(&place.run("dead-letters list keeper", "").out), table);
}

#[test]
fn a_held_key_is_resumed() {
    let place = with_letters(&[]);
    place.run("publish orders 1 --key k --expires-after 1ms", "");
    place.check("consume billing", "", 0, "", "note: there is nothing to deliver\n");
    place.run("publish orders --key k", "2\n3\n");
    place.check("consume billing", "", 0, "", "note: there is nothing to deliver\n");
    let held = "{\"group\":\"billing\",\"members\":0,\"lag\":2,\"in_flight\":0,\"held_keys\":1}";
    assert!(place.run("subscriptions --json", "").out.contains(held));
    let resumed = "`k` goes on; 2 messages waited behind it\n";
    place.check("subscriptions resume billing k --skip", "", 0, resumed, "");
    let rest = "\
PLACE       ATTEMPT  KEY  BODY
orders/0/1        1  k    2
orders/0/2        1  k    3
";
    place.check("consume billing", "", 0, rest, "");
    let not_held = "error: group `billing` does not hold the key\n";
    place.check("subscriptions resume billing k", "", 1, "", not_held);
}
