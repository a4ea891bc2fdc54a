//! Loading an aggregate of 10,000 events: read, decoded and folded, with and without a snapshot.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use mainspring::{
    Decider, Event, Repository, Snapshot, Snapshots, Store,
    event::{EventId, NewEvent, StreamName},
    store::Append,
};
use serde::{Deserialize, Serialize};

use super::{Source, fill, raw};
use crate::{
    Settings, cache,
    paired::{Rounds, SLICE, median},
    table::{Bar, Row, Table},
};

/// How many events the aggregate has.
const EVENTS: u64 = 10_000;

/// How many events of others lie between them.
const OTHERS: usize = 990_000;

/// Rounds of loads from memory; each repeats them for a slice, because shorter ones cannot tell what others did meanwhile.
const ROUNDS: usize = 8;

/// How often it is loaded after the system has forgotten the files.
const COLD_LOADS: usize = 8;

#[derive(Clone, Serialize, Deserialize, Event)]
enum CounterEvent {
    Counted { amount: u64, note: String },
}

#[derive(Default, Serialize, Deserialize)]
struct Counter {
    sum: u64,
    notes: u64,
}

impl Decider for Counter {
    const CATEGORY: &'static str = "counter";
    type Id = u64;
    type Command = u64;
    type Event = CounterEvent;
    type Error = std::convert::Infallible;

    fn evolve(&mut self, event: &CounterEvent) {
        let CounterEvent::Counted { amount, note } = event;
        self.sum += amount;
        self.notes += note.len() as u64;
    }

    fn decide(&self, amount: u64) -> Result<Vec<CounterEvent>, Self::Error> {
        Ok(vec![counted(amount)])
    }
}

impl Snapshot for Counter {
    const VERSION: u32 = 1;
}

fn counted(amount: u64) -> CounterEvent {
    // With the names around it the payload has 256 bytes.
    CounterEvent::Counted { amount, note: "x".repeat(226) }
}

const NAMES: [&str; 3] =
    ["load 10,000 events, decoded and folded", "load 10,000 events with a snapshot", "load 10,000 events, cold"];

pub(super) async fn run(settings: &Settings, table: &mut Table, directory: &Path) -> anyhow::Result<()> {
    if !NAMES.iter().any(|name| settings.wants(name)) {
        return Ok(());
    }
    let others = settings.scaled(OTHERS);
    table.section(
        "Loading an aggregate",
        format!(
            "10,000 events of one stream among {others} others, decoded from JSON and folded; the raw limit is decoding and \
             folding the payloads from memory; cold: the store is opened after the system has forgotten its files \
             (posix_fadvise, opening not counted), and the raw limit is as many scattered reads of a record's length, \
             after the same"
        ),
    );
    let store = super::open(directory, "aggregate")?;
    let payloads = prepare(&store, others).await?;
    let plain = Repository::<Counter>::new(&store);
    if settings.wants(NAMES[0]) {
        table.print(measure(NAMES[0], &plain, &payloads, Bar::AtMost(5.0)).await?)?;
    }
    let snapshots = Repository::<Counter>::new(&store).with_snapshots(Snapshots::Every(1_000));
    snapshots.handle(&1, 1).await?;
    if settings.wants(NAMES[1]) {
        table.print(measure(NAMES[1], &snapshots, &[], Bar::AtMost(0.1)).await?)?;
    }
    drop((plain, snapshots, store));
    if settings.wants(NAMES[2]) {
        table.print(measure_cold(NAMES[2], directory).await?)?;
    }
    Ok(std::fs::remove_dir_all(directory.join("aggregate"))?)
}

/// Writes the aggregate, its events among those of others; answers their payloads.
async fn prepare(store: &Store, others: usize) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut source = Source::new("order", 0, 1)?;
    let stream = StreamName::of(Counter::CATEGORY, 1)?;
    let mut payloads = Vec::new();
    let parts = 100;
    for part in 0..parts {
        let mut events = Vec::new();
        for number in 0..EVENTS / parts {
            let payload = counted(part * EVENTS / parts + number).encode()?.bytes;
            payloads.push(payload.to_vec());
            let mut event = NewEvent::json(stream.clone(), "Counted".parse()?, payload);
            event.id = EventId::new();
            events.push(event);
        }
        store.append(Append::new(events)).await?;
        fill(store, &mut source, others / 100).await?;
    }
    Ok(payloads)
}

/// The raw limit is decoding and folding the payloads from memory.
async fn measure(name: &str, repository: &Repository<Counter>, payloads: &[Vec<u8>], bar: Bar) -> anyhow::Result<Row> {
    let mut rounds = Rounds::new(ROUNDS);
    while rounds.begin() {
        let begun = Instant::now();
        let (mut ours, mut raw) = (Vec::new(), Vec::new());
        while begun.elapsed() < SLICE {
            ours.push(load(repository).await?);
            raw.push(milliseconds(decode(payloads)?));
        }
        rounds.end(&[median(ours.iter().copied().map(milliseconds).collect()), median(raw)], ours);
    }
    let mut row = Row::of_rounds(name, "ms", rounds);
    if payloads.is_empty() {
        (row.beside, row.ratio) = (None, None);
    }
    Ok(row.bar(bar))
}

/// The raw limit is as many scattered reads of the log.
async fn measure_cold(name: &str, directory: &Path) -> anyhow::Result<Row> {
    let files = directory.join("aggregate");
    let mut rounds = Rounds::new(COLD_LOADS);
    while rounds.begin() {
        cache::drop_pages(&files)?;
        let store = super::open(directory, "aggregate")?;
        let ours = load(&Repository::<Counter>::new(&store)).await?;
        drop(store);
        cache::drop_pages(&files)?;
        let begun = Instant::now();
        std::hint::black_box(raw::read_scattered(&files, usize::try_from(EVENTS)?)?);
        rounds.end(&[milliseconds(ours), milliseconds(begun.elapsed())], [ours]);
    }
    Ok(Row::of_rounds(name, "ms", rounds))
}

async fn load(repository: &Repository<Counter>) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let state = repository.load(&1).await?;
    let taken = begun.elapsed();
    anyhow::ensure!(std::hint::black_box(state).sum >= EVENTS * (EVENTS - 1) / 2, "the state lacks events");
    Ok(taken)
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

fn decode(payloads: &[Vec<u8>]) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let mut state = Counter::default();
    for payload in payloads {
        state.evolve(&CounterEvent::decode("Counted", 1, "application/json", payload)?);
    }
    std::hint::black_box(state.sum);
    Ok(begun.elapsed())
}
