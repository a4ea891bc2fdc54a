//! Something that happens to a disk in the middle of work that takes many operations.

use mainspring_conformance::Seed;

use crate::{Fault, Operation, SimDisk};

/// A mishap, arranged just before the work begins.
#[derive(Clone, Debug)]
pub(super) enum Mishap {
    Nothing,
    /// Power goes in the change that comes after so many others.
    PowerCut(u64),
    /// An operation fails.
    Fail(Fault),
    /// There is room for so many bytes more.
    Fill(u64),
}

impl Mishap {
    /// One of the kinds that are wanted, more often than not.
    pub(super) fn draw(seed: &mut Seed, (crashes, errors, room): (bool, bool, bool)) -> Self {
        match seed.within(0..=8) {
            0 | 1 if crashes => Self::PowerCut(seed.within(1..=24)),
            2 | 3 if errors => {
                let fault = Fault::on(seed.pick(&Operation::ALL)).after(seed.within(0..=12));
                Self::Fail(if seed.once_in(4) { fault.times(seed.within(2..=4)) } else { fault })
            }
            4 if room => Self::Fill(seed.within(0..=6_000)),
            _ => Self::Nothing,
        }
    }

    /// Lets it come over this disk.
    pub(super) fn befall(&self, disk: &SimDisk) {
        match self {
            Self::Nothing => {}
            Self::PowerCut(after) => disk.stop_at(disk.changes() + after),
            Self::Fail(fault) => disk.inject(fault.clone()),
            Self::Fill(room) => disk.set_capacity(Some(disk.used() + room)),
        }
    }
}
