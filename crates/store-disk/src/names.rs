//! Dictionaries: each segment writes a name once and refers to it by a code.

use mainspring_event::TagTable;

use crate::format::frame::{KINDS, Kind};

/// The names of one segment by their codes.
pub(crate) trait Names: TagTable {
    /// The name that `code` stands for; the code was read from a verified record of the same segment.
    fn name(&self, kind: Kind, code: u32) -> &str;
}

/// The names of a segment that still grows. Readers resolve codes without a lock while the committer adds names.
#[derive(Default)]
pub(crate) struct GrowingNames {
    lists: [boxcar::Vec<Box<str>>; KINDS],
}

impl GrowingNames {
    /// Adds a name; answers its code.
    pub(crate) fn push(&self, kind: Kind, name: &str) -> u32 {
        let code = self.lists[kind as usize].push(name.into());
        u32::try_from(code).expect("a segment holds fewer than 4 Gi names")
    }

    pub(crate) fn len(&self, kind: Kind) -> u32 {
        u32::try_from(self.lists[kind as usize].count()).expect("a segment holds fewer than 4 Gi names")
    }
}

impl Names for GrowingNames {
    fn name(&self, kind: Kind, code: u32) -> &str {
        // A verified record has only codes that were pushed before it was written.
        self.lists[kind as usize].get(code as usize).map_or("", |name| name)
    }
}

impl TagTable for GrowingNames {
    fn tag(&self, code: u32) -> &str {
        self.name(Kind::Tag, code)
    }
}
