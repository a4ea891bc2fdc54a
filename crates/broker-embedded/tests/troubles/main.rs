//! The broker in trouble: stores that fail, wait and refuse, calls that are dropped, operators who want two things at
//! once, and more messages than memory should hold. Whatever happens, each message comes or is gone as the contract says,
//! and nobody waits for ever or without end in a circle.

mod bounds;
mod clock;
mod commits;
mod costs;
mod failing;
mod kit;
mod lags;
mod moves;
mod schedules;
mod store;
mod topologies;
mod waiting;
