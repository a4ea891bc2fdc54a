//! Mainspring beside other stores: the same events, clients and batches, each synced before it is acknowledged, slices in
//! turn in one run. Each peer is driven by a child process, built by `peers/install`; what is missing is said.

mod driver;
mod syncs;

use std::{fs, path::Path, time::Duration};

use self::driver::{Driver, Hello};
use super::{
    clients::{Clients, Condition},
    raw::RawLog,
};
use crate::{
    Settings,
    paired::{self, Rounds},
    table::{Bar, OURS, Row, Table},
};

/// The peers in the order of their rows, as their drivers are called.
const PEERS: [&str; 6] = ["sqlite", "tephra", "umadb", "redis", "nats", "kafka"];

struct Shape {
    name: &'static str,
    clients: usize,
    batch: usize,
    raw_batch: usize,
    /// How many times the best peer ours has to be.
    bar: Bar,
}

const SHAPES: [Shape; 3] = [
    Shape { name: "1 client, 1 event", clients: 1, batch: 1, raw_batch: 1, bar: Bar::None },
    Shape { name: "64 clients, 1 event", clients: 64, batch: 1, raw_batch: 64, bar: Bar::Ratio(3.0) },
    Shape { name: "1 client, 1000 events", clients: 1, batch: 1000, raw_batch: 1000, bar: Bar::Ratio(3.0) },
];

pub(super) async fn run(settings: &Settings, table: &mut Table, directory: &Path) -> anyhow::Result<()> {
    let wanted: Vec<&Shape> = SHAPES.iter().filter(|shape| settings.wants(shape.name)).collect();
    table.section(
        "Beside other stores",
        "durable append; beside is Mainspring in the same rounds, so that a ratio of 0.1 means a tenth of it",
    );
    let mut drivers = Vec::new();
    for name in PEERS {
        let files = directory.join(name);
        fs::create_dir_all(&files)?;
        match Driver::start(name, &files)? {
            Hello::Ready(driver) => drivers.push(driver),
            Hello::Missing(why) => table.print(not_run(name, &why))?,
        }
    }
    for shape in wanted {
        measure(settings, table, directory, shape, &mut drivers).await?;
    }
    count_syncs(table, directory, &mut drivers).await
}

fn not_run(name: &str, why: &str) -> Row {
    let mut row = Row::new("not run", f64::NAN, "").note(why);
    name.clone_into(&mut row.of);
    row
}

async fn measure(
    settings: &Settings,
    table: &mut Table,
    directory: &Path,
    shape: &Shape,
    drivers: &mut Vec<Driver>,
) -> anyhow::Result<()> {
    let stores = [super::open(directory, "ours")?, super::open(directory, "versions")?];
    let mut plain = Clients::new(shape.clients, shape.batch, Condition::None, false)?;
    let mut versions = Clients::new(shape.clients, shape.batch, Condition::Versions, false)?;
    let mut raw = RawLog::create(directory, shape.raw_batch)?;
    let mut rounds = Rounds::new(settings.rounds());
    let mut latencies: Vec<Vec<Duration>> = vec![Vec::new(); drivers.len() + 1];
    while rounds.begin() {
        let (ours, taken) = plain.slice(&stores[0]).await?;
        let (checked, taken_by_checked) = versions.slice(&stores[1]).await?;
        let limit = paired::rate(|| raw.append().map(|()| shape.raw_batch))?;
        let mut figures = vec![ours, checked, limit];
        latencies[0].extend(taken_by_checked);
        for (driver, latencies) in drivers.iter_mut().zip(&mut latencies[1..]) {
            let outcome = driver.slice(shape.clients, shape.batch)?;
            figures.push(outcome.rate);
            latencies.extend(outcome.latencies);
        }
        rounds.end(&figures, taken);
    }
    drop(stores);
    fs::remove_dir_all(directory.join("ours"))?;
    fs::remove_dir_all(directory.join("versions"))?;

    let figures: Vec<f64> = (0..drivers.len() + 3).map(|side| rounds.figure(side)).collect();
    let ratios: Vec<f64> = (0..drivers.len() + 3).map(|side| rounds.ratio(side)).collect();
    let best = (3..figures.len()).min_by(|a, b| ratios[*a].total_cmp(&ratios[*b]));
    let ours = Row::of_rounds(shape.name, "events/s", rounds);
    table.print(match best {
        Some(best) => {
            let note = format!("the best peer is {}", drivers[best - 3].about.name);
            ours.beside("the best peer", figures[best], ratios[best]).bar(shape.bar).note(&note)
        }
        None => ours,
    })?;
    let row = |of: &str, side: usize, latencies: &mut [Duration]| {
        let mut row = Row::new(shape.name, figures[side], "events/s");
        of.clone_into(&mut row.of);
        row.beside(OURS, figures[0], 1.0 / ratios[side]).latencies(latencies)
    };
    table.print(row("Mainspring, expected versions", 1, &mut latencies[0]))?;
    table.print(row("raw pwrite + fdatasync", 2, &mut []))?;
    for (number, driver) in drivers.iter().enumerate() {
        table.print(row(&driver.about.name, number + 3, &mut latencies[number + 1]))?;
    }
    Ok(())
}

/// How many times each store really syncs for an append that waits for it, as the system sees it.
async fn count_syncs(table: &mut Table, directory: &Path, drivers: &mut [Driver]) -> anyhow::Result<()> {
    table.section(
        "Syncs",
        "fsync, fdatasync and writes to files opened with O_DSYNC for each acknowledged append of 1 client and 1 event, \
         counted with strace in a slice that is not measured; less than one would mean acknowledged and not synced",
    );
    let store = super::open(directory, "ours")?;
    let mut clients = Clients::new(1, 1, Condition::None, false)?;
    let counter = syncs::Counter::start(&[std::process::id()])?;
    let appends = clients.slice(&store).await?.1.len();
    table.print(counted(OURS, counter.stop()?, appends).note("synced before it answers"))?;
    for driver in drivers {
        let counter = syncs::Counter::start(&driver.writers())?;
        let appends = driver.slice(1, 1)?.latencies.len();
        let about = &driver.about;
        let versions =
            if about.stream_versions { "enforces stream versions" } else { "n/a: does not enforce stream versions" };
        let note = format!("{}; {versions}; {}", about.durability, about.note);
        table.print(counted(&about.name, counter.stop()?, appends).note(&note))?;
    }
    Ok(())
}

fn counted(of: &str, syncs: Option<usize>, appends: usize) -> Row {
    let each = syncs.map_or(f64::NAN, |syncs| syncs as f64 / appends.max(1) as f64);
    let mut row = Row::new("syncs an append", each, "");
    of.clone_into(&mut row.of);
    if syncs.is_none() {
        return row.note("not counted: strace is not installed or may not attach");
    }
    row.bar(Bar::AtLeast(1.0))
}
