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
        loop {
            match race(settings, directory, shape, &mut drivers).await? {
                Ok(race) => break print(table, shape, race, &drivers)?,
                // A peer that fails is said and left out, and the others begin again.
                Err(Failed { peer, why }) => {
                    let driver = drivers.remove(peer);
                    table.print(not_run(&driver.about.name, &format!("failed at {}: {why}", shape.name)))?;
                }
            }
        }
    }
    count_syncs(table, directory, &mut drivers).await
}

fn not_run(name: &str, why: &str) -> Row {
    let mut row = Row::new("not run", f64::NAN, "").note(why);
    name.clone_into(&mut row.of);
    row
}

/// A peer that could not go on.
struct Failed {
    peer: usize,
    why: String,
}

/// The sides of a round in their order; the peers follow.
const SIDES: [&str; 3] = [OURS, "Mainspring, expected versions", "raw pwrite + fdatasync"];

/// What the rounds of a shape came to.
struct Race {
    rounds: Rounds,
    /// How long appends took, of each side.
    latencies: Vec<Vec<Duration>>,
}

/// Runs every side in turn until there were enough rounds, or a peer fails.
async fn race(
    settings: &Settings,
    directory: &Path,
    shape: &Shape,
    drivers: &mut [Driver],
) -> anyhow::Result<Result<Race, Failed>> {
    let directory = tempfile::tempdir_in(directory)?;
    let stores = [super::open(directory.path(), "plain")?, super::open(directory.path(), "versions")?];
    let mut plain = Clients::new(shape.clients, shape.batch, Condition::None, false)?;
    let mut versions = Clients::new(shape.clients, shape.batch, Condition::Versions, false)?;
    let mut raw = RawLog::create(directory.path(), shape.raw_batch)?;
    let mut rounds = Rounds::new(settings.rounds());
    let mut latencies = vec![Vec::new(); SIDES.len() + drivers.len()];
    while rounds.begin() {
        let (ours, taken) = plain.slice(&stores[0]).await?;
        let (checked, taken_when_checked) = versions.slice(&stores[1]).await?;
        let limit = paired::rate(|| raw.append().map(|()| shape.raw_batch))?;
        let mut figures = vec![ours, checked, limit];
        latencies[0].extend_from_slice(&taken);
        latencies[1].extend(taken_when_checked);
        for (peer, driver) in drivers.iter_mut().enumerate() {
            let outcome = match driver.slice(shape.clients, shape.batch) {
                Ok(outcome) => outcome,
                Err(error) => return Ok(Err(Failed { peer, why: format!("{error:#}") })),
            };
            figures.push(outcome.rate);
            latencies[SIDES.len() + peer].extend(outcome.latencies);
        }
        rounds.end(&figures, taken);
    }
    Ok(Ok(Race { rounds, latencies }))
}

/// Ours beside the best peer, then every other side beside ours.
fn print(table: &mut Table, shape: &Shape, race: Race, drivers: &[Driver]) -> anyhow::Result<()> {
    let Race { rounds, mut latencies } = race;
    let names: Vec<&str> = SIDES.into_iter().chain(drivers.iter().map(|driver| driver.about.name.as_str())).collect();
    let figures: Vec<f64> = (0..names.len()).map(|side| rounds.figure(side)).collect();
    let ratios: Vec<f64> = (0..names.len()).map(|side| rounds.ratio(side)).collect();
    let best = (SIDES.len()..names.len()).min_by(|a, b| ratios[*a].total_cmp(&ratios[*b]));
    let ours = Row::of_rounds(shape.name, "events/s", rounds);
    table.print(match best {
        Some(best) => ours
            .beside("best peer", figures[best], ratios[best])
            .bar(shape.bar)
            .note(&format!("the best peer was {}", names[best])),
        None => ours,
    })?;
    for side in 1..names.len() {
        let mut row = Row::new(shape.name, figures[side], "events/s");
        names[side].clone_into(&mut row.of);
        table.print(row.beside(OURS, figures[0], 1.0 / ratios[side]).latencies(&mut latencies[side]))?;
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
    let store = super::open(directory, "syncs")?;
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
