//! What is stored is not what was written: the store says so, or shows everything nevertheless. It never leaves out in
//! silence what it once acknowledged.

use std::sync::Arc;

use mainspring_conformance::Seed;
use mainspring_event::{Category, Tag, Version};
use mainspring_sim::{SimDisk, Unsynced};
use mainspring_store::{Append, EventStore, Expected, Query, Read, ReadError, ReadFrom};
use mainspring_store_disk::{Damage, Disk, DiskStore, OpenError, verify_on};

use crate::{
    kit::{all, block_on, clock, event, events, in_place, replayable, stream},
    truth::Truth,
    workload::{STREAMS, Workload},
};

const MANIFEST: &str = "MANIFEST";

/// A closed store of several segments.
async fn closed() -> (Truth, SimDisk) {
    let truth = Truth::of(Workload::varied(7)).await;
    let (disk, clock) = (SimDisk::new(7), clock());
    let store = replayable(truth.workload.segment_bytes, &clock).open_on(Arc::new(disk.clone())).unwrap();
    truth.send(&store, &clock).await.unwrap();
    store.close().unwrap();
    (truth, disk.crash(Unsynced::Kept))
}

fn open(disk: &SimDisk) -> Result<DiskStore, OpenError> {
    in_place(4096, &clock()).open_on(Arc::new(disk.clone()))
}

fn names(disk: &SimDisk, end: &str) -> Vec<String> {
    disk.list().unwrap().into_iter().filter(|name| name.ends_with(end)).collect()
}

/// What became of a store that was tampered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It shows everything.
    Whole,
    /// It says that this file is damaged, on opening or on reading.
    Told,
}

/// Opens a store in which `file` was changed, and reads all of it.
async fn fate(truth: &Truth, disk: &SimDisk, file: &str) -> Fate {
    let told = |damage: &Damage| {
        assert_eq!(damage.file, format!("sim:{file}"), "{damage}");
        Fate::Told
    };
    let store = match open(disk) {
        Ok(store) => store,
        Err(OpenError::Damaged(damage)) => return told(&damage),
        Err(error) => panic!("{file}: {error:?}"),
    };
    let streams = STREAMS.iter().map(|name| Query::stream(stream(name)));
    for query in streams.chain([Query::All]) {
        match events(&store, Read::new(query)).await {
            Err(ReadError::Damaged(error)) => return told(error.downcast_ref().expect("damage says where")),
            Ok(_) | Err(ReadError::Tombstoned { .. }) => {}
            Err(error) => panic!("{file}: {error:?}"),
        }
    }
    let end = truth.workload.appends().count();
    truth.find(&store, end..=end).await.unwrap_or_else(|what| panic!("{file}: {what}"));
    Fate::Whole
}

/// Flips a bit of every so many bytes of a file, one at a time; answers how often the store told.
async fn flip(file: &str, step: usize) -> (usize, usize) {
    let (truth, disk) = closed().await;
    let mut seed = Seed::new(7);
    let (mut told, mut verified) = (0, 0);
    let length = disk.contents(file).unwrap().len();
    for offset in (0..length).step_by(step) {
        let copy = disk.if_crashed(Unsynced::Kept);
        copy.tamper(file, |bytes| bytes[offset] ^= 1 << seed.within(0..=7));
        let found = verify_on(Arc::new(copy.if_crashed(Unsynced::Kept)));
        verified += usize::from(!found.is_ok_and(|found| found.is_intact()));
        told += usize::from(fate(&truth, &copy, file).await == Fate::Told);
    }
    (told, verified)
}

#[test]
fn a_flipped_bit_never_hides_an_event() {
    block_on(async {
        let (_, disk) = closed().await;
        let logs = names(&disk, ".log");
        assert!(logs.len() > 5, "{logs:?}");
        for log in &logs {
            let (told, verified) = flip(log, 17).await;
            assert!(told > 5, "{log}: {told}");
            // A header of a frame is not needed to read the events of a sealed segment; verifying looks at it too.
            assert!(verified >= told, "{log}: told {told} times, verified {verified} times");
        }
    });
}

