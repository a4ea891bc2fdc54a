//! What the bytes of each file of a store are for, as `docs/format.md` tells it, and what comes of changing them.

use mainspring_store_disk::FindingKind;

/// What some bytes of a file are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Region {
    Manifest,
    Watermark,
    SegmentHead,
    FrameHead,
    Names,
    Changes,
    Record,
    Padding,
    /// Behind the last frame of the segment that is written.
    Free,
    /// A segment that is to be.
    Ahead,
    Index,
    Run,
}

impl Region {
    /// The one kind of finding by which a check tells that a byte here was changed, if it does.
    pub(super) fn finding(self) -> Option<FindingKind> {
        match self {
            Self::Manifest => Some(FindingKind::ManifestDamaged),
            Self::SegmentHead => Some(FindingKind::HeadDamaged),
            Self::FrameHead | Self::Names | Self::Changes | Self::Record => Some(FindingKind::FrameDamaged),
            Self::Padding => Some(FindingKind::PaddingDamaged),
            Self::Index => Some(FindingKind::IndexDamaged),
            Self::Run => Some(FindingKind::RunDamaged),
            // It cannot be told from half a frame that was never acknowledged.
            Self::Free => Some(FindingKind::TornEnd),
            // Where its checksum is wrong it counts as 0: it tells less than it could, which is what it does after a crash.
            Self::Watermark => None,
            // The manifest does not name it: opening removes it, unread.
            Self::Ahead => None,
        }
    }

    /// Whether a store with such a change shows everything all the same.
    pub(super) fn is_harmless(self) -> bool {
        self.finding().is_none_or(FindingKind::is_harmless)
    }
}

/// What each byte of a file is for.
pub(super) fn regions(name: &str, content: &[u8]) -> Vec<Region> {
    let region = match name {
        "MANIFEST" => Region::Manifest,
        "SYNCED" => Region::Watermark,
        _ if name.ends_with(".log") => return regions_of_log(content),
        _ if name.ends_with(".idx") => Region::Index,
        _ if name.ends_with(".dir") => Region::Run,
        _ if name.ends_with(".log.new") => Region::Ahead,
        _ => panic!("{name} is not a file of a store"),
    };
    vec![region; content.len()]
}

fn regions_of_log(content: &[u8]) -> Vec<Region> {
    let number = |at: usize| u32::from_le_bytes(content[at..at + 4].try_into().unwrap()) as usize;
    let mut regions = vec![Region::SegmentHead; 64];
    while regions.len() + 64 <= content.len() && &content[regions.len()..][..4] == b"FRAM" {
        let at = regions.len();
        let (length, events, names, changes) = (number(at + 8), number(at + 12), number(at + 48), number(at + 52));
        regions.resize(at + 64, Region::FrameHead);
        regions.resize(at + 64 + names, Region::Names);
        regions.resize(at + 64 + names + changes, Region::Changes);
        for _ in 0..events {
            regions.resize(regions.len() + number(regions.len()), Region::Record);
        }
        regions.resize(at + length, Region::Padding);
    }
    regions.resize(content.len(), Region::Free);
    regions
}
