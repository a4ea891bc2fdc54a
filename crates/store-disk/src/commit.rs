//! The committer: the one place that writes the log. It decides, writes once, syncs once, and answers all.

mod ahead;
mod answers;
mod close;
mod copy;
mod decide;
mod encode;
mod flight;
mod roll;
mod write;

use std::{io, sync::Arc, thread::JoinHandle, time::Duration};

use mainspring_store::{AppendError, StreamChange};
use tokio::sync::oneshot;

use crate::{
    catalog::Catalog,
    core::{Core, View},
    disk::DiskFile,
    format::frame::FrameHead,
    image::{Image, ImageWriter},
    open::Guard,
    queue::{Pending, Reply},
    rules::Rules,
    scan::Continuation,
    segment::Segment,
};
use ahead::Ahead;
pub(crate) use answers::Answers;
use answers::{Answer, Waiting};
use decide::Decision;
use encode::Scratch;
pub(crate) use flight::Flight;
use flight::Log;
pub(crate) use roll::{image_bytes, open_index, write_index};
pub(crate) use write::write_image;

/// Syncs slower than this are not worth blocking a thread of the runtime for …
const SLOW: Duration = Duration::from_micros(300);

/// … nor are writes of more than so many bytes.
const LARGE: usize = 384 << 10;

/// The state of the log's end.
pub(crate) struct Committer {
    core: Arc<Core>,
    /// Segments are closed when they would exceed so many bytes.
    segment_bytes: u64,
    /// Nothing is done beside the committer, and nothing depends on how long it takes.
    replayable: bool,
    catalog: Arc<Catalog>,
    /// How often the store was opened for writing.
    epoch: u32,
    segment: Arc<Segment>,
    /// The segments as they were when the present group was taken up.
    view: View,
    /// The retention rules, likewise.
    rules: Arc<Rules>,
    log: Place,
    /// The segment as it is written; what is frozen of it is durable.
    image: ImageWriter,
    /// An image that is free for another segment once nobody reads it.
    retired: Option<Arc<Image>>,
    /// Everything below here is durable …
    end: usize,
    /// … and everything up to here is encoded.
    tip: usize,
    /// The headers of frames that are not given to the disk yet, and where they begin.
    unsealed: Vec<(usize, FrameHead)>,
    /// Checksum of the last frame before those.
    previous: u32,
    next_position: u64,
    /// When the present group was taken up, in nanoseconds since 1970.
    now: i64,
    /// The last recorded time, which never runs backwards.
    recorded: i64,
    waiting: Waiting,
    /// What is to be told to the callers of the present group.
    answers: Vec<(oneshot::Sender<Reply>, Reply)>,
    scratch: Scratch,
    state: WriterState,
    sealing: Option<JoinHandle<()>>,
    ahead: Option<Ahead>,
    /// A running mean of the time a sync takes.
    sync_time: Duration,
    /// Kept until the log is closed.
    guard: Option<Guard>,
}

/// Where the files of the log's end are.
enum Place {
    Here(Log),
    /// With a flight that is yet to begin.
    Ready(Box<Flight>),
    /// With a flight that is carried by somebody else.
    Away,
    /// With one that never came back. Also while one is carried under the lock, so that a panic then leaves it here.
    Lost,
}

/// Where a group is committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CommitPlace {
    /// By the caller that found the store idle.
    Caller,
    /// By a task, once it has gathered who else is there.
    Task,
    /// On a thread where blocking is welcome, because it may take long, once a task has gathered.
    BlockingThread,
}

/// Where the log's end stands after opening.
pub(crate) struct LogEnd {
    pub(crate) segment: Arc<Segment>,
    pub(crate) image: ImageWriter,
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) watermark: Arc<dyn DiskFile>,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) epoch: u32,
    pub(crate) continuation: Continuation,
    pub(crate) recorded: i64,
}

#[derive(Clone)]
enum WriterState {
    Open,
    /// A sync failed, or what was written could not be cut off again: what the disk holds is unknown until recovery.
    Poisoned(String),
    Closed,
}

/// Why an append was not taken up at all.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("the store takes no more events until it is reopened, because {0}")]
    Poisoned(String),
    #[error("the store is closed")]
    Closed,
}

/// Why something that was written is not known to be durable.
#[derive(Debug)]
enum FlushError {
    /// It was cut off again: surely not written.
    Cut(io::Error),
    /// It may survive or not.
    Unknown(io::Error),
}

