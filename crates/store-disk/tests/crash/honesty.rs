//! Law 7, case by case: what was surely not written, what may have been, and what the store does after that.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use futures_util::future::join_all;
use mainspring_event::Version;
use mainspring_sim::{Fault, Operation, Unsynced};
use mainspring_store::{
    AppendError, Conflict, EventStore, Expected, Query, Read, ReadError, Retained, Retention, StreamChange,
};
use mainspring_store_disk::Options;

use crate::{
    kit::{all, block_on, clock, events, in_place, replayable, stream},
    lab::{Answer, LOG, Lab},
};

#[test]
fn a_failed_sync_leaves_in_doubt_and_stops_the_writer() {
    for (seed, options) in (0..20).flat_map(|seed| [(seed, replayable as fn(_, &_) -> _), (seed, in_place)]) {
        block_on(async {
            let mut lab = Lab::new(seed, options);
            let (first, second, third) = (lab.single("a-1"), lab.single("a-1"), lab.single("b-1"));
            assert_eq!(lab.one(&first).await, Answer::Ok);
            lab.disk.inject(Fault::on(Operation::Sync).of(LOG));
            assert_eq!(lab.one(&second).await, Answer::Unknown);
            assert_eq!(lab.one(&third).await, Answer::Failed, "nothing more is taken");
            assert_eq!(lab.one(&second).await, Answer::Unknown, "repeating it cannot settle it yet");
            assert_eq!(lab.one(&first).await, Answer::Ok, "what was durable before is still known");
            assert_eq!(lab.ids().await, [first.events[0].id], "what is in doubt is not shown");
            assert!(lab.store.close().is_err());

            let mut lab = lab.reopened();
            assert_eq!(lab.one(&second).await, Answer::Ok, "now repeating it settles it");
            assert_eq!(lab.one(&third).await, Answer::Ok);
            let expected = [&first, &second, &third].map(|append| append.events[0].id);
            assert_eq!(lab.ids().await, expected);
            lab.disk.evict();
            assert_eq!(lab.ids().await, expected, "they are on the disk, not only in memory");
            lab.disk = lab.disk.crash(Unsynced::Dropped);
            assert_eq!(lab.reopened().ids().await, expected);
        });
    }
}

#[test]
fn what_rests_on_a_failed_sync_is_not_answered_as_if_it_had_succeeded() {
    block_on(async {
        let mut lab = Lab::new(1, replayable);
        let (durable, written, other) = (lab.single("a-1"), lab.single("b-1"), lab.single("c-1"));
        let conflicting = lab.single("c-1").expect(stream("b-1"), Expected::NoStream);
        assert_eq!(lab.one(&durable).await, Answer::Ok);
        let group = [&written, &conflicting, &written, &durable, &other];
        lab.disk.inject(Fault::on(Operation::Sync).of(LOG));
        let answers = lab.together(&group).await;
        assert_eq!(answers, [Answer::Unknown, Answer::Failed, Answer::Unknown, Answer::Ok, Answer::Failed]);
        assert_eq!(lab.ids().await.len(), 1);
        assert_eq!(lab.disk.injected().failed_syncs, 1);
    });
}

#[test]
fn a_panic_in_a_commit_leaves_nobody_waiting_and_nothing_to_be_written_later() {
    block_on(async {
        let mut lab = Lab::new(1, replayable);
        let (durable, written, other) = (lab.single("a-1"), lab.single("b-1"), lab.single("c-1"));
        assert_eq!(lab.one(&durable).await, Answer::Ok);
        lab.disk.meanwhile(Operation::Write, LOG, || panic!("a defect, planted by the test"));
        let answers = tokio::time::timeout(Duration::from_secs(20), lab.together(&[&written, &other])).await;
        assert_eq!(answers.expect("nobody waits for ever"), [Answer::Unknown, Answer::Unknown]);
        let later = lab.single("d-1");
        assert_eq!(lab.one(&later).await, Answer::Failed, "the store takes no more events");
        assert_eq!(lab.ids().await, [durable.events[0].id], "readers see what was durable");
        let lab = lab.reopened();
        assert_eq!(lab.ids().await, [durable.events[0].id], "nothing was written afterwards");
        assert_eq!(lab.one(&written).await, Answer::Ok, "repeating it settles it");
    });
}

