//! A checkpoint is good for one history of one store, and never beyond its head.

use mainspring_event::Position;
use mainspring_store::{CheckpointError, Info, Lineage, StoreId};

fn info(head: u64) -> Info {
    Info { store: StoreId::new(), lineage: Lineage::new(), first: Position(1), head: Position(head) }
}

#[test]
fn a_checkpoint_of_the_same_history_is_admitted_up_to_the_head() {
    let info = info(10);
    for position in [0, 1, 10] {
        assert_eq!(info.admits(&info.checkpoint(Position(position))), Ok(()));
    }
}

#[test]
fn a_checkpoint_beyond_the_head_is_refused() {
    let info = info(10);
    let refused = CheckpointError::BeyondHead { position: Position(11), head: Position(10) };
    assert_eq!(info.admits(&info.checkpoint(Position(11))), Err(refused));
}

#[test]
fn a_checkpoint_of_another_store_or_lineage_is_refused() {
    let here = info(10);
    let other = info(10);
    let refused = CheckpointError::OtherStore { taken: other.store, here: here.store };
    assert_eq!(here.admits(&other.checkpoint(Position(3))), Err(refused));
    let restored = Info { lineage: Lineage::new(), ..here };
    let refused = CheckpointError::OtherLineage { taken: here.lineage, here: restored.lineage };
    assert_eq!(restored.admits(&here.checkpoint(Position(3))), Err(refused));
}
