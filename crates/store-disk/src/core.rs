//! What readers and the committer share: the segments, how far they are durable, and the retention rules.

use std::{
    io,
    ops::Deref,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use arc_swap::ArcSwap;
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
    view: ArcSwap<Segments>,
    /// Locked while the view is changed.
    view_gate: Mutex<()>,
    rules: RwLock<Arc<Rules>>,
    /// Locked while rules change, and while events are removed under them.
    rules_gate: Mutex<()>,
    /// The highest position of an event with tags that was removed.
    removed_tagged: AtomicU64,
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
            view: ArcSwap::from_pointee(Segments::new(Vec::new(), Vec::new())),
            view_gate: Mutex::default(),
            rules: RwLock::new(Arc::new(rules)),
            rules_gate: Mutex::new(()),
            removed_tagged: AtomicU64::new(0),
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
        self.view.load_full()
    }

    /// As [`view`](Self::view), for a short look. Processors that look at once do not wait for each other, as they do to
    /// count who holds a view.
    pub(crate) fn glance(&self) -> impl Deref<Target = View> {
        self.view.load()
    }

    /// Takes another view where there is one.
    pub(crate) fn renew_view(&self, view: &mut View) {
        let newest = self.glance();
        if !Arc::ptr_eq(view, &newest) {
            *view = newest.clone();
        }
    }

    /// Replaces the segments by what `change` makes of them.
    pub(crate) fn change_view(&self, change: impl FnOnce(&mut Vec<Arc<Segment>>)) {
        self.change(|segments, _| change(segments));
    }

    /// Replaces the runs of the directory, which are in the order of the log, by what `change` makes of them.
    pub(crate) fn change_runs(&self, change: impl FnOnce(&mut Vec<Arc<Run>>)) {
        self.change(|_, runs| change(runs));
    }

    /// Replaces both by those of another view.
    pub(crate) fn take_view(&self, view: &Segments) {
        self.change(|segments, runs| (*segments, *runs) = (view.to_vec(), view.runs().to_vec()));
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Arc<Segment>>, &mut Vec<Arc<Run>>)) {
        let _alone = self.view_gate.lock().unwrap_or_else(PoisonError::into_inner);
        let view = self.view();
        let (mut segments, mut runs) = (view.to_vec(), view.runs().to_vec());
        change(&mut segments, &mut runs);
        segments.iter().for_each(|segment| segment.attach(&self.bell));
        self.view.store(Arc::new(Segments::new(segments, runs)));
    }

    /// Replaces the segment of the same file by another form of itself. Says whether it did: scavenging may have been quicker.
    pub(crate) fn replace(&self, segment: Segment) -> bool {
        let segment = Arc::new(segment);
        let (number, generation) = (segment.number, segment.generation);
        let same = |old: &Segment| (old.number, old.generation) == (number, generation);
        let mut replaced = false;
        self.change_view(|segments| {
            if let Some(old) = segments.iter_mut().find(|old| same(old)) {
                *old = segment;
                replaced = true;
            }
        });
        replaced
    }

    /// Puts what scavenging made of these segments in their place.
    pub(crate) fn supersede(&self, old: &[Arc<Segment>], new: Option<Segment>) {
        let gone = |segment: &Segment| old.iter().any(|old| old.number == segment.number);
        self.change_view(|segments| {
            let place = segments.iter().position(|segment| gone(segment)).unwrap_or(segments.len());
            segments.retain(|segment| !gone(segment));
            if let Some(new) = new {
                segments.insert(place, Arc::new(new));
            }
        });
    }

    /// The highest position of an event with tags that was removed; 0 where there is none.
    pub(crate) fn removed_tagged(&self) -> u64 {
        self.removed_tagged.load(Ordering::Acquire)
    }

    /// Notes that an event with tags was removed at `position`; called before anyone can miss it.
    pub(crate) fn note_removed_tagged(&self, position: u64) {
        self.removed_tagged.fetch_max(position, Ordering::AcqRel);
    }

    pub(crate) fn rules(&self) -> Arc<Rules> {
        self.rules.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes other rules where there are some: those that somebody holds are never changed in place.
    pub(crate) fn renew_rules(&self, rules: &mut Arc<Rules>) {
        let newest = self.rules.read().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(rules, &newest) {
            *rules = newest.clone();
        }
    }

    pub(crate) fn change_rules(&self, change: impl FnOnce(&mut Rules)) {
        self.change_rules_under(&self.keep_rules(), change);
    }

    /// Keeps the rules as they are until the guard is dropped, other than by who holds it. A rule that is relaxed meanwhile
    /// waits, so that what it shows again has not just been removed.
    pub(crate) fn keep_rules(&self) -> MutexGuard<'_, ()> {
        self.rules_gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the rules that somebody keeps.
    pub(crate) fn change_rules_under(&self, _kept: &MutexGuard<'_, ()>, change: impl FnOnce(&mut Rules)) {
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
