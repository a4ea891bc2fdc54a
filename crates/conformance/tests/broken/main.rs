//! A law that cannot fail is no law. Each flaw here breaks the reference model in one way, and the laws listed with it
//! must find that; every law is listed with some flaw.

mod batches;
#[macro_use]
mod canary;
mod flaws;
mod store;

use std::sync::Arc;

use mainspring_conformance::{Backend, LAWS};

use canary::Canary;
use store::{BrokenBackend, Flaw, SOUND};

fn canary(flaw: &'static Flaw) -> Canary<dyn Backend> {
    Canary { backend: Arc::new(BrokenBackend(flaw)), caught_by: flaw.caught_by }
}

canaries! {
    of LAWS by canary;
    sound: SOUND;
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
