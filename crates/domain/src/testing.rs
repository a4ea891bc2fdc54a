//! The test kit: given what has happened, when a command comes, then this happens. No store, no runtime.
//!
//! Every given event and every event decided on goes through its codec, so one that cannot be read back fails the test.
//! Facts that a decision would not read are hidden from it, so a missing tag fails the test too.

use std::fmt::Debug;

use mainspring_event::{Event, StreamName};
use mainspring_store::BoxError;

use crate::{
    Decider, Decision, history,
    staging::{Destination, new_event, preview},
};

/// A decider after `events`.
///
/// # Panics
/// When an event does not survive its codec.
#[track_caller]
pub fn given<D: Decider>(events: impl IntoIterator<Item = D::Event>) -> Given<D> {
    let mut state = D::default();
    for event in events {
        state.evolve(&round_trip(&event));
    }
    Given { state }
}

/// Everything that has happened, of which a decision sees what it reads.
pub fn given_facts<E: Event>(events: impl IntoIterator<Item = E>) -> GivenFacts<E> {
    GivenFacts { facts: events.into_iter().collect() }
}

/// What has happened to one aggregate, from [`given`].
#[must_use = "nothing is tested until `when` and `then`"]
pub struct Given<D> {
    state: D,
}

/// What has happened anywhere, from [`given_facts`].
#[must_use = "nothing is tested until `when` and `then`"]
pub struct GivenFacts<E> {
    facts: Vec<E>,
}

/// What a command came to.
#[must_use = "nothing is tested until `then`"]
pub struct Then<E, R> {
    result: Result<Vec<E>, R>,
}

impl<D: Decider> Given<D> {
    /// Decides on `command`.
    pub fn when(self, command: D::Command) -> Then<D::Event, D::Error> {
        Then { result: self.state.decide(command) }
    }

    /// The state itself, for what shows in no decision.
    pub fn state(self) -> D {
        self.state
    }
}

impl<E: Event> GivenFacts<E> {
    /// Makes `decision` over the facts that its [`query`](Decision::query) selects. As facts here are in no stream, a
    /// query of your own can select them by type and tag only.
    ///
    /// # Panics
    /// When a fact does not survive its codec, or the tags of a fact or of the decision are not valid.
    #[track_caller]
    pub fn when<D: Decision<Event = E>>(self, decision: D) -> Then<E, D::Error> {
        let query = valid(decision.query(), "the decision's query");
        let stream = valid(StreamName::new("given"), "the stream of facts");
        let mut state = D::State::default();
        for fact in &self.facts {
            let decoded = round_trip(fact);
            let fact = valid(new_event(fact, &Destination::Stream(&stream)), fact.event_type().name);
            if preview(&fact, |fact| query.matches(fact)) {
                decision.evolve(&mut state, &decoded);
            }
        }
        Then { result: decision.decide(&state) }
    }
}

impl<E: Event + PartialEq + Debug, R: Debug> Then<E, R> {
    /// Expects these events, in this order.
    ///
    /// # Panics
    /// When others were decided on, the command was refused, or an event does not survive its codec.
    #[track_caller]
    pub fn then(self, expected: impl IntoIterator<Item = impl Into<E>>) {
        let events = self.accepted();
        let expected: Vec<E> = expected.into_iter().map(Into::into).collect();
        for (index, (event, expected)) in events.iter().zip(&expected).enumerate() {
            assert!(event == expected, "event {index} is\n    {event:?}\nexpected\n    {expected:?}\nof {events:?}");
        }
        let (decided, wanted) = (events.len(), expected.len());
        assert!(
            decided == wanted,
            "{decided} events were decided on, expected {wanted}:\n    {events:?}\n    {expected:?}"
        );
        for event in &events {
            let decoded = round_trip(event);
            assert!(decoded == *event, "event\n    {event:?}\ncomes back from its codec as\n    {decoded:?}");
        }
    }

    /// Expects that the command is accepted and nothing happens.
    ///
    /// # Panics
    /// When something happens, or the command was refused.
    #[track_caller]
    pub fn then_nothing(self) {
        let events = self.accepted();
        assert!(events.is_empty(), "expected nothing to happen, but it was decided on {events:?}");
    }

    /// Expects that the command is refused for this reason.
    ///
    /// # Panics
    /// When it is accepted, or refused for another reason.
    #[track_caller]
    pub fn then_rejected(self, expected: R)
    where
        R: PartialEq,
    {
        match self.result {
            Ok(events) => panic!("expected the rejection {expected:?}, but it was decided on {events:?}"),
            Err(reason) => assert!(reason == expected, "rejected for\n    {reason:?}\nexpected\n    {expected:?}"),
        }
    }

    #[track_caller]
    fn accepted(self) -> Vec<E> {
        match self.result {
            Ok(events) => events,
            Err(reason) => panic!("the command was rejected: {reason:?}"),
        }
    }
}

/// The event as it comes back from a store.
#[track_caller]
fn round_trip<E: Event>(event: &E) -> E {
    let event_type = event.event_type();
    let stream = valid(StreamName::new("given"), "the stream of facts");
    let stored = valid(new_event(event, &Destination::Stream(&stream)), event_type.name);
    valid(preview(&stored, history::decode), event_type.name)
}

/// Unwraps what the test cannot go on without, or says what is wrong with it and why.
#[track_caller]
fn valid<T, E: Into<BoxError>>(result: Result<T, E>, what: &str) -> T {
    result.unwrap_or_else(|error| {
        let error: BoxError = error.into();
        panic!("{what} does not work in this test: {}", mainspring_retry::with_causes(&*error))
    })
}
