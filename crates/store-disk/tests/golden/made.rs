//! How the directories that are kept are made, byte for byte the same each time.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use mainspring_conformance::{ManualClock, Seed};
use mainspring_store::{Append, EventStore, Lineage, StoreId};
use mainspring_store_disk::{DiskStore, Options};

use crate::{
    block_on,
    history::{a_few, event, many, over_many_segments, removed, retained},
};

/// A directory that is kept.
pub(crate) struct Golden {
    pub(crate) name: &'static str,
    segment_bytes: u64,
    /// What is appended to the empty store, from first to last.
    appends: fn(&mut Seed) -> Vec<Append>,
    pub(crate) left: Left,
}

/// What becomes of the store after that.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    Closed,
    /// It is not closed, and half a frame is behind its end.
    Torn,
    /// Space was freed twice before it was closed.
    Scavenged,
    /// What is kept is a backup of it.
    BackedUp,
}

pub(crate) const GOLDEN: [Golden; 8] = [
    Golden { name: "v1-empty", segment_bytes: 8192, appends: |_| Vec::new(), left: Left::Closed },
    Golden { name: "v1-closed", segment_bytes: 8192, appends: a_few, left: Left::Closed },
    Golden { name: "v1-torn", segment_bytes: 8192, appends: a_few, left: Left::Torn },
    Golden { name: "v1-segments", segment_bytes: 8192, appends: many, left: Left::Closed },
    Golden { name: "v1-retention", segment_bytes: 8192, appends: retained, left: Left::Closed },
    Golden { name: "v1-runs", segment_bytes: 1024, appends: over_many_segments, left: Left::Closed },
    Golden { name: "v1-scavenged", segment_bytes: 2560, appends: removed, left: Left::Scavenged },
    Golden { name: "v1-backup", segment_bytes: 8192, appends: retained, left: Left::BackedUp },
];

pub(crate) fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

pub(crate) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(jiff::Timestamp::from_second(1_000_000_000).unwrap()))
}

pub(crate) fn open(directory: &Path, golden: &Golden, clock: &Arc<ManualClock>) -> DiskStore {
    let options = Options::default().segment_bytes(golden.segment_bytes).clock(clock.clone()).replayable();
    let options =
        options.identity(StoreId::from_bytes(*b"a store, kept so"), Lineage::from_bytes(*b"as it began once"));
    options.open(directory).unwrap_or_else(|error| panic!("{error:?}"))
}

/// The files of a directory without the lock, which names a process.
pub(crate) fn files(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
    let named = entries.map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()));
    named.filter(|(name, _)| name != "LOCK").collect()
}

pub(crate) fn write(directory: &Path, files: &BTreeMap<String, Vec<u8>>) {
    fs::create_dir_all(directory).unwrap();
    for (name, content) in files {
        fs::write(directory.join(name), content).unwrap();
    }
}

/// Makes the files of a directory.
pub(crate) fn make(golden: &Golden) -> BTreeMap<String, Vec<u8>> {
    let (directory, clock, mut seed) = (tempfile::tempdir().unwrap(), clock(), Seed::new(1));
    let store = open(directory.path(), golden, &clock);
    let appends = (golden.appends)(&mut seed);
    let half = appends.len() / 2;
    block_on(async {
        for (number, append) in appends.into_iter().enumerate() {
            if golden.left == Left::Scavenged && number == half {
                store.scavenge().await.unwrap();
            }
            store.append(append).await.unwrap();
            clock.advance(Duration::from_secs(1));
        }
        if golden.left == Left::Scavenged {
            store.scavenge().await.unwrap();
            store.append(Append::new([event(&mut seed, "a-1", 7)])).await.unwrap();
        }
    });
    match golden.left {
        Left::Closed | Left::Scavenged => {
            store.close().unwrap();
            files(directory.path())
        }
        Left::Torn => torn(files(directory.path())),
        Left::BackedUp => {
            let backup = tempfile::tempdir().unwrap();
            store.backup(backup.path()).unwrap();
            files(backup.path())
        }
    }
}

/// The files of an open store as a loss of power may leave them.
fn torn(mut files: BTreeMap<String, Vec<u8>>) -> BTreeMap<String, Vec<u8>> {
    files.retain(|name, _| !name.ends_with(".new"));
    let (_, log) = files.iter_mut().rfind(|(name, _)| name.ends_with(".log")).unwrap();
    let end = (log.iter().rposition(|byte| *byte != 0).unwrap() + 1).next_multiple_of(8);
    // Half a frame that was never acknowledged.
    log.truncate(end);
    log.extend_from_within(64..164);
    log.extend_from_slice(&[0; 300]);
    files
}
