//! How entries become appends. One task takes what waits, gives messages their places, has the store write it, and then
//! says what came of it. Several appends are on their way at once; each of them holds only if those before it did.

mod building;

use std::{
    ops::Range,
    sync::{Arc, LazyLock},
};

use futures_util::{StreamExt, stream::FuturesOrdered};
use mainspring_broker::Place;
use mainspring_event::{EventTypeName, NewEvent, Source, StreamName};
use mainspring_store::{Append, AppendError, Appended, Conflict};
use tokio::time;

use crate::{
    codec::message,
    entry::{Done, Entry, Failure, Landed},
    schedule::Waiting,
    shared::Shared,
    state::{Given, State, Taken},
    topic::{Stored, id_of},
};
use building::Building;

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
        let patient = {
            let state = shared.lock();
            if flights.is_empty() && state.ended {
                return;
            }
            // What has waited for long enough goes when something lands.
            state.patient.filter(|until| time::Instant::now() < *until)
        };
        tokio::select! {
            Some((flight, result)) = flights.next(), if !flights.is_empty() => {
                shared.change(|state| state.land(flight, result));
            }
            () = work.notified() => {}
            () = time::sleep_until(patient.unwrap_or_else(time::Instant::now)), if patient.is_some() => {}
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
        let waits = self.patient.is_some_and(|until| time::Instant::now() < until) && !self.closing;
        if waits || self.airborne >= DEPTH || self.failed || self.alone || (alone && self.airborne > 0) {
            return None;
        }
        self.patient = None;
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
