//! Append that goes on over roll-overs: full segments are closed, indexed and the next ones filled with zeros meanwhile.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::try_join_all;
use mainspring::{Store, store::Append};

use super::{
    raw::RawLog,
    source::{Repeated, Source},
};
use crate::{
    Settings,
    machine::Meter,
    paired::{self, DISTURBED, median},
    table::{Bar, Row, Table},
};

const CLIENTS: usize = 8;

const BATCH: usize = 1000;

/// How many events are made and appended without a pause.
const EVENTS: usize = 6_000_000;

/// Slices of the raw limit before and after.
const RAW_SLICES: usize = 5;

const NAME: &str = "sustained append, 8 clients, 1000 events";

pub(super) async fn run(settings: &Settings, table: &mut Table, directory: &Path) -> anyhow::Result<()> {
    if !settings.wants(NAME) {
        return Ok(());
    }
    table.section(
        "Sustained append",
        "without a pause, so that nothing in the background gets time that is not counted; the raw limit is measured in \
         slices before and after",
    );
    let share = settings.scaled(EVENTS) / (CLIENTS * BATCH);
    let mut raw = RawLog::create(directory, BATCH)?;
    let mut limits = Vec::new();
    let mut measure_raw = || -> anyhow::Result<()> {
        for _ in 0..RAW_SLICES {
            limits.push(paired::rate(|| raw.append().map(|()| BATCH))?);
        }
        Ok(())
    };
    let source = |number| Source::new("order", number, CLIENTS).and_then(Source::repeated);
    let sources = (0..CLIENTS).map(source).collect::<Result<Vec<_>, _>>()?;
    measure_raw()?;
    let store = super::open(directory, "sustained")?;
    let meter = Meter::start();
    let (seconds, mut latencies, slowest) = append_all(&store, sources, share).await?;
    let foreign = meter.foreign();
    drop(store);
    measure_raw()?;
    std::fs::remove_dir_all(directory.join("sustained"))?;

    let (events, limit) = (share * CLIENTS * BATCH, median(limits));
    let rate = events as f64 / seconds;
    let mut row = Row::new(NAME, rate, "events/s").beside("raw", limit, rate / limit).latencies(&mut latencies);
    row.disturbed = foreign >= DISTURBED;
    let note = format!(
        "{} million events in {seconds:.1} s; the slowest tenth of a second had {} events/s; others used {foreign:.2} processors",
        events as f64 / 1e6,
        crate::table::figure(slowest),
    );
    table.print(row.bar(Bar::Ratio(0.35)).note(&note))
}

/// Answers how long it took, how long each append took, and the lowest rate of a tenth of a second.
async fn append_all(store: &Store, sources: Vec<Repeated>, share: usize) -> anyhow::Result<(f64, Vec<Duration>, f64)> {
    const PART: Duration = Duration::from_millis(100);
    let done = Arc::new(AtomicUsize::new(0));
    let begun = Instant::now();
    let running = sources.into_iter().map(|mut source| {
        let (store, done) = (store.clone(), Arc::clone(&done));
        tokio::spawn(async move {
            let mut latencies = Vec::with_capacity(share);
            for _ in 0..share {
                let append = Append::new((0..BATCH).map(|_| source.event().0));
                let begun = Instant::now();
                store.append(append).await?;
                latencies.push(begun.elapsed());
                done.fetch_add(BATCH, Ordering::Relaxed);
            }
            anyhow::Ok(latencies)
        })
    });
    let running: Vec<_> = running.collect();
    let watch = async {
        let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + PART, PART);
        let (mut last, mut at, mut slowest) = (0, Instant::now(), f64::INFINITY);
        loop {
            ticks.tick().await;
            let now = done.load(Ordering::Relaxed);
            slowest = slowest.min((now - last) as f64 / at.elapsed().as_secs_f64());
            (last, at) = (now, Instant::now());
            if running.iter().any(tokio::task::JoinHandle::is_finished) {
                return slowest;
            }
        }
    };
    let slowest = watch.await;
    let mut latencies = Vec::new();
    for finished in try_join_all(running).await? {
        latencies.extend(finished?);
    }
    Ok((begun.elapsed().as_secs_f64(), latencies, slowest))
}
