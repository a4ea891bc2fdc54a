//! What must be true of a store after it was interrupted: it is where the reference model was after some number of
//! appends, all that were acknowledged among them.

use std::{
    collections::{BTreeMap, HashMap},
    ops::RangeInclusive,
    time::Duration,
};

use futures_util::future::join_all;
use mainspring_conformance::ManualClock;
use mainspring_event::{EventId, Position, StoredEvent};
use mainspring_store::{AppendError, Appended, Clock, EventStore, MemoryStore, Query, Read, ReadError};

use crate::{
    kit::{clock, events, stream},
    workload::{STREAMS, Workload},
};

/// A workload, and what the reference model makes of it.
pub(crate) struct Truth {
    pub(crate) workload: Workload,
    /// What each append is answered.
    expected: Vec<Result<Appended, AppendError>>,
    /// Where the model is before each append, and after the last.
    states: Vec<State>,
    /// What the model ever held.
    written: HashMap<EventId, StoredEvent>,
}

/// What the streams of a store show.
#[derive(Clone, Debug, PartialEq)]
struct State {
    head: Position,
    /// Nothing for a tombstoned stream.
    streams: BTreeMap<&'static str, Option<Vec<StoredEvent>>>,
}

/// What came of sending a workload until something failed.
#[derive(Debug)]
pub(crate) struct Sent {
    /// The answers, in the order in which the appends were sent.
    pub(crate) answers: Vec<Result<Appended, AppendError>>,
}

impl Truth {
    pub(crate) async fn of(workload: Workload) -> Self {
        let clock = clock();
        let model = MemoryStore::with_clock(clock.clone());
        let mut truth =
            Self { workload, expected: Vec::new(), states: vec![State::of(&model).await], written: HashMap::new() };
        for step in &truth.workload.steps {
            for append in step {
                truth.expected.push(model.append(append.clone()).await);
                let state = State::of(&model).await;
                let seen = state.streams.values().flatten().flatten();
                truth.written.extend(seen.map(|event| (event.event.id, event.clone())));
                truth.states.push(state);
            }
            clock.advance(Duration::from_secs(1));
        }
        truth
    }

    /// Sends the workload from its beginning, the appends of a step at once, until a step fails.
    ///
    /// # Errors
    /// An answer that nothing can excuse.
    pub(crate) async fn send(&self, store: &dyn EventStore, clock: &ManualClock) -> Result<Sent, String> {
        let mut sent = Sent { answers: Vec::new() };
        for step in &self.workload.steps {
            let answers = join_all(step.iter().map(|append| store.append(append.clone()))).await;
            clock.advance(Duration::from_secs(1));
            let failed = answers.iter().any(is_failure);
            sent.answers.extend(answers);
            if failed {
                break;
            }
        }
        let before_failure = sent.answers.iter().position(is_failure).unwrap_or(usize::MAX);
        for (index, answer) in sent.answers.iter().enumerate().filter(|(_, answer)| !is_failure(answer)) {
            // A conflict is another one where an append before it failed.
            if answer.is_ok() || index < before_failure {
                self.compare(index, answer)?;
            }
        }
        Ok(sent)
    }

    /// Sends one append after the other from a number on, which must go well.
    pub(crate) async fn go_on(
        &self,
        store: &dyn EventStore,
        clock: &ManualClock,
        (from, found): (usize, usize),
    ) -> Result<(), String> {
        let mut index = 0;
        clock.set(crate::kit::clock().now());
        for step in &self.workload.steps {
            for append in step {
                // What was refused would not be refused in the same words once later appends are there.
                if index >= found || (index >= from && self.expected[index].is_ok()) {
                    self.compare(index, &store.append(append.clone()).await)?;
                }
                index += 1;
            }
            clock.advance(Duration::from_secs(1));
        }
        let end = self.workload.appends().count();
        self.find(store, end..=end).await.map(drop)
    }

