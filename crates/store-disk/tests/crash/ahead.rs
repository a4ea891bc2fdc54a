//! What is taken up while what came before is on its way to the disk: two groups are in doubt at once.

use std::{
    sync::{Arc, Mutex, mpsc},
    thread,
    time::Duration,
};

use futures_util::{FutureExt, future::BoxFuture};
use mainspring_event::{EventId, Version};
use mainspring_sim::{Fault, Operation, Unsynced};
use mainspring_store::{Append, AppendError, Appended, EventStore, Expected, Retained, Retention, StreamChange};
use mainspring_store_disk::{DiskStore, OpenError};

use crate::{
    kit::{all, block_on, clock, in_place, replayable, stream},
    lab::{Answer, LOG, Lab},
};

type Waiting = BoxFuture<'static, Result<Appended, AppendError>>;

/// Appends that come at a moment of their own.
#[derive(Clone, Default)]
struct Late(Arc<Mutex<Vec<Waiting>>>);

impl Late {
    /// Sends these once the next operation of this kind on the log has begun. None is answered before that has ended.
    fn during(lab: &Lab, operation: Operation, appends: &[&Append]) -> Self {
        let late = Self::default();
        let (sent, store) = (late.clone(), lab.store.clone());
        let appends: Vec<Append> = appends.iter().map(|append| (*append).clone()).collect();
        lab.disk.meanwhile(operation, LOG, move || sent.send(&store, appends));
        late
    }

    fn send(&self, store: &DiskStore, appends: Vec<Append>) {
        let mut waiting = self.0.lock().unwrap();
        for append in appends {
            let store = store.clone();
            let mut answer: Waiting = async move { store.append(append).await }.boxed();
            assert!((&mut answer).now_or_never().is_none(), "it is answered when it is durable");
            waiting.push(answer);
        }
    }

    async fn answers(self) -> Vec<Result<Appended, AppendError>> {
        let waiting = std::mem::take(&mut *self.0.lock().unwrap());
        futures_util::future::join_all(waiting).await
    }

    async fn words(self) -> Vec<Answer> {
        self.answers().await.into_iter().map(Answer::from).collect()
    }
}

fn ids(appends: &[&Append]) -> Vec<EventId> {
    appends.iter().flat_map(|append| &append.events).map(|event| event.id).collect()
}

#[test]
fn what_comes_during_a_sync_goes_together_with_the_next() {
    for alignment in [1, 4096] {
        block_on(async {
            let mut lab = Lab::aligned(alignment, 1, replayable);
            let (first, third, fourth) = (lab.single("a-1"), lab.single("b-1"), lab.sized("c-1", 3000));
            let second = lab.single("a-1").expect(stream("a-1"), Expected::Exactly(Version(1)));
            let conflicting = lab.single("d-1").expect(stream("b-1"), Expected::NoStream);
            let late = Late::during(&lab, Operation::Sync, &[&second, &third, &conflicting, &fourth, &first]);
            let before = lab.disk.count(Operation::Sync);
            assert_eq!(lab.one(&first).await, Answer::Ok);
            let answers = late.answers().await;
            assert_eq!(lab.disk.count(Operation::Sync), before + 2, "what comes during one sync takes one more");
            let positions = answers.iter().flatten().map(|appended| appended.position.0);
            assert_eq!(positions.collect::<Vec<_>>(), [2, 3, 4, 1], "the last is the first again");
            assert!(matches!(&answers[2], Err(AppendError::Conflict(_))), "{answers:?}");
            let expected = ids(&[&first, &second, &third, &fourth]);
            assert_eq!(lab.ids().await, expected);
            for unsynced in [Unsynced::Kept, Unsynced::Dropped, Unsynced::Random] {
                let store = in_place(8192, &clock()).open_on(Arc::new(lab.disk.if_crashed(unsynced))).unwrap();
                let shown: Vec<_> = all(&store).await.iter().map(|stored| stored.event.id).collect();
                assert_eq!(shown, expected);
            }
            assert_eq!(lab.reopened().ids().await, expected);
        });
    }
}

