//! Law 5, third part: checks are linearizable, so of contending decisions exactly one wins.

use std::sync::Arc;

use mainspring_event::{NewEvent, Position, Version};
use mainspring_store::{Append, AppendError, Appended, Check, Conflict, EventStore, Expected, Query, Read, ReadFrom};
use tokio::sync::Barrier;

use crate::{
    Backend,
    law::join,
    sample::{event, in_streams, stream, tag, tagged, with_payload, with_tags},
    subject::{Subject, collect, place},
};

const WRITERS: usize = 8;

/// Runs one attempt on each of many tasks at once and says which were taken; the others must have conflicted.
async fn race(subject: &Subject, attempt: impl Fn(usize) -> Append) -> (Vec<(usize, Appended)>, Vec<Conflict>) {
    let barrier = Arc::new(Barrier::new(WRITERS));
    let tasks: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (store, append, barrier) = (subject.store.clone(), attempt(writer), barrier.clone());
            tokio::spawn(async move {
                barrier.wait().await;
                (writer, store.append(append).await)
            })
        })
        .collect();
    let (mut taken, mut conflicts) = (Vec::new(), Vec::new());
    for (writer, answer) in join(tasks).await {
        match answer {
            Ok(appended) => taken.push((writer, appended)),
            Err(AppendError::Conflict(conflict)) => conflicts.push(conflict),
            Err(other) => panic!("the loser of a race gets a conflict, not {other:?}"),
        }
    }
    (taken, conflicts)
}

/// Of many who expect the same version one wins, and the losers are told the version it made.
pub(crate) async fn one_writer_wins_each_version(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let mut winners = Vec::new();
    for version in 0..30 {
        let expected = Expected::Exactly(Version(version));
        let attempt =
            |writer: usize| Append::new([with_payload("a-1", format!("{writer}"))]).expect(stream("a-1"), expected);
        let (taken, conflicts) = race(&subject, attempt).await;
        assert_eq!(taken.len(), 1, "one writer wins version {version}");
        assert_eq!(taken[0].1.written[0].version, Version(version + 1));
        let loss = Conflict::Stream { stream: stream("a-1"), expected, actual: Version(version + 1) };
        assert!(conflicts.iter().all(|conflict| *conflict == loss), "{conflicts:?}");
        winners.push(taken[0].0.to_string());
    }
    let stored: Vec<_> = subject
        .stream("a-1")
        .await
        .iter()
        .map(|stored| String::from_utf8_lossy(&stored.event.payload).into_owned())
        .collect();
    assert_eq!(stored, winners, "the history is what the winners wrote");
}

/// Of many who claim the same unique name one gets it.
pub(crate) async fn one_writer_gets_each_unique_name(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    for round in 0..20 {
        let name = format!("email:{round}");
        let claim = |writer: usize| {
            Append::new([tagged(&format!("user-{writer}"), &[&name])])
                .check(Check::NoMatch { query: with_tags(&[&name]), after: None })
        };
        let (taken, conflicts) = race(&subject, claim).await;
        assert_eq!(taken.len(), 1, "one writer gets {name}");
        for conflict in conflicts {
            let position = taken[0].1.position;
            let won = matches!(conflict, Conflict::Match { position: found, .. } if found == position);
            assert!(won, "the match is the winner's event at {position}: {conflict:?}");
        }
        assert_eq!(subject.matches(with_tags(&[&name])).await.len(), 1);
    }
}

/// Reads what decides, decides, appends under the condition that nothing was added, and again on a conflict.
async fn count_up(store: Arc<dyn EventStore>, writer: usize, times: usize) {
    let query = with_tags(&["counter:1"]);
    for _ in 0..times {
        loop {
            let batches: Vec<_> = futures_util::StreamExt::collect(store.read(Read::new(query.clone()))).await;
            let batches: Vec<_> = batches.into_iter().map(|batch| batch.expect("the read succeeds")).collect();
            let count: usize = batches.iter().map(mainspring_store::EventBatch::len).sum();
            let through = batches.last().expect("the end is said").through();
            let next = NewEvent {
                tags: vec![tag("counter:1")],
                ..with_payload(&format!("counted-{writer}"), (count + 1).to_string())
            };
            let check = Check::NoMatch { query: query.clone(), after: Some(through) };
            match store.append(Append::new([next]).check(check)).await {
                Ok(_) => break,
                Err(AppendError::Conflict(Conflict::Match { position, .. })) => {
                    assert!(position > through, "the match at {position} lies after {through}");
                }
                Err(other) => panic!("a decision that was overtaken gets a conflict, not {other:?}"),
            }
        }
    }
}