#[test]
fn a_write_that_is_taken_back_leaves_no_trace() {
    for seed in 0..20 {
        block_on(async {
            let mut lab = Lab::new(seed, replayable);
            let (durable, written, other) = (lab.single("a-1"), lab.single("b-1"), lab.single("c-1"));
            let conflicting = lab.single("c-1").expect(stream("b-1"), Expected::NoStream);
            assert_eq!(lab.one(&durable).await, Answer::Ok);
            let group = [&written, &conflicting, &durable, &other];
            lab.disk.inject(Fault::on(Operation::Write).of(LOG));
            let answers = lab.together(&group).await;
            assert_eq!(answers, [Answer::Failed, Answer::Failed, Answer::Ok, Answer::Failed]);
            assert_eq!(lab.ids().await, [durable.events[0].id]);
            for unsynced in [Unsynced::Kept, Unsynced::Dropped, Unsynced::Random] {
                let disk = lab.disk.if_crashed(unsynced);
                let store = in_place(8192, &clock()).open_on(Arc::new(disk)).unwrap();
                assert_eq!(all(&store).await.len(), 1, "nothing of it comes back");
            }
            let answers = lab.together(&group).await;
            assert_eq!(answers, [Answer::Ok, Answer::Conflict, Answer::Ok, Answer::Ok], "there is room again");
            assert_eq!(lab.reopened().ids().await.len(), 3);
        });
    }
}

#[test]
fn what_cannot_be_taken_back_is_in_doubt() {
    block_on(async {
        let mut lab = Lab::new(1, in_place);
        let (first, second) = (lab.single("a-1"), lab.single("a-1"));
        // The first write of a segment fills with zeros ahead, which may fail.
        lab.disk.inject(Fault::on(Operation::Write).of(LOG).after(1));
        lab.disk.inject(Fault::on(Operation::SetLen).of(LOG));
        assert_eq!(lab.one(&first).await, Answer::Unknown);
        assert_eq!(lab.one(&second).await, Answer::Failed);
        assert_eq!(lab.ids().await, []);
        let lab = lab.reopened();
        assert_eq!([lab.one(&first).await, lab.one(&second).await], [Answer::Ok; 2]);
        assert_eq!(lab.ids().await, [first.events[0].id, second.events[0].id]);
    });
}

/// Going on in the next segment flushes what waits. What was decided in the belief that it would be there is void if that
/// fails.
#[test]
fn a_decision_does_not_outlive_what_it_rests_on() {
    block_on(async {
        let mut lab = Lab::new(1, replayable);
        let first = lab.sized("a-1", 3_000);
        let second = lab.sized("a-1", 6_000).expect(stream("a-1"), Expected::Exactly(Version(1)));
        // The first write of a segment fills with zeros ahead, which may fail.
        lab.disk.inject(Fault::on(Operation::Write).of(LOG).after(1));
        let answers = join_all([lab.store.append(first.clone()), lab.store.append(second.clone())]).await;
        assert!(matches!(answers[0], Err(AppendError::Failed(_))), "{answers:?}");
        let conflict = matches!(answers[1], Err(AppendError::Conflict(Conflict::Stream { actual: Version::NONE, .. })));
        assert!(conflict || matches!(answers[1], Err(AppendError::Failed(_))), "{answers:?}");
        assert_eq!(lab.ids().await, []);
        assert_eq!(lab.together(&[&first, &second]).await, [Answer::Ok; 2]);
        assert_eq!(lab.reopened().ids().await, [first.events[0].id, second.events[0].id]);
    });
}

#[test]
fn a_manifest_that_cannot_be_written_leaves_the_log_as_it_is() {
    for operation in [Operation::Create, Operation::Write, Operation::Sync] {
        block_on(async {
            let mut lab = Lab::new(1, in_place);
            let (first, second) = (lab.sized("a-1", 5_000), lab.sized("a-1", 5_000));
            assert_eq!(lab.one(&first).await, Answer::Ok);
            lab.disk.inject(Fault::on(operation).of("MANIFEST.new"));
            assert_eq!(lab.one(&second).await, Answer::Failed);
            assert_eq!(lab.one(&second).await, Answer::Ok, "the next attempt goes on in the next segment");
            assert!(lab.disk.contents("00000002.log").is_some());
            lab.disk = lab.disk.crash(Unsynced::Dropped);
            assert_eq!(lab.reopened().ids().await, [first.events[0].id, second.events[0].id]);
        });
    }
}

