//! Keeping up with a writer in another process, as far as it says that it has synced.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use mainspring_event::Position;
use mainspring_store::{ReadError, StreamChange};

use crate::{
    commit::open_index,
    core::Core,
    damage::Damage,
    disk::{Access, DiskFile},
    error::OpenError,
    format::{
        manifest::{Manifest, SegmentEntry},
        segment::{SEGMENT_HEAD, SegmentHead, log_name},
    },
    index::MemoryIndex,
    open::{Active, Opened, find_runs, for_following, read_watermark},
    scan::{Continuation, Scanner},
    segment::{Log, Segment, SegmentError, SegmentPlace},
};

/// How often a follower looks whether there is more.
const LOOK: Duration = Duration::from_millis(10);

/// The end of the log as far as this process has read it.
pub(crate) struct Tail {
    state: Mutex<TailState>,
}

struct TailState {
    segment: Arc<Segment>,
    file: Arc<dyn DiskFile>,
    continuation: Continuation,
    /// Changes of streams that were read and are yet to be applied.
    changes: Vec<StreamChange>,
    /// What the watermark said when everything below it had been read.
    synced: u64,
    /// Sealed segments whose index is in memory, until the writer has written it to a file.
    without_index: Vec<u32>,
}

impl Tail {
    pub(crate) fn new(opened: &Opened) -> Self {
        Self { state: Mutex::new(TailState::new(opened)) }
    }

