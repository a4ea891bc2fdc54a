//! The words of findings.

use mainspring_event::Position;

use super::{FindingKind, Lost};

#[test]
fn lost_events_are_named_by_their_positions() {
    let lost = |from, to: Option<u64>| Lost { from: Position(from), to: to.map(Position) }.to_string();
    assert_eq!(lost(3, Some(3)), "position 3");
    assert_eq!(lost(3, Some(9)), "positions 3 to 9");
    assert_eq!(lost(3, None), "positions from 3");
}

#[test]
fn what_can_be_built_again_is_never_advised_to_be_restored() {
    for kind in [FindingKind::IndexMissing, FindingKind::IndexDamaged, FindingKind::IndexDisagrees] {
        assert!(
            kind.is_harmless() && kind.advice().contains("reindex") && !kind.advice().contains("restore"),
            "{kind:?}"
        );
    }
    assert!(!FindingKind::FrameDamaged.is_harmless() && FindingKind::FrameDamaged.advice().contains("restore"));
}
