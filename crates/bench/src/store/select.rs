//! Reading a part: of one stream, a category, a type, with a tag; all of it, and the next ten events from anywhere.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use mainspring::{
    Store,
    event::{Category, Position},
    store::{Query, Read, ReadFrom},
};

use super::{Source, fill, raw::RECORD, read_through};
use crate::{
    Settings,
    paired::Rounds,
    table::{Bar, Row, Table},
};

/// How many events the store holds: about a dozen segments.
const EVENTS: usize = 2_000_000;

/// How often each part is read.
const ROUNDS: usize = 5;

/// Parts of a stream or customer that are read for one round.
const KEYS: usize = 200;

/// Small reads of a round.
const SMALL: usize = 400;

/// How many events a small read asks for.
const FEW: u64 = 10;

/// What is read: which queries make one round.
struct Part {
    name: &'static str,
    queries: fn(&Source, usize) -> anyhow::Result<Vec<Query>>,
}

const PARTS: [Part; 5] = [
    Part {
        name: "read by stream, 200 events each",
        queries: |source, round| Ok((0..KEYS).map(|key| Query::stream(source.stream(key * 47 + round))).collect()),
    },
    Part {
        name: "read by tag, a customer of 2000 events each",
        queries: |_, round| (0..KEYS / 10).map(|key| Ok(Query::tags([Source::customer(key * 47 + round)?]))).collect(),
    },
    Part { name: "read by tag, a fifth of all", queries: |source, _| Ok(vec![Query::tags([source.region()])]) },
    Part { name: "read by type, an eighth of all", queries: |source, _| Ok(vec![Query::types([source.event_type()])]) },
    Part {
        name: "read by category, a tenth of all",
        queries: |_, _| Ok(vec![Query::category("order".parse::<Category>()?)]),
    },
];

pub(super) async fn run(settings: &Settings, table: &mut Table, directory: &Path) -> anyhow::Result<()> {
    let wanted: Vec<&Part> = PARTS.iter().filter(|part| settings.wants(part.name)).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let events = settings.scaled(EVENTS);
    table.section(
        "Selective read",
        format!(
            "a store of {events} events, from the page cache; the raw limit checksums as many records evenly spread over \
             as many bytes in memory; latencies are of reads of the next {FEW} matching events from a random position on"
        ),
    );
    let store = super::open(directory, "select")?;
    let mut source = Source::varied()?;
    fill(&store, &mut source, events).await?;
    let memory = vec![0x5a; events * RECORD];
    for part in wanted {
        let mut rounds = Rounds::new(ROUNDS);
        let mut round = 0;
        while rounds.begin() {
            round += 1;
            let queries = (part.queries)(&source, round)?;
            let begun = Instant::now();
            let mut found = 0;
            for query in &queries {
                found += read_through(&store, Read::new(query.clone())).await?;
            }
            let ours = found as f64 / begun.elapsed().as_secs_f64();
            let raw = found as f64 / checksum(&memory, found).as_secs_f64();
            rounds.end(&[ours, raw], small_reads(&store, &queries, events).await?);
        }
        table.print(Row::of_rounds(part.name, "events/s", rounds).bar(Bar::None))?;
    }
    drop(store);
    Ok(fs::remove_dir_all(directory.join("select"))?)
}

async fn small_reads(store: &Store, queries: &[Query], events: usize) -> anyhow::Result<Vec<Duration>> {
    let mut latencies = Vec::new();
    for number in 0..SMALL {
        // Far apart, and not so near the end that fewer are left.
        let position = Position((number * 7919 * 127 % (events / 2)) as u64);
        let read = Read::new(queries[number % queries.len()].clone()).from(ReadFrom::After(position)).limit(FEW);
        let begun = Instant::now();
        let found = read_through(store, read).await?;
        latencies.push(begun.elapsed());
        std::hint::black_box(found);
    }
    Ok(latencies)
}

/// Checksums so many records, evenly spread.
fn checksum(memory: &[u8], records: usize) -> Duration {
    let begun = Instant::now();
    let stride = (memory.len() / records.max(1)).max(RECORD);
    for record in memory.chunks(stride).take(records) {
        std::hint::black_box(crc32c::crc32c(&record[..RECORD.min(record.len())]));
    }
    begun.elapsed()
}
