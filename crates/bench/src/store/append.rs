//! Durable append: one client or many, single events or batches, with and without conditions.

use std::{
    collections::{HashMap, VecDeque},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::future::try_join_all;
use mainspring::{
    Store,
    event::{StreamName, Version},
    store::{Append, Expected},
};

use super::{Source, raw::RawLog};
use crate::{
    Settings,
    paired::{self, SLICE, Slices},
    table::{Bar, Row, Table},
};

/// One way of appending.
struct Shape {
    name: &'static str,
    clients: usize,
    batch: usize,
    /// Whether each event expects the version its stream is at.
    expected: bool,
    /// Events in one write of the raw limit.
    raw_batch: usize,
    bar: Bar,
}

const fn shape(name: &'static str, clients: usize, batch: usize, raw_batch: usize, bar: Bar) -> Shape {
    Shape { name, clients, batch, expected: false, raw_batch, bar }
}

const SHAPES: [Shape; 9] = [
    shape("append, 1 client, 1 event", 1, 1, 1, Bar::Ratio(0.9)),
    Shape { expected: true, ..shape("append, 1 client, 1 event, expected version", 1, 1, 1, Bar::None) },
    shape("append, 1 client, 64 events", 1, 64, 64, Bar::None),
    shape("append, 1 client, 1000 events", 1, 1000, 1000, Bar::Ratio(0.4)),
    Shape { expected: true, ..shape("append, 1 client, 1000 events, expected version", 1, 1000, 1000, Bar::None) },
    shape("append, 8 clients, 1000 events", 8, 1000, 1000, Bar::Ratio(0.7)),
    shape("append, 64 clients, 1 event", 64, 1, 64, Bar::Ratio(0.5)),
    shape("append, 256 clients, 1 event", 256, 1, 64, Bar::Ratio(1.2)),
    shape("append, 1024 clients, 1 event", 1024, 1, 64, Bar::Ratio(2.5)),
];

pub(super) async fn run(settings: &Settings, table: &Table, directory: &Path) -> anyhow::Result<()> {
    for (number, shape) in SHAPES.iter().enumerate().filter(|(_, shape)| settings.wants(shape.name)) {
        let store = super::open(directory, &format!("append-{number}"))?;
        let row = measure(settings, shape, &store, directory).await?;
        table.print(&row)?;
        drop(store);
        std::fs::remove_dir_all(directory.join(format!("append-{number}")))?;
    }
    Ok(())
}

async fn measure(settings: &Settings, shape: &Shape, store: &Store, directory: &Path) -> anyhow::Result<Row> {
    let mut raw = RawLog::create(directory, shape.raw_batch)?;
    let mut clients: Vec<Client> =
        (0..shape.clients).map(|number| Client::new(number, shape)).collect::<Result<_, _>>()?;
    let mut slices = Slices::default();
    let pairs = (settings.seconds / (2.0 * SLICE.as_secs_f64())).ceil().max(3.0);
    // The first pairs warm both sides up.
    let mut done = -3.0;
    while done < pairs {
        clients.iter_mut().try_for_each(Client::prepare)?;
        let begun = Instant::now();
        let until = begun + SLICE;
        let running = clients.drain(..).map(|client| {
            let store = store.clone();
            tokio::spawn(async move { client.append_until(&store, until).await })
        });
        let mut events = 0;
        let mut latencies = Vec::new();
        for finished in try_join_all(running.collect::<Vec<_>>()).await? {
            let (client, taken) = finished?;
            events += taken.len() * shape.batch;
            latencies.extend(taken);
            clients.push(client);
        }
        // One client makes its events between appends, as a service does, and only the appends count; many clients have
        // theirs made before the slice.
        let spent = if shape.clients == 1 { latencies.iter().sum() } else { begun.elapsed() };
        let ours = events as f64 / spent.as_secs_f64();
        let limit = paired::rate(|| raw.append().map(|()| shape.raw_batch))?;
        if done >= 0.0 {
            slices.pair(ours, limit);
            slices.latencies(latencies);
        }
        done += 1.0;
    }
    let (ours, ratio) = (slices.ours(), Some(slices.ratio()));
    Ok(Row {
        name: shape.name.to_owned(),
        ours,
        raw: Some(slices.raw()),
        ratio,
        unit: "events/s",
        p50_us: slices.percentile(0.5),
        p99_us: slices.percentile(0.99),
        bar: shape.bar.describe(),
        met: shape.bar.is_met(ours, ratio),
    })
}

struct Client {
    source: Source,
    batch: usize,
    /// Where each stream stands, if versions are expected.
    versions: Option<HashMap<StreamName, u64>>,
    /// Made before a slice, so that making events is not measured.
    prepared: VecDeque<Append>,
    /// How many to make; with none, each is made when its turn comes.
    wanted: usize,
}

impl Client {
    fn new(number: usize, shape: &Shape) -> anyhow::Result<Self> {
        // Clients that expect versions have streams of their own.
        let source = Source::new(&format!("order{}", if shape.expected { number } else { 0 }), number)?;
        let versions = shape.expected.then(HashMap::new);
        let wanted = if shape.clients == 1 { 0 } else { 64 };
        Ok(Self { source, batch: shape.batch, versions, prepared: VecDeque::new(), wanted })
    }

    fn prepare(&mut self) -> anyhow::Result<()> {
        while self.prepared.len() < self.wanted {
            let next = self.next()?;
            self.prepared.push_back(next);
        }
        Ok(())
    }

    /// Appends what was prepared until the slice ends, or nothing is left.
    async fn append_until(mut self, store: &Store, until: Instant) -> anyhow::Result<(Self, Vec<Duration>)> {
        let mut latencies = Vec::new();
        while Instant::now() < until {
            let append = match self.prepared.pop_front() {
                Some(append) => append,
                None if self.wanted == 0 => self.next()?,
                None => break,
            };
            let begun = Instant::now();
            store.append(append).await?;
            latencies.push(begun.elapsed());
        }
        if self.wanted > 0 {
            self.wanted = self.wanted.max(latencies.len() * 3 / 2);
        }
        Ok((self, latencies))
    }

    fn next(&mut self) -> anyhow::Result<Append> {
        let mut append = Append::new(self.source.events(self.batch)?);
        if let Some(versions) = &mut self.versions {
            for event in append.events.clone() {
                let version = versions.entry(event.stream.clone()).or_default();
                append = append.expect(event.stream, Expected::Exactly(Version(*version)));
                *version += 1;
            }
        }
        Ok(append)
    }
}

/// Appends `count` events in batches; what the read rows read.
pub(super) async fn fill(store: &Store, source: &mut Source, count: usize) -> anyhow::Result<()> {
    let store: Arc<Store> = Arc::new(store.clone());
    for start in (0..count).step_by(1000) {
        store.append(Append::new(source.events(1000.min(count - start))?)).await?;
    }
    Ok(())
}
