//! Opening: from the files that the manifest names to a log with an end.

mod active;
mod head;
mod sealed;

use std::{
    any::Any,
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use mainspring_event::Position;
use mainspring_store::{Clock, Lineage, StoreId};

use crate::{
    catalog::Catalog,
    commit::{LogEnd, write_image},
    core::{Core, about},
    damage::Damage,
    directory::{Run, is_run_name, load_runs},
    disk::{Access, Disk, LockError},
    error::OpenError,
    format::{
        FORMAT,
        manifest::{BadManifest, MANIFEST, Manifest, SegmentEntry},
        segment::{SEGMENT_HEAD, SegmentHead, is_segment_name, log_name},
        watermark::{self, WATERMARK, WATERMARK_LEN},
    },
    image::{ImageWriter, PAGE},
    rules::Rules,
    segment::Segment,
};
use active::open_active;
use head::damaged;
use sealed::open_all_sealed;

pub(crate) use active::Active;
pub(crate) use sealed::index_again;

/// A reader that looks for a live writer holds the lock for a moment; a writer waits that long.
const LOCK_PATIENCE: Duration = Duration::from_millis(200);

/// The lock of a directory.
pub(crate) type Guard = Box<dyn Any + Send + Sync>;

/// How the end of the log is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tail {
    /// No other process writes: every whole frame counts, what is torn is cut off. Segments are closed when they would
    /// exceed so many bytes.
    Recover { segment_bytes: u64 },
    /// No other process writes, but nothing is to be changed: every whole frame counts.
    Whole,
    /// Another process writes: frames count as far as it has synced.
    Synced,
    /// It is a backup: nobody writes, and its manifest says where it ends.
    Backup,
}

/// A log that was read to its end.
pub(crate) struct Opened {
    pub(crate) core: Arc<Core>,
    pub(crate) manifest: Manifest,
    pub(crate) active: Active,
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
    segment_bytes: u64,
) -> Result<(Arc<Core>, LogEnd), OpenError> {
    let manifest = match load_manifest(&*disk) {
        Err(OpenError::Missing { .. }) => create(&*disk, identity.unwrap_or_else(|| (StoreId::new(), Lineage::new())))?,
        manifest => manifest?,
    };
    if manifest.backup.is_some() {
        return Err(OpenError::Backup { directory: disk.describe("") });
    }
    let synced = read_watermark(&*disk);
    let Opened { core, mut manifest, active, recorded } =
        open(disk.clone(), clock, manifest, synced, Tail::Recover { segment_bytes })?;
    let Active { segment, file, continuation, image } = active;
    let image = image.expect("a segment that is to be written has an image");
    manifest.epoch += 1;
    manifest.store(&*disk)?;
    remove_garbage(&*disk, &manifest, core.view().runs())?;
    // It is overwritten, never emptied: another process may open the store to read at any moment.
    let watermark = match disk.open(WATERMARK, Access::Write) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => disk.create(WATERMARK)?,
        watermark => watermark?,
    };
    watermark.write_all_at(0, &watermark::encode(segment.base + continuation.offset))?;
    let epoch = manifest.epoch;
    let catalog = Arc::new(Catalog::new(manifest));
    Ok((core, LogEnd { segment, image, file, watermark, catalog, epoch, continuation, recorded }))
}

/// Opens the store to read it while another process may write.
pub(crate) fn for_reading(disk: &Arc<dyn Disk>, clock: &Arc<dyn Clock>) -> Result<Opened, OpenError> {
    // A directory without a store gets no lock file.
    load_manifest(&**disk)?;
    // Without a writer nothing moves, and a sync makes every whole frame durable. Where the lock cannot be used at all,
    // on a read-only file system say, only what is known to be synced is shown.
    let guard = disk.lock();
    let tail = if guard.is_ok() { Tail::Whole } else { Tail::Synced };
    open_beside_writer(disk, clock, tail)
}

/// Opens the store as far as another process that may be writing to it has synced.
pub(crate) fn for_following(disk: &Arc<dyn Disk>, clock: &Arc<dyn Clock>) -> Result<Opened, OpenError> {
    open_beside_writer(disk, clock, Tail::Synced)
}

fn open_beside_writer(disk: &Arc<dyn Disk>, clock: &Arc<dyn Clock>, tail: Tail) -> Result<Opened, OpenError> {
    loop {
        // Before the manifest, which the writer may replace meanwhile: the mark must not lie beyond what that names.
        let synced = read_watermark(&**disk);
        let manifest = load_manifest(&**disk)?;
        let tail = if manifest.backup.is_some() { Tail::Backup } else { tail };
        let opened = open(disk.clone(), clock.clone(), manifest.clone(), synced, tail);
        // Scavenging removes files that the manifest has ceased to name; then there is another manifest to go by.
        match opened {
            Err(_) if load_manifest(&**disk)? != manifest => {}
            opened => return opened,
        }
    }
}

