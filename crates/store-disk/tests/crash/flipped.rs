//! Every byte of a store is changed, in one bit and in all: either a check reports it, or it is where it does no harm, and
//! then a store that is opened with it shows everything and is intact afterwards.

use std::{
    any::Any,
    collections::{BTreeMap, HashMap},
    io,
    sync::Arc,
};

use bytes::Bytes;
use mainspring_conformance::Seed;
use mainspring_event::{Metadata, MetadataValue, NewEvent, Tag, Version};
use mainspring_sim::{SimDisk, Unsynced};
use mainspring_store::{Append, Retained, Retention, StreamChange};
use mainspring_store_disk::{Access, Disk, DiskFile, LockError, verify_on};

use crate::{
    kit::{block_on, clock, event, in_place, replayable, stream},
    truth::Truth,
    workload::Workload,
};

/// Several sealed segments with tags, metadata and changes in them, and one that is written.
fn small() -> Workload {
    let mut seed = Seed::new(11);
    let mut single = |name: &str, payload: usize| Append::new([event(&mut seed, name, payload)]);
    let tagged = |append: Append| {
        let mut metadata = Metadata::default();
        metadata.user = Some("ada".into());
        metadata.insert("retries", MetadataValue::Integer(3)).unwrap();
        let tag = |event: NewEvent| NewEvent {
            tags: vec![Tag::parse("k:1").unwrap(), Tag::parse("l:22").unwrap()],
            metadata: metadata.clone(),
            ..event
        };
        Append { events: append.events.into_iter().map(tag).collect(), ..append }
    };
    let steps = vec![
        vec![single("a-1", 3)],
        vec![tagged(single("a-2", 10)), single("b-1", 100)],
        vec![single("$r-1", 33).change(StreamChange::Retain {
            target: Retained::Stream(stream("$r-1")),
            retention: Retention { max_count: Some(1), max_age: None },
        })],
        vec![single("c-1", 5), single("a-1", 0), tagged(single("a-1", 1))],
        vec![single("d-1", 450)],
        vec![Append::default().change(StreamChange::Tombstone { stream: stream("d-1") })],
        vec![single("$r-1", 12), single("a-1", 7)],
        vec![Append::default().change(StreamChange::TruncateBefore { stream: stream("a-1"), version: Version(3) })],
        vec![tagged(single("b-1", 250)), single("b-2", 90)],
        vec![single("e-1", 18)],
    ];
    Workload { segment_bytes: 1800, steps }
}

/// How the store was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    Closed,
    /// Everything is synced, and room is written ahead.
    Killed,
}

async fn store(left: Left) -> (Truth, SimDisk) {
    let truth = Truth::of(small()).await;
    let (disk, clock) = (SimDisk::new(11), clock());
    let store = replayable(truth.workload.segment_bytes, &clock).open_on(Arc::new(disk.clone())).unwrap();
    truth.send(&store, &clock).await.unwrap();
    if left == Left::Closed {
        store.close().unwrap();
    }
    (truth, disk.crash(Unsynced::Kept))
}

/// Files that can only be read, one of them changed: a check of it costs no copy of the others.
#[derive(Clone)]
struct Files(HashMap<String, Bytes>);

struct File(Bytes);

impl Files {
    fn of(disk: &SimDisk) -> Self {
        let names = disk.list().unwrap();
        Self(names.into_iter().map(|name| (name.clone(), disk.contents(&name).unwrap().into())).collect())
    }

    fn with(&self, name: &str, content: Vec<u8>) -> Self {
        let mut files = self.clone();
        files.0.insert(name.to_owned(), content.into());
        files
    }
}

fn read_only<T>() -> io::Result<T> {
    Err(io::ErrorKind::ReadOnlyFilesystem.into())
}

impl Disk for Files {
    fn describe(&self, name: &str) -> String {
        name.to_owned()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.0.keys().cloned().collect())
    }

    fn create(&self, _: &str) -> io::Result<Arc<dyn DiskFile>> {
        read_only()
    }

    fn open(&self, name: &str, _: Access) -> io::Result<Arc<dyn DiskFile>> {
        let content = self.0.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(File(content.clone())))
    }

    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        read_only()
    }

    fn remove(&self, _: &str) -> io::Result<()> {
        read_only()
    }

    fn sync_entries(&self) -> io::Result<()> {
        read_only()
    }

    fn lock(&self) -> Result<Box<dyn Any + Send + Sync>, LockError> {
        Ok(Box::new(()))
    }
}

