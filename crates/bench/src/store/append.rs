//! Durable append without conditions: one client or many, single events or batches.

use std::path::Path;

use super::{
    clients::{Clients, Condition},
    raw::RawLog,
};
use crate::{
    Settings,
    paired::{self, Rounds},
    table::{Bar, Row, Table},
};

/// One way of appending.
struct Shape {
    name: &'static str,
    clients: usize,
    batch: usize,
    derived_ids: bool,
    /// Events in one write of the raw limit.
    raw_batch: usize,
    bar: Bar,
}

const fn shape(name: &'static str, clients: usize, batch: usize, raw_batch: usize, bar: Bar) -> Shape {
    Shape { name, clients, batch, derived_ids: false, raw_batch, bar }
}

const SHAPES: [Shape; 11] = [
    shape("append, 1 client, 1 event", 1, 1, 1, Bar::Ratio(0.9)),
    shape("append, 8 clients, 1 event", 8, 1, 8, Bar::None),
    shape("append, 1 client, 64 events", 1, 64, 64, Bar::None),
    shape("append, 8 clients, 64 events", 8, 64, 512, Bar::None),
    shape("append, 1 client, 1000 events", 1, 1000, 1000, Bar::Ratio(0.4)),
    shape("append, 8 clients, 1000 events", 8, 1000, 1000, Bar::Ratio(0.7)),
    shape("append, 64 clients, 1 event", 64, 1, 64, Bar::Ratio(0.5)),
    shape("append, 256 clients, 1 event", 256, 1, 64, Bar::Ratio(1.2)),
    shape("append, 1024 clients, 1 event", 1024, 1, 64, Bar::Ratio(2.5)),
    Shape { derived_ids: true, ..shape("append, 64 clients, 1 event, random ids", 64, 1, 64, Bar::None) },
    Shape { derived_ids: true, ..shape("append, 8 clients, 1000 events, random ids", 8, 1000, 1000, Bar::None) },
];

pub(super) async fn run(settings: &Settings, table: &mut Table, directory: &Path) -> anyhow::Result<()> {
    let wanted: Vec<&Shape> = SHAPES.iter().filter(|shape| settings.wants(shape.name)).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    table.section(
        "Durable append",
        "the raw limit is pwrite and fdatasync of as many bytes into a file filled before, in writes of as many events as \
         the batch, or as the clients up to 64 (8 × 64: 512); random ids are UUIDv5, which do not sort by time",
    );
    for shape in wanted {
        let store = super::open(directory, "append")?;
        let mut clients = Clients::new(shape.clients, shape.batch, Condition::None, shape.derived_ids)?;
        let mut raw = RawLog::create(directory, shape.raw_batch)?;
        let mut rounds = Rounds::new(settings.rounds());
        while rounds.begin() {
            let (ours, latencies) = clients.slice(&store).await?;
            let limit = paired::rate(|| raw.append().map(|()| shape.raw_batch))?;
            rounds.end(&[ours, limit], latencies);
        }
        table.print(Row::of_rounds(shape.name, "events/s", rounds).bar(shape.bar))?;
        drop(store);
        std::fs::remove_dir_all(directory.join("append"))?;
    }
    Ok(())
}