#[test]
fn what_was_taken_up_behind_a_write_that_failed_is_void_too() {
    for (seed, alignment) in (0..20).flat_map(|seed| [(seed, 1), (seed, 4096)]) {
        block_on(async {
            let mut lab = Lab::aligned(alignment, seed, replayable);
            let (durable, first, second) = (lab.single("a-1"), lab.single("b-1"), lab.single("c-1"));
            let conflicting = lab.single("d-1").expect(stream("b-1"), Expected::NoStream);
            assert_eq!(lab.one(&durable).await, Answer::Ok);
            let late = Late::during(&lab, Operation::Write, &[&second, &conflicting, &durable]);
            lab.disk.inject(Fault::on(Operation::Write).of(LOG));
            assert_eq!(lab.one(&first).await, Answer::Failed);
            assert_eq!(late.words().await, [Answer::Failed, Answer::Failed, Answer::Ok]);
            assert_eq!(lab.ids().await, ids(&[&durable]));
            assert_eq!(
                lab.together(&[&second, &first, &conflicting]).await[..2],
                [Answer::Ok; 2],
                "there is room again"
            );
            let expected = ids(&[&durable, &second, &first]);
            assert_eq!(lab.ids().await, expected);
            assert_eq!(lab.reopened().ids().await, expected);
        });
    }
}

#[test]
fn what_was_taken_up_behind_a_sync_that_failed_is_surely_not_written() {
    for (seed, alignment) in (0..20).flat_map(|seed| [(seed, 1), (seed, 4096)]) {
        block_on(async {
            let mut lab = Lab::aligned(alignment, seed, replayable);
            let (durable, first, second) = (lab.single("a-1"), lab.single("b-1"), lab.single("c-1"));
            let conflicting = lab.single("d-1").expect(stream("b-1"), Expected::NoStream);
            assert_eq!(lab.one(&durable).await, Answer::Ok);
            let late = Late::during(&lab, Operation::Sync, &[&second, &conflicting]);
            lab.disk.inject(Fault::on(Operation::Sync).of(LOG));
            assert_eq!(lab.one(&first).await, Answer::Unknown);
            assert_eq!(late.words().await, [Answer::Failed; 2]);
            assert_eq!(lab.ids().await, ids(&[&durable]));
            let lab = lab.reopened();
            assert!(!lab.ids().await.contains(&second.events[0].id));
            assert_eq!([lab.one(&second).await, lab.one(&first).await], [Answer::Ok; 2]);
        });
    }
}

/// What a flight has made durable is not given up as torn: the frames behind it say that it was synced.
#[test]
fn damage_in_one_of_two_groups_is_told_from_a_torn_end() {
    block_on(async {
        let mut lab = Lab::new(1, replayable);
        let (first, second) = (lab.single("a-1"), lab.single("a-1"));
        let late = Late::during(&lab, Operation::Sync, &[&second]);
        assert_eq!(lab.one(&first).await, Answer::Ok);
        assert_eq!(late.words().await, [Answer::Ok]);
        let disk = lab.disk.if_crashed(Unsynced::Kept);
        let log = disk.contents(LOG).unwrap();
        let payload = &first.events[0].payload[..];
        let damaged = log.windows(payload.len()).position(|bytes| bytes == payload).unwrap();
        disk.flip(LOG, damaged, 3);
        // Nothing but the frames themselves.
        disk.lose("SYNCED");
        let opened = in_place(8192, &clock()).open_on(Arc::new(disk));
        assert!(matches!(opened, Err(OpenError::Damaged { .. })), "{:?}", opened.err());
    });
}

#[test]
fn what_needs_a_flush_waits_for_the_landing_and_keeps_its_place() {
    block_on(async {
        let mut lab = Lab::new(1, replayable);
        let (first, second, third) = (lab.single("a-1"), lab.single("a-1"), lab.single("a-1"));
        let retention = Retention { max_count: Some(1), max_age: None };
        let keep_one =
            second.clone().change(StreamChange::Retain { target: Retained::Stream(stream("a-1")), retention });
        let large = lab.sized("b-1", 7000);
        let late = Late::during(&lab, Operation::Sync, &[&keep_one, &third, &large]);
        assert_eq!(lab.one(&first).await, Answer::Ok);
        let answers = late.answers().await;
        let positions = answers.iter().flatten().map(|appended| appended.position.0);
        assert_eq!(positions.collect::<Vec<_>>(), [2, 3, 4], "{answers:?}");
        let expected = ids(&[&third, &large]);
        assert_eq!(lab.ids().await, expected, "the rule holds, and the last went to the next segment");
        assert_eq!(lab.reopened().ids().await, expected);
    });
}

