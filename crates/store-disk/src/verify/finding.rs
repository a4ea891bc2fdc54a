//! What a check can find: what it is, what is lost by it, and what to do.

use std::fmt;

use mainspring_event::Position;

/// Something in the files of a store that is worth a word, or worse.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// What it is.
    pub kind: FindingKind,
    /// In which file.
    pub file: String,
    /// Where in it, in bytes from its beginning.
    pub offset: u64,
    /// What is wrong there.
    pub what: String,
    /// The events that cannot be read, or not be trusted, for it. `None` where no event is lost.
    pub lost: Option<Lost>,
}

impl Finding {
    /// What to do about it.
    pub fn advice(&self) -> &'static str {
        self.kind.advice()
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at offset {}: {}", self.file, self.offset, self.what)
    }
}

/// Positions that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lost {
    /// The first of them.
    pub from: Position,
    /// The last of them; `None` where nothing says how many there were.
    pub to: Option<Position>,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.to {
            Some(to) if to == self.from => write!(f, "position {to}"),
            Some(to) => write!(f, "positions {} to {to}", self.from),
            None => write!(f, "positions from {}", self.from),
        }
    }
}

/// What can be found. Names do not change, so that programs can rest on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FindingKind {
    /// There are segments, but nothing that names them.
    ManifestMissing,
    /// What names the segments cannot be read.
    ManifestDamaged,
    /// A file with events is not there.
    SegmentMissing,
    /// A file with events ends too early.
    SegmentShort,
    /// The head of a segment cannot be read, or belongs to another store.
    HeadDamaged,
    /// A segment does not continue the one before it.
    ChainBroken,
    /// Something that was written and synced cannot be read.
    FrameDamaged,
    /// The versions of a stream do not increase.
    OrderBroken,
    /// The machine cannot read a file.
    FileUnreadable,
    /// An index is not there. An index is derived from the log.
    IndexMissing,
    /// An index is not as it was written.
    IndexDamaged,
    /// An index says something else than the log.
    IndexDisagrees,
    /// What fills up a commit is not zero. It means nothing, but it is not as it was written.
    PaddingDamaged,
    /// A run of the directory is not as it was written. The directory is derived from the log.
    RunDamaged,
    /// Something at the end was never acknowledged, as after a loss of power.
    TornEnd,
}

impl FindingKind {
    /// The name for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ManifestMissing => "manifest_missing",
            Self::ManifestDamaged => "manifest_damaged",
            Self::SegmentMissing => "segment_missing",
            Self::SegmentShort => "segment_short",
            Self::HeadDamaged => "head_damaged",
            Self::ChainBroken => "chain_broken",
            Self::FrameDamaged => "frame_damaged",
            Self::OrderBroken => "order_broken",
            Self::FileUnreadable => "file_unreadable",
            Self::IndexMissing => "index_missing",
            Self::IndexDamaged => "index_damaged",
            Self::IndexDisagrees => "index_disagrees",
            Self::PaddingDamaged => "padding_damaged",
            Self::RunDamaged => "run_damaged",
            Self::TornEnd => "torn_end",
        }
    }

    /// Whether something is not as it was written. What is not damage belongs to the life of a store.
    pub fn is_damage(self) -> bool {
        !matches!(self, Self::IndexMissing | Self::TornEnd)
    }

    /// Whether every event can be read and trusted in spite of it: it concerns what can be built again from the log, or what
    /// means nothing.
    pub fn is_harmless(self) -> bool {
        matches!(
            self,
            Self::IndexMissing
                | Self::IndexDamaged
                | Self::IndexDisagrees
                | Self::PaddingDamaged
                | Self::RunDamaged
                | Self::TornEnd
        )
    }

    /// What to do about it.
    pub fn advice(self) -> &'static str {
        match self {
            Self::ManifestMissing | Self::ManifestDamaged => {
                "Keep the directory, its segments may be whole, and restore a backup into another one with `mainspring \
                 restore`"
            }
            Self::SegmentMissing => {
                "Put the file back if it was moved away. Otherwise restore a backup into another directory with \
                 `mainspring restore`"
            }
            Self::SegmentShort | Self::HeadDamaged | Self::ChainBroken | Self::FrameDamaged | Self::OrderBroken => {
                "Keep the directory as it is, copy it before you try anything, and restore a backup into another one with \
                 `mainspring restore`"
            }
            Self::FileUnreadable => {
                "Check the disk and the permissions, and verify again. If the disk is failing, restore a backup on another \
                 one with `mainspring restore`"
            }
            Self::IndexMissing => "Nothing: the next writer builds it again, and so does `mainspring reindex`",
            Self::IndexDamaged | Self::IndexDisagrees => {
                "Build it again with `mainspring reindex --all`, or delete it and let the next writer build it"
            }
            Self::PaddingDamaged => {
                "Make a backup and check the disk: what it did to bytes that mean nothing it can do to others"
            }
            Self::RunDamaged => "Delete it, the next writer writes it again, and check the disk",
            Self::TornEnd => "Nothing: it was never acknowledged, and the next writer cuts it off",
        }
    }
}

#[cfg(test)]
mod tests;