#[test]
fn a_damaged_manifest_is_refused() {
    block_on(async {
        let (_, disk) = closed().await;
        let length = disk.contents(MANIFEST).unwrap().len();
        let (told, _) = flip(MANIFEST, 3).await;
        assert_eq!(told, length.div_ceil(3), "every bit of it counts");
        disk.tamper(MANIFEST, |bytes| bytes.truncate(length / 2));
        assert!(matches!(open(&disk), Err(OpenError::Damaged(_))));
    });
}

/// Asks for whatever an index answers.
async fn ask_everything(store: &DiskStore) {
    let all = all(store).await;
    let mut reads = vec![Read::new(Query::types(["Happened".parse().unwrap()]))];
    reads.extend(["a", "b", "c"].map(|name| Read::new(Query::category(Category::new(name).unwrap()))));
    reads.extend(["k:1", "k:2"].map(|tag| Read::new(Query::tags([Tag::parse(tag).unwrap()]))));
    reads.extend(all.iter().map(|event| Read::new(Query::Ids(vec![event.event.id]))));
    reads.extend(all.iter().map(|event| Read::new(Query::All).from(ReadFrom::Time(event.recorded)).limit(1)));
    for read in reads {
        events(store, read).await.unwrap();
    }
    store.stats().unwrap();
    for name in STREAMS {
        let wrong =
            Append::new([event(&mut Seed::new(8), name, 1)]).expect(stream(name), Expected::Exactly(Version(999)));
        assert!(store.append(wrong).await.is_err());
    }
}

/// A section of an index is verified when it is first used: what nobody asks for may stay damaged, and harms nobody.
#[test]
fn a_damaged_index_is_built_again() {
    block_on(async {
        let (truth, disk) = closed().await;
        let indexes = names(&disk, ".idx");
        assert_eq!(indexes.len(), names(&disk, ".log").len() - 1);
        let (mut mended, mut unused) = (0, 0);
        for index in &indexes {
            let original = disk.contents(index).unwrap();
            for offset in (0..original.len()).step_by(original.len() / 23) {
                let copy = disk.if_crashed(Unsynced::Kept);
                copy.tamper(index, |bytes| bytes[offset] ^= 64);
                assert_eq!(fate(&truth, &copy, index).await, Fate::Whole, "{index} at {offset}");
                ask_everything(&open(&copy).unwrap()).await;
                let verified = verify_on(Arc::new(copy.if_crashed(Unsynced::Kept))).unwrap();
                if copy.contents(index).unwrap() == original {
                    assert!(verified.is_intact());
                    mended += 1;
                } else {
                    assert_eq!(verified.damages().count(), 1, "{index} at {offset}");
                    unused += 1;
                }
            }
            let copy = disk.if_crashed(Unsynced::Kept);
            copy.tamper(index, Vec::clear);
            assert_eq!(fate(&truth, &copy, index).await, Fate::Whole);
            let copy = disk.if_crashed(Unsynced::Kept);
            copy.remove(index).unwrap();
            assert_eq!(fate(&truth, &copy, index).await, Fate::Whole);
            assert_eq!(copy.contents(index), Some(original));
        }
        // Most of these small indexes is header. Sections without a use are those of tags in segments without any, and those
        // that nobody asks once there are runs, which come sooner or later.
        assert!(mended > 4 * unused, "{mended} were written again, {unused} were not");
    });
}

#[test]
fn a_lost_or_damaged_mark_costs_nothing() {
    block_on(async {
        let (truth, disk) = closed().await;
        assert_eq!(flip("SYNCED", 1).await.0, 0);
        disk.remove("SYNCED").unwrap();
        assert_eq!(fate(&truth, &disk, "SYNCED").await, Fate::Whole);
    });
}

