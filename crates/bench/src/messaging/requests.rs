//! A thousand callers that ask and wait for the answer.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use futures_util::future::try_join_all;
use mainspring::{Event, Failure};
use mainspring_broker::Order;
use mainspring_messaging::{Delivered, Publisher, Reply, Requester, Subscription, Subscriptions};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::{
    Settings,
    machine::Meter,
    paired::{DISTURBED, SLICE},
    table::{Row, Table},
};

const NAME: &str = "request and reply, 1000 callers";

const CALLERS: usize = 1_000;

#[derive(Serialize, Deserialize, Event)]
#[event(crate = mainspring::event)]
struct Asked {
    number: u64,
    text: String,
}

#[derive(Serialize, Deserialize, Event)]
#[event(crate = mainspring::event)]
struct Answered {
    number: u64,
}

async fn answer(asked: Delivered<Asked>) -> Result<Reply<Answered>, Failure> {
    Ok(Reply(Answered { number: asked.event.number }))
}

pub(super) async fn run(settings: &Settings, table: &mut Table, directory: &Path) -> anyhow::Result<()> {
    if !settings.wants(NAME) {
        return Ok(());
    }
    table.section(
        "Request and reply",
        "calls a second; each of 1,000 callers sends a request and waits for its answer before it sends the next; requests \
         and answers are JSON events of 256 bytes and of a few, both synced; 1,024 handlers",
    );
    let broker = super::open(directory, "requests").await?;
    let publisher = Publisher::new(broker.clone());
    let on = Subscription::new("questions", "answers").order(Order::Unordered).concurrency(1_024);
    let (_, runner) = Subscriptions::new(()).on(on, answer).prepare(broker).await?;
    let (requester, replies) = Requester::connect(&publisher, "bench").await?;
    let (stop, stopped) = watch::channel(false);
    let stopped = || {
        let mut stopped = stopped.clone();
        // An end whose sender is gone is an end, too.
        async move { drop(stopped.wait_for(|stop| *stop).await.map(|stop| *stop)) }
    };
    let running = (tokio::spawn(runner.run(stopped())), tokio::spawn(replies.run(stopped())));
    let time = SLICE * u32::try_from(settings.rounds())?;
    ask(&requester, SLICE).await?;
    let (begun, meter) = (Instant::now(), Meter::start());
    let mut taken = ask(&requester, time).await?;
    let rate = taken.len() as f64 / begun.elapsed().as_secs_f64();
    let foreign = meter.foreign();
    let mut row = Row::new(NAME, rate, "calls/s").latencies(&mut taken);
    row.disturbed = foreign >= DISTURBED;
    table.print(row.note(&format!("others used {foreign:.2} processors")))?;
    stop.send_replace(true);
    drop((requester, publisher));
    running.0.await??;
    running.1.await??;
    Ok(std::fs::remove_dir_all(directory.join("requests"))?)
}

/// Every caller asks for so long; how long each call took.
async fn ask(requester: &Requester, time: Duration) -> anyhow::Result<Vec<Duration>> {
    let begun = Instant::now();
    let callers = (0..CALLERS).map(|caller| {
        let requester = requester.clone();
        tokio::spawn(async move {
            let mut taken = Vec::new();
            while begun.elapsed() < time {
                let asked = Asked { number: caller as u64, text: "x".repeat(230) };
                let call = Instant::now();
                let answered = requester.request::<Answered>("questions", &asked).await?;
                anyhow::ensure!(answered.event.number == asked.number, "somebody else's answer");
                taken.push(call.elapsed());
            }
            anyhow::Ok(taken)
        })
    });
    let mut all = Vec::new();
    for taken in try_join_all(callers).await? {
        all.extend(taken?);
    }
    Ok(all)
}
