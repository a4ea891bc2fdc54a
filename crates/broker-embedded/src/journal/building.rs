//! How an append is put together: messages get their places, and steps their streams.

use std::sync::Arc;

use mainspring_broker::Place;
use mainspring_event::{StreamName, Version};
use mainspring_store::{Append, Check, Expected, StreamChange};

use super::{Flight, GROUP_MOVED, MESSAGE, internal, own_stream};
use crate::{
    entry::{Alone, Entry, Outgoing},
    state::State,
    topic::Stored,
};

/// Settled messages are let go when there are so many.
const TRUNCATE: u64 = 4_096;

/// An append that is put together.
pub(super) struct Building<'a> {
    pub(super) state: &'a mut State,
    flight: Flight,
    /// The versions of the streams of slices before it.
    slices: Vec<((usize, usize), u64)>,
    /// The steps of each group.
    steps: Vec<(usize, Vec<u8>)>,
    /// Steps of the schedule.
    scheduled: Vec<u8>,
}

impl<'a> Building<'a> {
    pub(super) fn new(state: &'a mut State) -> Self {
        let append = Append::default().expect(own_stream(), Expected::Exactly(Version(state.version)));
        let flight = Flight {
            append,
            entries: Vec::new(),
            places: Vec::new(),
            stored: Vec::new(),
            waiting: Vec::new(),
            given: Vec::new(),
            taken: Vec::new(),
            groups: Vec::new(),
            schedule: None,
            truncated: Vec::new(),
            own: 0..0,
        };
        Self { state, flight, slices: Vec::new(), steps: Vec::new(), scheduled: Vec::new() }
    }

    pub(super) fn add(&mut self, entry: Entry) {
        let Entry { messages, steps, schedule, alone, done, .. } = entry;
        if let Some(alone) = alone {
            let user = match alone {
                Alone::Topology(events) => Append::new(events),
                Alone::User(append) => append,
            };
            let append = &mut self.flight.append;
            append.checks.extend(user.checks);
            append.changes.extend(user.changes);
            append.events.extend(user.events);
            self.flight.own = 0..append.events.len();
        }
        let first = self.flight.places.len();
        for message in messages {
            self.place(message);
        }
        for (group, steps) in steps {
            self.step(group, &steps);
        }
        self.scheduled.extend(schedule);
        self.flight.entries.push((done, first..self.flight.places.len()));
    }

    /// Gives a message its place, or lets it wait for its time.
    fn place(&mut self, message: Outgoing) {
        let Outgoing { topic, message, written, expires, due, is_new } = message;
        if let Some(due) = due {
            let (event, waiting) = self.state.schedule.place(&mut self.scheduled, due, (topic, &message), written);
            self.flight.append.events.push(event);
            self.flight.waiting.push(waiting);
            self.flight.places.push(None);
            return;
        }
        let now = self.state.now;
        let state = &mut self.state.topics[topic];
        let partition = state.partition_for(message.key.as_deref());
        let slice = &mut state.partitions[partition];
        if !self.slices.iter().any(|(known, _)| *known == (topic, partition)) {
            self.slices.push(((topic, partition), slice.next));
        }
        let place = Place { slice: slice.slice.clone(), offset: slice.next };
        slice.next += 1;
        let size = message.size();
        slice.end += size as u64;
        let event = internal(slice.stream.clone(), MESSAGE.clone(), written.placed(now, slice.end));
        self.flight.append.events.push(event);
        let stored = Arc::new(Stored { place: place.clone(), stored: now, end: slice.end, expires, size, message });
        self.state.dispatch(topic, &stored, &mut self.flight.given);
        self.flight.stored.push((topic, stored, is_new));
        self.flight.places.push(Some(place));
    }

    fn step(&mut self, group: usize, steps: &[u8]) {
        match self.steps.iter_mut().find(|(known, _)| *known == group) {
            Some((_, all)) => all.extend_from_slice(steps),
            None => self.steps.push((group, steps.to_vec())),
        }
    }

    pub(super) fn finish(mut self) -> Flight {
        let (steps, taken) = self.state.take_unborn(&self.flight.given);
        self.flight.taken = taken;
        for (group, steps) in steps {
            self.step(group, &steps);
        }
        let due: Vec<_> = (0..self.state.groups.len()).filter(|at| self.state.groups[*at].needs_snapshot()).collect();
        due.into_iter().for_each(|group| self.step(group, &[]));
        let state = self.state;
        let mut flight = self.flight;
        for ((topic, partition), before) in self.slices {
            let stream = state.topics[topic].partitions[partition].stream.clone();
            flight.append.checks.push(at_version(stream, before));
        }
        for (group, steps) in self.steps {
            let group_state = &mut state.groups[group];
            flight.append.checks.push(at_version(group_state.stream.clone(), group_state.version));
            let snapshot = group_state.snapshot_if_needed();
            if !snapshot.is_empty() {
                let (stream, version) = (group_state.stream.clone(), Version(group_state.version + 1));
                flight.append.changes.push(StreamChange::TruncateBefore { stream, version });
            }
            for steps in snapshot.into_iter().chain([steps]).filter(|steps| !steps.is_empty()) {
                group_state.written += steps.len();
                group_state.version += 1;
                flight.append.events.push(internal(group_state.stream.clone(), GROUP_MOVED.clone(), steps.into()));
            }
            flight.groups.push((group, group_state.version));
        }
        if state.airborne == 1 {
            truncate(state, &mut flight);
        }
        flight.schedule = state.schedule.finish(&mut flight.append, self.scheduled, state.airborne == 1, state.now);
        flight
    }
}

/// Lets go of messages that every group has settled, where the topic keeps no others: but never of the newest, which
/// says where its slice is.
fn truncate(state: &State, flight: &mut Flight) {
    for (topic, of_topic) in state.topics.iter().enumerate().filter(|(_, of_topic)| !of_topic.is_log()) {
        for (at, partition) in of_topic.partitions.iter().enumerate() {
            let floors = of_topic.groups.iter().filter_map(|group| {
                let group = &state.groups[*group];
                group.slice(topic, at).map(|slice| group.cursors[slice].floor)
            });
            let Some(floor) = floors.min() else { continue };
            let floor = floor.min(partition.stored.saturating_sub(1));
            if floor >= partition.first + TRUNCATE {
                let (stream, version) = (partition.stream.clone(), Version(floor + 1));
                flight.append.changes.push(StreamChange::TruncateBefore { stream, version });
                flight.truncated.push((topic, at, floor));
            }
        }
    }
}

fn at_version(stream: StreamName, version: u64) -> Check {
    Check::Stream { stream, expected: Expected::Exactly(Version(version)) }
}
