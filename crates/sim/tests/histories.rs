//! Random histories of the store on a disk that fails, and proof that they would find something.

use std::{num::NonZero, ops::Range, thread};

use mainspring_sim::{Flaw, Totals, hunt, play, play_all};

/// How many histories are played whenever the tests run. `cargo xtask sim` plays more.
const SEEDS: Range<u64> = 1..10_001;

/// Within so many histories each planted bug must be caught.
const HUNT: Range<u64> = 1..1_001;

#[test]
fn ten_thousand_histories_agree_with_the_model() {
    let found = play_all(SEEDS, thread::available_parallelism().map_or(1, NonZero::get));
    println!("{}", found.totals);
    let violations: Vec<_> = found.violations.iter().map(ToString::to_string).collect();
    assert!(violations.is_empty(), "{}", violations.join("\n\n"));
    assert_eq!(found.totals.seeds, SEEDS.end - SEEDS.start);
    let missing = found.totals.missing();
    assert!(missing.is_empty(), "histories without any {missing:?} test too little");
}

#[test]
fn a_seed_replays_its_history() {
    for seed in 1..=150 {
        let (one, other) = (play(seed, None, false), play(seed, None, true));
        assert_eq!((one.digest, one.totals), (other.digest, other.totals), "seed {seed}");
        assert!(one.log.is_empty() && !other.log.is_empty());
    }
    assert_ne!(play(1, None, false).digest, play(2, None, false).digest);
}

#[test]
fn a_replay_says_the_same_each_time() {
    let caught = hunt(Flaw::ALL[0], HUNT).violation.expect("a disk that never syncs is caught");
    let (one, other) = (play(caught.seed, Some(Flaw::ALL[0]), true), play(caught.seed, Some(Flaw::ALL[0]), true));
    assert_eq!((&one.log, &one.violation), (&other.log, &other.violation));
    assert_eq!(one.violation.as_ref(), Some(&caught));
    let replay = format!("cargo xtask sim --seed {}", caught.seed);
    assert!(caught.to_string().ends_with(&replay), "{caught}");
}

#[test]
fn every_planted_bug_is_caught() {
    let catches: Vec<_> = Flaw::ALL.map(|flaw| hunt(flaw, HUNT)).into();
    for catch in &catches {
        println!("{}: {} histories", catch.flaw, catch.seeds);
    }
    let missed: Vec<_> = catches.iter().filter(|catch| catch.violation.is_none()).collect();
    let missed: Vec<_> = missed.iter().map(|catch| catch.flaw.to_string()).collect();
    assert!(missed.is_empty(), "{HUNT:?} do not catch {missed:?}");
}

#[test]
fn histories_that_do_nothing_are_noticed() {
    let missing = Totals::default().missing();
    for what in
        ["crashes", "torn writes", "bit flips", "full disks", "reopenings", "verify runs", "I/O errors of Rename"]
    {
        assert!(missing.iter().any(|name| name == what), "{what}: {missing:?}");
    }
    assert!(!play_all(1..3, 1).totals.missing().is_empty(), "two histories cannot have done everything");
}