impl DiskFile for File {
    fn size(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let rest = usize::try_from(offset).ok().and_then(|offset| self.0.get(offset..)).unwrap_or_default();
        let length = rest.len().min(into.len());
        into[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }

    fn write_at(&self, _: u64, _: &[u8]) -> io::Result<usize> {
        read_only()
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        read_only()
    }

    fn sync(&self) -> io::Result<()> {
        read_only()
    }

    fn map(&self, len: u64) -> io::Result<Bytes> {
        Ok(self.0.slice(..usize::try_from(len).map_err(io::Error::other)?))
    }
}

/// What the bytes of a file are for, as `docs/format.md` tells it.
fn regions(name: &str, content: &[u8]) -> Vec<&'static str> {
    if !name.ends_with(".log") {
        let region = match name {
            "MANIFEST" => "manifest",
            "SYNCED" => "watermark",
            _ if name.ends_with(".idx") => "index",
            _ => panic!("{name} is not a file of a store"),
        };
        return vec![region; content.len()];
    }
    let number = |at: usize| u32::from_le_bytes(content[at..at + 4].try_into().unwrap()) as usize;
    let mut regions = vec!["segment head"; 64];
    while regions.len() + 64 <= content.len() && &content[regions.len()..][..4] == b"FRAM" {
        let at = regions.len();
        let (length, events, names, changes) = (number(at + 8), number(at + 12), number(at + 48), number(at + 52));
        regions.resize(at + 64, "frame head");
        regions.resize(at + 64 + names, "names");
        regions.resize(at + 64 + names + changes, "changes");
        for _ in 0..events {
            regions.resize(regions.len() + number(regions.len()), "record");
        }
        regions.resize(at + length, "padding");
    }
    regions.resize(content.len(), "free");
    regions
}

/// Where a change may go unnoticed, because nothing is told by it.
const HARMLESS: [&str; 2] = ["watermark", "free"];

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Fates {
    reported: u64,
    harmless: u64,
}

/// Changes each byte of one file; counts by region what became of it.
async fn flip(truth: &Truth, disk: &SimDisk, name: &str) -> BTreeMap<&'static str, Fates> {
    let files = Files::of(disk);
    let original = disk.contents(name).unwrap();
    let mut fates: BTreeMap<_, Fates> = BTreeMap::new();
    let mut seed = Seed::new(1);
    for (at, region) in regions(name, &original).into_iter().enumerate() {
        for mask in [1 << seed.within(0..=7), 0xff] {
            let mut content = original.clone();
            content[at] ^= mask;
            let reported = verify_on(Arc::new(files.with(name, content))).map_or(true, |found| !found.is_intact());
            let fate = fates.entry(region).or_default();
            if reported {
                fate.reported += 1;
                continue;
            }
            assert!(HARMLESS.contains(&region), "nobody notices {mask:#x} at {at} of {name}, in a {region}");
            fate.harmless += 1;
            // Many of them are alike.
            if region != "free" || seed.once_in(50) {
                shows_everything(truth, disk, name, at, mask).await;
            }
        }
    }
    fates
}

/// A store that is opened with the change shows what was written, and is intact then.
async fn shows_everything(truth: &Truth, disk: &SimDisk, name: &str, at: usize, mask: u8) {
    let copy = disk.if_crashed(Unsynced::Kept);
    copy.tamper(name, |bytes| bytes[at] ^= mask);
    let end = truth.workload.appends().count();
    let store = in_place(truth.workload.segment_bytes, &clock()).open_on(Arc::new(copy.clone()));
    let store = store.unwrap_or_else(|error| panic!("{mask:#x} at {at} of {name}: {error:?}"));
    let found = truth.find(&store, end..=end).await;
    found.unwrap_or_else(|what| panic!("{mask:#x} at {at} of {name}: {what}"));
    store.close().unwrap();
    let verified = verify_on(Arc::new(copy)).unwrap();
    assert!(verified.is_intact() && verified.torn_bytes == 0, "{mask:#x} at {at} of {name}: {verified:?}");
}

fn every_byte(left: Left) -> BTreeMap<&'static str, Fates> {
    block_on(async {
        let (truth, disk) = store(left).await;
        assert!(verify_on(Arc::new(Files::of(&disk))).unwrap().is_intact());
        let mut names = disk.list().unwrap();
        assert!(names.iter().filter(|name| name.ends_with(".idx")).count() > 2, "{names:?}");
        if left == Left::Killed {
            // The sealed segments are the same.
            let last = names.iter().filter(|name| name.ends_with(".log")).max().cloned();
            names.retain(|name| !name.starts_with('0') || last.as_ref() == Some(name));
        }
        let mut all: BTreeMap<_, Fates> = BTreeMap::new();
        for name in &names {
            let fates = flip(&truth, &disk, name).await;
            println!("{left:?}, {name}: {fates:?}");
            for (region, Fates { reported, harmless }) in fates {
                let sum = all.entry(region).or_default();
                *sum = Fates { reported: sum.reported + reported, harmless: sum.harmless + harmless };
            }
        }
        println!("{left:?}, all: {all:?}");
        all
    })
}

#[test]
fn every_byte_of_a_closed_store_counts() {
    let all = every_byte(Left::Closed);
    let regions = ["changes", "frame head", "index", "manifest", "names", "padding", "record", "segment head"];
    for region in regions {
        assert!(all[region].reported > 10 && all[region].harmless == 0, "{region}: {:?}", all[region]);
    }
    assert_eq!(all["watermark"], Fates { reported: 0, harmless: 24 }, "it only ever tells less");
    assert_eq!(all.get("free"), None, "closing cuts off what was written ahead");
}

#[test]
fn every_byte_of_a_store_that_was_killed_counts() {
    let all = every_byte(Left::Killed);
    assert!(all["free"].harmless > 100, "{all:?}");
    assert!(all.iter().all(|(region, fates)| HARMLESS.contains(region) || fates.harmless == 0), "{all:?}");
}
