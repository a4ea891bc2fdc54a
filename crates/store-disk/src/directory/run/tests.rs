//! Runs against a sorted list, however hashes are spread, and with bytes that nobody wrote.

use std::{collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use mainspring_store::{Lineage, StoreId};
use tempfile::TempDir;

use super::{BadRun, HEAD, Identity, PAGE_ENTRIES, Run, TABLE};
use crate::{
    bell::Bell,
    directory::{
        hash::{Key, Topic},
        merge::merge,
        write::RunWriter,
    },
    disk::{Disk, OsDisk},
};

type Entries = BTreeSet<(u64, u32)>;

const IDENTITY: Identity = Identity {
    store: StoreId::from_bytes([7; 16]),
    lineage: Lineage::from_bytes([8; 16]),
    first: 3,
    last: 90,
    level: 2,
};

/// A run of these streams, without tags, and with the same ids.
fn written(disk: &dyn Disk, identity: Identity, entries: &Entries) -> Run {
    let mut writer = RunWriter::create(disk, identity).unwrap();
    let none = Entries::new();
    for topic in Topic::ALL {
        let entries = if topic == Topic::Tag { &none } else { entries };
        writer.begin_topic(topic, entries.len()).unwrap();
        entries.iter().for_each(|(hash, number)| writer.push(*hash, *number).unwrap());
        writer.end_topic();
    }
    writer.finish(&Arc::default()).unwrap()
}

fn disk() -> (TempDir, OsDisk) {
    let directory = TempDir::new().unwrap();
    let disk = OsDisk::create(directory.path()).unwrap();
    (directory, disk)
}

fn find(run: &Run, topic: Topic, hash: u64) -> Result<Vec<u32>, BadRun> {
    let mut numbers = Vec::new();
    run.find(Key { topic, hash }, &mut numbers).map(|()| numbers)
}

/// Numbers that look random and are the same each time.
fn random(seed: u64) -> impl Iterator<Item = u64> {
    std::iter::successors(Some(seed), |last| Some(last + 1)).map(|number| Key::stream(&number.to_string()).hash)
}

fn opened(bytes: Vec<u8>) -> Result<Run, BadRun> {
    Run::open(Bytes::from(bytes), "test".to_owned(), Arc::default())
}

#[test]
fn every_entry_is_found_and_nothing_else_however_they_are_spread() {
    let numbers = || (3..=90).cycle();
    let spread = random(1).zip(numbers()).take(5 * PAGE_ENTRIES + 1).collect::<Entries>();
    let full = random(2).zip(numbers()).take(2 * PAGE_ENTRIES).collect::<Entries>();
    let dense = (0..2_000).zip(numbers()).collect::<Entries>();
    let ends = (0..400).flat_map(|n| [(n, 5), (u64::MAX - n, 6)]).collect::<Entries>();
    let skewed = (0..60).flat_map(|bit| (0..20).map(move |n| ((1_u64 << bit) + n, 4))).collect::<Entries>();
    // One name in so many segments that its entries fill pages.
    let same = (0..3_000).map(|number| (1 << 40, number)).chain([(1, 1), (u64::MAX, 2)]).collect::<Entries>();
    for entries in [Entries::new(), [(9, 9)].into(), spread, full, dense, ends, skewed, same] {
        let (_directory, disk) = disk();
        let run = written(&disk, IDENTITY, &entries);
        assert_eq!((run.range(), run.identity), (3..=90, IDENTITY));
        let hashes = entries.iter().map(|(hash, _)| *hash);
        for hash in hashes.flat_map(|hash| [hash.saturating_sub(1), hash, hash.saturating_add(1)]).chain([0, u64::MAX])
        {
            let expected: Vec<u32> = entries.range((hash, 0)..=(hash, u32::MAX)).map(|(_, number)| *number).collect();
            assert_eq!(find(&run, Topic::Stream, hash), Ok(expected.clone()), "{hash} of {} entries", entries.len());
            assert_eq!(find(&run, Topic::Id, hash), Ok(expected));
            assert_eq!(find(&run, Topic::Tag, hash), Ok(Vec::new()));
        }
        let all: Result<Entries, _> = run.entries(Topic::Stream).collect();
        assert_eq!(all, Ok(entries));
    }
}

#[test]
fn merged_runs_say_what_each_said() {
    let (_directory, disk) = disk();
    let parts: Vec<Entries> =
        (1..=5).map(|part| random(part).zip([1, 2, 3].into_iter().cycle()).take(700).collect()).collect();
    let run = |(part, entries)| Arc::new(written(&disk, Identity { first: part, last: part, ..IDENTITY }, entries));
    let runs: Vec<_> = (1_u32..).zip(&parts).map(run).collect();
    let merged = merge(&disk, &Arc::new(Bell::default()), IDENTITY, &runs);
    let merged = merged.unwrap().expect("nobody told it to stop");
    let all: Entries = parts.into_iter().flatten().collect();
    assert_eq!(merged.entries(Topic::Stream).collect::<Result<Entries, _>>(), Ok(all.clone()));
    assert_eq!(merged.entries(Topic::Id).count(), all.len(), "what several say is said once");
}

#[test]
fn merging_stops_when_it_is_told_and_leaves_nothing() {
    let (_directory, disk) = disk();
    let entries: Entries = random(1).zip(1..).take(10_000).collect();
    let runs = [Arc::new(written(&disk, IDENTITY, &entries))];
    let before = disk.list().unwrap();
    let bell = Arc::new(Bell::default());
    bell.stop();
    assert!(merge(&disk, &bell, Identity { last: 99, ..IDENTITY }, &runs).unwrap().is_none());
    assert_eq!(disk.list().unwrap(), before);
}

/// The bytes of a run of a few pages, and what it says.
fn bytes() -> (Vec<u8>, Entries) {
    let (directory, disk) = disk();
    let entries: Entries = random(5).zip((3..=90).cycle()).take(2 * PAGE_ENTRIES + 7).collect();
    let run = written(&disk, IDENTITY, &entries);
    (std::fs::read(directory.path().join(run.name())).unwrap(), entries)
}

#[test]
fn what_was_changed_is_never_answered() {
    let (bytes, entries) = bytes();
    let mut unnoticed = 0;
    for at in (0..bytes.len()).step_by(37) {
        let mut changed = bytes.clone();
        changed[at] ^= 0x10;
        let Ok(run) = opened(changed) else {
            assert!(at < HEAD, "a changed page is noticed when it is used");
            continue;
        };
        assert!(at >= HEAD, "the header is verified on opening");
        let mut refused = 0;
        for (hash, number) in &entries {
            for topic in [Topic::Stream, Topic::Id] {
                match find(&run, topic, *hash) {
                    Ok(found) => assert_eq!(found, [*number], "byte {at}"),
                    Err(BadRun) => refused += 1,
                }
            }
        }
        let noticed = refused > 0 && run.is_bad();
        assert!(noticed || bytes[at] == 0, "byte {at} was changed and nobody noticed");
        unnoticed += usize::from(!noticed);
    }
    assert!(unnoticed < 5, "sections are not so far apart: {unnoticed}");
    for len in (0..bytes.len()).step_by(11) {
        assert!(opened(bytes[..len].to_vec()).is_err(), "cut at {len}");
    }
}

/// A header whose checksum is right may still say anything.
#[test]
fn no_bytes_make_it_panic() {
    let (bytes, _) = bytes();
    let mut opens = 0;
    for (round, draw) in random(77).take(4_000).enumerate() {
        let mut changed = bytes.clone();
        let at = TABLE - 8 + (draw % 80) as usize;
        changed[at] ^= (draw >> 8) as u8;
        if round % 2 == 0 {
            changed[HEAD + (draw >> 16) as usize % (bytes.len() - HEAD)] ^= (draw >> 40) as u8;
        }
        let checksum = crc32c::crc32c(&changed[..HEAD - 4]);
        changed[HEAD - 4..HEAD].copy_from_slice(&checksum.to_le_bytes());
        if let Ok(run) = opened(changed) {
            opens += 1;
            for topic in Topic::ALL {
                for hash in [0, draw, u64::MAX] {
                    drop(find(&run, topic, hash));
                }
                run.entries(topic).take_while(Result::is_ok).for_each(drop);
            }
        }
    }
    assert!(opens > 200, "only {opens} were opened at all");
}
