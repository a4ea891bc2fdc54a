//! Each event has its effect once: the runner is dropped at each of its points of suspension, and commits fail with and
//! without effect.

#![expect(clippy::unwrap_used, reason = "all of this is test code")]

mod ledger;
mod lingering;

use std::{
    future::{Future, pending, poll_fn},
    pin::pin,
    task::Poll,
    time::Duration,
};

use mainspring_event::{NewEvent, Position, StreamName};
use mainspring_projection::{Options, prepare_with};
use mainspring_retry::Retry;
use mainspring_store::{Append, MemoryStore, Store};

use ledger::{Fault, Ledger, Payments};

async fn pay(store: &Store, times: usize) -> Position {
    let stream = StreamName::of("account", 1).unwrap();
    let paid = || NewEvent::json(stream.clone(), "Paid".parse().unwrap(), r#"{"cents":1}"#);
    store.append(Append::new(std::iter::repeat_with(paid).take(times))).await.unwrap().position
}

/// Tries again at once and commits each batch of the store.
fn options() -> Options {
    let retry = Retry::schedule([Duration::ZERO]).then_forever();
    Options { retry, commit_events: 1, ..Options::default() }
}

/// Runs until the last event has had its effect, or until the future was polled so often. Says whether it got there.
async fn run(ledger: &Ledger, store: &Store, last: Position, polls: u32) -> bool {
    let (payments, runner) = prepare_with(Payments, ledger.clone(), store.clone(), options()).await.unwrap();
    let mut run = pin!(runner.run(pending()));
    let mut left = polls;
    poll_fn(|cx| {
        if payments.at() == last {
            return Poll::Ready(true);
        }
        if left == 0 {
            return Poll::Ready(false);
        }
        left -= 1;
        assert!(run.as_mut().poll(cx).is_pending(), "nothing here stops it");
        // What makes it advance without suspending is seen at once.
        if payments.at() == last { Poll::Ready(true) } else { Poll::Pending }
    })
    .await
}

/// Whatever the number of polls after which each runner is dropped, the last one completes what the others left.
#[tokio::test]
async fn dropped_at_every_point_of_suspension() {
    let mut polls = 1;
    loop {
        let (ledger, store) = (Ledger::default(), Store::new(MemoryStore::new()));
        let last = pay(&store, 3).await;
        let completed = run(&ledger, &store, last, polls).await;
        // A second one is dropped at the same point of its own life.
        run(&ledger, &store, last, polls).await;
        let last = pay(&store, 2).await;
        assert!(run(&ledger, &store, last, u32::MAX).await);
        assert_eq!(ledger.rows(), [1, 2, 3, 4, 5], "dropped after {polls} polls");
        if completed {
            break;
        }
        polls += 1;
    }
    assert!(polls > 5, "it was dropped in the middle of things");
}

#[tokio::test]
async fn commits_that_fail_with_and_without_effect() {
    for fault in [Fault::Lost, Fault::Unanswered] {
        for every in 2..=4 {
            let (ledger, store) = (Ledger::failing(every, fault), Store::new(MemoryStore::new()));
            let mut last = Position::START;
            for times in [1, 600, 3, 1] {
                last = pay(&store, times).await;
                assert!(run(&ledger, &store, last, u32::MAX).await);
            }
            assert_eq!(ledger.rows(), (1..=last.0).collect::<Vec<_>>(), "every {every}th commit {fault:?}");
        }
    }
}
