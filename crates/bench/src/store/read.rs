//! Sequential read of everything, checksums verified: events borrowed from batches, and owned copies.

use std::{
    fs::{self, File},
    io::Read as _,
    path::Path,
    time::{Duration, Instant},
};

use futures_util::StreamExt;
use mainspring::{
    Store,
    store::{Query, Read},
};

use super::{Source, fill};
use crate::{
    Settings,
    paired::Rounds,
    table::{Bar, Row, Table},
};

/// How many events are read.
const EVENTS: usize = 1_000_000;

/// How often they are read.
const ROUNDS: usize = 5;

pub(super) async fn run(settings: &Settings, table: &mut Table, directory: &Path) -> anyhow::Result<()> {
    let rows = [
        ("read everything, borrowed", false, Bar::AtLeast(15e6)),
        ("read everything, owned", true, Bar::AtLeast(10e6)),
    ];
    if !rows.iter().any(|(name, ..)| settings.wants(name)) {
        return Ok(());
    }
    let events = settings.scaled(EVENTS);
    table.section(
        "Sequential read",
        "one task, from the page cache, every checksum verified; the raw limit reads the log from the page cache and \
         checksums each byte once",
    );
    let store = super::open(directory, "read")?;
    fill(&store, &mut Source::new("order", 0, 1)?, events).await?;
    for (name, owned, bar) in rows.into_iter().filter(|(name, ..)| settings.wants(name)) {
        // The first rounds bring everything into memory.
        let mut rounds = Rounds::new(ROUNDS);
        let mut memory = Vec::new();
        while rounds.begin() {
            let begun = Instant::now();
            let bytes = read_all(&store, owned, events).await?;
            let ours = events as f64 / begun.elapsed().as_secs_f64();
            std::hint::black_box(bytes);
            let raw = events as f64 / checksum_files(&directory.join("read"), &mut memory)?.as_secs_f64();
            rounds.end(&[ours, raw], []);
        }
        table.print(Row::of_rounds(name, "events/s", rounds).bar(bar))?;
    }
    drop(store);
    Ok(fs::remove_dir_all(directory.join("read"))?)
}

/// Reads all events; answers how many bytes their payloads have.
async fn read_all(store: &Store, owned: bool, expected: usize) -> anyhow::Result<usize> {
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
    anyhow::ensure!(events == expected, "{events} events were read instead of {expected}");
    Ok(bytes)
}

/// The raw limit: the files of the log from the page cache into `memory`, each byte checksummed once.
fn checksum_files(directory: &Path, memory: &mut Vec<u8>) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    for path in super::raw::log_files(directory)? {
        memory.clear();
        File::open(path)?.read_to_end(memory)?;
        std::hint::black_box(crc32c::crc32c(memory));
    }
    Ok(begun.elapsed())
}
