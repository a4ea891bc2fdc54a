//! All flaws, by what they get wrong.

mod answers;
mod appends;
mod changes;
mod checks;
mod conditions;
mod fidelity;
mod followers;
mod ids;
mod lifetimes;
mod linearity;
mod progress;
mod queries;
mod reads;

pub(crate) use answers::FLAWS as ANSWERS;
pub(crate) use appends::FLAWS as APPENDS;
pub(crate) use changes::FLAWS as CHANGES;
pub(crate) use checks::FLAWS as CHECKS;
pub(crate) use conditions::FLAWS as CONDITIONS;
pub(crate) use fidelity::FLAWS as FIDELITY;
pub(crate) use followers::FLAWS as FOLLOWERS;
pub(crate) use ids::FLAWS as IDS;
pub(crate) use lifetimes::FLAWS as LIFETIMES;
pub(crate) use linearity::FLAWS as LINEARITY;
pub(crate) use progress::FLAWS as PROGRESS;
pub(crate) use queries::FLAWS as QUERIES;
pub(crate) use reads::FLAWS as READS;
