//! Which segments are written again together.

use super::{Mode, survey::Survey};

/// In the background a segment is written again when so many hundredths of it can be removed: each byte that becomes free
/// then costs at most one that is written.
const WORTH_PERCENT: u64 = 50;

/// Puts segments into groups, each to be written as one file: those that are worth it, and neighbours that were written
/// again before, as long as one segment has room for them all. The others stay, each in a group of its own.
pub(super) fn groups(surveys: Vec<Survey>, segment_bytes: u64, mode: Mode) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for survey in surveys {
        let worth = is_worth(&survey, mode);
        let movable = worth || survey.segment.generation > 0;
        let bytes = survey.kept_bytes();
        match groups.last_mut() {
            Some(group) if movable && group.movable && group.bytes + bytes <= segment_bytes => {
                group.surveys.push(survey);
                group.bytes += bytes;
                group.worth = true;
            }
            _ => groups.push(Group { surveys: vec![survey], bytes, movable, worth }),
        }
    }
    groups
}

/// Segments that follow each other.
pub(super) struct Group {
    pub(super) surveys: Vec<Survey>,
    /// About how many bytes are kept of them.
    bytes: u64,
    movable: bool,
    /// Whether they are to be written again.
    pub(super) worth: bool,
}

fn is_worth(survey: &Survey, mode: Mode) -> bool {
    survey.is_worth(if mode == Mode::Background { WORTH_PERCENT } else { 0 })
}
