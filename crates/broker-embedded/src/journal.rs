//! How entries become appends. One task takes what waits, gives messages their places, has the store write it, and then
//! says what came of it. Several appends are on their way at once; each of them holds only if those before it did.

use std::{
    ops::Range,
    sync::{Arc, LazyLock},
};

use futures_util::{StreamExt, stream::FuturesOrdered};
use mainspring_broker::Place;
use mainspring_event::{EventTypeName, NewEvent, Source, StreamName, Version};
use mainspring_store::{Append, AppendError, Appended, Conflict, Expected, StreamChange};

use crate::{
    codec::message,
    entry::{Alone, Done, Entry, Failure, Landed, Outgoing},
    schedule::Waiting,
    shared::Shared,
    state::{Given, State, Taken},
    topic::{Stored, id_of},
};

/// So many appends are on their way at once.
const DEPTH: usize = 2;

/// An append takes no more entries when it has so many events or bytes.
const EVENTS: usize = 1_024;
const BYTES: usize = 1 << 20;

/// An append on its way, and what follows from it.
pub(crate) struct Flight {
    append: Append,
    entries: Vec<(Done, Range<usize>)>,
    places: Vec<Option<Place>>,
    /// Each with its topic, and whether that forgets its id when it does not arrive.
    stored: Vec<(usize, Arc<Stored>, bool)>,
    waiting: Vec<Waiting>,
    given: Vec<Given>,
    taken: Vec<Taken>,
    groups: Vec<(usize, u64)>,
    /// The version that the schedule's stream has then, if it is written.
    schedule: Option<u64>,
    truncated: Vec<(usize, usize, u64)>,
    /// How many of the events are an entry's own.
    own: Range<usize>,
}

/// Writes until the broker has ended.
pub(crate) async fn write(shared: Arc<Shared>) {
    let mut flights = FuturesOrdered::new();
    let work = shared.lock().work.clone();
    loop {
        while let Some(mut flight) = shared.change(State::take_flight) {
            let append = std::mem::take(&mut flight.append);
            let store = shared.store.clone();
            flights.push_back(async move { (flight, store.append(append).await) });
        }
        if flights.is_empty() && shared.lock().ended {
            return;
        }
        tokio::select! {
            Some((flight, result)) = flights.next(), if !flights.is_empty() => {
                shared.change(|state| state.land(flight, result));
            }
            () = work.notified() => {}
        }
    }
}

impl State {
    /// The next append, if there is something to write and it may be written now.
    fn take_flight(&mut self) -> Option<Flight> {
        if self.ended {
            self.fail_queue();
            return None;
        }
        if self.failed && self.airborne == 0 {
            self.fall_back();
        }
        let first = self.queue.front().or_else(|| self.sends.front())?;
        let alone = first.alone.is_some() || self.groups.iter().any(|group| group.needs_snapshot());
        if self.airborne >= DEPTH || self.failed || self.alone || (alone && self.airborne > 0) {
            return None;
        }
        self.airborne += 1;
        let mut building = Building::new(self);
        let (mut events, mut bytes) = (0, 0);
        while let Some(entry) = building.state.next_entry() {
            let (size, is_alone) = (entry.size(), entry.alone.is_some());
            if events > 0 && (events + size.0 > EVENTS || bytes + size.1 > BYTES || is_alone) {
                building.state.put_back(entry);
                break;
            }
            (events, bytes) = (events + size.0, bytes + size.1);
            building.add(entry);
            if is_alone {
                building.state.alone = true;
                break;
            }
        }
        Some(building.finish())
    }

    /// What is written next: steps of groups before messages, because members wait for them.
    fn next_entry(&mut self) -> Option<Entry> {
        self.queue.pop_front().or_else(|| self.sends.pop_front())
    }

    fn put_back(&mut self, entry: Entry) {
        let queue = if entry.is_sent { &mut self.sends } else { &mut self.queue };
        queue.push_front(entry);
    }

    /// What came of an append.
    fn land(&mut self, flight: Flight, result: Result<Appended, AppendError>) {
        self.airborne -= 1;
        // What stands alone is the only one on its way.
        let alone = std::mem::take(&mut self.alone);
        match result {
            Ok(appended) => self.arrive(flight, appended),
            Err(error) => self.miss(flight, error, alone),
        }
        self.changed.send_replace(());
    }

    fn arrive(&mut self, flight: Flight, appended: Appended) {
        let Flight { entries, mut places, stored, waiting, given, taken, groups, schedule, truncated, own, .. } =
            flight;
        let mut concerned = Vec::new();
        for (group, version) in groups {
            self.groups[group].stored_version = version;
        }
        for (topic, stored, _) in stored {
            let state = &mut self.topics[topic];
            state.has_arrived(id_of(&stored.message), Some(stored.place.clone()));
            let partition = stored.place.slice.partition as usize;
            state.partitions[partition].keep(stored);
            if !concerned.contains(&topic) {
                concerned.push(topic);
            }
        }
        for (topic, partition, first) in truncated {
            self.topics[topic].partitions[partition].first = first;
        }
        for waiting in &waiting {
            self.topics[waiting.topic].has_arrived(waiting.id, None);
        }
        let due = self.schedule.arrive(schedule, &waiting, self.now);
        self.expect(due);
        self.land_given(&given);
        for taken in taken {
            self.land_taken(taken, true);
        }
        let mut own = Some(Appended { position: appended.position, written: appended.written[own].to_vec() });
        for (done, range) in entries {
            let places = places[range].iter_mut().map(Option::take).collect();
            let appended = own.take().unwrap_or_else(|| Appended { position: appended.position, written: Vec::new() });
            done(self, Ok(Landed { places, appended }));
        }
        let mut groups: Vec<_> = concerned.iter().flat_map(|topic| self.topics[*topic].groups.clone()).collect();
        groups.sort_unstable();
        groups.dedup();
        groups.into_iter().for_each(|group| self.pump(group));
    }

