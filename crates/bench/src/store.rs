//! The embedded event store: durable append, with conditions too, reading, loading an aggregate, opening after a crash,
//! memory and size.

mod aggregate;
mod append;
mod clients;
mod conditional;
mod contended;
mod large;
mod peers;
mod raw;
mod read;
mod select;
mod source;
mod sustained;

use std::fs;

use futures_util::StreamExt;
use mainspring::{
    Store,
    disk::DiskStore,
    store::{Append, Read},
};

use self::source::{PAYLOAD, STREAMS};
pub(crate) use self::{raw::RawLog, source::Source};
use crate::{Settings, machine, paired::SLICE, table::Table};

pub(crate) async fn run(settings: &Settings, table: &mut Table) -> anyhow::Result<()> {
    fs::create_dir_all(&settings.directory)?;
    let directory = tempfile::Builder::new().prefix("store-").tempdir_in(&settings.directory)?;
    table.head(format!("Machine: {}.", machine::describe(directory.path())));
    table.head(format!(
        "Payloads of {PAYLOAD} bytes, {STREAMS} streams, two tags an event, ids checked. Every append is synced before it \
         is answered. What is compared ran in alternating slices of {} ms.",
        SLICE.as_millis()
    ));
    if settings.quick {
        table.head("This was a quick run with a twentieth of the events: its figures mean little.".to_owned());
    }
    let directory = directory.path();
    if settings.peers {
        return peers::run(settings, table, directory).await;
    }
    append::run(settings, table, directory).await?;
    sustained::run(settings, table, directory).await?;
    conditional::run(settings, table, directory).await?;
    contended::run(settings, table, directory).await?;
    read::run(settings, table, directory).await?;
    select::run(settings, table, directory).await?;
    aggregate::run(settings, table, directory).await?;
    large::run(settings, table, directory)
}

/// Appends `count` events in batches of 1000.
pub(crate) async fn fill(store: &Store, source: &mut Source, count: usize) -> anyhow::Result<()> {
    for start in (0..count).step_by(1000) {
        store.append(Append::new(source.events(1000.min(count - start))?)).await?;
    }
    Ok(())
}

/// Reads to the end; answers how many events there were.
pub(crate) async fn read_through(store: &Store, read: Read) -> anyhow::Result<usize> {
    let mut batches = store.read(read);
    let mut events = 0;
    while let Some(batch) = batches.next().await {
        for event in batch?.iter() {
            std::hint::black_box(event.payload.len());
            events += 1;
        }
    }
    Ok(events)
}

fn open(directory: &std::path::Path, name: &str) -> anyhow::Result<Store> {
    Ok(Store::new(DiskStore::open(directory.join(name))?))
}
