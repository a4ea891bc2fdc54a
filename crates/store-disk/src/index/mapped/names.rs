//! The names of a mapped index, for records that are read: each event has several, so looking them up must cost little.

use bytes::Bytes;
use mainspring_event::TagTable;

use crate::{
    format::{
        frame::{KINDS, Kind},
        u32_at,
    },
    names::Names,
};

/// Names of an index that were found intact: to look one up takes two numbers.
pub(crate) struct MappedNames {
    /// For each kind where its names start, and their text; nothing where a kind was not asked for.
    pub(super) tables: [(Bytes, Bytes); KINDS],
}

impl Names for MappedNames {
    fn name(&self, kind: Kind, code: u32) -> &str {
        let (starts, text) = &self.tables[kind as usize];
        let span = starts.get(4 * code as usize..).and_then(<[u8]>::first_chunk::<8>);
        let span = span.map_or(0..0, |span| u32_at(span, 0) as usize..u32_at(span, 4) as usize);
        let bytes = text.get(span).unwrap_or_default();
        #[expect(unsafe_code, reason = "checking names again on every event would cost more than reading it")]
        // SAFETY: the tables were taken from an index that found them readable: the text is valid UTF-8, and every start
        // lies between two characters of it, in order; `bytes` lies between two starts or is empty. What is mapped does
        // not change.
        unsafe {
            std::str::from_utf8_unchecked(bytes)
        }
    }
}

impl TagTable for MappedNames {
    fn tag(&self, code: u32) -> &str {
        self.name(Kind::Tag, code)
    }
}
