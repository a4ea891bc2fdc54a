//! Opening: from the files that the manifest names to a log with an end.

use std::{
    any::Any,
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use mainspring_event::Position;
use mainspring_store::{Clock, Lineage, StoreId};

use crate::{
    commit::{LogEnd, open_index, write_index},
    core::{Core, about},
    damage::Damage,
    disk::{Access, Disk, DiskFile, LockError},
    error::OpenError,
    format::{
        FORMAT,
        manifest::{BadManifest, MANIFEST, Manifest, SegmentEntry},
        segment::{BadHead, SEGMENT_HEAD, SegmentHead, index_name, log_name},
        watermark::{self, WATERMARK, WATERMARK_LEN},
    },
    index::MemoryIndex,
    rules::Rules,
    scan::{Continuation, Scanner},
    segment::{Segment, SegmentPlace},
};

/// A reader that looks for a live writer holds the lock for a moment; a writer waits that long.
const LOCK_PATIENCE: Duration = Duration::from_millis(200);

/// The lock of a directory.
pub(crate) type Guard = Box<dyn Any + Send + Sync>;

/// How the end of the log is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tail {
    /// No other process writes: every whole frame counts, what is torn is cut off.
    Recover,
    /// No other process writes, but nothing is to be changed: every whole frame counts.
    Whole,
    /// Another process writes: frames count as far as it has synced.
    Synced,
}

/// A log that was read to its end.
pub(crate) struct Opened {
    pub(crate) core: Arc<Core>,
    pub(crate) manifest: Manifest,
    pub(crate) segment: Arc<Segment>,
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) continuation: Continuation,
    pub(crate) recorded: i64,
}

/// Takes the lock, waiting a moment for readers that only look.
pub(crate) fn lock(disk: &dyn Disk) -> Result<Guard, OpenError> {
    let deadline = Instant::now() + LOCK_PATIENCE;
    loop {
        match disk.lock() {
            Ok(guard) => return Ok(guard),
            Err(LockError::Held { .. }) if Instant::now() < deadline => {
                std::thread::park_timeout(Duration::from_millis(10));
            }
            Err(LockError::Held { holder }) => {
                return Err(OpenError::Locked { directory: disk.describe(""), holder });
            }
            Err(LockError::Io(error)) => return Err(error.into()),
        }
    }
}

/// Opens the store for its one writer, creating it in an empty directory.
///
/// A store that is created gets this identity, or else a random one.
pub(crate) fn for_writing(
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    identity: Option<(StoreId, Lineage)>,
) -> Result<(Arc<Core>, LogEnd), OpenError> {
    let manifest = match load_manifest(&*disk) {
        Err(OpenError::Missing { .. }) => create(&*disk, identity.unwrap_or_else(|| (StoreId::new(), Lineage::new())))?,
        manifest => manifest?,
    };
    let synced = read_watermark(&*disk);
    let Opened { core, mut manifest, segment, file, continuation, recorded } =
        open(disk.clone(), clock, manifest, synced, Tail::Recover)?;
    manifest.epoch += 1;
    manifest.store(&*disk)?;
    remove_garbage(&*disk, &manifest)?;
    // It is overwritten, never emptied: another process may open the store to read at any moment.
    let watermark = match disk.open(WATERMARK, Access::Write) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => disk.create(WATERMARK)?,
        watermark => watermark?,
    };
    watermark.write_all_at(0, &watermark::encode(segment.base + continuation.offset))?;
    Ok((core, LogEnd { segment, file, watermark, manifest, continuation, recorded }))
}

/// Opens the store to read it while another process may write.
pub(crate) fn for_reading(disk: Arc<dyn Disk>, clock: Arc<dyn Clock>) -> Result<Opened, OpenError> {
    // A directory without a store gets no lock file.
    load_manifest(&*disk)?;
    // Without a writer nothing moves, and a sync makes every whole frame durable. Where the lock cannot be used at all,
    // on a read-only file system say, only what is known to be synced is shown.
    let guard = disk.lock();
    let tail = if guard.is_ok() { Tail::Whole } else { Tail::Synced };
    // Before the manifest, which the writer may replace meanwhile: the mark must not lie beyond what that names.
    let synced = read_watermark(&*disk);
    let manifest = load_manifest(&*disk)?;
    open(disk, clock, manifest, synced, tail)
}

