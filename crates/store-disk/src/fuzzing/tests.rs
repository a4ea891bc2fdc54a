//! The corpus through every target, as it is and a few thousand times a little different.

use std::{fs, path::PathBuf};

use mainspring_store::StreamChange;

use super::TARGETS;
use crate::directory::level_of_run;

/// How many variants each target gets.
const VARIANTS: u64 = 4_000;

fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target);
    let entries = fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = paths.map(|path| (path.clone(), fs::read(path).unwrap())).collect();
    files.sort();
    files
}

/// SplitMix64 (Steele, Lea and Flood 2014).
struct Seed(u64);

impl Seed {
    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.draw() % end.max(1) as u64) as usize
    }
}

/// A variant that is near enough to what is real to come far.
fn vary(seed: &mut Seed, bytes: &mut Vec<u8>, other: &[u8]) {
    for _ in 0..=seed.below(3) {
        let at = seed.below(bytes.len());
        let end = (at + 1 + seed.below(8)).min(bytes.len());
        match seed.below(8) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 => bytes.extend_from_within(at..end),
            3 => bytes.extend(other.iter().skip(seed.below(other.len())).take(40)),
            4 => bytes[at..end].fill([0, 1, 0x7f, 0x80, 0xff][seed.below(5)]),
            5 if bytes.len() >= at + 4 => {
                let near = [0_u32, 1, 3, 8, 63, 64, 65, 0x7fff_ffff, u32::MAX][seed.below(9)];
                bytes[at..at + 4].copy_from_slice(&near.to_le_bytes());
            }
            _ => bytes[at..end].iter_mut().for_each(|byte| *byte ^= 1 << (seed.draw() % 8)),
        }
        if bytes.is_empty() {
            return;
        }
    }
}

/// Runs a target; says which bytes it does not take.
fn run(name: &str, target: super::Target, bytes: &[u8], what: &str) {
    let ended = std::panic::catch_unwind(|| target(bytes));
    if let Err(panic) = ended {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        println!("{name} does not take {what}: {hex}");
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn every_decoder_takes_the_corpus_and_thousands_of_variants() {
    for (name, target) in TARGETS {
        let corpus = corpus(name);
        assert!(corpus.len() > 1, "{name} has a corpus of {}", corpus.len());
        corpus.iter().for_each(|(path, bytes)| run(name, *target, bytes, &path.display().to_string()));
        for number in 0..VARIANTS {
            let mut seed = Seed(number);
            let mut bytes = corpus[seed.below(corpus.len())].1.clone();
            let other = &corpus[seed.below(corpus.len())].1;
            if !bytes.is_empty() {
                vary(&mut seed, &mut bytes, other);
            }
            run(name, *target, &bytes, &format!("variant {number}"));
        }
    }
}

/// What is real is taken for what it is: otherwise the targets would look at nothing.
#[test]
fn the_corpus_is_real() {
    let whole = |target, is_whole: fn(&[u8]) -> bool| {
        let corpus = corpus(target);
        let whole = corpus.iter().filter(|(_, bytes)| is_whole(bytes)).count();
        assert!(2 * whole > corpus.len(), "{whole} of {} of {target}", corpus.len());
    };
    whole("record", |bytes| super::Record::verify(bytes).is_some());
    whole("segment_head", |bytes| super::SegmentHead::decode(bytes).is_ok());
    whole("manifest", |bytes| super::Manifest::decode(bytes).is_ok());
    whole("watermark", |bytes| super::watermark::decode(bytes) > 0);
    whole("scan", |bytes| super::repair::segment(bytes) == bytes);
    whole("run", |bytes| super::repair_run(bytes) == bytes);

    let some = |target, is_such: fn(&[u8]) -> bool| {
        assert!(corpus(target).iter().any(|(_, bytes)| is_such(bytes)), "{target} lacks a part of the format");
    };
    some("frame", |bytes| super::names(bytes).flatten().any(|name| name.emptied_at.is_some()));
    some("frame", |bytes| serde_json::from_slice::<Vec<StreamChange>>(bytes).is_ok_and(|changes| !changes.is_empty()));
    some("scan", |bytes| super::SegmentHead::decode(bytes).is_ok_and(|head| head.generation > 0));
    some("run", |bytes| level_of_run(bytes) > Some(0));
}