#[test]
fn a_manifest_that_may_have_been_replaced_stops_the_writer() {
    for fault in [Fault::on(Operation::Rename).of("MANIFEST.new"), Fault::on(Operation::SyncEntries)] {
        block_on(async {
            let mut lab = Lab::new(1, in_place);
            let (first, second) = (lab.sized("a-1", 5_000), lab.sized("a-1", 5_000));
            assert_eq!(lab.one(&first).await, Answer::Ok);
            lab.disk.inject(fault.clone());
            assert_eq!([lab.one(&second).await, lab.one(&second).await], [Answer::Failed; 2]);
            assert_eq!(lab.ids().await, [first.events[0].id]);
            let lab = lab.reopened();
            assert_eq!(lab.one(&second).await, Answer::Ok);
            assert_eq!(lab.ids().await, [first.events[0].id, second.events[0].id]);
        });
    }
}

#[test]
fn an_error_of_a_read_is_an_error_of_the_reader() {
    block_on(async {
        let mut lab = Lab::new(1, in_place);
        let append = lab.single("a-1");
        assert_eq!(lab.one(&append).await, Answer::Ok);
        // The writer reads what it wrote from memory, other processes from the disk.
        let reader = Options::default().open_read_only_on(Arc::new(lab.disk.clone())).unwrap();
        lab.disk.inject(Fault::on(Operation::Read).of(LOG));
        let read = events(&reader, Read::new(Query::All)).await;
        assert!(matches!(read, Err(ReadError::Failed(_))), "{read:?}");
        let read = events(&reader, Read::new(Query::All)).await.expect("the next read is better off");
        assert_eq!(read[0].event.id, append.events[0].id);
    });
}

#[test]
fn slow_syncs_leave_the_runtime_alone() {
    block_on(async {
        let mut lab = Lab::new(1, in_place);
        lab.disk.slow(Operation::Sync, Duration::from_millis(3));
        let first = lab.single("a-1");
        assert_eq!(lab.one(&first).await, Answer::Ok);
        let appends: Vec<_> = (0..50).map(|_| lab.single("a-1")).collect();
        let before = lab.disk.count(Operation::Sync);
        let answers = lab.together(&appends.iter().collect::<Vec<_>>()).await;
        assert_eq!(answers, [Answer::Ok; 50]);
        let syncs = lab.disk.count(Operation::Sync) - before;
        assert!(syncs < 20, "appends that wait for a sync are synced together, not by {syncs} syncs");
        assert_eq!(lab.ids().await.len(), 51);
    });
}

/// Taking up an append may take a sync, too: before a change of streams, and before the next segment.
#[test]
fn slow_syncs_of_any_kind_are_not_done_by_the_runtime() {
    block_on(async {
        let mut lab = Lab::new(1, in_place);
        lab.disk.slow(Operation::Sync, Duration::from_millis(3));
        let retention = Retention { max_count: Some(9), max_age: None };
        let change = StreamChange::Retain { target: Retained::Stream(stream("a-1")), retention };
        let (first, large) = (lab.single("a-1"), lab.sized("a-1", 7000));
        assert_eq!(lab.one(&first).await, Answer::Ok);
        let elsewhere = Arc::new(AtomicUsize::new(0));
        let runtime = thread::current().id();
        for name in [LOG, LOG, "00000002.log"] {
            let elsewhere = elsewhere.clone();
            lab.disk.meanwhile(Operation::Sync, name, move || {
                elsewhere.fetch_add(usize::from(thread::current().id() != runtime), Ordering::Relaxed);
            });
        }
        let changing = lab.single("a-1").change(change);
        assert_eq!(lab.together(&[&changing, &large]).await, [Answer::Ok; 2]);
        assert_eq!(elsewhere.load(Ordering::Relaxed), 3);
    });
}
