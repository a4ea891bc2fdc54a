//! The time that is stamped on events, where the clock of the machine is set back.

use std::{sync::Arc, time::Duration};

use mainspring_conformance::Seed;
use mainspring_event::Version;
use mainspring_sim::SimDisk;
use mainspring_store::{Append, Clock, EventStore, StreamChange};

use crate::kit::{all, block_on, clock, event, replayable, stream};

#[test]
fn time_does_not_run_backwards_where_the_newest_events_are_gone() {
    block_on(async {
        let (disk, clock, mut seed) = (SimDisk::new(6), clock(), Seed::new(6));
        let open = || replayable(1024, &clock).open_on(Arc::new(disk.clone())).unwrap();
        let store = open();
        store.append(Append::new([event(&mut seed, "a-1", 800)])).await.unwrap();
        let newest = all(&store).await[0].recorded;
        // What it takes to say so does not fit into the segment.
        let tombstone = StreamChange::Tombstone { stream: stream("a-1") };
        let truncate = |name| StreamChange::TruncateBefore { stream: stream(name), version: Version(1) };
        store.append(Append::default().change(tombstone).change(truncate("b-1"))).await.unwrap();
        assert_eq!(store.scavenge().await.unwrap().events, 1);
        drop(store);
        clock.set(newest - Duration::from_secs(60));
        let store = open();
        store.append(Append::new([event(&mut seed, "b-1", 10)])).await.unwrap();
        assert_eq!(all(&store).await[0].recorded, newest, "of the event that is gone, whose position was lower");
    });
}

#[test]
fn what_is_no_event_does_not_move_time() {
    block_on(async {
        for opened_again in [false, true] {
            let (disk, clock, mut seed) = (SimDisk::new(7), clock(), Seed::new(7));
            let open = || replayable(1024, &clock).open_on(Arc::new(disk.clone())).unwrap();
            let mut store = open();
            let truncate = StreamChange::TruncateBefore { stream: stream("a-1"), version: Version(1) };
            store.append(Append::default().change(truncate)).await.unwrap();
            let earlier = clock.now() - Duration::from_secs(60);
            clock.set(earlier);
            if opened_again {
                drop(store);
                store = open();
            }
            store.append(Append::new([event(&mut seed, "b-1", 10)])).await.unwrap();
            assert_eq!(all(&store).await[0].recorded, earlier, "opened again: {opened_again}");
        }
    });
}
