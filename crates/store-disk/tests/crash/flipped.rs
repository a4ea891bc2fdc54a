//! Every byte of a store is changed, in one bit and mostly in all, too. Either a check reports it by the kind of finding that
//! it is, or it is where nothing is told by it; and no read shows anything but what was written.

mod files;
mod regions;
mod scene;

use std::{collections::BTreeMap, sync::Arc};

use mainspring_conformance::Seed;
use mainspring_sim::{SimDisk, Unsynced};
use mainspring_store_disk::{Disk as _, FindingKind, verify_on};

use crate::kit::block_on;
use files::Files;
use regions::{Region, regions};
use scene::{Left, Scene};

/// Of changes that are alike, because nobody reads what they hit, one in so many is looked at more closely, …
const UNREAD: u64 = 50;

/// … and one in so many of those that have an index built again.
const REBUILT: u64 = 8;

/// One in so many harmless changes is met by a writer.
const WRITTEN: u64 = 50;

/// How many changes of each region there were.
type Counts = BTreeMap<Region, u64>;

/// Says which change it was that made something panic.
struct Change(String);

impl Drop for Change {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("after {}", self.0);
        }
    }
}

/// Changes each byte of one file.
async fn flip(scene: &Scene, files: &Files, name: &str, counts: &mut Counts) {
    let original = scene.disk.contents(name).unwrap();
    let mut seed = Seed::new(1);
    for (at, region) in regions(name, &original).into_iter().enumerate() {
        let bit = 1 << seed.within(0..=7);
        let unread = matches!(region, Region::Free | Region::Ahead);
        // Of these there are many, and one checksum covers a lot of them.
        let once = unread || matches!(region, Region::Index | Region::Run);
        for mask in if once { vec![bit] } else { vec![bit, 0xff] } {
            let change = Change(format!("{mask:#x} at {at} of {name}, in {region:?}"));
            let mut content = original.clone();
            content[at] ^= mask;
            let changed = Arc::new(files.with(name, content));
            let verified = verify_on(changed.clone()).unwrap();
            let mut kinds: Vec<_> = verified.findings.iter().map(|finding| finding.kind).collect();
            kinds.dedup();
            assert_eq!(kinds, Vec::from_iter(region.finding()), "{}: {verified:?}", change.0);
            *counts.entry(region).or_default() += 1;
            let looked_at = match region {
                _ if unread => seed.once_in(UNREAD),
                Region::Index => seed.once_in(REBUILT),
                _ => mask == bit,
            };
            if looked_at {
                let shown = scene.shows(changed, region.is_harmless()).await;
                shown.unwrap_or_else(|what| panic!("{}: {what}", change.0));
            }
            if region.is_harmless() && (region == Region::Watermark || seed.once_in(WRITTEN)) {
                writes(scene, name, (at, mask), region, &change).await;
            }
        }
    }
}

/// A writer that meets a harmless change goes on, and leaves nothing of it but what it did not look at.
async fn writes(scene: &Scene, name: &str, (at, mask): (usize, u8), region: Region, change: &Change) {
    let copy = scene.disk.if_crashed(Unsynced::Kept);
    copy.tamper(name, |bytes| bytes[at] ^= mask);
    let home = scene.goes_on(copy).await.unwrap_or_else(|what| panic!("{}: {what}", change.0));
    let verified = verify_on(Arc::new(home)).unwrap();
    let left = verified.findings.iter().all(|finding| Some(finding.kind) == region.finding());
    let gone = region.finding().is_none_or(|kind| kind == FindingKind::TornEnd);
    assert!(left && (!gone || verified.findings.is_empty()), "{}: {verified:?}", change.0);
}

/// Changes every byte of every file, unless it is one of these.
fn every_byte(scene: &Scene, known: &[String]) -> Counts {
    block_on(async {
        let files = Files::of(&scene.disk);
        let verified = verify_on(Arc::new(files.clone())).unwrap();
        assert!(verified.findings.is_empty() && verified.indexes > 2, "{verified:?}");
        scene.shows(Arc::new(files.clone()), true).await.unwrap();
        let mut counts = Counts::new();
        for name in scene.disk.list().unwrap().iter().filter(|name| !known.contains(name)) {
            flip(scene, &files, name, &mut counts).await;
        }
        println!("{counts:?}");
        counts
    })
}

/// The files that are the same in both.
fn same(one: &SimDisk, other: &SimDisk) -> Vec<String> {
    let names = one.list().unwrap().into_iter();
    names.filter(|name| other.contents(name).is_some_and(|content| one.contents(name) == Some(content))).collect()
}

#[test]
fn every_byte_of_a_closed_store_counts() {
    let scene = block_on(Scene::of(Left::Closed));
    let counts = every_byte(&scene, &[]);
    use Region::{Changes, FrameHead, Index, Manifest, Names, Padding, Record, Run, SegmentHead, Watermark};
    let expected = [Manifest, Watermark, SegmentHead, FrameHead, Names, Changes, Record, Padding, Index, Run];
    assert!(counts.keys().eq(&expected), "closing cuts off what was written ahead: {counts:?}");
    assert!(counts.values().all(|count| *count > 10), "{counts:?}");
    let names = scene.disk.list().unwrap();
    assert!(names.iter().any(|name| name.contains('-') && name.ends_with(".log")), "a compacted segment: {names:?}");
}

#[test]
fn every_byte_of_a_store_that_was_killed_counts() {
    let (closed, killed) = (block_on(Scene::of(Left::Closed)), block_on(Scene::of(Left::Killed)));
    let counts = every_byte(&killed, &same(&killed.disk, &closed.disk));
    let expected = [Region::Watermark, Region::FrameHead, Region::Record, Region::Free, Region::Ahead];
    assert!(expected.iter().all(|region| counts.get(region) > Some(&10)), "{counts:?}");
}

#[test]
fn every_byte_of_a_backup_counts() {
    let (closed, backup) = (block_on(Scene::of(Left::Closed)), block_on(Scene::of(Left::BackedUp)));
    let counts = every_byte(&backup, &same(&backup.disk, &closed.disk));
    let expected = [Region::Manifest, Region::SegmentHead, Region::FrameHead, Region::Record];
    assert!(expected.iter().all(|region| counts.get(region) > Some(&10)), "{counts:?}");
    assert_eq!(counts.get(&Region::Free), None, "a backup has no torn end");
}
