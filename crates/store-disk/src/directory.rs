//! Which sealed segments hold a stream, a tag, or an event id that is not time-ordered.
//!
//! Without it every look-up of something new would ask every segment. A *run* is an immutable file over a range of
//! consecutive segments: sorted pairs of a hash and the number of a segment. The *keeper* writes one for each sealed
//! segment and merges eight into one, again and again, so that there are few, whatever the size of the store.
//!
//! Runs are derived. One that is missing, stale or damaged is ignored, its segments are asked directly, and it is written
//! again. A run may name a segment that lacks what is looked for: whoever asks looks into the segment. It never leaves out
//! one that has it, because the content of a segment of one number is only ever reduced.

mod build;
mod hash;
mod keeper;
mod load;
mod merge;
mod run;
mod write;

pub(crate) use hash::Key;
pub(crate) use keeper::Keeper;
pub(crate) use load::{is_run_name, load_runs};
pub(crate) use run::Run;
