//! Watching the time: what comes due, what has ended, and what nobody handled.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

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
    trimming,
};

/// So many messages that are due are stored at once.
const DUE: usize = 1_000;

/// They are read in parts of so many, until they have so many bytes.
const PART: usize = 64;
const BYTES: usize = 4 << 20;

/// After something failed, it is tried again so much later.
const PAUSE: Duration = Duration::from_millis(200);

/// So often it is seen whether another broker has taken this one's place, and what logs keep no more is let go.
const FENCED: Duration = Duration::from_secs(2);
const TRIMMED: Duration = Duration::from_secs(20);

/// Watches until the broker has ended.
pub(crate) async fn watch(shared: Arc<Shared>) {
    let earlier = shared.lock().earlier.clone();
    let mut rounds = Rounds::default();
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
        if let Err(error) = look_after(&shared, &mut rounds).await {
            tracing::warn!(%error, "the store cannot be looked after; trying again");
        }
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

/// When the watch has last done what it does now and then.
#[derive(Default)]
struct Rounds {
    fenced: Option<Instant>,
    trimmed: Option<Instant>,
}

/// Does what is to be done now and then.
async fn look_after(shared: &Arc<Shared>, rounds: &mut Rounds) -> Result<(), ReadError> {
    let is_over = |last: &mut Option<Instant>, every: Duration| {
        let over = last.is_none_or(|last| last.elapsed() >= every);
        if over {
            *last = Some(Instant::now());
        }
        over
    };
    if is_over(&mut rounds.fenced, FENCED) {
        trimming::see_whether_replaced(shared).await?;
    }
    if is_over(&mut rounds.trimmed, TRIMMED) {
        trimming::trim(shared).await?;
    }
    Ok(())
}

/// Stores the messages that are due.
async fn release(shared: &Shared) -> Result<(), ReadError> {
    while let Some((stretch, stored)) = shared.change(|state| state.schedule.unread(state.now, false)) {
        read_stretch(shared, stretch, stored).await?;
    }
    loop {
        let mut due = shared.change(|state| state.schedule.take_due(state.now, DUE));
        if due.is_empty() {
            return Ok(());
        }
        let mut leaving = Leaving { shared, due: std::mem::take(&mut due) };
        let messages = read_due(shared, &leaving.due).await?;
        // What does not fit leaves with the next ones.
        let rest = leaving.due.split_off(messages.len());
        shared.change(|state| state.schedule.land(&rest, false));
        let due = std::mem::take(&mut leaving.due);
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
            return Err(ReadError::Failed("messages that are due could not be stored".into()));
        }
    }
}

/// Messages that were to leave stay where they are, unless they were taken out of this.
struct Leaving<'a> {
    shared: &'a Shared,
    due: Vec<Ticket>,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        if !self.due.is_empty() {
            self.shared.change(|state| state.schedule.land(&self.due, false));
        }
    }
}

/// Reads as many of these messages, from the first on, as fit into an append well.
async fn read_due(shared: &Shared, due: &[Ticket]) -> Result<Vec<Waited>, ReadError> {
    let (mut messages, mut bytes) = (Vec::new(), 0);
    for part in due.chunks(PART) {
        for waited in read_waiting(shared, part).await? {
            bytes += waited.written.len();
            if bytes > BYTES && !messages.is_empty() {
                return Ok(messages);
            }
            messages.push(waited);
        }
    }
    Ok(messages)
}

/// Finds out when each message of a stretch is due.
pub(crate) async fn read_stretch(shared: &Shared, stretch: i64, stored: u64) -> Result<(), ReadError> {
    let read = Read::new(of_stream(&schedule::stream_of(stretch))).limit(stored);
    let mut reading = Reading { shared, stretch, found: None };
    let mut found = Vec::new();
    let mut batches = shared.store.read(read);
    while let Some(batch) = batches.next().await {
        for event in batch?.iter() {
            let read = schedule::read(Bytes::copy_from_slice(event.payload));
            let (due, _, _) = read.map_err(|damaged| ReadError::Damaged(damaged.into()))?;
            found.push((due, event.version.0));
        }
    }
    reading.found = Some(found);
    Ok(())
}

/// Says what was found in a stretch; nothing, when reading fails or is dropped, so that somebody else reads it.
struct Reading<'a> {
    shared: &'a Shared,
    stretch: i64,
    found: Option<Vec<(Timestamp, u64)>>,
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        let found = self.found.take();
        self.shared.change(|state| {
            state.schedule.has_read(self.stretch, found);
            state.earlier.notify_one();
        });
    }
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
        Some(Outgoing { topic, message: decoded.message, written, expires: decoded.expires, due: None, is_new: false })
    }

    /// Lets the time of a group pass. Says whether something came of it.
    pub(crate) fn advance(&mut self, group: usize) -> bool {
        let now = self.now;
        let state = &mut self.groups[group];
        let asks_again = state.refused.take_if(|until| *until <= now).is_some();
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
        let forgotten = self.untake_forgotten(group);
        let changed =
            asks_again || forgotten || !back.is_empty() || !late.is_empty() || sessions || !expired.is_empty();
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
