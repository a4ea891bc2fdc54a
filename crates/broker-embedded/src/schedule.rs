//! Messages that are not due yet. They wait in the store, in a stream for each stretch of time; in memory there is only
//! when each of the next stretch is due, and how many there are of the others.

mod stretch;
mod ticket;

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;
use mainspring_broker::{Destination, Message};
use mainspring_event::{EventId, EventTypeName, NewEvent, StreamName, Version};
use mainspring_store::{Append, Check, Expected, StreamChange};

use crate::{
    codec::{Damaged, Reader, Write, message::Written},
    journal::internal,
    topic::id_of,
};
use stretch::{Stretch, stretch_of};
pub(crate) use ticket::{Found, Ticket};

/// A snapshot is written after so many bytes.
const SNAPSHOT: usize = 256 << 10;

const BEGUN: u8 = 1;
const LEFT: u8 = 2;
const OVER: u8 = 3;

#[derive(Default)]
pub(crate) struct Schedule {
    stretches: BTreeMap<i64, Stretch>,
    /// No message is put into this stretch or an earlier one any more: their streams are closed.
    over: Option<i64>,
    version: u64,
    stored_version: u64,
    written: usize,
    snapshot: usize,
    /// The versions that the streams of stretches had before the append that is put together.
    touched: Vec<(i64, u64)>,
}

/// A message that is on its way into a stretch.
pub(crate) struct Waiting {
    stretch: i64,
    version: u64,
    due: Timestamp,
    /// Where it goes, and its id.
    pub(crate) topic: usize,
    pub(crate) id: Option<EventId>,
}

/// The stream of a stretch.
pub(crate) fn stream_of(stretch: i64) -> StreamName {
    StreamName::of("$delay", stretch).expect("a number is a key")
}

/// The stream of the schedule's own steps.
pub(crate) fn own_stream() -> StreamName {
    StreamName::new("$schedule").expect("a short plain word is a name")
}

impl Schedule {
    /// Writes a message into its stretch.
    pub(crate) fn place(
        &mut self,
        steps: &mut Vec<u8>,
        due: Timestamp,
        (topic, message): (usize, &Message),
        written: Written,
    ) -> (NewEvent, Waiting) {
        let number = stretch_of(due).max(self.over.map_or(i64::MIN, |over| over + 1));
        let stretch = self.stretches.entry(number).or_insert_with(|| {
            write_step(steps, BEGUN, number);
            Stretch::new(0)
        });
        if !self.touched.iter().any(|(touched, _)| *touched == number) {
            self.touched.push((number, stretch.version));
        }
        stretch.version += 1;
        let mut payload = Vec::with_capacity(written.len() + 32);
        payload.moment(due);
        payload.blob(message.destination.as_str().as_bytes());
        payload.extend_from_slice(&written.waiting());
        let event_type = EventTypeName::new("MessageScheduled").expect("a short plain word is a name");
        let event = internal(stream_of(number), event_type, payload.into());
        (event, Waiting { stretch: number, version: stretch.version, due, topic, id: id_of(message) })
    }

    /// Completes an append with the steps and the conditions of the schedule. Snapshots are only written `alone`.
    /// Says the version of its stream then, if it is written.
    pub(crate) fn finish(
        &mut self,
        append: &mut Append,
        mut steps: Vec<u8>,
        alone: bool,
        now: Timestamp,
    ) -> Option<u64> {
        for (stretch, before) in self.touched.drain(..) {
            append.checks.push(at_version(stream_of(stretch), before));
        }
        if alone {
            self.close_stretches(append, &mut steps, now);
        }
        if steps.is_empty() {
            return None;
        }
        append.checks.push(at_version(own_stream(), self.version));
        if alone && self.written > SNAPSHOT.max(4 * self.snapshot) {
            let version = Version(self.version + 1);
            append.changes.push(StreamChange::TruncateBefore { stream: own_stream(), version });
            let snapshot = self.snapshot();
            (self.written, self.snapshot) = (0, snapshot.len());
            self.version += 1;
            append.events.push(internal(own_stream(), step_type(), snapshot.into()));
        }
        self.written += steps.len();
        self.version += 1;
        append.events.push(internal(own_stream(), step_type(), steps.into()));
        Some(self.version)
    }

    /// Ends stretches that are over and empty.
    fn close_stretches(&mut self, append: &mut Append, steps: &mut Vec<u8>, now: Timestamp) {
        while let Some((number, stretch)) = self.stretches.first_key_value() {
            let number = *number;
            if !stretch.is_empty() || stretch.version != stretch.stored || number >= stretch_of(now) {
                break;
            }
            self.stretches.remove(&number);
            self.over = self.over.max(Some(number));
            append.changes.push(StreamChange::Tombstone { stream: stream_of(number) });
            write_step(steps, OVER, number);
        }
    }

