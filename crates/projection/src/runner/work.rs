//! A transaction under way: what is in it, and when it is to be committed.

use jiff::Timestamp;
use mainspring_event::Position;
use mainspring_store::EventBatch;
use tokio::time::Instant;

use super::engine::Tx;
use crate::{EventPlace, Options, Projection, metrics::Meter};

pub(super) struct Work<P: Projection> {
    pub(super) tx: Tx<P>,
    pub(super) events: usize,
    bytes: usize,
    pub(super) deadline: Instant,
    /// Everything up to here is in it.
    pub(super) through: Position,
    /// The event that was applied first.
    pub(super) first: EventPlace,
    /// When the store took how many of its events, where their lag counts.
    pub(super) recorded: Vec<(Timestamp, u64)>,
}

impl<P: Projection> Work<P> {
    /// A transaction in which `batch` is to be applied first.
    pub(super) fn new(tx: Tx<P>, batch: &EventBatch, through: Position, options: &Options) -> Self {
        let first = EventPlace::of(&batch.buffer().get(0));
        let deadline = Instant::now() + options.commit_after;
        Self { tx, events: 0, bytes: 0, deadline, through, first, recorded: Vec::new() }
    }

    /// Counts the events of `batch`.
    pub(super) fn count(&mut self, batch: &EventBatch, meter: &Meter) {
        self.events += batch.len();
        for event in batch.iter() {
            self.bytes += event.payload.len();
            match self.recorded.last_mut() {
                Some((recorded, events)) if *recorded == event.recorded => *events += 1,
                _ if meter.counts(event.recorded) => self.recorded.push((event.recorded, 1)),
                _ => {}
            }
        }
    }

    /// Whether it is large or old enough.
    pub(super) fn is_full(&self, options: &Options) -> bool {
        self.events >= options.commit_events || self.bytes >= options.commit_bytes || Instant::now() >= self.deadline
    }
}
