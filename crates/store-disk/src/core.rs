//! What readers and the committer share: the segments, how far they are durable, and the retention rules.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use jiff::Timestamp;
use mainspring_event::Position;
use mainspring_store::{Clock, Lineage, ReadError, StoreId};
use tokio::sync::watch;

use crate::{
    bell::Bell,
    damage::Damage,
    directory::{Keeper, Run},
    disk::Disk,
    rules::Rules,
    segment::{Segment, SegmentError},
    view::Segments,
};

/// The segments in the order of the log, as they are at one moment; the last one grows.
pub(crate) type View = Arc<Segments>;

pub(crate) struct Core {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) store: StoreId,
    pub(crate) lineage: Lineage,
    view: RwLock<View>,
    rules: RwLock<Arc<Rules>>,
    seen: watch::Sender<Seen>,
    /// Rung when there may be a derived file to be written.
    pub(crate) bell: Arc<Bell>,
    pub(crate) keeper: Keeper,
    /// Held while an index file is written.
    pub(crate) indexing: Mutex<()>,
}

/// What readers may see.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// The position of the newest durable event. Whatever lies above does not exist for readers.
    pub(crate) durable: Position,
    /// Whether nothing more will come, because the store was closed.
    pub(crate) closed: bool,
}

impl Core {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        (store, lineage): (StoreId, Lineage),
        rules: Rules,
        durable: Position,
    ) -> Self {
        Self {
            disk,
            clock,
            store,
            lineage,
            view: RwLock::new(Arc::new(Segments::new(Vec::new(), Vec::new()))),
            rules: RwLock::new(Arc::new(rules)),
            seen: watch::Sender::new(Seen { durable, closed: false }),
            bell: Arc::default(),
            keeper: Keeper::default(),
            indexing: Mutex::default(),
        }
    }

    /// What readers may see: the segments, and how far they are durable.
    ///
    /// A view taken before the durable end would lack the segment that holds it, if the log went on in between, and a
    /// read would pass what is in there.
    pub(crate) fn snapshot(&self) -> (View, Position) {
        let durable = self.durable();
        (self.view(), durable)
    }

    pub(crate) fn view(&self) -> View {
        self.view.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the segments by what `change` makes of them.
    pub(crate) fn change_view(&self, change: impl FnOnce(&mut Vec<Arc<Segment>>)) {
        self.change(|segments, _| change(segments));
    }

    /// Replaces the runs of the directory, which are in the order of the log, by what `change` makes of them.
    pub(crate) fn change_runs(&self, change: impl FnOnce(&mut Vec<Arc<Run>>)) {
        self.change(|_, runs| change(runs));
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Arc<Segment>>, &mut Vec<Arc<Run>>)) {
        let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
        let (mut segments, mut runs) = (view.to_vec(), view.runs().to_vec());
        change(&mut segments, &mut runs);
        segments.iter().for_each(|segment| segment.attach(&self.bell));
        *view = Arc::new(Segments::new(segments, runs));
    }

    /// Replaces the segment of the same number.
    pub(crate) fn replace(&self, segment: Segment) {
        let segment = Arc::new(segment);
        self.change_view(|segments| {
            if let Some(old) = segments.iter_mut().find(|old| old.number == segment.number) {
                *old = segment;
            }
        });
    }

    pub(crate) fn rules(&self) -> Arc<Rules> {
        self.rules.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn change_rules(&self, change: impl FnOnce(&mut Rules)) {
        let mut rules = self.rules.write().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut rules));
    }

    pub(crate) fn durable(&self) -> Position {
        self.seen.borrow().durable
    }

    /// Makes everything up to `position` visible and wakes those who wait for it.
    pub(crate) fn publish(&self, position: Position) {
        self.seen.send_if_modified(|seen| {
            let moved = seen.durable < position;
            seen.durable = seen.durable.max(position);
            moved
        });
    }

    /// Tells followers that nothing more will come.
    pub(crate) fn close(&self) {
        self.seen.send_modify(|seen| seen.closed = true);
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Seen> {
        self.seen.subscribe()
    }

    /// The position just before the first event recorded at `time` or later.
    pub(crate) fn position_before(&self, view: &View, time: Timestamp, durable: Position) -> Result<u64, Damage> {
        let time =
            i64::try_from(time.as_nanosecond()).unwrap_or(if time.as_second() < 0 { i64::MIN } else { i64::MAX });
        let older = |segment: &Arc<Segment>| segment.summary().is_some_and(|summary| summary.recorded < time);
        for segment in view.iter().skip_while(|segment| older(segment)) {
            let found = segment.with_index(|index| {
                let ordinal = index.ordinal_at(time);
                (ordinal < index.events()).then(|| index.position(ordinal))
            })?;
            if let Some(position) = found {
                return Ok((position - 1).min(durable.0));
            }
        }
        Ok(durable.0)
    }
}

impl From<SegmentError> for ReadError {
    fn from(error: SegmentError) -> Self {
        match error {
            SegmentError::Damaged(damage) => Self::Damaged(damage.into()),
            SegmentError::Io(error) => Self::Failed(error.into()),
        }
    }
}

/// Wraps what the machine said when a file of the store was used.
pub(crate) fn about(disk: &dyn Disk, name: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", disk.describe(name)))
}
