//! Every kind of damage is found, says which events are lost by it, and what to do.

use std::sync::Arc;

use mainspring_conformance::Seed;
use mainspring_event::NewEvent;
use mainspring_sim::{Fault, Operation, SimDisk, Unsynced};
use mainspring_store::{Append, EventStore as _, StreamChange};
use mainspring_store_disk::{Disk, Finding, FindingKind, Lost, Verification, Which, reindex_on, verify_on};

use crate::kit::{all, block_on, clock, event, replayable, stream};

/// A closed store of 60 events, one a commit, in several segments.
async fn closed() -> SimDisk {
    let (disk, mut seed) = (SimDisk::new(7), Seed::new(7));
    let store = replayable(4096, &clock()).open_on(Arc::new(disk.clone())).unwrap();
    for _ in 0..60 {
        store.append(Append::new([event(&mut seed, "a-1", 200)])).await.unwrap();
    }
    store.close().unwrap();
    disk.crash(Unsynced::Kept)
}

fn verify(disk: &SimDisk) -> Verification {
    verify_on(Arc::new(disk.clone())).unwrap()
}

/// What is found in a copy of the store that was changed like that.
fn found(disk: &SimDisk, file: &str, change: impl FnOnce(&mut Vec<u8>)) -> Vec<Finding> {
    let copy = disk.if_crashed(Unsynced::Kept);
    copy.tamper(file, change);
    verify(&copy).findings
}

/// The one thing that was found, and the positions lost by it.
#[track_caller]
fn one(findings: Vec<Finding>, kind: FindingKind, file: &str) -> Option<(u64, Option<u64>)> {
    let [Finding { kind: found, file: place, lost, .. }] = findings.as_slice() else { panic!("{findings:#?}") };
    assert_eq!((*found, place.as_str()), (kind, format!("sim:{file}").as_str()));
    lost.map(|Lost { from, to, .. }| (from.0, to.map(|to| to.0)))
}

/// Where the frames of a segment begin.
fn frames(disk: &SimDisk, file: &str) -> Vec<usize> {
    let bytes = disk.contents(file).unwrap();
    (64..bytes.len()).step_by(8).filter(|at| bytes[*at..].starts_with(b"FRAM")).collect()
}

/// The second of several segments; the positions of the events in it.
fn second(disk: &SimDisk) -> (&'static str, u64, u64) {
    let first = frames(disk, "00000001.log").len() as u64;
    let in_second = frames(disk, "00000002.log").len() as u64;
    assert!(first > 3 && in_second > 3 && disk.contents("00000004.log").is_some());
    ("00000002.log", first + 1, first + in_second)
}

#[test]
fn an_intact_store_has_no_finding() {
    let disk = block_on(closed());
    assert_eq!(verify(&disk).findings, []);
    assert_eq!(verify(&disk).events, 60);
}

#[test]
fn a_bad_frame_says_which_events_it_takes() {
    let disk = block_on(closed());
    let (file, first, last) = second(&disk);
    let frames = frames(&disk, file);
    // In the header, in the names or in the record: the frame counts as one.
    for at in [10, 70, 150] {
        let lost = one(found(&disk, file, |bytes| bytes[frames[2] + at] ^= 1), FindingKind::FrameDamaged, file);
        assert_eq!(lost, Some((first + 2, Some(first + 2))), "{at}");
    }
    let lost = one(found(&disk, file, |bytes| bytes[frames[1]..frames[3]].fill(0)), FindingKind::FrameDamaged, file);
    assert_eq!(lost, Some((first + 1, Some(first + 2))));
    let end = *frames.last().unwrap();
    let lost = one(found(&disk, file, |bytes| bytes[end + 10] ^= 1), FindingKind::FrameDamaged, file);
    assert_eq!(lost, Some((last, Some(last))), "the next segment says how many there were");

    let two = found(&disk, file, |bytes| {
        bytes[frames[0] + 10] ^= 1;
        bytes[frames[3] + 10] ^= 1;
    });
    let places: Vec<_> = two.iter().map(|finding| finding.lost.unwrap().from.0).collect();
    assert_eq!(places, [first, first + 3], "the search goes on behind the first");
}