/// Without the mark in a file of its own, the frames say how far the log was synced.
#[test]
fn damage_below_the_mark_of_a_frame_is_not_taken_for_a_torn_end() {
    block_on(async {
        let (truth, disk) = closed().await;
        disk.remove("SYNCED").unwrap();
        let active = names(&disk, ".log").pop().unwrap();
        let length = disk.contents(&active).unwrap().len();
        let mark = length - 64;
        for offset in (64..mark).step_by(5) {
            let copy = disk.if_crashed(Unsynced::Kept);
            copy.tamper(&active, |bytes| bytes[offset] ^= 1);
            let padding = disk.contents(&active).unwrap()[offset] == 0;
            let fate = fate(&truth, &copy, &active).await;
            assert!(fate == Fate::Told || padding, "{offset} of {length}: {fate:?}");
        }
    });
}

#[test]
fn a_missing_or_shortened_segment_is_refused() {
    block_on(async {
        let (truth, disk) = closed().await;
        for log in names(&disk, ".log") {
            let copy = disk.if_crashed(Unsynced::Kept);
            copy.remove(&log).unwrap();
            assert_eq!(fate(&truth, &copy, &log).await, Fate::Told);
            let length = disk.contents(&log).unwrap().len();
            for short in [0, 10, 63, 64, 65, length / 2, length - 65, length - 1] {
                let copy = disk.if_crashed(Unsynced::Kept);
                copy.tamper(&log, |bytes| bytes.truncate(short));
                assert_eq!(fate(&truth, &copy, &log).await, Fate::Told, "{log} cut at {short} of {length}");
            }
        }
    });
}

#[test]
fn a_missing_manifest_is_not_an_empty_store() {
    block_on(async {
        let (_, disk) = closed().await;
        disk.remove(MANIFEST).unwrap();
        let before = disk.list().unwrap();
        assert!(matches!(open(&disk), Err(OpenError::ManifestMissing { .. })));
        let read_only = in_place(4096, &clock()).open_read_only_on(Arc::new(disk.clone()));
        assert!(matches!(read_only, Err(OpenError::ManifestMissing { .. })));
        assert_eq!(disk.list().unwrap(), before, "nothing was touched");
        let empty = in_place(4096, &clock()).open_read_only_on(Arc::new(SimDisk::new(1)));
        assert!(matches!(empty, Err(OpenError::Missing { .. })));
    });
}

#[test]
fn a_newer_format_is_refused() {
    block_on(async {
        let (_, disk) = closed().await;
        let copy = disk.if_crashed(Unsynced::Kept);
        copy.tamper(MANIFEST, |bytes| {
            let line = bytes.split(|byte| *byte == b'\n').next().unwrap();
            let json = String::from_utf8(line.to_vec()).unwrap().replace("\"format\":1", "\"format\":2");
            *bytes = format!("{json}\ncrc32c {:08x}\n", crc32c::crc32c(json.as_bytes())).into_bytes();
        });
        let refused = open(&copy).err().expect("it is newer");
        assert!(matches!(&refused, OpenError::Newer { found: 2, supported: 1, .. }), "{refused:?}");
        for log in names(&disk, ".log") {
            let copy = disk.if_crashed(Unsynced::Kept);
            copy.tamper(&log, |bytes| {
                bytes[8] = 2;
                let checksum = crc32c::crc32c(&bytes[..60]);
                bytes[60..64].copy_from_slice(&checksum.to_le_bytes());
            });
            let refused = open(&copy).err().expect("it is newer");
            assert!(matches!(&refused, OpenError::Newer { file, found: 2, .. } if file.ends_with(&log)), "{refused:?}");
        }
    });
}

