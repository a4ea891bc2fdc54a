//! A law that cannot fail is no law. Each flaw here breaks the reference model of the broker in one way, and the laws
//! listed with it must find that; every law is listed with some flaw.

mod broker;
mod flaws;

use std::sync::Arc;

use mainspring_conformance::{
    Verdict,
    broker::{Backend, LAWS, Need},
    unlisted, unnoticed,
};

use broker::{BrokenBackend, Flaw, SOUND};

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
        missed.extend(unnoticed.map(|law| format!("{law} does not notice a broker that {}", flaw.name)));
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
    lost_messages_are_caught: flaws::MESSAGES,
    dishonest_confirmations_are_caught: flaws::SENDING,
    members_that_lose_messages_are_caught: flaws::MEMBERS,
    several_holders_are_caught: flaws::HOLDERS,
    torn_commits_are_caught: flaws::COMMITS,
    slices_of_nobody_are_caught: flaws::SLICES,
    wrong_order_is_caught: flaws::ORDER,
    forgotten_attempts_are_caught: flaws::ATTEMPTS,
    wrong_times_are_caught: flaws::TIMES,
    lossy_moves_are_caught: flaws::MOVES,
    missing_bounds_are_caught: flaws::BOUNDS,
    wrong_topologies_are_caught: flaws::TOPOLOGIES,
    wrong_routes_are_caught: flaws::ROUTES,
    wrong_logs_are_caught: flaws::LOGS,
    misled_operators_are_caught: flaws::OPERATORS,
    lossy_resubmissions_are_caught: flaws::RESUBMITTING,
}

/// Only features and a second life can be opted out of, and what is opted out of must be refused by name.
#[test]
fn laws_need_nothing_but_features_and_another_life() {
    for law in LAWS {
        assert!(law.needs.iter().all(|need| matches!(need, Need::Reopen | Need::With(_))), "{law:?}");
    }
    let refusing = LAWS.iter().find(|law| law.name == "what_is_not_possible_is_refused_by_name");
    assert!(refusing.is_some_and(|law| law.needs.is_empty()), "nobody can opt out of refusing by name");
}

#[test]
fn every_law_can_fail() {
    let listed: Vec<_> = flaws().flat_map(|flaw| flaw.caught_by).copied().collect();
    let unproven = unlisted(LAWS, &listed);
    assert!(unproven.is_empty(), "no broken broker shows that these can fail:\n{}", unproven.join("\n"));
}
