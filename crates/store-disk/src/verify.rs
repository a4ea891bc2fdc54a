//! Checks every byte that matters, changing nothing: all checksums, all indexes against the log, and the order of it all.

mod finding;
mod segment;

use std::{collections::HashMap, io, path::Path, sync::Arc};

use crate::{
    damage::Damage,
    disk::{Disk, OsDisk},
    error::OpenError,
    format::manifest::{MANIFEST, Manifest},
    open::{load_manifest, read_watermark},
};

pub use finding::{Finding, FindingKind, Lost};
use segment::Check;

/// What a check of a whole store found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verification {
    /// How many segments were checked.
    pub segments: usize,
    /// How many commits.
    pub commits: u64,
    /// How many events.
    pub events: u64,
    /// How many index files were compared with the log.
    pub indexes: usize,
    /// Bytes of log and index files that were checked.
    pub bytes: u64,
    /// Bytes behind the last whole commit that were never acknowledged; opening for writing cuts them off.
    pub torn_bytes: u64,
    /// What was found, in the order of the log.
    pub findings: Vec<Finding>,
}

impl Verification {
    /// Whether everything is as it was written.
    pub fn is_intact(&self) -> bool {
        self.damages().next().is_none()
    }

    /// What is not as it was written.
    pub fn damages(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.kind.is_damage())
    }
}

/// Checks the store or the backup in `directory`, which no process needs to have open and one may be writing to.
///
/// Files are read, never mapped, so that a failing disk gives an error and not a crash. It takes memory for one segment
/// and for the name of every stream.
///
/// # Errors
/// [`OpenError`] when there is no store, or a newer program wrote it. Damage is part of the answer instead.
pub fn verify(directory: impl AsRef<Path>) -> Result<Verification, OpenError> {
    let disk = OsDisk::existing(&directory).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => OpenError::Missing { directory: directory.as_ref().display().to_string() },
        _ => error.into(),
    })?;
    verify_on(Arc::new(disk))
}

/// As [`verify`], on any disk.
///
/// # Errors
/// As [`verify`].
pub fn verify_on(disk: Arc<dyn Disk>) -> Result<Verification, OpenError> {
    loop {
        // Before the manifest and the files: what is written while they are checked may be torn.
        let synced = read_watermark(&*disk);
        let manifest = match named(&*disk) {
            Ok(manifest) => manifest?,
            Err(finding) => return Ok(Verification { findings: vec![finding], ..Verification::default() }),
        };
        let found = check(&*disk, &manifest, synced)?;
        // Scavenging removes files that the manifest has ceased to name.
        let is_missing =
            |finding: &Finding| matches!(finding.kind, FindingKind::SegmentMissing | FindingKind::IndexMissing);
        if !found.findings.iter().any(is_missing) || load_manifest(&*disk)? == manifest {
            return Ok(found);
        }
    }
}

/// Checks what a manifest names.
fn check(disk: &dyn Disk, manifest: &Manifest, synced: u64) -> Result<Verification, OpenError> {
    let mut check = Check {
        disk,
        manifest,
        synced,
        found: Verification::default(),
        heads: HashMap::new(),
        next_position: 1,
        open_ended: Vec::new(),
    };
    let mut chain = None;
    for (number, entry) in manifest.segments.iter().enumerate() {
        chain = check.segment(entry, number + 1 == manifest.segments.len(), chain)?;
    }
    check.runs()?;
    Ok(check.finish())
}

/// What the manifest names, or what is wrong with it.
fn named(disk: &dyn Disk) -> Result<Result<Manifest, OpenError>, Finding> {
    let finding = |kind, what: &str| {
        let file = disk.describe(MANIFEST);
        Finding { kind, file, offset: 0, what: what.to_owned(), lost: None }
    };
    match load_manifest(disk) {
        Err(OpenError::Damaged(Damage { what, .. })) => Err(finding(FindingKind::ManifestDamaged, &what)),
        Err(OpenError::ManifestMissing { .. }) => Err(finding(FindingKind::ManifestMissing, "the file is missing")),
        manifest => Ok(manifest),
    }
}
