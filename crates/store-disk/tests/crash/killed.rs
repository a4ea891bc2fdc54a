//! A writing process is killed over a hundred times on one growing directory: whatever it acknowledged is there.

use std::{
    collections::HashMap,
    ffi::OsString,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use mainspring_conformance::Seed;
use mainspring_event::{EventId, NewEvent, Position, StoredEvent};
use mainspring_store::{Append, EventStore, Query, Read, ReadFrom};
use mainspring_store_disk::{DiskStore, verify};
use tokio::{runtime::Runtime, task::JoinSet};

use crate::{
    kit::{event, events},
    processes::{heard, open, other_process, say, spawn},
};

const ROUNDS: u64 = 110;

/// Everything is read again once in so many rounds, and what is new in each.
const WHOLE: u64 = 10;

/// Appends from several tasks, and says so each time.
fn run_until_killed(directory: &OsString) {
    let store = open(directory).unwrap();
    say("opened");
    Runtime::new().unwrap().block_on(async {
        let mut tasks = JoinSet::new();
        for task in 0..4 {
            let store = store.clone();
            tasks.spawn(async move {
                let mut seed = Seed::new(u64::from(std::process::id()) * 10 + task);
                loop {
                    let events = (0..seed.within(1..=4)).map(|_| {
                        let payload = seed.index(300);
                        NewEvent { id: EventId::new(), ..event(&mut seed, &format!("a-{task}"), payload) }
                    });
                    let append = Append::new(events.collect::<Vec<_>>());
                    let appended = store.append(append.clone()).await.unwrap();
                    let acknowledged = append.events.iter().zip(&appended.written);
                    let lines = acknowledged.map(|(event, at)| {
                        format!("{} {} {:08x}", event.id, at.position, crc32c::crc32c(&event.payload))
                    });
                    say(&lines.collect::<Vec<_>>().join(" "));
                }
            });
        }
        tasks.join_next().await.unwrap().unwrap();
    });
}

/// What was acknowledged, by position: the id and the checksum of the payload.
type Acknowledged = HashMap<u64, (EventId, u32)>;

fn note(line: &str, acknowledged: &mut Acknowledged) {
    let words: Vec<&str> = line.split(' ').collect();
    for event in words.chunks_exact(3) {
        let checksum = u32::from_str_radix(event[2], 16).unwrap();
        acknowledged.insert(event[1].parse().unwrap(), (event[0].parse().unwrap(), checksum));
    }
}

/// Lets another process append for a random while and kills it; notes what it acknowledged. Answers whether it got so far
/// as to open the store.
fn round(directory: &std::path::Path, seed: &mut Seed, acknowledged: &mut Acknowledged) -> bool {
    let mut child = spawn("killed::whatever_was_acknowledged_survives_sigkill", directory);
    let output = heard(&mut child);
    let (said, hear) = mpsc::channel();
    let listener = thread::spawn(move || output.for_each(|line| said.send(line).expect("it is heard to the end")));
    let mut opened = false;
    let mut hear_one = |line: String| match line.as_str() {
        "opened" => opened = true,
        line => note(line, acknowledged),
    };
    // Some are killed while they open, most a while after.
    let mut end = Instant::now() + Duration::from_micros(seed.within(0..=20_000));
    let mut left = if seed.once_in(8) { 0 } else { seed.within(1..=60) };
    loop {
        match hear.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                hear_one(line);
                left = left.saturating_sub(1);
            }
            Err(RecvTimeoutError::Timeout) if left == 0 => break,
            Err(RecvTimeoutError::Timeout) => end = Instant::now() + Duration::from_micros(200),
            Err(RecvTimeoutError::Disconnected) => panic!("the other process has ended by itself"),
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    hear.iter().for_each(hear_one);
    listener.join().unwrap();
    opened
}

/// Looks for everything acknowledged above a position; answers the head.
async fn check(store: &DiskStore, after: u64, acknowledged: &Acknowledged) -> u64 {
    let found = events(store, Read::new(Query::All).from(ReadFrom::After(Position(after)))).await.unwrap();
    assert!(
        found.iter().map(|event| event.position.0).eq(after + 1..=after + found.len() as u64),
        "a gap or a repetition"
    );
    for StoredEvent { event, position, .. } in &found {
        if let Some(expected) = acknowledged.get(&position.0) {
            assert_eq!(&(event.id, crc32c::crc32c(&event.payload)), expected, "at {position} is something else");
        }
    }
    let head = after + found.len() as u64;
    let lost = acknowledged.keys().find(|position| **position > head);
    assert_eq!(lost, None, "an acknowledged event is gone; the head is {head}");
    head
}

#[test]
fn whatever_was_acknowledged_survives_sigkill() {
    if let Some(directory) = other_process() {
        return run_until_killed(&directory);
    }
    let directory = tempfile::tempdir().unwrap();
    let runtime = Runtime::new().unwrap();
    let (mut seed, mut acknowledged) = (Seed::new(1), Acknowledged::new());
    let (mut head, mut unopened) = (0, 0);
    for number in 0..ROUNDS {
        unopened += u64::from(!round(directory.path(), &mut seed, &mut acknowledged));
        let from = if number % WHOLE == 0 { 0 } else { head };
        // In every other round it is the next process that recovers, after somebody has looked.
        let store = if number % 2 == 0 { open(directory.path()) } else { DiskStore::open_read_only(directory.path()) };
        let store = store.unwrap_or_else(|error| panic!("after kill {number}: {error:?}"));
        head = runtime.block_on(check(&store, from, &acknowledged));
    }
    let store = open(directory.path()).unwrap();
    runtime.block_on(check(&store, 0, &acknowledged));
    drop(store);
    assert!(verify(directory.path()).unwrap().is_intact());
    println!(
        "{ROUNDS} kills, {unopened} of them while opening; {} events acknowledged, {head} there",
        acknowledged.len()
    );
    assert!(acknowledged.len() > 1_000 && directory.path().join("00000010.log").exists());
}
