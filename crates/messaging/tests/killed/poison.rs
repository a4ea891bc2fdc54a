//! A message whose handler kills the process: it ends among the dead letters, and what is in flight beside it is not lost.

use std::{
    collections::BTreeSet,
    fs::{File, OpenOptions},
    io::Write as _,
    path::Path,
    sync::Arc,
    time::Instant,
};

use mainspring_messaging::{Delivered, Publisher, State, Subscription, Subscriptions};
use mainspring_retry::{Failure, Retry};
use rustix::process::{Signal, getpid, kill_process};
use tokio::runtime::Runtime;

use super::{
    processes::{DEADLINE, Process, other_process, say},
    world::{Placed, dead_letters, eventually, lag, open},
};

/// How many messages there are …
const MESSAGES: u64 = 60;

/// … of which this one kills its process.
const POISON: u64 = 5;

/// How often a message is tried.
const ATTEMPTS: u64 = 3;

/// A loop shows itself by as many processes.
const PROCESSES: u64 = 40;

/// Others are in work while the poison strikes; those that are quick answer before.
async fn handle(placed: Delivered<Placed>, State(file): State<Arc<File>>) -> Result<(), Failure> {
    if placed.event.order == POISON {
        kill_process(getpid(), Signal::KILL)?;
    }
    if placed.event.order.is_multiple_of(2) {
        // As one that waits for a database.
        tokio::task::yield_now().await;
    }
    (&*file).write_all(format!("{}\n", placed.event.order).as_bytes())?;
    Ok(())
}

fn on() -> Subscription {
    Subscription::new("orders", "billing").retry(Retry::times(2))
}

fn file(directory: &Path) -> Arc<File> {
    Arc::new(OpenOptions::new().create(true).append(true).open(directory.join("handled")).unwrap())
}

/// Handles until there is nothing left, unless it is killed.
async fn work(directory: &Path, on: Subscription) {
    let broker = open(directory).await;
    let (_, runner) = Subscriptions::new(file(directory)).on(on, handle).prepare(broker.clone()).await.unwrap();
    runner.run(eventually(async || lag(&broker, "billing").await == 0)).await.unwrap();
    say("settled");
}

/// What came of it.
struct Outcome {
    kills: u64,
    handled: BTreeSet<u64>,
    /// The orders of dead letters, each with its attempts.
    dead: Vec<(u64, u32)>,
}

/// Has processes handle everything; a new one is started when one was killed.
fn outcome(test: &str, on: Subscription) -> Outcome {
    let directory = tempfile::tempdir().unwrap();
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let broker = open(directory.path()).await;
        drop(Subscriptions::new(file(directory.path())).on(on, handle).prepare(broker.clone()).await.unwrap());
        let publisher = Publisher::new(broker);
        for order in 0..MESSAGES {
            publisher.publish("orders", &Placed { order }).await.unwrap();
        }
    });
    // Its tasks hold the store.
    drop(runtime);
    let (begun, mut kills) = (Instant::now(), 0);
    loop {
        let (well, said) = Process::start(test, directory.path()).end();
        if well {
            assert_eq!(said, ["settled"]);
            break;
        }
        kills += 1;
        assert!(kills < PROCESSES && begun.elapsed() < DEADLINE, "it goes round in a loop");
    }
    let dead = Runtime::new().unwrap().block_on(async {
        let broker = open(directory.path()).await;
        let letters = dead_letters(&broker, "billing").await;
        let order = |body: &[u8]| {
            let digits: String = body.iter().map(|byte| char::from(*byte)).filter(char::is_ascii_digit).collect();
            digits.parse::<u64>().unwrap()
        };
        letters.iter().map(|letter| (order(&letter.message.body), letter.attempts)).collect()
    });
    let text = std::fs::read_to_string(directory.path().join("handled")).unwrap();
    let handled = text.lines().map(|line| line.parse().unwrap()).collect();
    Outcome { kills, handled, dead }
}

#[test]
fn a_message_that_kills_its_process_becomes_a_dead_letter_after_its_attempts() {
    if let Some(directory) = other_process() {
        return Runtime::new().unwrap().block_on(work(&directory, on().concurrency(1).prefetch(1)));
    }
    let test = "poison::a_message_that_kills_its_process_becomes_a_dead_letter_after_its_attempts";
    let Outcome { kills, handled, dead } = outcome(test, on().concurrency(1).prefetch(1));
    assert_eq!(kills, ATTEMPTS);
    // The attempt that was given up counts, too: it was handed over and not handled.
    assert_eq!(dead, [(POISON, ATTEMPTS as u32 + 1)]);
    let innocent: BTreeSet<u64> = (0..MESSAGES).filter(|order| *order != POISON).collect();
    assert_eq!(handled, innocent);
}

#[test]
fn what_is_in_flight_with_a_message_that_kills_its_process_is_handled() {
    if let Some(directory) = other_process() {
        return Runtime::new().unwrap().block_on(work(&directory, on()));
    }
    let test = "poison::what_is_in_flight_with_a_message_that_kills_its_process_is_handled";
    let Outcome { kills, handled, dead } = outcome(test, on());
    assert_eq!(kills, ATTEMPTS);
    // After a start, what was tried before is handled one at a time, so the others are through before it strikes again.
    let buried: Vec<_> = dead.iter().map(|(order, _)| *order).collect();
    assert_eq!(buried, [POISON]);
    assert_eq!(handled, (0..MESSAGES).filter(|order| *order != POISON).collect());
}
