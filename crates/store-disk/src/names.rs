//! Dictionaries: each segment writes a name once and refers to it by a code.

mod codes;

use std::{
    hash::BuildHasher,
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

use hashbrown::DefaultHashBuilder;
use mainspring_event::TagTable;
use smol_str::SmolStr;

use crate::format::frame::{KINDS, Kind};
use codes::Codes;

/// The names of one segment by their codes.
pub(crate) trait Names: TagTable {
    /// The name that `code` stands for; the code was read from a verified record of the same segment.
    fn name(&self, kind: Kind, code: u32) -> &str;
}

/// The names of a segment that still grows. One thread at a time adds names; anybody looks them up, by their codes or the
/// other way round, and waits for nobody.
#[derive(Default)]
pub(crate) struct GrowingNames {
    serial: Serial,
    lists: [boxcar::Vec<SmolStr>; KINDS],
    codes: [Codes; KINDS],
}

/// Which dictionary of this process it is: codes that one has given mean nothing to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Serial(u64);

impl Default for Serial {
    fn default() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// The hash of a name, the same for all segments in this process and not to be foreseen outside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NameHash(u32);

impl NameHash {
    pub(crate) fn of(name: &str) -> Self {
        static HASHER: LazyLock<DefaultHashBuilder> = LazyLock::new(DefaultHashBuilder::default);
        Self((HASHER.hash_one(name) >> 32) as u32)
    }
}

impl GrowingNames {
    /// None yet, in a segment that is likely to have as many as the one before it.
    pub(crate) fn like(before: &Self) -> Self {
        let codes = std::array::from_fn(|kind| Codes::with_room_for(before.lists[kind].count()));
        Self { codes, ..Self::default() }
    }

    pub(crate) fn serial(&self) -> Serial {
        self.serial
    }

    /// The code of a name, if the segment has it.
    pub(crate) fn find(&self, kind: Kind, hash: NameHash, name: &str) -> Option<u32> {
        self.codes[kind as usize].find(hash, |code| self.name(kind, code) == name)
    }

    /// Adds a name that the segment does not have; answers its code. One thread at a time may do so.
    pub(super) fn push(&self, kind: Kind, hash: NameHash, name: &str) -> u32 {
        let code = self.lists[kind as usize].push(name.into());
        let code = u32::try_from(code).expect("a segment holds fewer than 4 Gi names");
        self.codes[kind as usize].push(hash, code);
        code
    }

    pub(crate) fn len(&self, kind: Kind) -> u32 {
        u32::try_from(self.lists[kind as usize].count()).expect("a segment holds fewer than 4 Gi names")
    }
}

impl Names for GrowingNames {
    fn name(&self, kind: Kind, code: u32) -> &str {
        // A verified record has only codes that were pushed before it was written.
        self.lists[kind as usize].get(code as usize).map_or("", SmolStr::as_str)
    }
}

impl TagTable for GrowingNames {
    fn tag(&self, code: u32) -> &str {
        self.name(Kind::Tag, code)
    }
}
