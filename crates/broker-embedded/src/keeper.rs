//! Watching the time: what comes due, what has ended, and what nobody handled.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::StreamExt;
use jiff::Timestamp;
use mainspring_event::Version;
use mainspring_store::{Read, ReadError, ReadFrom};
use tokio::{sync::oneshot, time};

use crate::{
    codec::message::{self, Written},
    entry::{Entry, Landed, Outgoing},
    group::{item::Status, member::Notice},
    loading::of_stream,
    schedule::{self, Schedule, Ticket},
    shared::Shared,
    state::State,
};

/// So many messages that are due are stored at once.
const DUE: usize = 1_000;

/// After something failed, it is tried again so much later.
const PAUSE: Duration = Duration::from_millis(200);

/// Watches until the broker has ended.
pub(crate) async fn watch(shared: Arc<Shared>) {
    let earlier = shared.lock().earlier.clone();
    loop {
        let next = shared.change(|state| {
            let now = state.now;
            for group in 0..state.groups.len() {
                if state.advance(group) {
                    state.pump(group);
                }
            }
            state.watched = state.next_event();
            (!state.ended).then(|| state.watched.duration_since(now))
        });
        let Some(next) = next else { return };
        if let Err(error) = release(&shared).await {
            tracing::warn!(%error, "messages that are due cannot be read; trying again");
            time::sleep(PAUSE).await;
        }
        let wait = if next.is_positive() { next.unsigned_abs().min(shared.look) } else { Duration::ZERO };
        // A moment of this clock may be a little late on that one.
        let wait = wait.max(Duration::from_micros(200));
        tokio::select! {
            () = earlier.notified() => {}
            () = time::sleep(wait) => {}
        }
    }
}

/// Stores the messages that are due.
async fn release(shared: &Shared) -> Result<(), ReadError> {
    while let Some((stretch, stored)) = shared.change(|state| state.schedule.unread(state.now, false)) {
        read_stretch(shared, stretch, stored).await?;
    }
    loop {
        let due = shared.change(|state| state.schedule.take_due(state.now, DUE));
        if due.is_empty() {
            return Ok(());
        }
        let messages = match read_waiting(shared, &due).await {
            Ok(messages) => messages,
            Err(error) => {
                shared.change(|state| state.schedule.land(&due, false));
                return Err(error);
            }
        };
        let (answer, answered) = oneshot::channel();
        shared.change(|state| {
            let messages = messages.into_iter().filter_map(|waited| state.place_due(waited)).collect();
            let steps = Schedule::leave(&due);
            let done = move |state: &mut State, landed: Result<Landed, _>| {
                state.schedule.land(&due, landed.is_ok());
                // The watch may have ended.
                let _ = answer.send(landed.is_ok());
            };
            state.enqueue(Entry { messages, schedule: steps, ..Entry::new(Box::new(done)) });
        });
        if answered.await != Ok(true) {
            return Ok(());
        }
    }
}

/// Finds out when each message of a stretch is due.
pub(crate) async fn read_stretch(shared: &Shared, stretch: i64, stored: u64) -> Result<(), ReadError> {
    let read = Read::new(of_stream(&schedule::stream_of(stretch))).limit(stored);
    let found = async {
        let mut found = Vec::new();
        let mut batches = shared.store.read(read);
        while let Some(batch) = batches.next().await {
            for event in batch?.iter() {
                let read = schedule::read(Bytes::copy_from_slice(event.payload));
                let (due, _, _) = read.map_err(|damaged| ReadError::Damaged(damaged.into()))?;
                found.push((due, event.version.0));
            }
        }
        Ok(found)
    };
    let found: Result<Vec<(Timestamp, u64)>, ReadError> = found.await;
    let (found, error) = match found {
        Ok(found) => (Some(found), None),
        Err(error) => (None, Some(error)),
    };
    shared.change(|state| state.schedule.has_read(stretch, found));
    error.map_or(Ok(()), Err)
}

/// A message that waits, as it was read.
pub(crate) struct Waited {
    pub(crate) decoded: message::Decoded,
    written: Written,
}

/// Reads messages that wait, in the order of their tickets.
pub(crate) async fn read_waiting(shared: &Shared, tickets: &[Ticket]) -> Result<Vec<Waited>, ReadError> {
    let mut wanted: Vec<_> = tickets.iter().map(|ticket| (ticket.stretch, ticket.version)).collect();
    wanted.sort_unstable();
    let mut found = HashMap::with_capacity(wanted.len());
    // Those that lie side by side are read together.
    for run in wanted.chunk_by(|one, next| one.0 == next.0 && one.1 + 1 == next.1) {
        let (stretch, first) = run[0];
        let read = Read::new(of_stream(&schedule::stream_of(stretch))).from(ReadFrom::Version(Version(first)));
        let mut batches = shared.store.read(read.limit(run.len() as u64));
        while let Some(batch) = batches.next().await {
            for event in batch?.iter() {
                let damaged = |damaged: crate::codec::Damaged| ReadError::Damaged(damaged.into());
                let (_, topic, bytes) = schedule::read(Bytes::copy_from_slice(event.payload)).map_err(damaged)?;
                let decoded = message::read(&topic, bytes.clone()).map_err(damaged)?;
                found.insert((stretch, event.version.0), Waited { decoded, written: Written::due(&bytes) });
            }
        }
    }
    Ok(tickets.iter().filter_map(|ticket| found.remove(&(ticket.stretch, ticket.version))).collect())
}

impl State {
    /// A message that is due, to be written where it goes. Topics are never deleted, so there is one.
    fn place_due(&self, waited: Waited) -> Option<Outgoing> {
        let Waited { decoded, written } = waited;
        let topic = *self.topic_of.get(&decoded.message.destination)?;
        Some(Outgoing { topic, message: decoded.message, written, expires: decoded.expires, due: None })
    }

    /// Lets the time of a group pass. Says whether something came of it.
    pub(crate) fn advance(&mut self, group: usize) -> bool {
        let now = self.now;
        let state = &mut self.groups[group];
        let mut back = state.awake(now);
        back.extend(state.ended(now));
        for number in &back {
            state.set(*number, Status::Ready);
        }
        let late = state.late_handovers(now);
        for (slice, member, deadline) in &late {
            state.give_up(*member, &[*slice], *deadline, now);
            if let Some(member) = state.members.get_mut(member) {
                member.notices.push_back(Notice::Lost(vec![*slice]));
                member.wake.notify_one();
            }
        }
        let sessions = state.end_sessions(now);
        let expired = state.expired(now);
        let changed = !back.is_empty() || !late.is_empty() || sessions || !expired.is_empty();
        for number in expired {
            self.expire(group, number);
        }
        if changed {
            self.changed.send_replace(());
        }
        changed
    }

    /// When something happens by itself next.
    fn next_event(&self) -> Timestamp {
        let groups = self.groups.iter().filter_map(|group| group.next_event(self.now));
        groups.chain(self.schedule.next_event()).min().unwrap_or(Timestamp::MAX)
    }
}
