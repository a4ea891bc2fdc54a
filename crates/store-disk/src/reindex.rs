//! Builds indexes again from the log, in a directory that nobody writes to.

use std::{io, path::Path, sync::Arc};

use mainspring_event::Position;
use mainspring_store::SystemClock;

use crate::{
    commit::{open_index, write_index},
    core::{Core, about},
    disk::{Disk, OsDisk},
    error::OpenError,
    format::manifest::SegmentEntry,
    open::{index_again, load_manifest, lock},
    rules::Rules,
};

/// Which indexes are built again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Those that are missing or whose checksum does not match.
    Damaged,
    /// All of them.
    All,
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reindexed {
    /// How many segments have an index. The last one, which is still written, has none.
    pub segments: usize,
    /// The files that were built again.
    pub built: Vec<String>,
}

/// Builds indexes of the store or the backup in `directory` again. Nobody may write to it meanwhile.
///
/// Needs memory for the index of one segment. An interruption leaves each index as it was or as it should be.
///
/// # Errors
/// [`OpenError`]; it says what to do.
pub fn reindex(directory: impl AsRef<Path>, which: Which) -> Result<Reindexed, OpenError> {
    let disk = OsDisk::existing(&directory).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => OpenError::Missing { directory: directory.as_ref().display().to_string() },
        _ => error.into(),
    })?;
    reindex_on(Arc::new(disk), which)
}

/// As [`reindex`], on any disk.
///
/// # Errors
/// As [`reindex`].
pub fn reindex_on(disk: Arc<dyn Disk>, which: Which) -> Result<Reindexed, OpenError> {
    // A directory without a store gets no lock file.
    load_manifest(&*disk)?;
    let _guard = lock(&*disk)?;
    let manifest = load_manifest(&*disk)?;
    let ids = (manifest.store, manifest.lineage);
    let core = Core::new(disk.clone(), Arc::new(SystemClock), ids, Rules::default(), Position::START);
    let mut done = Reindexed::default();
    let (_, sealed) = manifest.segments.split_last().expect("a manifest that was loaded names a segment");
    for entry in sealed.iter().filter(|entry| entry.has_file()) {
        done.segments += 1;
        if which == Which::Damaged && is_sound(&core, entry)? {
            continue;
        }
        let segment = index_again(&core, entry)?;
        core.change_view(|segments| *segments = vec![Arc::new(segment)]);
        write_index(&core, entry.number)?;
        done.built.push(disk.describe(&entry.index_name()));
    }
    Ok(done)
}

/// Whether the index of a segment is there and has the right checksum.
fn is_sound(core: &Core, entry: &SegmentEntry) -> Result<bool, OpenError> {
    match open_index(core, &entry.index_name(), entry.number, entry.sealed.unwrap_or_default()) {
        Ok(index) => Ok(index.and_then(|index| index.verify()).is_ok()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(about(&*core.disk, &entry.index_name(), &error).into()),
    }
}
