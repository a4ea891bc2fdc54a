//! One topic: its partitions, the newest messages of each, and what it remembers against duplicates.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use jiff::Timestamp;
use mainspring_broker::{Destination, Keep, Message, Place, Slice, Topic, partition_of};
use mainspring_event::{EventId, NameError, StreamName};

use crate::codec::message::Decoded;

/// So many messages and bytes of each partition stay in memory, for groups that are just behind.
const RECENT: usize = 32_768;
const RECENT_BYTES: usize = 16 << 20;

/// A message that has its place.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) place: Place,
    pub(crate) stored: Timestamp,
    /// Bytes of all messages of the slice up to the end of this one.
    pub(crate) end: u64,
    pub(crate) expires: Option<Timestamp>,
    /// Bytes of the message, which are asked for often.
    pub(crate) size: usize,
    pub(crate) message: Message,
}

impl Stored {
    /// A message that was read at `offset` of its slice.
    pub(crate) fn read(slice: &Slice, offset: u64, decoded: Decoded) -> Self {
        let Decoded { message, stored, end, expires } = decoded;
        let place = Place { slice: slice.clone(), offset };
        Self { place, stored, end, expires, size: message.size(), message }
    }
}

pub(crate) struct TopicState {
    pub(crate) spec: Topic,
    pub(crate) partitions: Vec<Partition>,
    /// The groups that are bound to it.
    pub(crate) groups: Vec<usize>,
    /// Where messages without key go next.
    turn: u32,
    /// The ids that came within the window.
    seen: HashMap<EventId, Seen>,
    /// The same in the order in which they came.
    arrivals: VecDeque<(Timestamp, EventId)>,
}

/// A message that came within the window for duplicates.
#[derive(Clone)]
pub(crate) struct Seen {
    /// Where it lies; nothing while it is on its way to the store or not due.
    pub(crate) place: Option<Place>,
    /// Whether it has arrived there.
    pub(crate) arrived: bool,
    taken: Timestamp,
}

pub(crate) struct Partition {
    pub(crate) slice: Slice,
    pub(crate) stream: StreamName,
    /// The offset of the next message, and the bytes up to there: with everything that is on its way to the store.
    pub(crate) next: u64,
    pub(crate) end: u64,
    /// The same without what is on its way.
    pub(crate) stored: u64,
    pub(crate) stored_end: u64,
    /// The first offset that the store still has.
    pub(crate) first: u64,
    /// What the broker knew when it was opened lies below this offset.
    pub(crate) opened: u64,
    recent: VecDeque<Arc<Stored>>,
    recent_bytes: usize,
}

/// The stream of a slice.
pub(crate) fn stream_of(topic: &Destination, partition: u32) -> Result<StreamName, NameError> {
    StreamName::of("$topic", format_args!("{topic}/{partition}"))
}

impl TopicState {
    pub(crate) fn new(spec: Topic) -> Result<Self, NameError> {
        let partition = |partition| {
            let slice = Slice { topic: spec.name.clone(), partition };
            Ok(Partition::new(slice, stream_of(&spec.name, partition)?))
        };
        let partitions = (0..spec.partitions).map(partition).collect::<Result<_, _>>()?;
        let (seen, arrivals) = (HashMap::new(), VecDeque::new());
        Ok(Self { spec, partitions, groups: Vec::new(), turn: 0, seen, arrivals })
    }

    pub(crate) fn is_log(&self) -> bool {
        matches!(self.spec.keep, Keep::Log { .. })
    }

    /// The partition for the next message with this key.
    pub(crate) fn partition_for(&mut self, key: Option<&[u8]>) -> usize {
        let partition = match key {
            Some(key) => partition_of(key, self.spec.partitions),
            None => {
                self.turn = (self.turn + 1) % self.spec.partitions;
                self.turn
            }
        };
        partition as usize
    }

