//! All flaws, by what they get wrong.

mod attempts;
mod bounds;
mod commits;
mod holders;
mod logs;
mod members;
mod messages;
mod moves;
mod operators;
mod order;
mod routes;
mod sending;
mod slices;
mod times;
mod topologies;

pub(crate) use attempts::FLAWS as ATTEMPTS;
pub(crate) use bounds::FLAWS as BOUNDS;
pub(crate) use commits::FLAWS as COMMITS;
pub(crate) use holders::FLAWS as HOLDERS;
pub(crate) use logs::FLAWS as LOGS;
pub(crate) use members::FLAWS as MEMBERS;
pub(crate) use messages::FLAWS as MESSAGES;
pub(crate) use moves::FLAWS as MOVES;
pub(crate) use operators::FLAWS as OPERATORS;
pub(crate) use order::FLAWS as ORDER;
pub(crate) use routes::FLAWS as ROUTES;
pub(crate) use sending::FLAWS as SENDING;
pub(crate) use slices::FLAWS as SLICES;
pub(crate) use times::FLAWS as TIMES;
pub(crate) use topologies::FLAWS as TOPOLOGIES;
