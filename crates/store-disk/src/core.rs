//! What readers and the committer share: the segments, how far they are durable, and the retention rules.

use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use jiff::Timestamp;
use mainspring_event::Position;
use mainspring_store::{Clock, Lineage, ReadError, StoreId};
use tokio::sync::watch;

use crate::{
    damage::Damage,
    disk::Disk,
    format::frame::Kind,
    index::{Index, List},
    records::Records,
    rules::{Limits, Rules},
    segment::{Segment, SegmentError},
};

/// The segments in the order of the log; the last one grows.
pub(crate) type View = Arc<Vec<Arc<Segment>>>;

pub(crate) struct Core {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) store: StoreId,
    pub(crate) lineage: Lineage,
    view: RwLock<View>,
    rules: RwLock<Arc<Rules>>,
    /// Locked while rules change, and while events are removed under them.
    rules_gate: Mutex<()>,
    /// The highest position of an event with tags that was removed.
    removed_tagged: AtomicU64,
    seen: watch::Sender<Seen>,
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
        segments: Vec<Arc<Segment>>,
        rules: Rules,
        durable: Position,
    ) -> Self {
        Self {
            disk,
            clock,
            store,
            lineage,
            view: RwLock::new(Arc::new(segments)),
            rules: RwLock::new(Arc::new(rules)),
            rules_gate: Mutex::new(()),
            removed_tagged: AtomicU64::new(0),
            seen: watch::Sender::new(Seen { durable, closed: false }),
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
        let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut view));
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

    /// The version of a stream as far as `durable`; 0 if it has no event.
    pub(crate) fn visible_head(&self, view: &View, stream: &str, durable: Position) -> Result<u64, SegmentError> {
        for segment in view.iter().rev() {
            let found = segment.with_index(|index| {
                let code = index.find(Kind::Stream, stream)?;
                let postings = index.postings(List::Stream(code));
                if postings.len() == 0 && segment.sealed_bytes().is_some() {
                    // All of it was removed; where it stood is kept.
                    return Some((None, Some(index.head(code))));
                }
                let visible = postings.below(index.ordinal_after(durable.0));
                let last = visible.checked_sub(1).map(|last| postings.get(last))?;
                Some((Some(last), (visible == postings.len()).then(|| index.head(code))))
            })?;
            match found {
                Some((_, Some(head))) => return Ok(head),
                Some((Some(last), None)) => return Ok(Records::load(segment, &[last])?.record(0).place().version),
                Some((None, None)) | None => {}
            }
        }
        Ok(0)
    }

    /// The oldest version of a stream that is retained, and the version the stream stands at.
    pub(crate) fn first_retained(
        &self,
        view: &View,
        stream: &str,
        limits: &Limits,
        durable: Position,
    ) -> Result<(u64, u64), SegmentError> {
        let head = self.visible_head(view, stream, durable)?;
        for segment in view.iter() {
            let ordinals = visible_postings(segment, stream, durable)?;
            for chunk in ordinals.chunks(256) {
                let records = Records::load(segment, chunk)?;
                let places = (0..chunk.len()).map(|index| records.record(index).place());
                for place in places {
                    if limits.retains(place.version, place.recorded, head) {
                        return Ok((place.version, head));
                    }
                }
            }
        }
        Ok((head + 1, head))
    }

    /// The position of the first event of a stream at `version` or above, going forwards; backwards, of the last one at
    /// `version` or below. `None` where there is none.
    pub(crate) fn position_of_version(
        &self,
        view: &View,
        stream: &str,
        version: u64,
        durable: Position,
        backwards: bool,
    ) -> Result<Option<u64>, SegmentError> {
        let mut last_below = None;
        for segment in view.iter() {
            let ordinals = visible_postings(segment, stream, durable)?;
            let place = |at: usize| Ok::<_, SegmentError>(Records::load(segment, &[ordinals[at]])?.record(0).place());
            let (mut low, mut high) = (0, ordinals.len());
            while low < high {
                let middle = low + (high - low) / 2;
                let below = place(middle)?.version < version;
                (low, high) = if below { (middle + 1, high) } else { (low, middle) };
            }
            if low < ordinals.len() {
                let at = place(low)?;
                if !backwards || at.version == version {
                    return Ok(Some(at.position));
                }
            }
            if low > 0 {
                last_below = Some(place(low - 1)?.position);
            }
            if backwards && low < ordinals.len() {
                break;
            }
        }
        Ok(if backwards { last_below } else { None })
    }

    /// The position just before the first event recorded at `time` or later.
    pub(crate) fn position_before(&self, view: &View, time: Timestamp, durable: Position) -> Result<u64, Damage> {
        let time =
            i64::try_from(time.as_nanosecond()).unwrap_or(if time.as_second() < 0 { i64::MIN } else { i64::MAX });
        for segment in view.iter() {
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

/// The events of a stream in one segment, as far as `durable`.
fn visible_postings(segment: &Segment, stream: &str, durable: Position) -> Result<Vec<u32>, Damage> {
    segment.with_index(|index: &dyn Index| {
        let Some(code) = index.find(Kind::Stream, stream) else { return Vec::new() };
        let postings = index.postings(List::Stream(code));
        (0..postings.below(index.ordinal_after(durable.0))).map(|at| postings.get(at)).collect()
    })
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