    /// The message that came with the same id within the window.
    pub(crate) fn duplicate(&mut self, message: &Message, now: Timestamp) -> Option<(EventId, Seen)> {
        let window = self.spec.dedupe?;
        while let Some((taken, id)) = self.arrivals.front() {
            if now.duration_since(*taken).unsigned_abs() < window {
                break;
            }
            // It may have come again since, after it was forgotten.
            if self.seen.get(id).is_some_and(|seen| seen.taken == *taken) {
                self.seen.remove(id);
            }
            self.arrivals.pop_front();
        }
        let id = message.envelope.as_ref()?.id;
        self.seen.get(&id).map(|seen| (id, seen.clone()))
    }

    /// Keeps the id of a message that is taken.
    pub(crate) fn remember(&mut self, message: &Message, taken: Timestamp) {
        if let (Some(_), Some(envelope)) = (self.spec.dedupe, &message.envelope)
            && !self.seen.contains_key(&envelope.id)
        {
            self.arrivals.push_back((taken, envelope.id));
            self.seen.insert(envelope.id, Seen { place: None, arrived: false, taken });
        }
    }

    /// A message has arrived in the store.
    pub(crate) fn has_arrived(&mut self, id: Option<EventId>, place: Option<Place>) {
        if let Some(seen) = id.and_then(|id| self.seen.get_mut(&id)) {
            (seen.place, seen.arrived) = (place, true);
        }
    }

    /// What came with this id.
    pub(crate) fn seen(&self, id: EventId) -> Option<&Seen> {
        self.seen.get(&id)
    }

    /// A message that was taken could not be stored.
    pub(crate) fn forget(&mut self, id: Option<EventId>) {
        if let Some(id) = id {
            self.seen.remove(&id);
        }
    }

    /// Whether a log keeps the message no more.
    pub(crate) fn has_removed(&self, stored: &Stored, now: Timestamp) -> bool {
        let Keep::Log { max_age, max_bytes } = self.spec.keep else { return false };
        let partition = &self.partitions[stored.place.slice.partition as usize];
        let too_old = max_age.is_some_and(|age| {
            let passed = now.duration_since(stored.stored);
            passed.is_positive() && passed.unsigned_abs() > age
        });
        let before = stored.end - stored.size as u64;
        let is_newest = stored.place.offset + 1 >= partition.stored;
        let too_much = max_bytes.is_some_and(|most| !is_newest && partition.stored_end - before > most);
        too_old || too_much
    }
}

impl Partition {
    fn new(slice: Slice, stream: StreamName) -> Self {
        let (recent, recent_bytes) = (VecDeque::new(), 0);
        Self { slice, stream, next: 0, end: 0, stored: 0, stored_end: 0, first: 0, opened: 0, recent, recent_bytes }
    }

    /// Keeps a message in memory that is stored now: the next one, so the newest lie there without a gap.
    pub(crate) fn keep(&mut self, stored: Arc<Stored>) {
        debug_assert_eq!(stored.place.offset, self.stored, "messages are stored in order");
        self.stored = stored.place.offset + 1;
        self.stored_end = stored.end;
        self.recent_bytes += stored.size;
        self.recent.push_back(stored);
        while self.recent.len() > RECENT || self.recent_bytes > RECENT_BYTES {
            let Some(oldest) = self.recent.pop_front() else { break };
            self.recent_bytes -= oldest.size;
        }
    }

    /// The message at `offset`, if it is in memory.
    pub(crate) fn recent(&self, offset: u64) -> Option<&Arc<Stored>> {
        let base = self.stored - self.recent.len() as u64;
        self.recent.get(usize::try_from(offset.checked_sub(base)?).ok()?)
    }

    /// What was on its way did not arrive.
    pub(crate) fn fall_back(&mut self) {
        (self.next, self.end) = (self.stored, self.stored_end);
    }
}

/// By what a topic knows a message again.
pub(crate) fn id_of(message: &Message) -> Option<EventId> {
    message.envelope.as_ref().map(|envelope| envelope.id)
}