#[test]
fn damage_at_the_end_of_the_log_says_what_is_known() {
    let disk = block_on(closed());
    let file = disk.list().unwrap().into_iter().filter(|name| name.ends_with(".log")).max().unwrap();
    let frames = frames(&disk, &file);
    // The last frame is the mark of the clean close.
    let events = frames.len() as u64 - 1;
    let first = 61 - events;
    let lost = one(found(&disk, &file, |bytes| bytes[frames[1] + 100] ^= 1), FindingKind::FrameDamaged, &file);
    assert_eq!(lost, Some((first + 1, Some(first + 1))));
    let lost = one(found(&disk, &file, |bytes| bytes[frames[1]..].fill(0)), FindingKind::FrameDamaged, &file);
    assert_eq!(lost, Some((first + 1, None)));
}

#[test]
fn a_segment_that_is_gone_or_short_or_another_says_so() {
    let disk = block_on(closed());
    let (file, first, last) = second(&disk);
    let gone = Some((first, Some(last)));
    let copy = disk.if_crashed(Unsynced::Kept);
    copy.remove(file).unwrap();
    assert_eq!(one(verify(&copy).findings, FindingKind::SegmentMissing, file), gone);
    assert_eq!(one(found(&disk, file, |bytes| bytes.truncate(999)), FindingKind::SegmentShort, file), gone);
    assert_eq!(one(found(&disk, file, |bytes| bytes[17] ^= 1), FindingKind::HeadDamaged, file), gone);
    let third = disk.contents("00000003.log").unwrap();
    let length = disk.contents(file).unwrap().len();
    let another = found(&disk, file, |bytes| {
        *bytes = third;
        bytes.resize(length, 0);
    });
    assert_eq!(one(another, FindingKind::HeadDamaged, file), gone);
    disk.inject(Fault::on(Operation::Read).of(file));
    assert_eq!(one(verify(&disk).findings, FindingKind::FileUnreadable, file), gone);
}

#[test]
fn a_segment_that_follows_something_else_says_so() {
    let disk = block_on(closed());
    let (file, ..) = second(&disk);
    let findings = found(&disk, file, |bytes| {
        bytes[48] ^= 1;
        let checksum = crc32c::crc32c(&bytes[..60]);
        bytes[60..64].copy_from_slice(&checksum.to_le_bytes());
    });
    assert_eq!(findings[0].kind, FindingKind::ChainBroken, "{findings:#?}");
    assert!(findings.iter().all(|finding| finding.kind.is_damage()));
}

#[test]
fn a_manifest_that_is_gone_or_bad_says_so() {
    let disk = block_on(closed());
    assert_eq!(one(found(&disk, "MANIFEST", |bytes| bytes[3] ^= 1), FindingKind::ManifestDamaged, "MANIFEST"), None);
    disk.remove("MANIFEST").unwrap();
    assert_eq!(one(verify(&disk).findings, FindingKind::ManifestMissing, "MANIFEST"), None);
    assert!(!verify(&disk).is_intact());
}

#[test]
fn a_torn_end_is_no_damage() {
    let disk = block_on(closed());
    let file = disk.list().unwrap().into_iter().filter(|name| name.ends_with(".log")).max().unwrap();
    disk.tamper(&file, |bytes| bytes.extend_from_slice(b"torn off"));
    let found = verify(&disk);
    assert!(found.is_intact() && found.torn_bytes == 8);
    assert_eq!(one(found.findings, FindingKind::TornEnd, &file), None);
}