impl Committer {
    pub(crate) fn new(
        core: Arc<Core>,
        segment_bytes: u64,
        replayable: bool,
        end: LogEnd,
        guard: Guard,
    ) -> io::Result<Self> {
        let LogEnd { segment, image, file, watermark, catalog, epoch, continuation, recorded } = end;
        let offset = image.image().len();
        Ok(Self {
            log: Place::Here(Log::new(file, watermark)?),
            end: offset,
            tip: offset,
            unsealed: Vec::new(),
            view: core.view(),
            rules: core.rules(),
            image,
            retired: None,
            previous: continuation.previous,
            next_position: continuation.next_position,
            core,
            segment_bytes,
            replayable,
            catalog,
            epoch,
            segment,
            now: recorded,
            recorded,
            waiting: Waiting::default(),
            answers: Vec::new(),
            scratch: Scratch::default(),
            state: WriterState::Open,
            sealing: None,
            ahead: None,
            sync_time: Duration::ZERO,
            guard: Some(guard),
        })
    }

    /// Whether nothing may depend on how long something takes.
    pub(crate) fn is_replayable(&self) -> bool {
        self.replayable
    }

    /// Where the next group, or the flight that is ready, is best committed.
    pub(crate) fn commit_place(&self) -> CommitPlace {
        let large = matches!(&self.log, Place::Ready(flight) if flight.bytes() > LARGE);
        if self.replayable {
            CommitPlace::Task
        } else if large || self.sync_time > SLOW {
            CommitPlace::BlockingThread
        } else {
            CommitPlace::Caller
        }
    }

    /// Takes up a group of appends; what depends on it being durable is flushed for that. The log is here.
    pub(crate) fn take_up(&mut self, group: Vec<Pending>) {
        self.prepare_for(&group);
        for pending in group {
            let left = self.take(pending, true);
            assert!(left.is_none(), "with the log at hand there is nothing that cannot be taken up");
        }
    }

    /// Takes up a group of appends behind a flight. Gives back those from the first on that depends on a flush.
    pub(crate) fn take_up_ahead(&mut self, group: Vec<Pending>) -> Vec<Pending> {
        self.prepare_for(&group);
        let mut group = group.into_iter();
        while let Some(pending) = group.next() {
            if let Some(left) = self.take(pending, false) {
                return std::iter::once(left).chain(group).collect();
            }
        }
        Vec::new()
    }

    fn prepare_for(&mut self, group: &[Pending]) {
        // Most of it was written by other processors. Fetched all at once it takes a fraction of the time that it takes
        // piece by piece, when each is needed.
        std::hint::black_box(group.iter().map(|pending| pending.prepared.touch()).fold(0, u8::wrapping_add));
        self.core.renew_view(&mut self.view);
        self.core.renew_rules(&mut self.rules);
        self.now = i64::try_from(self.core.clock.now().as_nanosecond()).unwrap_or(i64::MAX);
    }

    /// Gets a flight ready with all that waits. The log is here.
    pub(crate) fn get_ready(&mut self) {
        match self.depart() {
            Some(flight) => self.log = Place::Ready(Box::new(flight)),
            None => self.tell_waiting(&Ok(())),
        }
    }

    /// The flight that is ready, if there is one.
    pub(crate) fn take_off(&mut self) -> Option<Box<Flight>> {
        if !matches!(self.log, Place::Ready(_)) {
            return None;
        }
        match std::mem::replace(&mut self.log, Place::Away) {
            Place::Ready(flight) => Some(flight),
            _ => unreachable!("it was just looked at"),
        }
    }

    /// Whether somebody carries a flight.
    pub(crate) fn is_away(&self) -> bool {
        matches!(self.log, Place::Away)
    }

    /// Whether a flight is in the air, or about to be.
    pub(crate) fn is_flying(&self) -> bool {
        matches!(self.log, Place::Ready(_) | Place::Away)
    }

    /// Takes in a flight that took off, and finds the answers that rest on it.
    pub(crate) fn land(&mut self, flight: Flight) {
        // Every caller is told by its own answer how that went.
        drop(self.arrive(flight));
    }

    /// Takes no more events, because a flight will not come back.
    pub(crate) fn lose(&mut self) {
        self.log = Place::Lost;
        self.abandon();
    }

