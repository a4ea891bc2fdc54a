//! A law that cannot fail is no law. Each flaw here breaks the reference model of the broker in one way, and the laws
//! listed with it must find that; every law is listed with some flaw.

mod broker;
#[path = "../broken/canary.rs"]
#[macro_use]
mod canary;
mod flaws;

use std::sync::Arc;

use mainspring_conformance::broker::{Backend, LAWS, Need};

use broker::{BrokenBackend, Flaw, SOUND};
use canary::Canary;

fn canary(flaw: &'static Flaw) -> Canary<dyn Backend> {
    Canary { backend: Arc::new(BrokenBackend(flaw)), caught_by: flaw.caught_by }
}

canaries! {
    of LAWS by canary;
    sound: SOUND;
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