pub(crate) fn load_manifest(disk: &dyn Disk) -> Result<Manifest, OpenError> {
    Manifest::load(disk).or_else(|bad| {
        Err(match bad {
            BadManifest::Missing => {
                let directory = disk.describe("");
                if holds_commits(disk)? {
                    OpenError::ManifestMissing { directory }
                } else {
                    OpenError::Missing { directory }
                }
            }
            BadManifest::Newer(found) => OpenError::Newer { file: disk.describe(MANIFEST), found, supported: FORMAT },
            BadManifest::Damaged(what) => Damage { file: disk.describe(MANIFEST), offset: 0, what }.into(),
            BadManifest::Io(error) => about(disk, MANIFEST, &error).into(),
        })
    })
}

/// Whether there is a segment that is more than a head. A creation that was interrupted leaves just that.
fn holds_commits(disk: &dyn Disk) -> io::Result<bool> {
    for name in disk.list()?.iter().filter(|name| name.ends_with(".log")) {
        if disk.open(name, Access::Read)?.size()? > SEGMENT_HEAD {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Writes the first, empty segment and a manifest that names it.
fn create(disk: &dyn Disk, (store, lineage): (StoreId, Lineage)) -> Result<Manifest, OpenError> {
    let mut manifest = Manifest::new(store, lineage);
    let head = SegmentHead { store: manifest.store, number: 1, base: 0, first_position: 1, previous: 0 };
    let file = disk.create(&log_name(1))?;
    file.write_all_at(0, &head.encode())?;
    file.sync()?;
    manifest.segments.push(SegmentEntry { number: 1, base: 0, sealed: None });
    manifest.store(disk)?;
    Ok(manifest)
}

fn open(
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    manifest: Manifest,
    synced: u64,
    tail: Tail,
) -> Result<Opened, OpenError> {
    let core = Arc::new(Core::new(
        disk.clone(),
        clock,
        (manifest.store, manifest.lineage),
        Vec::new(),
        Rules::default(),
        Position::START,
    ));
    let mut recorded = i64::MIN;
    let mut rules = Rules::default();
    let Some((active, sealed)) = manifest.segments.split_last() else {
        let what = "it names no segment".to_owned();
        return Err(Damage { file: disk.describe(MANIFEST), offset: 0, what }.into());
    };
    for entry in sealed {
        let segment = open_sealed(&core, entry, &mut rules)?;
        core.change_view(|segments| segments.push(Arc::new(segment)));
        if tail == Tail::Recover
            && let Err(error) = write_index(&core, entry.number)
        {
            tracing::warn!(%error, number = entry.number, "the index of a segment could not be written");
        }
    }
    let (segment, file, continuation) = open_active(&core, active, synced, tail, &mut rules)?;
    core.change_view(|segments| segments.push(segment.clone()));
    for segment in core.view().iter() {
        recorded = recorded.max(last_recorded(segment)?);
    }
    core.change_rules(|current| *current = rules);
    core.publish(Position(continuation.next_position - 1));
    Ok(Opened { core, manifest, segment, file, continuation, recorded })
}

/// The recorded time of the last event of a segment.
fn last_recorded(segment: &Segment) -> Result<i64, Damage> {
    segment.with_index(|index| {
        let last = index.frames().checked_sub(1).map(|last| index.frame(last).recorded);
        last.unwrap_or(i64::MIN)
    })
}

/// The head of a segment, checked against what the manifest says of it.
fn read_head(
    core: &Core,
    entry: &SegmentEntry,
    file: &Arc<dyn DiskFile>,
) -> Result<(SegmentHead, SegmentPlace), OpenError> {
    let name = log_name(entry.number);
    let file_name = core.disk.describe(&name);
    let size = file.size().map_err(|error| about(&*core.disk, &name, &error))?;
    if size < SEGMENT_HEAD {
        return Err(damaged(&file_name, size, "the file ends before the end of its head").into());
    }
    let bytes = file.read_exact_at(0, SEGMENT_HEAD as usize).map_err(|error| about(&*core.disk, &name, &error))?;
    let head = SegmentHead::decode(&bytes).map_err(|bad| match bad {
        BadHead::Newer(found) => OpenError::Newer { file: file_name.clone(), found, supported: FORMAT },
        BadHead::Damaged => damaged(&file_name, 0, "the head of the segment cannot be read").into(),
    })?;
    if (head.store, head.number, head.base) != (core.store, entry.number, entry.base) {
        return Err(damaged(&file_name, 0, "it is not the segment that the manifest names").into());
    }
    let (number, base, first_position) = (head.number, head.base, head.first_position);
    Ok((head, SegmentPlace { number, base, first_position, file_name }))
}

/// Opens the file of a segment that the manifest names.
fn open_log(core: &Core, entry: &SegmentEntry, access: Access) -> Result<Arc<dyn DiskFile>, OpenError> {
    let name = log_name(entry.number);
    core.disk.open(&name, access).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => damaged(&core.disk.describe(&name), 0, "the file is missing").into(),
        _ => about(&*core.disk, &name, &error).into(),
    })
}

fn damaged(file: &str, offset: u64, what: &str) -> Damage {
    Damage { file: file.to_owned(), offset, what: what.to_owned() }
}

/// A sealed segment, with the index from its file or, where that is missing or bad, built again from the log.
fn open_sealed(core: &Core, entry: &SegmentEntry, rules: &mut Rules) -> Result<Segment, OpenError> {
    let name = log_name(entry.number);
    let file = open_log(core, entry, Access::Read)?;
    let length = entry.sealed.unwrap_or_default();
    if file.size()? < length {
        let what = format!("the file has {} bytes, the manifest says {length}", file.size()?);
        return Err(damaged(&core.disk.describe(&name), file.size()?, &what).into());
    }
    let (head, place) = read_head(core, entry, &file)?;
    let log = file.map(length)?;
    let index = match open_index(&*core.disk, core, entry.number, length) {
        Ok(Ok(index)) => {
            let changes = index.verify().and_then(|()| index.changes());
            changes.map(|changes| (index, changes)).map_err(|bad| bad.to_string())
        }
        Ok(Err(bad)) => Err(bad.to_string()),
        Err(error) => Err(error.to_string()),
    };
    match index {
        Ok((index, changes)) => {
            changes.iter().for_each(|change| rules.apply(change));
            Ok(Segment::sealed(place, log, index))
        }
        Err(reason) => {
            tracing::info!(%reason, index = %core.disk.describe(&index_name(entry.number)), "building an index again");
            let from =
                Continuation { offset: SEGMENT_HEAD, previous: head.chain(), next_position: head.first_position };
            let Scanned { index, continuation, .. } = scan(core, &place, &log[SEGMENT_HEAD as usize..], from)?;
            if continuation.offset != length {
                return Err(damaged(&place.file_name, continuation.offset, "a frame cannot be read").into());
            }
            index.changes().iter().for_each(|change| rules.apply(change));
            Ok(Segment::sealed_in_memory(place, log, index))
        }
    }
}

/// What the whole frames at the beginning of some bytes say.
struct Scanned {
    index: MemoryIndex,
    /// What the next frame must continue.
    continuation: Continuation,
    /// The log was synced this far when the last of them was written.
    synced: u64,
}

/// Indexes the whole frames in `bytes`.
fn scan(core: &Core, place: &SegmentPlace, bytes: &[u8], from: Continuation) -> Result<Scanned, Damage> {
    let mut scanner = Scanner::new(bytes, place.base, from, core.store);
    let mut index = MemoryIndex::default();
    let mut synced = 0;
    loop {
        let continuation = scanner.continuation();
        let Some(frame) = scanner.next_frame() else { return Ok(Scanned { index, continuation, synced }) };
        frame.index(&mut index).map_err(|what| damaged(&place.file_name, continuation.offset, what))?;
        synced = frame.head.synced;
    }
}

type Active = (Arc<Segment>, Arc<dyn DiskFile>, Continuation);

/// The segment at the end of the log.
fn open_active(
    core: &Core,
    entry: &SegmentEntry,
    synced: u64,
    tail: Tail,
    rules: &mut Rules,
) -> Result<Active, OpenError> {
    let access = if tail == Tail::Recover { Access::Write } else { Access::Read };
    let file = open_log(core, entry, access)?;
    let (head, place) = read_head(core, entry, &file)?;
    let mut length = file.size()?;
    match tail {
        Tail::Recover => {}
        // What is whole in the file may not be on the disk yet; it must be before anyone sees it.
        Tail::Whole => file.sync()?,
        Tail::Synced => length = length.min(synced.saturating_sub(entry.base).max(SEGMENT_HEAD)),
    }
    let length = usize::try_from(length - SEGMENT_HEAD).map_err(io::Error::other)?;
    let bytes = file.read_exact_at(SEGMENT_HEAD, length)?;
    let from = Continuation { offset: SEGMENT_HEAD, previous: head.chain(), next_position: head.first_position };
    let Scanned { index, continuation, synced: marked } = scan(core, &place, &bytes, from)?;
    let end = continuation.offset;
    let (whole, behind) = bytes.split_at(usize::try_from(end - SEGMENT_HEAD).map_err(io::Error::other)?);
    let known = Scanner::new(behind, place.base, continuation, core.store).synced_behind().max(synced);
    if known > place.base + end {
        let what = "a frame cannot be read, but it had been synced: this is damage, not a torn end";
        return Err(damaged(&place.file_name, end, what).into());
    }
    if tail == Tail::Recover {
        recover_tail(&file, whole, synced.max(marked).saturating_sub(entry.base))?;
        if behind.iter().any(|byte| *byte != 0) {
            tracing::info!(file = %place.file_name, offset = end, "cutting off a torn end that was never acknowledged");
            file.set_len(end)?;
        }
        file.sync()?;
    }
    index.changes().iter().for_each(|change| rules.apply(change));
    let segment = Arc::new(Segment::growing(place, file.clone(), end, index));
    Ok((segment, file, continuation))
}

/// Writes the frames of a segment again that are not known to be synced.
///
/// After a failed sync the machine may take pages for written that never were. They can be read, but no later sync writes
/// them unless they are written to again.
fn recover_tail(file: &Arc<dyn DiskFile>, frames: &[u8], synced: u64) -> io::Result<()> {
    let from = usize::try_from(synced.saturating_sub(SEGMENT_HEAD)).map_err(io::Error::other)?.min(frames.len());
    file.write_all_at(SEGMENT_HEAD + from as u64, &frames[from..])
}

/// How far the log is known to be synced.
pub(crate) fn read_watermark(disk: &dyn Disk) -> u64 {
    let bytes = disk.open(WATERMARK, Access::Read).and_then(|file| file.read_exact_at(0, WATERMARK_LEN));
    bytes.map_or(0, |bytes| watermark::decode(&bytes))
}

/// Removes files that a crash left behind: segments and indexes that the manifest does not name.
fn remove_garbage(disk: &dyn Disk, manifest: &Manifest) -> io::Result<()> {
    let live = |name: &str| {
        manifest.segments.iter().any(|entry| name == log_name(entry.number) || name == index_name(entry.number))
    };
    for name in disk.list()? {
        let ours = name.ends_with(".log") || name.ends_with(".idx") || name.ends_with(".new");
        if ours && !live(&name) {
            tracing::info!(file = %disk.describe(&name), "removing a file that the manifest does not name");
            disk.remove(&name)?;
        }
    }
    Ok(())
}