    /// Nothing of it was written, or nobody knows. What is on its way behind it rests on it and fails, too.
    fn miss(&mut self, flight: Flight, error: AppendError, alone: bool) {
        self.failed = true;
        let fenced =
            matches!(&error, AppendError::Conflict(Conflict::Stream { stream, .. }) if *stream == own_stream());
        let error = Arc::new(error);
        let unknown = matches!(*error, AppendError::Unknown(_));
        if fenced || unknown {
            tracing::error!(%error, "the broker ends: another one has taken its place, or nobody knows what is stored");
            self.ended = true;
        }
        self.lose_given(&flight.given);
        // No later message of a key is stored before one that failed: those behind it fail, too. What a user's own events
        // did not allow was not sent.
        let sends = !flight.stored.is_empty() || !flight.waiting.is_empty();
        if sends && !alone {
            let behind = std::mem::take(&mut self.sends);
            for entry in behind {
                for message in entry.messages.iter().filter(|message| message.is_new) {
                    self.topics[message.topic].forget(id_of(&message.message));
                }
                (entry.done)(self, Err(Failure::Not(error.clone())));
            }
        }
        for taken in flight.taken {
            self.land_taken(taken, false);
        }
        for (topic, stored, _) in flight.stored.iter().filter(|(_, _, is_new)| *is_new) {
            self.topics[*topic].forget(id_of(&stored.message));
        }
        for waiting in &flight.waiting {
            self.topics[waiting.topic].forget(waiting.id);
        }
        let failure = match (fenced, unknown) {
            (true, _) => Failure::Ended,
            (_, true) => Failure::Unknown(error),
            _ => Failure::Not(error),
        };
        let mut entries = flight.entries;
        let last = entries.pop();
        for (done, _) in entries {
            done(self, Err(failure.clone()));
        }
        // The last one gets the failure itself, so that whoever stands alone can take the error out of it.
        if let Some((done, _)) = last {
            done(self, Err(failure));
        }
        if self.ended {
            self.fail_queue();
            self.wake_everybody();
        }
        (0..self.groups.len()).for_each(|group| self.pump(group));
    }

    /// Nothing is on its way any more, and not everything has arrived: what follows rests on what is stored.
    fn fall_back(&mut self) {
        for partition in self.topics.iter_mut().flat_map(|topic| &mut topic.partitions) {
            partition.fall_back();
        }
        for group in &mut self.groups {
            group.version = group.stored_version;
        }
        self.schedule.fall_back();
        self.failed = false;
    }

    fn fail_queue(&mut self) {
        while let Some(entry) = self.next_entry() {
            (entry.done)(self, Err(Failure::Ended));
        }
    }

    pub(crate) fn wake_everybody(&mut self) {
        for member in self.groups.iter().flat_map(|group| group.members.values()) {
            member.wake.notify_one();
        }
        self.work.notify_one();
        self.earlier.notify_one();
        self.changed.send_replace(());
    }
}

/// An append that is put together.
struct Building<'a> {
    state: &'a mut State,
    flight: Flight,
    /// The versions of the streams of slices before it.
    slices: Vec<((usize, usize), u64)>,
    /// The steps of each group.
    steps: Vec<(usize, Vec<u8>)>,
    /// Steps of the schedule.
    scheduled: Vec<u8>,
}

impl<'a> Building<'a> {
    fn new(state: &'a mut State) -> Self {
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

    fn add(&mut self, entry: Entry) {
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

    fn finish(mut self) -> Flight {
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

/// Settled messages are let go when there are so many.
const TRUNCATE: u64 = 4_096;

fn at_version(stream: StreamName, version: u64) -> mainspring_store::Check {
    mainspring_store::Check::Stream { stream, expected: Expected::Exactly(Version(version)) }
}

/// The stream of the broker itself: its topology, and who works on it.
pub(crate) fn own_stream() -> StreamName {
    OWN_STREAM.clone()
}

// Checked once, and not for every event.
static OWN_STREAM: LazyLock<StreamName> =
    LazyLock::new(|| StreamName::new("$broker").expect("a short plain word is a name"));
static MESSAGE: LazyLock<EventTypeName> =
    LazyLock::new(|| EventTypeName::new("Message").expect("a short plain word is a name"));
static GROUP_MOVED: LazyLock<EventTypeName> =
    LazyLock::new(|| EventTypeName::new("GroupMoved").expect("a short plain word is a name"));
static SOURCE: LazyLock<Source> = LazyLock::new(|| Source::new("mainspring").expect("a short plain word is a source"));

/// An event of the machinery.
pub(crate) fn internal(stream: StreamName, event_type: EventTypeName, payload: bytes::Bytes) -> NewEvent {
    NewEvent {
        id: mainspring_event::EventId::new(),
        stream,
        event_type,
        schema_version: 1,
        time: jiff::Timestamp::UNIX_EPOCH,
        source: SOURCE.clone(),
        content_type: std::borrow::Cow::Borrowed(message::CONTENT_TYPE),
        tags: Vec::new(),
        metadata: mainspring_event::Metadata::default(),
        payload,
    }
}
