//! All flaws, by what they get wrong.

mod answers;
mod appends;
mod changes;
mod checks;
mod fidelity;
mod followers;
mod ids;
mod lifetimes;
mod progress;
mod queries;
mod reads;

use crate::store::Flaw;

/// Every flaw.
pub(crate) fn flaws() -> impl Iterator<Item = &'static Flaw> {
    let all: [&'static [Flaw]; 11] = [
        appends::FLAWS,
        checks::FLAWS,
        ids::FLAWS,
        answers::FLAWS,
        changes::FLAWS,
        fidelity::FLAWS,
        reads::FLAWS,
        queries::FLAWS,
        progress::FLAWS,
        followers::FLAWS,
        lifetimes::FLAWS,
    ];
    all.into_iter().flatten()
}
