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

use super::{Source, append::fill};
use crate::{
    Settings,
    paired::{Slices, percentile},
    table::{Bar, Row, Table},
};

/// How many events the aggregate has.
const EVENTS: u64 = 10_000;

/// How many events of others lie between them.
const OTHERS: usize = 90_000;

/// How often it is loaded.
const LOADS: usize = 200;

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

pub(super) async fn run(settings: &Settings, table: &Table, directory: &Path) -> anyhow::Result<()> {
    let names = ["load 10,000 events, decoded and folded", "load 10,000 events with a snapshot"];
    if !names.iter().any(|name| settings.wants(name)) {
        return Ok(());
    }
    let store = super::open(directory, "aggregate")?;
    let payloads = prepare(&store).await?;
    let plain = Repository::<Counter>::new(&store);
    if settings.wants(names[0]) {
        table.print(&measure(names[0], &plain, &payloads, Bar::AtMost(5.0)).await?)?;
    }
    let snapshots = Repository::<Counter>::new(&store).with_snapshots(Snapshots::Every(1_000));
    snapshots.handle(&1, 1).await?;
    if settings.wants(names[1]) {
        table.print(&measure(names[1], &snapshots, &[], Bar::AtMost(0.1)).await?)?;
    }
    Ok(())
}

/// Writes the aggregate, its events among those of others; answers their payloads.
async fn prepare(store: &Store) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut others = Source::new("order", 0)?;
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
        fill(store, &mut others, OTHERS / 100).await?;
    }
    Ok(payloads)
}

/// The raw limit is decoding and folding the payloads from memory.
async fn measure(name: &str, repository: &Repository<Counter>, payloads: &[Vec<u8>], bar: Bar) -> anyhow::Result<Row> {
    let mut slices = Slices::default();
    let mut times = Vec::new();
    for load in 0..=LOADS {
        let begun = Instant::now();
        let state = repository.load(&1).await?;
        let ours = begun.elapsed();
        anyhow::ensure!(std::hint::black_box(state).sum >= EVENTS * (EVENTS - 1) / 2, "the state lacks events");
        let raw = decode(payloads)?;
        // The first load brings everything into memory.
        if load > 0 {
            slices.pair(ours.as_secs_f64() * 1e3, raw.as_secs_f64() * 1e3);
            times.push(ours);
        }
    }
    let ours = slices.ours();
    let raw = (!payloads.is_empty()).then(|| slices.raw());
    let ratio = raw.map(|raw| ours / raw);
    Ok(Row {
        name: name.to_owned(),
        ours,
        raw,
        ratio,
        unit: "ms",
        p50_us: percentile(&mut times, 0.5),
        p99_us: percentile(&mut times, 0.99),
        bar: bar.describe(),
        met: bar.is_met(ours, ratio),
    })
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
