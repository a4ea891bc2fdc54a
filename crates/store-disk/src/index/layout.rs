//! The layout of an index file, for those who write and read it.

use crate::format::frame::Kind;

pub(super) const MAGIC: &[u8; 8] = b"MAINSPIX";

/// How many sections an index file has.
pub(super) const SECTIONS: usize = Section::Changes as usize + 1;

/// Where the table of sections begins.
pub(super) const TABLE: usize = 80;

/// Length of an entry of it: where the section begins, its length, its checksum.
pub(super) const TABLE_ENTRY: usize = 20;

/// Length of the header: what is said of the segment, the table of sections, and the header's checksum.
pub(super) const HEAD: usize = TABLE + TABLE_ENTRY * SECTIONS + 4;

/// Set in the first ordinal of a frame that continues the commit of the one before. A segment is smaller than 4 GiB and a
/// record longer than two bytes, so no ordinal needs this bit.
pub(super) const CONTINUES: u32 = 1 << 31;

/// The parts of an index file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(super) enum Section {
    StreamNameStarts,
    StreamNames,
    TypeNameStarts,
    TypeNames,
    SourceNameStarts,
    SourceNames,
    ContentTypeNameStarts,
    ContentTypeNames,
    TagNameStarts,
    TagNames,
    CategoryStarts,
    CategoryNames,
    StreamLookup,
    TypeLookup,
    TagLookup,
    CategoryLookup,
    Offsets,
    StreamOf,
    TypeOf,
    Heads,
    CategoryOf,
    StreamStarts,
    StreamPostings,
    TypeStarts,
    TypePostings,
    CategoryPostingStarts,
    CategoryPostings,
    TagStarts,
    TagPostings,
    FrameOrdinals,
    FramePositions,
    FrameRecorded,
    Ids,
    IdOrdinals,
    Changes,
}

/// The tables of names: where they start, and their bytes; those of each kind, then the categories.
pub(super) const NAMES: [(Section, Section); 6] = [
    (Section::StreamNameStarts, Section::StreamNames),
    (Section::TypeNameStarts, Section::TypeNames),
    (Section::SourceNameStarts, Section::SourceNames),
    (Section::ContentTypeNameStarts, Section::ContentTypeNames),
    (Section::TagNameStarts, Section::TagNames),
    (Section::CategoryStarts, Section::CategoryNames),
];

/// The number of the categories among them.
pub(super) const CATEGORIES: usize = 5;

impl Section {
    /// Where the names of a kind start, and their bytes.
    pub(super) fn of_names(kind: Kind) -> (Self, Self) {
        NAMES[kind as usize]
    }

    /// The codes of a kind by hash; only for kinds that queries name.
    pub(super) fn of_lookup(kind: Kind) -> Option<Self> {
        match kind {
            Kind::Stream => Some(Self::StreamLookup),
            Kind::Type => Some(Self::TypeLookup),
            Kind::Tag => Some(Self::TagLookup),
            Kind::Source | Kind::ContentType => None,
        }
    }
}

/// The hash by which names are found; part of the format.
pub(super) fn name_hash(name: &str) -> u32 {
    crc32c::crc32c(name.as_bytes())
}