/// A store whose log ends in frames that were written together and never synced. Answers how many events were synced, and
/// where the frames begin.
async fn unsynced_end(frames: usize) -> (SimDisk, usize, usize) {
    let (disk, mut seed) = (SimDisk::new(3), Seed::new(3));
    let store = replayable(1 << 16, &clock()).open_on(Arc::new(disk.clone())).unwrap();
    let mut append = || Append::new([event(&mut seed, "a-1", 100)]);
    for _ in 0..3 {
        store.append(append()).await.unwrap();
    }
    let end = disk.contents("00000001.log").unwrap().iter().rposition(|byte| *byte != 0).unwrap() + 1;
    // The next change writes the frames, the one after would sync them.
    disk.stop_at(disk.changes() + 2);
    let appends: Vec<_> = (0..frames).map(|_| store.append(append())).collect();
    assert!(futures_util::future::join_all(appends).await.iter().all(Result::is_err));
    (disk.crash(Unsynced::Kept), 3, end.next_multiple_of(8))
}

/// The events of a store, which then takes another one and still has it when it is opened once more.
async fn recovered(disk: &SimDisk) -> usize {
    let store = open(disk).unwrap_or_else(|error| panic!("{error:?}"));
    let found = all(&store).await.len();
    let cut = verify_on(Arc::new(disk.if_crashed(Unsynced::Dropped))).unwrap();
    assert_eq!((cut.torn_bytes, cut.events), (0, found as u64), "what is left is cut off, and that is synced");
    let more = store.append(Append::new([event(&mut Seed::new(99), "a-1", 10)])).await.unwrap();
    assert_eq!(more.position.0, found as u64 + 1);
    drop(store);
    let disk = disk.crash(Unsynced::Dropped);
    assert_eq!(all(&open(&disk).unwrap()).await.len(), found + 1);
    assert!(verify_on(Arc::new(disk)).unwrap().is_intact());
    found
}

#[test]
fn a_frame_cut_anywhere_is_cut_off() {
    block_on(async {
        let (disk, synced, end) = unsynced_end(1).await;
        assert_eq!(recovered(&disk.if_crashed(Unsynced::Kept)).await, synced + 1, "whole, it may count");
        let log = disk.contents("00000001.log").unwrap();
        let whole = log.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        assert!(whole - end > 200);
        for cut in end..whole {
            let copy = disk.if_crashed(Unsynced::Kept);
            copy.tamper("00000001.log", |bytes| bytes.truncate(cut));
            assert_eq!(recovered(&copy).await, synced, "cut at {cut}");
            let copy = disk.if_crashed(Unsynced::Kept);
            copy.tamper("00000001.log", |bytes| bytes[cut] ^= 0x55);
            assert_eq!(recovered(&copy).await, synced, "changed at {cut}");
        }
    });
}

#[test]
fn whole_frames_behind_a_torn_one_are_cut_off() {
    block_on(async {
        let (disk, synced, end) = unsynced_end(4).await;
        assert_eq!(recovered(&disk.if_crashed(Unsynced::Kept)).await, synced + 4);
        disk.tamper("00000001.log", |bytes| bytes[end + 100] ^= 1);
        assert_eq!(recovered(&disk).await, synced, "they were never acknowledged");
    });
}

#[test]
fn garbage_behind_the_end_is_cut_off() {
    block_on(async {
        let (disk, synced, end) = unsynced_end(1).await;
        let mut seed = Seed::new(5);
        for length in [1, 7, 8, 63, 64, 65, 1000, 5000] {
            let copy = disk.if_crashed(Unsynced::Kept);
            copy.tamper("00000001.log", |bytes| {
                bytes.truncate(end);
                bytes.extend((0..length).map(|_| (seed.draw() >> 32) as u8));
            });
            assert_eq!(recovered(&copy).await, synced, "{length} bytes");
        }
        // A frame of another place of the log, as it may stand in a payload, is not a frame.
        disk.tamper("00000001.log", |bytes| {
            bytes.truncate(end);
            bytes.extend_from_within(64..end);
        });
        assert_eq!(recovered(&disk).await, synced);
    });
}
