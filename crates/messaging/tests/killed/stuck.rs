//! A member that holds what it may and never settles: messages behind it take no memory, and other groups flow. The
//! benchmark `messaging` does the same with ten million.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use mainspring_broker::{Broker, Deliveries, Limit, Message, Next, Order, Settler, SubscriptionSpec};
use mainspring_messaging::{Raw, State, Subscription, Subscriptions};
use tokio::runtime::Runtime;

use super::{
    processes::{DEADLINE, Process, memory, other_process, say},
    world::{eventually, lag, open, status},
};

const MESSAGES: u64 = 100_000;

const BATCH: u64 = 500;

/// The other group has at most so many to go.
const BEHIND: u64 = 16_384;

/// What the stuck member may hold.
const HELD: usize = 100;

/// What a stuck member may add to the memory of a process: the messages that its group has before it in memory, which
/// are a few thousand however many there are.
const ADDED: u64 = 16 << 20;

/// What a process may take in all; most of it is the store's, which remembers so many ids.
const MEMORY: u64 = 160 << 20;

async fn handle(_: Raw, State(handled): State<Arc<AtomicU64>>) {
    handled.fetch_add(1, Ordering::Relaxed);
}

async fn never(_: Raw) {}

async fn send(broker: &dyn Broker, handled: &AtomicU64, numbers: std::ops::Range<u64>) {
    for start in numbers.step_by(BATCH as usize) {
        eventually(async || start - handled.load(Ordering::Relaxed) < BEHIND).await;
        let message = |_| Message::new("orders".parse().unwrap(), vec![7; 256]);
        let sent = broker.send((0..BATCH).map(message).collect()).await.unwrap();
        assert!(sent.await.iter().all(Result::is_ok));
    }
}

/// A member that has taken what it may.
async fn stuck(broker: &dyn Broker) -> (Box<dyn Deliveries>, Arc<dyn Settler>) {
    let spec = SubscriptionSpec::new("stuck".parse().unwrap()).prefetch(HELD, 1 << 20).lease(2 * DEADLINE);
    let (mut deliveries, settler) = broker.subscribe(spec).await.unwrap();
    let mut held = 0;
    while held < HELD {
        let next = tokio::time::timeout(DEADLINE, deliveries.next(Limit::messages(HELD))).await.unwrap();
        let Ok(Next::Batch(batch)) = next else { panic!("messages are there: {next:?}") };
        held += batch.len();
    }
    (deliveries, settler)
}

async fn work(directory: &Path) {
    let is_stuck = std::fs::read_to_string(directory.join("run")).unwrap() == "stuck";
    let broker = open(directory).await;
    let handled = Arc::new(AtomicU64::new(0));
    let on = |group: &str| Subscription::new("orders", group).order(Order::Unordered);
    let flowing = Subscriptions::new(handled.clone()).on(on("flowing").concurrency(512), handle);
    let (_, runner) = flowing.prepare(broker.clone()).await.unwrap();
    if is_stuck {
        drop(Subscriptions::new(()).on(on("stuck"), never).prepare(broker.clone()).await.unwrap());
    }
    let work = async {
        send(&*broker, &handled, 0..BATCH).await;
        let member = if is_stuck { Some(stuck(&*broker).await) } else { None };
        send(&*broker, &handled, BATCH..MESSAGES).await;
        eventually(async || lag(&broker, "flowing").await == 0).await;
        assert_eq!(handled.load(Ordering::Relaxed), MESSAGES);
        if let Some((mut deliveries, _settler)) = member {
            // It goes on asking, and gets nothing: it is full.
            let more = tokio::time::timeout(Duration::from_millis(50), deliveries.next(Limit::messages(1))).await;
            assert!(more.is_err(), "{more:?}");
            let stuck = status(&broker, "stuck").await;
            assert_eq!((stuck.lag, stuck.in_flight), (MESSAGES, HELD as u64));
        }
        say(&memory().to_string());
    };
    runner.run(work).await.unwrap();
}

#[test]
fn messages_behind_a_stuck_member_take_no_memory_and_other_groups_flow() {
    if let Some(directory) = other_process() {
        return Runtime::new().unwrap().block_on(work(&directory));
    }
    let memory = ["alone", "stuck"].map(|run| {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("run"), run).unwrap();
        let test = "stuck::messages_behind_a_stuck_member_take_no_memory_and_other_groups_flow";
        let (well, said) = Process::start(test, directory.path()).end();
        assert!(well, "it failed after {said:?}");
        said[0].parse::<u64>().unwrap()
    });
    println!("memory after {MESSAGES} messages: {} bytes alone, {} beside a stuck member", memory[0], memory[1]);
    assert!(memory[1] < memory[0] + ADDED && memory[1] < MEMORY, "{memory:?}");
}
