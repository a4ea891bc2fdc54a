//! How long a single message takes from publishing it to its handler.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use mainspring_broker::Message;
use mainspring_messaging::{Publisher, Raw, State, Subscription, Subscriptions};
use tokio::sync::{mpsc, oneshot};

use super::{BODY, TOPIC};
use crate::{
    Settings,
    paired::{Rounds, SLICE, median, percentile},
    store::RawLog,
    table::{Bar, Row, Table},
};

const NAME: &str = "publish to handler, one message at a time";

/// What the bar allows beside the raw write, in microseconds.
const BESIDE_RAW: f64 = 100.0;

type Begun = mpsc::Sender<Instant>;

async fn begin(_: Raw, State(begun): State<Begun>) {
    let now = Instant::now();
    // The row may be over.
    let _ = begun.send(now).await;
}

pub(super) async fn run(settings: &Settings, table: &mut Table, directory: &Path) -> anyhow::Result<()> {
    if !settings.wants(NAME) {
        return Ok(());
    }
    table.section(
        "Latency",
        "from the call that publishes to the first line of the handler, the message being synced and counted as tried in \
         between; the next one is sent when this one is handled and confirmed; the raw limit is one pwrite and fdatasync of \
         as many bytes; figures are medians in microseconds, and the ratio is better when it is lower",
    );
    let broker = super::open(directory, "latency").await?;
    let (begun, mut beginnings) = mpsc::channel(8);
    let on = Subscription::new(TOPIC, "billing");
    let (_, runner) = Subscriptions::new(begun).on(on, begin).prepare(broker.clone()).await?;
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(runner.run(async move { drop(stopped.await) }));
    let publisher = Publisher::new(Arc::clone(&broker) as Arc<dyn mainspring_broker::Broker>);
    let mut raw = RawLog::create(directory, 1)?;
    let (mut rounds, mut limits) = (Rounds::new(settings.rounds()), Vec::new());
    while rounds.begin() {
        let mut ours = messages(&publisher, &mut beginnings).await?;
        let mut limit = writes(&mut raw)?;
        limits.push(percentile(&mut limit, 0.99).unwrap_or(f64::NAN));
        let middle = |durations: &mut [Duration]| percentile(durations, 0.5).unwrap_or(f64::NAN);
        rounds.end(&[middle(&mut ours), middle(&mut limit)], ours);
    }
    let row = Row::of_rounds(NAME, "µs", rounds);
    let most = row.beside.unwrap_or(f64::NAN) + BESIDE_RAW;
    let note = format!(
        "the bar is the raw write and {BESIDE_RAW} µs; p99 of the raw write was {} µs",
        crate::table::figure(median(limits))
    );
    table.print(row.bar(Bar::AtMost(most)).note(&note))?;
    drop(stop);
    running.await??;
    Ok(std::fs::remove_dir_all(directory.join("latency"))?)
}

async fn messages(publisher: &Publisher, beginnings: &mut mpsc::Receiver<Instant>) -> anyhow::Result<Vec<Duration>> {
    let (slice, mut taken) = (Instant::now(), Vec::new());
    while slice.elapsed() < SLICE {
        let message = Message::new(TOPIC.parse()?, vec![0x5a; BODY]);
        let begun = Instant::now();
        let (sent, handled) = tokio::join!(publisher.send(message), beginnings.recv());
        sent?;
        taken.push(handled.context("the subscription has ended")? - begun);
    }
    Ok(taken)
}

fn writes(raw: &mut RawLog) -> anyhow::Result<Vec<Duration>> {
    let (slice, mut taken) = (Instant::now(), Vec::new());
    while slice.elapsed() < SLICE {
        let begun = Instant::now();
        raw.append()?;
        taken.push(begun.elapsed());
    }
    Ok(taken)
}
