//! A hundred thousand scheduled messages over two restarts, one of them by SIGKILL: all come, none early, in bounded
//! memory. The benchmark `messaging` does the same with a million.

use std::{
    fs::{File, OpenOptions},
    io::Write as _,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use mainspring_broker::{Broker, Message, Order};
use mainspring_messaging::{FromRef, Raw, State, Subscription, Subscriptions};
use mainspring_retry::Failure;
use tokio::{runtime::Runtime, sync::Notify};

use super::{
    processes::{Process, memory, other_process, say},
    world::{dead_letters, eventually, lag, open},
};

const MESSAGES: u64 = 100_000;

const BATCH: u64 = 500;

/// The first is due so much later than it is sent …
const FIRST: u64 = 2_000;

/// … and the others, in no order, within so much time after that; in milliseconds.
const SPREAD: u64 = 4_000;

/// The memory that no process may exceed: what a broker takes that has only a few messages, and 500 bytes for each of
/// those that wait.
const MEMORY: u64 = (64 << 20) + 500 * MESSAGES;

/// What the handler writes to, and what it has seen.
#[derive(Clone, FromRef)]
#[from_ref(crate = mainspring_messaging)]
struct Seen {
    file: Arc<Mutex<File>>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    handled: AtomicU64,
    early: AtomicU64,
    /// The most memory at any look.
    memory: AtomicU64,
    /// Enough was handled for this process.
    enough: Notify,
}

impl Counts {
    fn look(&self) {
        self.memory.fetch_max(memory(), Ordering::Relaxed);
    }
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    u64::try_from(now.as_millis()).unwrap()
}

/// The body says which message it is and when it is due at the earliest.
async fn handle(
    raw: Raw,
    State(file): State<Arc<Mutex<File>>>,
    State(counts): State<Arc<Counts>>,
) -> Result<(), Failure> {
    let (number, due) = raw.message().body.split_at(8);
    if now() < u64::from_le_bytes(due.try_into()?) {
        counts.early.fetch_add(1, Ordering::Relaxed);
    }
    file.lock().unwrap().write_all(number)?;
    let handled = counts.handled.fetch_add(1, Ordering::Relaxed) + 1;
    if handled.is_multiple_of(1_000) {
        counts.look();
    }
    if handled == MESSAGES / 3 {
        say("a third");
        counts.enough.notify_one();
    }
    Ok(())
}

/// Sends everything, in batches.
async fn send(broker: &dyn Broker, counts: &Counts) {
    for start in (0..MESSAGES).step_by(BATCH as usize) {
        let sent = now();
        let message = |number: u64| {
            let delay = FIRST + number.wrapping_mul(7_919) % SPREAD;
            let mut body = number.to_le_bytes().to_vec();
            body.extend((sent + delay).to_le_bytes());
            Message::new("orders".parse().unwrap(), body).delay(Duration::from_millis(delay))
        };
        let batch = (start..start + BATCH).map(message).collect();
        assert!(broker.send(batch).await.unwrap().await.iter().all(Result::is_ok));
        counts.look();
    }
    say("scheduled");
}

/// The first process sends and handles, the second stops after a third, the last one handles the rest.
async fn work(directory: &Path) {
    let run = std::fs::read_to_string(directory.join("run")).unwrap();
    let file = OpenOptions::new().create(true).append(true).open(directory.join("handled")).unwrap();
    let seen = Seen { file: Arc::new(Mutex::new(file)), counts: Arc::default() };
    let broker = open(directory).await;
    let on = Subscription::new("orders", "billing").order(Order::Unordered).concurrency(256);
    let (_, runner) = Subscriptions::new(seen.clone()).on(on, handle).prepare(broker.clone()).await.unwrap();
    let until = async {
        match run.as_str() {
            "first" => {
                send(&*broker, &seen.counts).await;
                std::future::pending().await
            }
            "second" => seen.counts.enough.notified().await,
            _ => {
                let all = || async {
                    let schedules = broker.admin().unwrap().schedules(1).await.unwrap();
                    schedules.is_empty() && lag(&broker, "billing").await == 0
                };
                eventually(async || all().await).await;
            }
        }
    };
    let watched = async {
        tokio::select! {
            () = until => {}
            () = watch(&seen.counts) => {}
        }
    };
    runner.run(watched).await.unwrap();
    assert_eq!(dead_letters(&broker, "billing").await, []);
    tell(&seen.counts);
}

/// Tells memory and what came early every now and then, because nobody can when it is killed.
async fn watch(counts: &Counts) {
    let mut looks = tokio::time::interval(Duration::from_millis(50));
    loop {
        looks.tick().await;
        counts.look();
        tell(counts);
    }
}

fn tell(counts: &Counts) {
    let (memory, early) = (counts.memory.load(Ordering::Relaxed), counts.early.load(Ordering::Relaxed));
    say(&format!("memory {memory} early {early}"));
}

/// The memory that a line tells of; nothing may have come early.
fn told(line: &str) -> u64 {
    match line.split(' ').collect::<Vec<_>>()[..] {
        ["memory", memory, "early", early] => {
            assert_eq!(early, "0", "messages came before they were due");
            memory.parse().unwrap()
        }
        _ => 0,
    }
}

#[test]
fn scheduled_messages_all_come_and_none_early_although_processes_end() {
    if let Some(directory) = other_process() {
        return Runtime::new().unwrap().block_on(work(&directory));
    }
    let directory = tempfile::tempdir().unwrap();
    let mut most = 0;
    for run in ["first", "second", "last"] {
        std::fs::write(directory.path().join("run"), run).unwrap();
        let test = "scheduled::scheduled_messages_all_come_and_none_early_although_processes_end";
        let process = Process::start(test, directory.path());
        let mut missing = vec!["scheduled", "a third"];
        while run == "first" && !missing.is_empty() {
            let line = process.line().expect("it works until it is killed");
            missing.retain(|expected| *expected != line);
            most = most.max(told(&line));
        }
        let said = if run == "first" {
            process.kill()
        } else {
            let (well, said) = process.end();
            assert!(well, "the {run} process failed");
            said
        };
        most = said.iter().map(|line| told(line)).max().unwrap_or(0).max(most);
    }
    let handled = std::fs::read(directory.path().join("handled")).unwrap();
    let mut times = vec![0_u32; MESSAGES as usize];
    for number in handled.chunks_exact(8) {
        times[u64::from_le_bytes(number.try_into().unwrap()) as usize] += 1;
    }
    let repeated = times.iter().filter(|times| **times > 1).count();
    println!("{MESSAGES} messages; {repeated} came again after the kill; at most {} MiB of memory", most >> 20);
    assert_eq!(times.iter().filter(|times| **times == 0).count(), 0, "some never came");
    assert!(most < MEMORY, "{most} bytes of memory");
}
