//! What of the changes of streams is kept.

use mainspring_event::Version;
use mainspring_store::{Retained, Retention, StreamChange};

use super::condense;

fn retain(target: Retained, count: u64) -> StreamChange {
    StreamChange::Retain { target, retention: Retention { max_count: Some(count), max_age: None } }
}

fn of_stream(name: &str, count: u64) -> StreamChange {
    retain(Retained::Stream(name.parse().unwrap()), count)
}

fn of_category(name: &str, count: u64) -> StreamChange {
    retain(Retained::Category(name.parse().unwrap()), count)
}

fn truncate(name: &str, version: u64) -> StreamChange {
    StreamChange::TruncateBefore { stream: name.parse().unwrap(), version: Version(version) }
}

fn tombstone(name: &str) -> StreamChange {
    StreamChange::Tombstone { stream: name.parse().unwrap() }
}

#[test]
fn the_last_rule_the_highest_truncation_and_every_tombstone_are_kept() {
    let changes = vec![
        of_stream("a", 1),
        of_category("a", 2),
        truncate("a", 9),
        of_stream("b", 3),
        truncate("a", 4),
        of_stream("a", 5),
        truncate("b", 1),
        tombstone("b"),
        of_category("a", 6),
        truncate("c", 2),
        tombstone("b"),
        truncate("c", 7),
    ];
    let kept = [of_stream("a", 5), of_category("a", 6), truncate("a", 9), tombstone("b"), truncate("c", 7)];
    assert_eq!(condense(changes), kept);
}