/// Decisions over a query are made one after the other: nobody counts what another has counted.
pub(crate) async fn decisions_over_a_query_are_serial(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let tasks: Vec<_> = (0..WRITERS).map(|writer| tokio::spawn(count_up(subject.store.clone(), writer, 8))).collect();
    // Events that do not match keep the position of the last match away from the end.
    let noise = (0..100).map(|_| subject.write([event("noise-1")]));
    for write in noise {
        write.await;
    }
    join(tasks).await;
    let counted: Vec<_> =
        subject.matches(with_tags(&["counter:1"])).await.iter().map(|stored| stored.event.payload.clone()).collect();
    let expected: Vec<_> = (1..=WRITERS * 8).map(|count| bytes::Bytes::from(count.to_string())).collect();
    assert_eq!(counted, expected);
}

/// Two decisions that each look at what the other writes cannot both win (no write skew).
pub(crate) async fn decisions_that_look_at_each_other_do_not_both_win(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    for round in 0..30 {
        let names = [format!("left-{round}"), format!("right-{round}")];
        let attempt = |writer: usize| {
            let (own, other) = (&names[writer % 2], &names[1 - writer % 2]);
            Append::new([event(own)])
                .expect(stream(own), Expected::NoStream)
                .check(Check::NoMatch { query: in_streams(&[other]), after: None })
        };
        let (taken, _) = race(&subject, attempt).await;
        assert_eq!(taken.len(), 1, "one of both sides wins");
        assert_eq!(subject.matches(in_streams(&[&names[0], &names[1]])).await.len(), 1);
    }
}

/// A lease holder whose epoch has passed writes nothing more, however the two race.
pub(crate) async fn a_passed_epoch_writes_nothing_more(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    for epoch in 0..20 {
        let attempt = |writer: usize| match writer {
            0 => Append::new([event("$lease-1")]).expect(stream("$lease-1"), Expected::Exactly(Version(epoch))),
            _ => Append::new([with_payload("a-1", epoch.to_string())])
                .expect(stream("$lease-1"), Expected::Exactly(Version(epoch))),
        };
        race(&subject, attempt).await;
    }
    let leases = subject.stream("$lease-1").await;
    assert_eq!(leases.len(), 20, "nothing stands in the way of the next epoch");
    for written in subject.stream("a-1").await {
        let epoch: usize = String::from_utf8_lossy(&written.event.payload).parse().expect("the law wrote a number");
        let begins = if epoch == 0 { Position::START } else { leases[epoch - 1].position };
        let ends = leases[epoch].position;
        let (_, _, at) = place(&written);
        assert!(
            begins < at && at < ends,
            "epoch {epoch} lasted from {begins} to {ends}, but an event of it is at {at}"
        );
    }
}

/// A receipt and a read agree: who reads after losing sees what it lost to.
pub(crate) async fn the_loser_of_a_race_can_read_the_winner(backend: &dyn Backend) {
    let subject = Subject::open(backend).await;
    let tasks: Vec<_> = (0..WRITERS)
        .map(|_| {
            let store = subject.store.clone();
            tokio::spawn(async move {
                for version in 0..15 {
                    let expected = Expected::Exactly(Version(version));
                    let append = Append::new([event("a-1")]).expect(stream("a-1"), expected);
                    let Err(error) = store.append(append).await else { continue };
                    let AppendError::Conflict(Conflict::Stream { actual, .. }) = error else {
                        panic!("the loser of a race gets a conflict, not {error:?}");
                    };
                    let from = ReadFrom::Version(Version(version + 1));
                    let seen = collect(&*store, Read::new(Query::stream(stream("a-1"))).from(from)).await;
                    assert!(seen.last().is_some_and(|last| last.version >= actual), "{actual} is not visible yet");
                }
            })
        })
        .collect();
    join(tasks).await;
    assert_eq!(subject.stream("a-1").await.len(), 15);
}