#[test]
fn padding_that_is_not_zero_costs_no_event() {
    block_on(async {
        let disk = closed().await;
        let (file, ..) = second(&disk);
        let frame = frames(&disk, file)[2];
        let bytes = disk.contents(file).unwrap();
        let number = |at: usize| u32::from_le_bytes(bytes[frame + at..][..4].try_into().unwrap()) as usize;
        let record = 64 + number(48) + number(52);
        let behind = record + number(record);
        assert!(behind < number(8), "this frame is filled up");
        for at in behind..number(8) {
            let copy = disk.if_crashed(Unsynced::Kept);
            copy.tamper(file, |bytes| bytes[frame + at] = 1);
            let verified = verify(&copy);
            assert!(!verified.is_intact(), "something is not as it was written");
            let [finding] = verified.findings.as_slice() else { panic!("{verified:?}") };
            assert_eq!(finding.offset, frame as u64);
            assert!(finding.kind.is_harmless() && finding.advice().contains("check the disk"), "{finding:?}");
            assert_eq!(one(verified.findings, FindingKind::PaddingDamaged, file), None);
            let store = replayable(4096, &clock()).open_on(Arc::new(copy)).unwrap();
            assert_eq!(all(&store).await.len(), 60);
        }
    });
}

#[test]
fn a_run_that_is_not_what_was_written_says_so_and_is_written_again() {
    block_on(async {
        let disk = closed().await;
        let runs: Vec<_> = disk.list().unwrap().into_iter().filter(|name| name.ends_with(".dir")).collect();
        let [run, another, ..] = runs.as_slice() else { panic!("{runs:?}") };
        let other = disk.contents(another).unwrap();
        let mut flipped = disk.contents(run).unwrap();
        flipped[100] ^= 1;
        let mut at_the_end = disk.contents(run).unwrap();
        *at_the_end.last_mut().unwrap() ^= 1;
        let short = other[..200].to_vec();
        for (number, content) in [flipped, at_the_end, short, other].into_iter().enumerate() {
            let copy = disk.if_crashed(Unsynced::Kept);
            copy.tamper(run, |bytes| *bytes = content);
            let verified = verify(&copy);
            assert!(!verified.is_intact(), "{number}");
            let [finding] = verified.findings.as_slice() else { panic!("{number}: {verified:?}") };
            assert!(finding.kind.is_harmless() && finding.advice().starts_with("Delete it"), "{finding:?}");
            assert_eq!(one(verified.findings, FindingKind::RunDamaged, run), None);
            // As the advice says.
            copy.remove(run).unwrap();
            let store = replayable(4096, &clock()).open_on(Arc::new(copy.clone())).unwrap();
            assert_eq!(all(&store).await.len(), 60);
            store.close().unwrap();
            assert_eq!(copy.contents(run), disk.contents(run), "{number}");
            assert_eq!(verify(&copy).findings, []);
        }
    });
}

/// Whatever an index says, its header included, is compared with the log.
#[test]
fn an_index_that_says_something_else_is_told_wherever_it_does() {
    let disk = block_on(tagged());
    let original = disk.contents("00000001.idx").unwrap();
    let told = |what: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let kinds: Vec<_> = found(&disk, "00000001.idx", change).iter().map(|finding| finding.kind).collect();
        let told = [[FindingKind::IndexDisagrees], [FindingKind::IndexDamaged]].iter().any(|one| kinds == one);
        assert!(told, "{what}: {kinds:?}");
    };
    let mut forged = 0;
    for section in 0..35 {
        let length = &original[80 + 20 * section + 8..][..8];
        if length != [0; 8] {
            forged += 1;
            told(&format!("section {section}"), &|bytes| forge(bytes, section));
        }
    }
    assert_eq!(forged, 35, "every section has something to say");
    for at in 56..80 {
        told(&format!("header at {at}"), &|bytes| {
            bytes[at] ^= 1;
            seal(bytes);
        });
    }
}

/// A closed store of which the first segment has something for every section of its index.
async fn tagged() -> SimDisk {
    let (disk, mut seed) = (SimDisk::new(8), Seed::new(8));
    let store = replayable(4096, &clock()).open_on(Arc::new(disk.clone())).unwrap();
    let change = StreamChange::Tombstone { stream: stream("b-1") };
    store.append(Append::default().change(change)).await.unwrap();
    for _ in 0..20 {
        let tags = vec!["k:1".parse().unwrap()];
        store.append(Append::new([NewEvent { tags, ..event(&mut seed, "a-1", 200) }])).await.unwrap();
    }
    store.close().unwrap();
    disk.crash(Unsynced::Kept)
}