    fn snapshot(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if let Some(over) = self.over {
            write_step(&mut out, OVER, over);
        }
        for (number, stretch) in &self.stretches {
            write_step(&mut out, BEGUN, *number);
            for (start, count) in stretch.left.iter() {
                write_left(&mut out, *number, start, count);
            }
        }
        out
    }

    /// Messages have arrived in their stretches. Says when the schedule is to be looked at.
    pub(crate) fn arrive(&mut self, own: Option<u64>, waiting: &[Waiting], now: Timestamp) -> Option<Timestamp> {
        self.stored_version = own.unwrap_or(self.stored_version);
        let mut first = None;
        for Waiting { stretch: number, version, due, .. } in waiting {
            let (number, version, due) = (*number, *version, *due);
            let Some(stretch) = self.stretches.get_mut(&number) else { continue };
            stretch.stored = version;
            let is_near = number <= stretch_of(now) + 1;
            match (&mut stretch.index, &mut stretch.meanwhile) {
                (_, Some(meanwhile)) => meanwhile.push((due, version)),
                (Some(index), None) if is_near => drop(index.insert((due, version))),
                // It will be read when its time comes.
                (index, None) => *index = None,
            }
            first = [first, stretch.next_event(number)].into_iter().flatten().min();
        }
        first
    }

    /// What was on its way did not arrive.
    pub(crate) fn fall_back(&mut self) {
        self.version = self.stored_version;
        self.touched.clear();
        self.stretches.retain(|_, stretch| {
            stretch.version = stretch.stored;
            stretch.stored > 0
        });
    }

    /// When the schedule is to be looked at.
    pub(crate) fn next_event(&self) -> Option<Timestamp> {
        self.stretches.iter().filter_map(|(number, stretch)| stretch.next_event(*number)).min()
    }

    /// Up to so many messages that are due, in the order of their times; they are leaving from now on.
    pub(crate) fn take_due(&mut self, now: Timestamp, most: usize) -> Vec<Ticket> {
        let mut due = Vec::new();
        for (number, stretch) in &mut self.stretches {
            let Some(index) = &mut stretch.index else { continue };
            while due.len() < most
                && let Some(&(time, version)) = index.first().filter(|(time, _)| *time <= now)
            {
                index.remove(&(time, version));
                stretch.leaving.insert(version, time);
                due.push(Ticket { stretch: *number, version, due: time });
            }
        }
        due.sort_unstable_by_key(|ticket| (ticket.due, ticket.stretch, ticket.version));
        due
    }

    /// The step that says that messages have left.
    pub(crate) fn leave(tickets: &[Ticket]) -> Vec<u8> {
        let mut out = Vec::new();
        for ticket in tickets {
            write_left(&mut out, ticket.stretch, ticket.version, 1);
        }
        out
    }

    /// Messages have left, or have not.
    pub(crate) fn land(&mut self, tickets: &[Ticket], left: bool) {
        for Ticket { stretch, version, due } in tickets {
            let Some(stretch) = self.stretches.get_mut(stretch) else { continue };
            if stretch.leaving.remove(version).is_some() {
                if left {
                    stretch.left.insert(*version);
                } else if let Some(index) = &mut stretch.index {
                    index.insert((*due, *version));
                }
            }
        }
    }

    /// A message of a stretch, if it waits and is not leaving.
    pub(crate) fn find(&mut self, number: i64, version: u64) -> Found {
        let Some(stretch) = self.stretches.get_mut(&number) else { return Found::Nothing };
        match (&stretch.index, &stretch.meanwhile) {
            (Some(index), _) => {
                let found = index.iter().find(|(_, other)| *other == version);
                found.map_or(Found::Nothing, |(due, _)| Found::Waits(Ticket { stretch: number, version, due: *due }))
            }
            (None, Some(_)) => Found::BeingRead,
            (None, None) if stretch.stored > 0 => {
                stretch.meanwhile = Some(Vec::new());
                Found::ToRead(stretch.stored)
            }
            (None, None) => Found::Nothing,
        }
    }

    /// A message that waits and is not leaving is to leave.
    pub(crate) fn take(&mut self, ticket: Ticket) -> bool {
        let index = self.stretches.get_mut(&ticket.stretch).and_then(|stretch| stretch.index.as_mut());
        let waits = index.is_some_and(|index| index.remove(&(ticket.due, ticket.version)));
        if waits && let Some(stretch) = self.stretches.get_mut(&ticket.stretch) {
            stretch.leaving.insert(ticket.version, ticket.due);
        }
        waits
    }

