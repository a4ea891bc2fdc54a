//! One topic of the model: its partitions, and what it remembers against duplicates.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use jiff::Timestamp;
use mainspring_event::EventId;

use crate::{Keep, Message, Place, Slice, SliceStatus, Topic, partition_of};

/// A message that was taken.
#[derive(Debug)]
pub(super) struct Stored {
    /// Its place in the order in which the broker stored everything.
    pub(super) number: u64,
    pub(super) place: Place,
    pub(super) stored: Timestamp,
    pub(super) expires: Option<Timestamp>,
    pub(super) message: Message,
}

#[derive(Clone)]
pub(super) struct TopicState {
    pub(super) spec: Topic,
    partitions: Vec<Partition>,
    /// Where messages without key go next.
    turn: u32,
    /// The ids that came within the window, and where their messages lie.
    recent: HashMap<EventId, (Timestamp, Option<Place>)>,
}

#[derive(Clone, Default)]
struct Partition {
    next_offset: u64,
    /// What is kept; nothing unless the topic is a log.
    log: VecDeque<Arc<Stored>>,
}

impl TopicState {
    pub(super) fn new(spec: Topic) -> Self {
        let partitions = (0..spec.partitions).map(|_| Partition::default()).collect();
        Self { spec, partitions, turn: 0, recent: HashMap::new() }
    }

    pub(super) fn is_log(&self) -> bool {
        matches!(self.spec.keep, Keep::Log { .. })
    }

    pub(super) fn slices(&self) -> impl Iterator<Item = Slice> {
        (0..self.spec.partitions).map(|partition| Slice { topic: self.spec.name.clone(), partition })
    }

    /// Where the message lies that came with the same id within the window, or will lie when it is due.
    pub(super) fn duplicate(&self, message: &Message) -> Option<Option<Place>> {
        let envelope = message.envelope.as_ref()?;
        self.recent.get(&envelope.id).map(|(_, place)| place.clone())
    }

    /// Keeps the id of a message that was taken.
    pub(super) fn remember(&mut self, message: &Message, place: Option<Place>, now: Timestamp) {
        if let (Some(_), Some(envelope)) = (self.spec.dedupe, &message.envelope) {
            self.recent.entry(envelope.id).or_insert((now, None)).1 = place;
        }
    }

    /// Lets the id of a message come again that was taken back.
    pub(super) fn forget(&mut self, message: &Message) {
        if let Some(envelope) = &message.envelope {
            self.recent.remove(&envelope.id);
        }
    }

    /// Where a slice begins and ends; what groups have not settled begins at these places.
    pub(super) fn status(&self, slice: &Slice, unsettled: Option<u64>) -> SliceStatus {
        let partition = &self.partitions[slice.partition as usize];
        let first = partition.log.front().map(|first| first.place.offset).into_iter().chain(unsettled).min();
        SliceStatus { first: first.unwrap_or(partition.next_offset), next: partition.next_offset }
    }

    /// Gives a message its place.
    pub(super) fn store(
        &mut self,
        number: u64,
        message: Message,
        now: Timestamp,
        expires: Option<Timestamp>,
    ) -> Arc<Stored> {
        let partition = match &message.key {
            Some(key) => partition_of(key, self.spec.partitions),
            None => {
                self.turn = (self.turn + 1) % self.spec.partitions;
                self.turn
            }
        };
        let is_log = self.is_log();
        let kept = &mut self.partitions[partition as usize];
        let slice = Slice { topic: self.spec.name.clone(), partition };
        let place = Place { slice, offset: kept.next_offset };
        kept.next_offset += 1;
        let stored = Arc::new(Stored { number, place, stored: now, expires, message });
        if is_log {
            kept.log.push_back(stored.clone());
        }
        stored
    }

    /// What is kept of a slice.
    pub(super) fn log(&self, partition: u32) -> impl Iterator<Item = &Arc<Stored>> {
        self.partitions[partition as usize].log.iter()
    }

    /// Whether a message was removed from the log.
    pub(super) fn has_removed(&self, stored: &Stored) -> bool {
        let log = &self.partitions[stored.place.slice.partition as usize].log;
        self.is_log() && log.front().is_none_or(|first| first.place.offset > stored.place.offset)
    }

    /// Removes what is too old or too much, and forgets ids that are out of the window.
    pub(super) fn retain(&mut self, now: Timestamp) {
        if let Some(window) = self.spec.dedupe {
            self.recent.retain(|_, (taken, _)| now.duration_since(*taken).unsigned_abs() < window);
        }
        let Keep::Log { max_age, max_bytes } = self.spec.keep else { return };
        for partition in &mut self.partitions {
            let log = &mut partition.log;
            let mut bytes: u64 = log.iter().map(|stored| stored.message.size() as u64).sum();
            while let Some(first) = log.front() {
                let too_old = max_age.is_some_and(|age| now.duration_since(first.stored).unsigned_abs() > age);
                let too_much = log.len() > 1 && max_bytes.is_some_and(|most| bytes > most);
                if !too_old && !too_much {
                    break;
                }
                bytes -= first.message.size() as u64;
                log.pop_front();
            }
        }
    }
}