    /// Waits until an event beyond `at` can be read.
    pub(crate) async fn wait_beyond(&self, core: &Core, at: Position) -> Result<(), ReadError> {
        loop {
            self.refresh(core)?;
            if core.durable() > at {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Reads what the writer has synced since.
    pub(crate) fn refresh(&self, core: &Core) -> Result<(), SegmentError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let synced = read_watermark(&*core.disk);
        if synced <= state.synced {
            return Ok(());
        }
        loop {
            if state.read_frames(core, synced)? {
                return Ok(());
            }
            if state.segment.base + state.continuation.offset >= synced {
                break;
            }
            if state.go_on(core)? {
                return Ok(());
            }
        }
        state.synced = synced;
        state.drop_indexes(core);
        core.publish(Position(state.continuation.next_position - 1));
        Ok(())
    }
}

impl TailState {
    fn new(opened: &Opened) -> Self {
        let Active { segment, file, continuation, .. } = &opened.active;
        let view = opened.core.view();
        let sealed = view.iter().filter(|segment| segment.summary().is_some());
        let without_index = sealed.filter(|segment| segment.memory_index().is_some());
        Self {
            without_index: without_index.map(|segment| segment.number).collect(),
            changes: Vec::new(),
            synced: segment.base + continuation.offset,
            segment: segment.clone(),
            file: file.clone(),
            continuation: *continuation,
        }
    }

    /// Reads the frames of this segment that are synced. Says whether the whole log was opened anew instead.
    fn read_frames(&mut self, core: &Core, synced: u64) -> Result<bool, SegmentError> {
        let end = self.file.size()?.min(synced.saturating_sub(self.segment.base));
        let length = usize::try_from(end.saturating_sub(self.continuation.offset)).map_err(io::Error::other)?;
        let bytes = self.file.read_exact_at(self.continuation.offset, length)?;
        let mut scanner = Scanner::new(&bytes, self.segment.base, self.continuation, core.store);
        if let Some(index) = self.segment.memory_index() {
            let mut index = index.write().unwrap_or_else(PoisonError::into_inner);
            while let Some(frame) = scanner.next_frame() {
                frame.index(&mut index).map_err(|what| self.segment.damage(self.continuation.offset, what))?;
                self.changes.extend(frame.changes);
            }
        }
        self.continuation = scanner.continuation();
        self.segment.grow(self.continuation.offset);
        // They wait where the manifest cannot be read now: their frames will not be read again.
        if !self.changes.is_empty() {
            // A rule may have been relaxed. What it had hidden is not shown again where the writer has removed it meanwhile.
            if self.is_superseded(core, &load_manifest(core)?) {
                return self.open_anew(core);
            }
            core.change_rules(|rules| self.changes.iter().for_each(|change| rules.apply(change)));
            self.changes.clear();
        }
        Ok(false)
    }

    /// Whether scavenging has put other files in the place of those that are read here.
    fn is_superseded(&self, core: &Core, manifest: &Manifest) -> bool {
        let here = |entry: &&SegmentEntry| entry.has_file() && entry.number <= self.segment.number;
        let named = manifest.segments.iter().filter(here).map(|entry| (entry.number, entry.generation()));
        !named.eq(core.view().iter().map(|segment| (segment.number, segment.generation)))
    }

    /// Begins again from the manifest, as far as the writer has synced by now.
    fn open_anew(&mut self, core: &Core) -> Result<bool, SegmentError> {
        let opened = for_following(&core.disk, &core.clock).map_err(|error| match error {
            OpenError::Damaged(damage) => SegmentError::Damaged(damage),
            OpenError::Io(error) => SegmentError::Io(error),
            error => SegmentError::Io(io::Error::other(error)),
        })?;
        core.note_removed_tagged(opened.core.removed_tagged());
        core.change_rules(|rules| *rules = (*opened.core.rules()).clone());
        core.take_view(&opened.core.view());
        *self = Self::new(&opened);
        core.publish(Position(self.continuation.next_position - 1));
        Ok(true)
    }

    /// Goes on in the next segment, as the writer has. Says whether the whole log was opened anew for that.
    fn go_on(&mut self, core: &Core) -> Result<bool, SegmentError> {
        let manifest = load_manifest(core)?;
        if self.is_superseded(core, &manifest) {
            return self.open_anew(core);
        }
        let mut later = manifest.segments.iter().filter(|entry| entry.number > self.segment.number);
        let Some(entry) = later.next() else {
            let what = "a frame cannot be read, but the writer says that it had been synced";
            return Err(self.segment.damage(self.continuation.offset, what).into());
        };
        if entry.compacted.is_some() {
            return self.open_anew(core);
        }
        let file = match core.disk.open(&log_name(entry.number), Access::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && load_manifest(core)? != manifest => {
                return self.open_anew(core);
            }
            file => file?,
        };
        let file_name = core.disk.describe(&log_name(entry.number));
        let bytes = file.read_exact_at(0, SEGMENT_HEAD as usize)?;
        let head = SegmentHead::decode(&bytes).map_err(|_| Damage {
            file: file_name.clone(),
            offset: 0,
            what: "the head of the segment cannot be read".to_owned(),
        })?;
        if head.previous != self.continuation.previous {
            let what = "a frame cannot be read, and the log goes on behind it";
            return Err(self.segment.damage(self.continuation.offset, what).into());
        }
        let (number, base, first_position) = (head.number, head.base, head.first_position);
        let place = SegmentPlace { number, generation: head.generation, base, first_position, file_name };
        let segment = Arc::new(Segment::followed(place, file.clone(), SEGMENT_HEAD, MemoryIndex::default()));
        let passed = self.segment.seal(self.file.map(self.continuation.offset)?);
        self.without_index.push(passed.number);
        core.replace(passed);
        core.change_view(|segments| segments.push(segment.clone()));
        let runs = find_runs(core);
        core.change_runs(|current| *current = runs);
        self.continuation =
            Continuation { offset: SEGMENT_HEAD, previous: head.chain(), next_position: head.first_position };
        (self.segment, self.file) = (segment, file);
        Ok(false)
    }

    /// Gives up indexes in memory for those that the writer has written to files meanwhile.
    fn drop_indexes(&mut self, core: &Core) {
        let view = core.view();
        self.without_index.retain(|number| {
            let Some(segment) = view.iter().find(|segment| segment.number == *number) else { return false };
            let Log::Memory(log) = segment.log() else { return false };
            match open_index(core, &segment.index_name(), *number, segment.end()) {
                Ok(Ok(index)) => {
                    core.replace(segment.with_index_file(log, index));
                    false
                }
                // It is not there yet, or just about to be replaced.
                Ok(Err(_)) | Err(_) => true,
            }
        });
    }
}

fn load_manifest(core: &Core) -> io::Result<Manifest> {
    Manifest::load(&*core.disk).map_err(|_| io::Error::other("the manifest cannot be read"))
}

#[cfg(test)]
mod tests;
