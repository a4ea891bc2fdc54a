//! What errors say to whoever has to act on them.

use std::error::Error;

use mainspring_event::{EventId, NewEvent, Position, Version};
use mainspring_store::{Append, AppendError, Conflict, Expected, Limits, Query, ReadError};

#[test]
fn a_conflict_says_its_numbers() {
    let stream = "order-1".parse().unwrap();
    let conflict = Conflict::Stream { stream, expected: Expected::Exactly(Version(3)), actual: Version(5) };
    let text = "stream `order-1` is at version 5, expected version 3";
    assert_eq!(conflict.to_string(), text);
    assert_eq!(AppendError::from(conflict).to_string(), text);
    let conflict = Conflict::Match { query: Query::All, after: Some(Position(7)), position: Position(9) };
    let text = "the event at position 9 matches an append condition (looked for after position 7)";
    assert_eq!(conflict.to_string(), text);
}

#[test]
fn an_error_does_not_repeat_its_cause() {
    let cause = || "disk full".into();
    let errors: [Box<dyn Error>; 4] = [
        Box::new(AppendError::Failed(cause())),
        Box::new(AppendError::Unknown(cause())),
        Box::new(ReadError::Damaged(cause())),
        Box::new(ReadError::Failed(cause())),
    ];
    for error in errors {
        assert_eq!(error.source().unwrap().to_string(), "disk full");
        assert!(!error.to_string().contains("disk full"), "{error}");
    }
}

#[test]
fn an_error_says_what_to_do() {
    let stale = AppendError::Stale { floor: Position(7) }.to_string();
    assert!(stale.contains('7') && stale.contains("read and decide again"), "{stale}");
    let unknown = AppendError::Unknown("connection lost".into()).to_string();
    assert!(unknown.contains("repeat the identical append"), "{unknown}");
    let id = EventId::new();
    let reused = AppendError::IdReused { id, position: Position(7) }.to_string();
    assert!(reused.contains(&id.to_string()) && reused.contains('7'), "{reused}");
}

#[test]
fn a_limit_is_named_with_its_numbers() {
    let limits = Limits { tags: 1, ..Limits::default() };
    let event = NewEvent {
        tags: vec!["k:1".parse().unwrap(), "k:2".parse().unwrap()],
        ..NewEvent::json("order-1".parse().unwrap(), "Placed".parse().unwrap(), "{}")
    };
    let error = limits.check(&Append::new([event.clone()])).unwrap_err();
    assert_eq!(error.to_string(), "the number of tags of an event is 2, the limit is 1");
    let internal = NewEvent { stream: "$lease-1".parse().unwrap(), ..event };
    let error = Limits::default().check(&Append::new([internal])).unwrap_err();
    assert!(matches!(error, AppendError::Invalid { .. }), "{error}");
}