    /// Whether an append was answered as the model answers it.
    ///
    /// # Errors
    /// It was not.
    pub(crate) fn compare(&self, index: usize, answer: &Result<Appended, AppendError>) -> Result<(), String> {
        let expected = &self.expected[index];
        let same = match (expected, answer) {
            (Ok(expected), Ok(answer)) => expected == answer,
            (Err(expected), Err(answer)) => format!("{expected:?}") == format!("{answer:?}"),
            _ => false,
        };
        if same { Ok(()) } else { Err(format!("append {index} must be answered {expected:?}, not {answer:?}")) }
    }

    /// How many appends a store may hold after an interruption: at least all that were acknowledged, and none that was
    /// said not to be written.
    pub(crate) fn possible(&self, sent: &Sent) -> RangeInclusive<usize> {
        let answers = || sent.answers.iter().enumerate();
        let acknowledged = answers().filter_map(|(index, answer)| {
            let position = answer.as_ref().ok()?.position;
            // The answer to a repeated append vouches for the original, and for nothing that was sent in between.
            let vouched = || self.states.iter().position(|state| state.head >= position);
            if self.has_effect(index) { Some(index + 1) } else { vouched() }
        });
        let failed =
            answers().find(|(index, answer)| self.has_effect(*index) && matches!(answer, Err(AppendError::Failed(_))));
        acknowledged.max().unwrap_or(0)..=failed.map_or(sent.answers.len(), |(index, _)| index)
    }

    /// Whether an append leaves the store other than it was.
    fn has_effect(&self, index: usize) -> bool {
        self.states[index] != self.states[index + 1]
    }

    /// How many appends the store holds: as many as possible of those that leave it as it is.
    ///
    /// # Errors
    /// None of these numbers explains what the store shows.
    pub(crate) async fn find(&self, store: &dyn EventStore, range: RangeInclusive<usize>) -> Result<usize, String> {
        let state = State::of(store).await;
        self.check_whole_read(store, &state).await?;
        let found = range.clone().rev().find(|index| self.states[*index] == state);
        found.ok_or_else(|| {
            let (least, most) = (&self.states[*range.start()], &self.states[*range.end()]);
            let elsewhere = self.states.iter().position(|other| *other == state);
            format!(
                "the store must be where {range:?} appends lead, with the head between {} and {}; it is at {}, where \
                 {elsewhere:?} appends lead",
                least.head, most.head, state.head,
            )
        })
    }

    /// A read of everything shows in order what was written, and all that the streams show.
    async fn check_whole_read(&self, store: &dyn EventStore, state: &State) -> Result<(), String> {
        let all = events(store, Read::new(Query::All)).await.map_err(|error| format!("{error:?}"))?;
        if !all.is_sorted_by(|one, next| one.position < next.position) {
            return Err("a read of everything is out of order".to_owned());
        }
        let held: HashMap<_, _> = all.iter().map(|event| (event.event.id, event)).collect();
        if let Some(invented) = all.iter().find(|event| self.written.get(&event.event.id) != Some(*event)) {
            return Err(format!("nobody wrote this: {invented:?}"));
        }
        let visible = state.streams.iter().filter(|(name, _)| !name.starts_with('$'));
        let mut visible = visible.flat_map(|(_, events)| events.iter().flatten());
        match visible.find(|event| held.get(&event.event.id) != Some(event)) {
            Some(missing) => Err(format!("its stream shows it, a read of everything does not: {missing:?}")),
            None => Ok(()),
        }
    }
}

impl State {
    async fn of(store: &dyn EventStore) -> Self {
        let mut streams = BTreeMap::new();
        for name in STREAMS {
            let read = events(store, Read::new(Query::stream(stream(name)))).await;
            let events = match read {
                Ok(events) => Some(events),
                Err(ReadError::Tombstoned { .. }) => None,
                Err(error) => panic!("stream {name} cannot be read: {error:?}"),
            };
            streams.insert(name, events);
        }
        Self { head: store.info().await.expect("an open store knows its head").head, streams }
    }
}

/// Whether an append was answered by the failure of something below the store.
fn is_failure(answer: &Result<Appended, AppendError>) -> bool {
    matches!(answer, Err(AppendError::Failed(_) | AppendError::Unknown(_)))
}