#[test]
fn a_panic_of_the_disk_is_told_to_both_groups() {
    block_on(async {
        let mut lab = Lab::new(1, replayable);
        let (durable, first, second) = (lab.single("a-1"), lab.single("b-1"), lab.single("c-1"));
        assert_eq!(lab.one(&durable).await, Answer::Ok);
        let late = Late::default();
        let (sent, store, append) = (late.clone(), lab.store.clone(), second.clone());
        lab.disk.meanwhile(Operation::Write, LOG, move || {
            sent.send(&store, vec![append]);
            panic!("a defect, planted by the test");
        });
        let answers =
            tokio::time::timeout(Duration::from_secs(20), async { (lab.one(&first).await, late.words().await) });
        assert_eq!(answers.await.expect("nobody waits for ever"), (Answer::Unknown, vec![Answer::Unknown]));
        let later = lab.single("d-1");
        assert_eq!(lab.one(&later).await, Answer::Failed, "the store takes no more events");
        let lab = lab.reopened();
        assert_eq!(lab.ids().await, ids(&[&durable]), "nothing was written afterwards");
    });
}

/// Nobody is left to carry what is ready when the store is closed: closing does it.
#[test]
fn closing_carries_what_was_taken_up() {
    let mut carried = 0;
    for turns in 0..8 {
        block_on(async {
            let mut lab = Lab::new(1, replayable);
            let appends = [lab.single("a-1"), lab.single("b-1"), lab.single("c-1")];
            let late = Late::default();
            for append in &appends {
                late.send(&lab.store, vec![append.clone()]);
                for _ in 0..turns {
                    tokio::task::yield_now().await;
                }
            }
            lab.store.close().unwrap();
            let shown = lab.ids().await;
            let answers = late.words().await;
            let told: Vec<_> = appends.iter().zip(&answers).filter(|(_, answer)| **answer == Answer::Ok).collect();
            carried += told.len();
            assert_eq!(shown, told.iter().map(|(append, _)| append.events[0].id).collect::<Vec<_>>(), "{answers:?}");
            assert!(answers.iter().all(|answer| [Answer::Ok, Answer::Failed].contains(answer)), "{answers:?}");
            assert_eq!(lab.reopened().ids().await, shown);
        });
    }
    assert!((8..24).contains(&carried), "{carried} of 24, some of which were under way");
}

/// Whoever waits for a flight to land does not wait for one whose landing panicked.
#[test]
fn closing_outlives_a_panic_of_the_landing() {
    let mut lab = Lab::new(1, in_place);
    let append = lab.single("a-1");
    let (closing, (begun, begins), (done, closed)) = (lab.store.clone(), mpsc::channel(), mpsc::channel());
    lab.disk.meanwhile(Operation::Write, LOG, move || {
        thread::spawn(move || {
            begun.send(()).unwrap();
            done.send(closing.close().is_ok()).unwrap();
        });
        begins.recv().unwrap();
    });
    // The first write of a segment fills with zeros ahead, which may fail.
    lab.disk.inject(Fault::on(Operation::Write).of(LOG).after(1));
    lab.disk.meanwhile(Operation::SetLen, LOG, || panic!("a defect, planted by the test"));
    let store = lab.store.clone();
    let appended = thread::spawn(move || block_on(store.append(append)).is_ok()).join();
    assert!(!matches!(appended, Ok(true)));
    assert_eq!(closed.recv_timeout(Duration::from_secs(60)), Ok(false), "the end of the log could not be marked");
}

/// A runtime that goes away carries what is ready. If the disk panics then, others still get their answers.
#[test]
fn a_runtime_that_goes_away_in_a_panic_leaves_others_to_lead() {
    let mut lab = Lab::new(1, replayable);
    let (first, second) = (lab.single("a-1"), lab.single("b-1"));
    let gone = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let store = lab.store.clone();
    gone.block_on(async move {
        store.append(Append::default()).await.unwrap();
        tokio::spawn(async move { store.append(first).await });
        for _ in 0..2 {
            tokio::task::yield_now().await;
        }
    });
    lab.disk.meanwhile(Operation::Write, LOG, || panic!("a defect, planted by the test"));
    drop(thread::spawn(move || drop(gone)).join());
    let answer = block_on(async { tokio::time::timeout(Duration::from_secs(60), lab.one(&second)).await });
    assert_eq!(answer.expect("nobody waits for ever"), Answer::Failed);
}

#[test]
fn a_panic_while_closing_is_one_panic() {
    let mut lab = Lab::new(1, in_place);
    let append = lab.single("a-1");
    block_on(async { assert_eq!(lab.one(&append).await, Answer::Ok) });
    lab.disk.meanwhile(Operation::Write, LOG, || panic!("a defect, planted by the test"));
    let Lab { disk, store, .. } = lab;
    assert!(thread::spawn(move || store.close()).join().is_err());
    let store = in_place(8192, &clock()).open_on(Arc::new(disk)).unwrap();
    block_on(async { assert_eq!(all(&store).await.len(), 1) });
}
