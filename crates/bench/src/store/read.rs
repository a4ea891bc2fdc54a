//! Sequential read of everything, checksums verified: events borrowed from batches, and owned copies.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use mainspring::{
    Store,
    store::{Query, Read},
};

use super::{Source, append::fill};
use crate::{
    Settings,
    paired::Slices,
    table::{Bar, Row, Table},
};

/// How many events are read.
const EVENTS: usize = 1_000_000;

/// How often they are read.
const ROUNDS: usize = 5;

pub(super) async fn run(settings: &Settings, table: &Table, directory: &Path) -> anyhow::Result<()> {
    let rows = [
        ("read everything, borrowed", false, Bar::AtLeast(15e6)),
        ("read everything, owned", true, Bar::AtLeast(10e6)),
    ];
    if !rows.iter().any(|(name, ..)| settings.wants(name)) {
        return Ok(());
    }
    let store = super::open(directory, "read")?;
    fill(&store, &mut Source::new("order", 0)?, EVENTS).await?;
    for (name, owned, bar) in rows.into_iter().filter(|(name, ..)| settings.wants(name)) {
        let mut slices = Slices::default();
        for round in 0..=ROUNDS {
            let begun = Instant::now();
            let bytes = read_all(&store, owned).await?;
            let ours = EVENTS as f64 / begun.elapsed().as_secs_f64();
            std::hint::black_box(bytes);
            let raw = EVENTS as f64 / checksum_files(&directory.join("read"))?.as_secs_f64();
            // The first round brings everything into memory.
            if round > 0 {
                slices.pair(ours, raw);
            }
        }
        let (ours, ratio) = (slices.ours(), Some(slices.ratio()));
        table.print(&Row {
            name: name.to_owned(),
            ours,
            raw: Some(slices.raw()),
            ratio,
            unit: "events/s",
            p50_us: None,
            p99_us: None,
            bar: bar.describe(),
            met: bar.is_met(ours, ratio),
        })?;
    }
    Ok(())
}

/// Reads all events; answers how many bytes their payloads have.
async fn read_all(store: &Store, owned: bool) -> anyhow::Result<usize> {
    let mut batches = store.read(Read::new(Query::All));
    let (mut events, mut bytes) = (0, 0);
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        for event in batch.iter() {
            events += 1;
            bytes += if owned {
                let copy = (event.id, event.position, event.version, event.payload.to_vec());
                std::hint::black_box(&copy).3.len()
            } else {
                std::hint::black_box(&event).payload.len()
            };
        }
    }
    anyhow::ensure!(events == EVENTS, "{events} events were read instead of {EVENTS}");
    Ok(bytes)
}

/// The raw limit: the files of the log from memory, each byte checksummed once.
fn checksum_files(directory: &Path) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "log") {
            let bytes = fs::read(path)?;
            std::hint::black_box(crc32c::crc32c(&bytes));
        }
    }
    Ok(begun.elapsed())
}
