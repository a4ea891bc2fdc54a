//! Where events keep coming they are taken together; nothing else is held up. The clock stands still but when nothing else
//! can happen, so what takes no time is proved to wait for nothing.

use std::{future::Future, time::Duration};

use mainspring_event::Position;
use mainspring_projection::{Options, Projected, ProjectionError, prepare_with};
use mainspring_retry::Retry;
use mainspring_store::{MemoryStore, Store};
use tokio::{
    sync::oneshot,
    task::{JoinHandle, yield_now},
    time::{Instant, interval},
};

use crate::{
    ledger::{Fault, Ledger, Payments},
    pay,
};

const LINGER: Duration = Duration::from_millis(5);
const TICK: Duration = Duration::from_millis(1);
const SOON: Duration = Duration::from_secs(30);

/// Payments into a ledger, under way.
struct Running {
    ledger: Ledger,
    store: Store,
    payments: Projected<Payments>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), ProjectionError>>,
}

impl Running {
    async fn start(ledger: Ledger, store: Store, linger: Duration) -> Self {
        let retry = Retry::schedule([Duration::ZERO]).then_forever();
        let options = Options { linger, retry, ..Options::default() };
        let (payments, runner) = prepare_with(Payments, ledger.clone(), store.clone(), options).await.unwrap();
        let (stop, stopped) = oneshot::channel();
        let stopped = async { stopped.await.unwrap() };
        Self { ledger, store, payments, stop, task: tokio::spawn(runner.run(stopped)) }
    }

    async fn new() -> Self {
        Self::start(Ledger::default(), Store::new(MemoryStore::new()), LINGER).await
    }

    async fn pay(&self) -> Position {
        pay(&self.store, 1).await
    }

    /// Watches, as somebody who is in no hurry, until it has come to `position`.
    async fn comes_to(&self, position: Position) {
        let mut status = self.payments.watch();
        let reached = tokio::time::timeout(SOON, status.wait_for(|status| status.at >= position)).await;
        assert_eq!(reached.unwrap().unwrap().at, position);
    }

    /// Pays once a tick, so often; calls `look` after each tick with the last position.
    async fn keep_paying(&self, times: u64, mut look: impl FnMut(Position)) -> Position {
        let mut tick = interval(TICK);
        let mut last = Position::START;
        for _ in 0..times {
            tick.tick().await;
            look(last);
            last = self.pay().await;
        }
        self.comes_to(last).await;
        last
    }
}

async fn timed<T>(future: impl Future<Output = T>) -> (T, Duration) {
    let begun = Instant::now();
    (future.await, begun.elapsed())
}

#[tokio::test(start_paused = true)]
async fn after_a_quiet_time_an_event_is_applied_at_once() {
    let running = Running::new().await;
    for _ in 0..10 {
        tokio::time::advance(LINGER).await;
        let last = running.pay().await;
        assert_eq!(timed(running.comes_to(last)).await.1, Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn where_events_keep_coming_they_are_taken_together_and_soon() {
    let running = Running::new().await;
    let created = running.ledger.commits();
    let mut seen = Vec::new();
    let last = running.keep_paying(200, |last| seen.push((last, running.payments.at()))).await;
    assert_eq!(running.ledger.rows(), (1..=last.0).collect::<Vec<_>>());
    let commits = running.ledger.commits() - created;
    assert!((30..=42).contains(&commits), "200 ms, a transaction each 5 ms, not {commits}");
    for (last, at) in seen {
        // Timers tick in milliseconds, so one tick may be added.
        assert!(last.0 - at.0 <= 6, "at {at} when {last} had been there for a tick");
    }
    let metrics = running.payments.metrics();
    assert_eq!((metrics.events, metrics.transactions), (200, u64::from(commits)));
    assert!(metrics.lag.percentile(50.0).unwrap() <= metrics.lag.max());
}

#[tokio::test(start_paused = true)]
async fn nobody_who_waits_is_held_up() {
    let running = Running::new().await;
    for _ in 0..20 {
        let last = running.pay().await;
        let (read, took) = timed(running.payments.read_after(last, SOON)).await;
        read.unwrap();
        assert_eq!(took, Duration::ZERO);
    }
    // Somebody who came in vain and went away is not waited for any more.
    assert!(running.payments.read_after(Position(1_000), TICK).await.is_err());
    let created = running.ledger.commits();
    running.keep_paying(100, |_| ()).await;
    assert!(running.ledger.commits() - created <= 22);
}

#[tokio::test(start_paused = true)]
async fn without_lingering_everything_is_applied_at_once() {
    let running = Running::start(Ledger::default(), Store::new(MemoryStore::new()), Duration::ZERO).await;
    for _ in 0..20 {
        let last = running.pay().await;
        assert_eq!(timed(running.comes_to(last)).await.1, Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn stopped_while_it_lingers() {
    let running = Running::new().await;
    tokio::time::advance(LINGER).await;
    let first = running.pay().await;
    running.comes_to(first).await;
    let second = running.pay().await;
    // More turns than it takes to apply an event; the clock stands still meanwhile.
    for _ in 0..100 {
        yield_now().await;
    }
    assert_eq!(running.payments.at(), first, "it lingers");
    let Running { ledger, store, stop, task, .. } = running;
    stop.send(()).unwrap();
    let (ended, took) = timed(task).await;
    ended.unwrap().unwrap();
    assert_eq!(took, Duration::ZERO);
    assert_eq!(ledger.rows(), [1]);

    let (again, took) = timed(Running::start(ledger, store, LINGER)).await;
    again.comes_to(second).await;
    assert_eq!((again.ledger.rows(), took), (vec![1, 2], Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn commits_that_fail_while_events_keep_coming() {
    for fault in [Fault::Lost, Fault::Unanswered] {
        for every in 2..=4 {
            let store = Store::new(MemoryStore::new());
            let running = Running::start(Ledger::failing(every, fault), store, LINGER).await;
            let last = running.keep_paying(100, |_| ()).await;
            let rows = running.ledger.rows();
            assert_eq!(rows, (1..=last.0).collect::<Vec<_>>(), "every {every}th commit {fault:?}");
        }
    }
}