    /// A stretch that has to be read because its time has come or because somebody `asks` for it, and how far.
    pub(crate) fn unread(&mut self, now: Timestamp, asks: bool) -> Option<(i64, u64)> {
        let near = stretch_of(now) + 1;
        let (number, stretch) = self.stretches.iter_mut().find(|(number, stretch)| {
            stretch.index.is_none() && stretch.meanwhile.is_none() && stretch.stored > 0 && (asks || **number <= near)
        })?;
        stretch.meanwhile = Some(Vec::new());
        Some((*number, stretch.stored))
    }

    /// What was found in a stretch, or nothing when it could not be read.
    pub(crate) fn has_read(&mut self, number: i64, found: Option<Vec<(Timestamp, u64)>>) {
        let Some(stretch) = self.stretches.get_mut(&number) else { return };
        let meanwhile = stretch.meanwhile.take().unwrap_or_default();
        stretch.index = found.map(|found| {
            let (left, leaving) = (&stretch.left, &stretch.leaving);
            let waits =
                |(_, version): &(Timestamp, u64)| left.run_end(*version).is_none() && !leaving.contains_key(version);
            found.into_iter().chain(meanwhile).filter(waits).collect()
        });
    }

    /// The next messages of the stretches that are in memory up to the first that is not; whether there are so many.
    pub(crate) fn next(&self, limit: usize) -> (Vec<Ticket>, bool) {
        let mut tickets = Vec::new();
        for (number, stretch) in &self.stretches {
            match &stretch.index {
                Some(index) => {
                    // What is leaving has not left yet: it is here until it is there.
                    let leaving = stretch.leaving.iter().map(|(version, due)| (*due, *version));
                    let mut next: Vec<_> = leaving.chain(index.iter().take(limit).copied()).collect();
                    next.sort_unstable();
                    let ticket = |(due, version)| Ticket { stretch: *number, version, due };
                    tickets.extend(next.into_iter().map(ticket));
                }
                None if stretch.stored > 0 => return (tickets, false),
                None => {}
            }
            if tickets.len() >= limit {
                tickets.truncate(limit);
                break;
            }
        }
        (tickets, true)
    }

    /// Repeats steps that were written, one event's.
    pub(crate) fn replay(&mut self, version: u64, steps: Bytes) -> Result<(), Damaged> {
        (self.version, self.stored_version) = (version, version);
        let mut reader = Reader::new(steps);
        while !reader.is_empty() {
            let kind = reader.byte()?;
            let number = i64::from_le_bytes(reader.fixed()?);
            match kind {
                BEGUN => drop(self.stretches.entry(number).or_insert_with(|| Stretch::new(0))),
                LEFT => {
                    let (start, count) = (reader.number()?, reader.number()?);
                    if let Some(stretch) = self.stretches.get_mut(&number) {
                        stretch.left.extend(start, start + count);
                    }
                }
                OVER => {
                    self.stretches.remove(&number);
                    self.over = self.over.max(Some(number));
                }
                _ => return Err(Damaged("a step of the schedule of an unknown kind")),
            }
        }
        Ok(())
    }

    /// The stretches that there are.
    pub(crate) fn numbers(&self) -> Vec<i64> {
        self.stretches.keys().copied().collect()
    }

    /// The stream of a stretch has come so far.
    pub(crate) fn has_come(&mut self, number: i64, version: u64) {
        if let Some(stretch) = self.stretches.get_mut(&number) {
            (stretch.version, stretch.stored, stretch.index) = (version, version, None);
        }
    }
}

/// Reads what [`Schedule::place`] wrote: when a message is due, where it goes, and the message.
pub(crate) fn read(payload: Bytes) -> Result<(Timestamp, Destination, Bytes), Damaged> {
    let mut reader = Reader::new(payload);
    let due = reader.moment()?;
    let topic = reader.text()?.parse().map_err(|_| Damaged("the name of a topic"))?;
    Ok((due, topic, reader.rest()))
}

fn write_step(out: &mut Vec<u8>, kind: u8, stretch: i64) {
    out.push(kind);
    out.extend_from_slice(&stretch.to_le_bytes());
}

fn write_left(out: &mut Vec<u8>, stretch: i64, start: u64, count: u64) {
    write_step(out, LEFT, stretch);
    out.number(start);
    out.number(count);
}

fn step_type() -> EventTypeName {
    EventTypeName::new("ScheduleMoved").expect("a short plain word is a name")
}

fn at_version(stream: StreamName, version: u64) -> Check {
    Check::Stream { stream, expected: Expected::Exactly(Version(version)) }
}
