//! A law that cannot fail is no law. Each flaw here breaks the reference model in one way, and the laws listed with it
//! must find that; every law is listed with some flaw.

mod batches;
mod flaws;
mod store;

use std::sync::Arc;

use mainspring_conformance::{Backend, LAWS, Verdict, unlisted, unnoticed};

use store::{BrokenBackend, Flaw, SOUND};

/// Without a flaw the wrapper obeys every law, so what the laws find below are the flaws and not the wrapper.
#[test]
fn the_sound_wrapper_obeys_every_law() {
    for law in LAWS {
        assert_eq!(law.judge(Arc::new(BrokenBackend(&SOUND))), Verdict::Holds, "{law:?}");
    }
}

/// Asks the laws that are listed with each flaw.
fn assert_caught(flaws: &'static [Flaw]) {
    let mut missed = Vec::new();
    for flaw in flaws {
        assert!(!flaw.caught_by.is_empty(), "no law is listed with the flaw `{}`", flaw.name);
        let backend: Arc<dyn Backend> = Arc::new(BrokenBackend(flaw));
        let unnoticed = unnoticed(LAWS, flaw.caught_by, &backend).into_iter();
        missed.extend(unnoticed.map(|law| format!("{law} does not notice a store that {}", flaw.name)));
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

macro_rules! caught {
    ($($test:ident: $flaws:path,)*) => {
        /// Every flaw.
        fn flaws() -> impl Iterator<Item = &'static Flaw> {
            [$($flaws),*].into_iter().flatten()
        }

        $(#[test]
        fn $test() {
            assert_caught($flaws);
        })*
    };
}

caught! {
    torn_appends_are_caught: flaws::APPENDS,
    wrong_checks_are_caught: flaws::CHECKS,
    wrong_conditions_are_caught: flaws::CONDITIONS,
    unrecognised_repeats_are_caught: flaws::IDS,
    dishonest_answers_are_caught: flaws::ANSWERS,
    wrong_retention_is_caught: flaws::CHANGES,
    unfaithful_events_are_caught: flaws::FIDELITY,
    wrong_reads_are_caught: flaws::READS,
    wrong_queries_are_caught: flaws::QUERIES,
    wrong_progress_is_caught: flaws::PROGRESS,
    broken_followers_are_caught: flaws::FOLLOWERS,
    forgetful_stores_are_caught: flaws::LIFETIMES,
    orders_that_time_forbids_are_caught: flaws::LINEARITY,
}

/// Laws 1 and 3 to 9 have no opt-out; durability needs another life or handle, time and ages a clock that is set.
#[test]
fn only_durability_time_and_retention_can_be_opted_out_of() {
    let needing = LAWS.iter().filter(|law| !law.needs.is_empty());
    let others: Vec<_> = needing.filter(|law| !["durable", "time", "retention"].contains(&law.group)).collect();
    assert!(others.is_empty(), "{others:?}");
}

#[test]
fn every_law_can_fail() {
    let listed: Vec<_> = flaws().flat_map(|flaw| flaw.caught_by).copied().collect();
    let unproven = unlisted(LAWS, &listed);
    assert!(unproven.is_empty(), "no broken store shows that these can fail:\n{}", unproven.join("\n"));
}