    /// Carries a flight that was ready here and now.
    pub(crate) fn finish_flight(&mut self) {
        if let Some(mut flight) = self.take_off() {
            self.log = Place::Lost;
            flight.fly();
            self.land(*flight);
        }
    }

    /// Carries what is ready and what waits, as far as it can be.
    pub(crate) fn settle(&mut self) {
        self.finish_flight();
        if matches!(self.log, Place::Here(_)) {
            self.answer();
        }
    }

    /// What is to be told by now.
    pub(crate) fn answers(&mut self) -> Answers {
        Answers(std::mem::take(&mut self.answers))
    }

    /// Flushes where every caller is told by its own answer how that went.
    fn answer(&mut self) {
        drop(self.flush());
    }

    /// Decides one append and queues its frame and its answer. Gives it back if it depends on a flush that is not allowed.
    fn take(&mut self, pending: Pending, may_flush: bool) -> Option<Pending> {
        let changes = !pending.prepared.append.changes.is_empty();
        if changes && !may_flush {
            return Some(pending);
        }
        let (result, wrote) = loop {
            let prepared = &*pending.prepared;
            match self.decide(prepared) {
                Ok(Decision::FlushFirst) if may_flush => self.answer(),
                Ok(Decision::FlushFirst) => return Some(pending),
                Ok(Decision::Original(original)) => break (Ok(original), false),
                Ok(Decision::Write) if !self.has_room(prepared.frame_bound()) => {
                    if !may_flush {
                        return Some(pending);
                    }
                    // What waits is flushed for that. Should it fail, the decision that rests on it is void.
                    if let Err(error) = self.go_on() {
                        break (Err(error), false);
                    }
                }
                Ok(Decision::Write) => {
                    let room = self.make_room(prepared.frame_bound());
                    let result =
                        room.map_err(|error| AppendError::Failed(error.into())).and_then(|()| self.write(prepared));
                    let wrote = result.is_ok();
                    break (result, wrote);
                }
                Err(error) => break (Err(error), false),
            }
        };
        let Pending { prepared, reply } = pending;
        self.waiting.answers.push(Answer { reply, result, prepared, wrote });
        if changes {
            self.answer();
        }
        None
    }

    /// Whether there are frames that are not durable yet.
    fn is_waiting(&self) -> bool {
        self.tip > self.end
    }

    /// Makes everything that waits durable and visible, and finds the answers that rest on it. The log is here.
    fn flush(&mut self) -> Result<(), FlushError> {
        match self.depart() {
            Some(mut flight) => {
                flight.fly();
                self.arrive(flight)
            }
            None => {
                self.tell_waiting(&Ok(()));
                Ok(())
            }
        }
    }

    /// The log, which is not on a flight.
    fn log_here(&mut self) -> &mut Log {
        match &mut self.log {
            Place::Here(log) => log,
            Place::Ready(_) | Place::Away | Place::Lost => unreachable!("nobody changes the log during a flight"),
        }
    }

    fn apply(&mut self, changes: &[StreamChange]) {
        if !changes.is_empty() {
            // Rules that somebody else holds would have to be copied to be changed.
            self.rules = Arc::default();
            self.core.change_rules(|rules| changes.iter().for_each(|change| rules.apply(change)));
            self.rules = self.core.rules();
        }
    }

    /// Frames that wait are not going to be written.
    fn forget_waiting(&mut self) {
        self.tip = self.image.kept();
        self.unsealed.clear();
    }

    /// Forgets what a commit that panicked had begun, whose callers are told that it was abandoned.
    pub(crate) fn abandon(&mut self) {
        self.answers.clear();
        self.waiting = Waiting::default();
        self.forget_waiting();
        self.poison("a commit panicked".to_owned());
    }

    /// Takes no more events, because what a commit left behind is not known.
    fn poison(&mut self, reason: String) {
        tracing::error!(%reason, "the event store takes no more events until it is reopened");
        self.state = WriterState::Poisoned(reason);
    }

    fn check_open(&self) -> Result<(), Refused> {
        match &self.state {
            WriterState::Open => Ok(()),
            WriterState::Poisoned(reason) => Err(Refused::Poisoned(reason.clone())),
            WriterState::Closed => Err(Refused::Closed),
        }
    }
}

/// The same error for another caller.
fn again(error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), error.to_string())
}