/// Makes an index say something else in this section, with the right checksums.
fn forge(bytes: &mut [u8], section: usize) {
    let entry = 80 + 20 * section;
    let number = |at: usize, bytes: &[u8]| u64::from_le_bytes(bytes[at..][..8].try_into().unwrap()) as usize;
    let (begin, length) = (number(entry, bytes), number(entry + 8, bytes));
    bytes[begin] ^= 1;
    let checksum = crc32c::crc32c(&bytes[begin..][..length]);
    bytes[entry + 16..][..4].copy_from_slice(&checksum.to_le_bytes());
    seal(bytes);
}

/// Makes the checksum of an index's header right.
fn seal(bytes: &mut [u8]) {
    let end = 80 + 20 * 35;
    let checksum = crc32c::crc32c(&bytes[..end]);
    bytes[end..][..4].copy_from_slice(&checksum.to_le_bytes());
}

#[test]
fn an_index_can_be_built_again() {
    let disk = block_on(closed());
    let original = disk.contents("00000002.idx").unwrap();
    let damage = |change: &dyn Fn(&SimDisk)| {
        let copy = disk.if_crashed(Unsynced::Kept);
        change(&copy);
        copy
    };
    let missing = damage(&|copy| copy.remove("00000002.idx").unwrap());
    let damaged = damage(&|copy| copy.tamper("00000002.idx", |bytes| bytes[1000] ^= 1));
    let forged = damage(&|copy| copy.tamper("00000002.idx", |bytes| forge(bytes, 19)));
    for (copy, kind, which) in [
        (missing, FindingKind::IndexMissing, Which::Damaged),
        (damaged, FindingKind::IndexDamaged, Which::Damaged),
        (forged, FindingKind::IndexDisagrees, Which::All),
    ] {
        assert_eq!(one(verify(&copy).findings, kind, "00000002.idx"), None);
        let built = reindex_on(Arc::new(copy.clone()), which).unwrap();
        assert!(built.segments > 3);
        match which {
            Which::Damaged => assert_eq!(built.built, ["sim:00000002.idx"]),
            Which::All => assert_eq!(built.built.len(), built.segments),
        }
        assert_eq!(copy.contents("00000002.idx").unwrap(), original);
        assert_eq!(verify(&copy.crash(Unsynced::Dropped)).findings, []);
    }
    let again = reindex_on(Arc::new(disk.clone()), Which::Damaged).unwrap();
    assert_eq!(again.built, Vec::<String>::new());
}

#[test]
fn building_indexes_can_be_interrupted_anywhere() {
    block_on(async {
        let disk = closed().await;
        for name in disk.list().unwrap().into_iter().filter(|name| name.ends_with(".idx")) {
            disk.tamper(&name, |bytes| bytes[1000] ^= 1);
        }
        for stop in 1.. {
            let copy = disk.if_crashed(Unsynced::Kept);
            copy.stop_at(stop);
            let built = reindex_on(Arc::new(copy.clone()), Which::All);
            if !copy.has_stopped() {
                assert!(built.is_ok() && stop > 20, "{built:?} after {stop}");
                return;
            }
            for unsynced in [Unsynced::Kept, Unsynced::Dropped, Unsynced::Random] {
                let left = copy.crash(unsynced);
                let damages: Vec<_> = verify(&left).findings.into_iter().map(|finding| finding.kind).collect();
                assert!(damages.iter().all(|kind| kind.is_harmless()), "stopped at {stop}: {damages:?}");
                reindex_on(Arc::new(left.clone()), Which::Damaged).unwrap();
                assert_eq!(verify(&left.crash(Unsynced::Dropped)).findings, [], "stopped at {stop}");
            }
        }
    });
}

#[test]
fn a_store_with_a_writer_is_not_reindexed() {
    block_on(async {
        let disk = closed().await;
        let store = replayable(4096, &clock()).open_on(Arc::new(disk.clone())).unwrap();
        let refused = reindex_on(Arc::new(disk.clone()), Which::All).unwrap_err();
        assert!(refused.to_string().contains("in use by"), "{refused}");
        assert_eq!(all(&store).await.len(), 60);
    });
}