/// The manifest of a store, or of a backup that is complete.
pub(crate) fn load_manifest(disk: &dyn Disk) -> Result<Manifest, OpenError> {
    let manifest = load_any_manifest(disk)?;
    match (manifest.segments.is_empty(), &manifest.backup) {
        (false, _) => Ok(manifest),
        (true, Some(_)) => Err(OpenError::Unfinished { directory: disk.describe("") }),
        (true, None) => Err(damaged(&disk.describe(MANIFEST), 0, "it names no segment").into()),
    }
}

/// The manifest, even of a backup that was never completed.
pub(crate) fn load_any_manifest(disk: &dyn Disk) -> Result<Manifest, OpenError> {
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
    for name in disk.list()?.iter().filter(|name| name.ends_with(".log") && is_segment_name(name)) {
        let file = disk.open(name, Access::Read)?;
        let mut behind_head = [0; 1];
        if file.read_at(SEGMENT_HEAD, &mut behind_head)? > 0 && behind_head != [0] {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Writes the first, empty segment and a manifest that names it.
fn create(disk: &dyn Disk, (store, lineage): (StoreId, Lineage)) -> Result<Manifest, OpenError> {
    let mut manifest = Manifest::new(store, lineage);
    let head = SegmentHead { store: manifest.store, number: 1, base: 0, first_position: 1, previous: 0, generation: 0 };
    let file = disk.create_log(&log_name(1))?;
    let mut image = ImageWriter::new(PAGE)?;
    image.write(0..SEGMENT_HEAD as usize).copy_from_slice(&head.encode());
    write_image(&*file, &mut image, 0, SEGMENT_HEAD as usize)?;
    file.sync()?;
    manifest.segments.push(SegmentEntry::active(1, 0));
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
    let identity = (manifest.store, manifest.lineage);
    let core = Arc::new(Core::new(disk.clone(), clock, identity, Rules::default(), Position::START));
    core.note_removed_tagged(manifest.removed_tagged);
    let mut rules = Rules::default();
    let (active, sealed) = manifest.segments.split_last().expect("a manifest that was loaded names a segment");
    let sealed: Vec<_> = sealed.iter().filter(|entry| entry.has_file()).collect();
    open_all_sealed(&core, &sealed, tail, &mut rules)?;
    let active = open_active(&core, active, synced, tail, &mut rules)?;
    let recorded = last_recorded(&core, &active.segment)?.max(manifest.replaced_recorded.unwrap_or(i64::MIN));
    let runs = find_runs(&core);
    core.change_view(|segments| segments.push(active.segment.clone()));
    core.change_runs(|current| *current = runs);
    core.change_rules(|current| *current = rules);
    core.publish(Position(active.continuation.next_position - 1));
    Ok(Opened { core, manifest, active, recorded })
}

/// The runs of the directory that are there. Without them looking things up takes longer, and that is all.
pub(crate) fn find_runs(core: &Core) -> Vec<Arc<Run>> {
    let view = core.view();
    match core.disk.list() {
        Ok(names) => load_runs(&*core.disk, (core.store, core.lineage), &core.bell, &names, view.runs()),
        Err(error) => {
            tracing::warn!(%error, "the directory of streams and tags cannot be found");
            view.runs().to_vec()
        }
    }
}

/// When the last event that is in the log was recorded; the least number where there is none.
fn last_recorded(core: &Core, active: &Segment) -> Result<i64, Damage> {
    let last = active.with_index(|index| index.frames().checked_sub(1).map(|last| index.frame(last).recorded))?;
    let sealed = core.view().iter().filter_map(|segment| segment.summary()).map(|summary| summary.recorded).max();
    Ok(last.max(sealed).unwrap_or(i64::MIN))
}

/// How far the log is known to be synced.
pub(crate) fn read_watermark(disk: &dyn Disk) -> u64 {
    let bytes = disk.open(WATERMARK, Access::Read).and_then(|file| file.read_exact_at(0, WATERMARK_LEN));
    bytes.map_or(0, |bytes| watermark::decode(&bytes))
}

/// Removes files that a crash left behind: segments and indexes that the manifest does not name, and runs of the directory
/// other than these, which were merged or cannot be used.
pub(crate) fn remove_garbage(disk: &dyn Disk, manifest: &Manifest, runs: &[Arc<Run>]) -> io::Result<()> {
    let live = |name: &str| {
        let mut files = manifest.segments.iter().filter(|entry| entry.has_file());
        files.any(|entry| name == entry.log_name() || name == entry.index_name())
            || runs.iter().any(|run| name == run.name())
    };
    for name in disk.list()? {
        let ours = is_segment_name(&name) || is_run_name(&name) || name.ends_with(".new");
        if ours && !live(&name) {
            tracing::info!(file = %disk.describe(&name), "removing a file that is not needed any more");
            disk.remove(&name)?;
        }
    }
    Ok(())
}
