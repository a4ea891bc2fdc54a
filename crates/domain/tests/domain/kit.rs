//! The test kit itself: what it lets pass, and what it says where it does not.

use bytes::Bytes;
use mainspring_domain::{
    Decider,
    testing::{given, given_facts},
};
use mainspring_event::{DecodeError, EncodeError, Event, EventType, NameError, Payload, Tag};

use crate::{
    bank::{Account, AccountCommand::*, Overdrawn, deposited, withdrawn},
    courses::{Enrol, Refused, enrolled, opened},
};

#[test]
fn what_is_expected_passes() {
    given::<Account>([deposited(5)]).when(Empty).then([withdrawn(5)]);
    given::<Account>([]).when(Empty).then_nothing();
    given::<Account>([deposited(5)]).when(Withdraw(6)).then_rejected(Overdrawn { balance: 5 });
    assert_eq!(given::<Account>([deposited(5), withdrawn(2)]).state(), Account { balance: 3, movements: 2 });
}

#[test]
fn a_decision_sees_only_what_its_query_selects() {
    let elsewhere = [opened("go", 1), enrolled("go", "bob")];
    given_facts(elsewhere.clone()).when(Enrol::new("rust", "ada")).then_rejected(Refused::Full);
    given_facts([opened("rust", 1), enrolled("go", "bob")])
        .when(Enrol::new("rust", "ada"))
        .then([enrolled("rust", "ada")]);
    given_facts([opened("rust", 9), enrolled("go", "ada"), enrolled("zig", "ada")])
        .when(Enrol::new("rust", "ada"))
        .then_rejected(Refused::TooMany);
}

#[test]
#[should_panic(expected = "event 1 is\n    Deposited { cents: 1 }\nexpected\n    Deposited { cents: 2 }")]
fn another_event_is_shown_beside_the_expected_one() {
    given::<Account>([]).when(DepositCents(2)).then([deposited(1), deposited(2)]);
}

#[test]
#[should_panic(expected = "2 events were decided on, expected 1")]
fn a_surplus_event_is_counted() {
    given::<Account>([]).when(DepositCents(2)).then([deposited(1)]);
}

#[test]
#[should_panic(expected = "the command was rejected: Overdrawn { balance: 0 }")]
fn an_unexpected_rejection_gives_its_reason() {
    given::<Account>([]).when(Withdraw(1)).then([withdrawn(1)]);
}

#[test]
#[should_panic(expected = "expected the rejection Overdrawn { balance: 9 }, but it was decided on [")]
fn a_missing_rejection_shows_what_happened_instead() {
    given::<Account>([deposited(1)]).when(Empty).then_rejected(Overdrawn { balance: 9 });
}

#[test]
#[should_panic(expected = "rejected for\n    Overdrawn { balance: 0 }\nexpected\n    Overdrawn { balance: 9 }")]
fn another_rejection_is_shown_beside_the_expected_one() {
    given::<Account>([]).when(Withdraw(1)).then_rejected(Overdrawn { balance: 9 });
}

#[test]
#[should_panic(expected = "expected nothing to happen, but it was decided on [Withdrawn { cents: 1 }]")]
fn something_instead_of_nothing_is_shown() {
    given::<Account>([deposited(1)]).when(Empty).then_nothing();
}

/// An event whose codec is broken: whatever is written, 0 is read, and 13 cannot be read at all.
#[derive(Clone, Debug, PartialEq)]
struct Counted(u8);

impl Event for Counted {
    const TYPES: &'static [EventType] = &[EventType { name: "Counted", version: 1, tags: &[] }];

    fn event_type(&self) -> &'static EventType {
        &Self::TYPES[0]
    }

    fn tags(&self) -> Result<Vec<Tag>, NameError> {
        Ok(vec![])
    }

    fn encode(&self) -> Result<Payload, EncodeError> {
        Ok(Payload { content_type: "application/octet-stream", bytes: Bytes::from(vec![self.0]) })
    }

    fn decode(name: &str, version: u32, content_type: &str, payload: &[u8]) -> Result<Self, DecodeError> {
        assert_eq!(content_type, "application/octet-stream");
        match payload {
            [13] => Err(DecodeError::malformed(name, version, 1, "unlucky")),
            _ => Ok(Self(0)),
        }
    }
}

#[derive(Default)]
struct Counter(u8);

impl Decider for Counter {
    const CATEGORY: &'static str = "counter";
    type Id = u8;
    type Command = u8;
    type Event = Counted;
    type Error = std::convert::Infallible;

    fn evolve(&mut self, event: &Counted) {
        self.0 += event.0;
    }

    fn decide(&self, count: u8) -> Result<Vec<Counted>, Self::Error> {
        Ok(vec![Counted(count)])
    }
}

#[test]
fn given_events_are_seen_as_they_come_back() {
    assert_eq!(given::<Counter>([Counted(5)]).state().0, 0);
}

#[test]
#[should_panic(expected = "event\n    Counted(5)\ncomes back from its codec as\n    Counted(0)")]
fn an_event_that_comes_back_changed_fails_the_test() {
    given::<Counter>([]).when(5).then([Counted(5)]);
}

#[test]
#[should_panic(
    expected = "Counted does not work in this test: the event at position 0 in stream `given` cannot be read: \
                           Counted version 1 does not have the shape of its type (the current version is 1): unlucky"
)]
fn an_event_that_cannot_be_read_back_says_why() {
    let _ = given::<Counter>([Counted(13)]);
}
