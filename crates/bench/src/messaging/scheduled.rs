//! A million messages that are due soon, over two restarts: one process schedules them and handles what is due until it
//! is killed, one ends well in the middle, and one handles the rest.

use std::{
    collections::VecDeque,
    fs::{File, OpenOptions},
    io::Write,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use anyhow::Context;
use clap::ValueEnum;
use mainspring::Failure;
use mainspring_broker::{Broker, Message, Order};
use mainspring_broker_embedded::EmbeddedBroker;
use mainspring_messaging::{FromRef, Raw, State, Subscription, Subscriptions};
use tokio::sync::Notify;

use super::{
    BODY, TOPIC,
    process::{Memory, Process, say},
};
use crate::{
    Settings,
    table::{Bar, Row, Table},
};

const NAME: &str = "scheduled messages";

const MESSAGES: usize = 1_000_000;

/// Messages of one send.
const BATCH: u64 = 1_000;

/// Bytes that the handler writes of each message: its number, how late it was in microseconds, and in which process.
const RECORD: usize = 9;

/// What a child does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Schedules everything and handles what is due until it is killed.
    First,
    /// Handles a third.
    Second,
    /// Handles the rest.
    Last,
}

/// When the first message is due after it was sent, and within which time the others, in milliseconds.
fn times(messages: u64) -> (u64, u64) {
    (1_000 + messages / 100, messages * 3 / 100)
}

pub(super) fn run(settings: &Settings, table: &mut Table, directory: &Path) -> anyhow::Result<()> {
    if !settings.wants(NAME) {
        return Ok(());
    }
    let directory = directory.join("scheduled");
    std::fs::create_dir_all(&directory)?;
    let messages = settings.scaled(MESSAGES) as u64;
    let (first, spread) = times(messages);
    table.section(
        "Scheduled messages",
        format!(
            "{messages} messages in batches of {BATCH}, due between {first} ms after each is sent and {spread} ms later, in no \
             order; the process is killed (SIGKILL) when a third was handled, the next one ends well after another third; \
             lateness is from the earliest moment that a message may be due to the first line of its handler; memory is \
             RssAnon, the most that any of the three processes had",
        ),
    );
    let start = |part: &str| Process::start("scheduled", &directory, &[messages.to_string(), part.to_owned()]);
    let mut process = start("first")?;
    let scheduled = process.hear("scheduled")?;
    let mut most = process.hear("a third")?.memory;
    process.kill()?;
    let mut begun = Instant::now();
    for part in ["second", "last"] {
        begun = Instant::now();
        let mut process = start(part)?;
        most = process.hear("ended")?.memory.max(most);
        process.end()?;
    }
    let last = begun.elapsed().as_secs_f64();
    let mut found = Found::read(&directory.join("handled"), messages)?;
    anyhow::ensure!(found.early == 0, "{} messages came early", found.early);
    anyhow::ensure!(found.missing == 0, "{} messages never came", found.missing);
    let rate = messages as f64 / scheduled.figure;
    let note = format!("{:.1} s for all", scheduled.figure);
    table.print(Row::new("scheduled messages, sending", rate, "msg/s").note(&note))?;
    for (name, late) in ["before the kill", "of the second process", "of the third process"].iter().zip(&mut found.late)
    {
        let row = Row::new(format!("scheduled messages, lateness {name}"), f64::NAN, "").latencies(late);
        table.print(row.note(&format!("{} messages", late.len())))?;
    }
    let rate = found.late[2].len() as f64 / last;
    let note = format!("{last:.1} s with opening; of these messages many were overdue");
    table.print(Row::new("scheduled messages, rate of the third process", rate, "msg/s").note(&note))?;
    let missing = Row::new("scheduled messages, lost or early", 0.0, "messages").bar(Bar::AtMost(0.0));
    table.print(missing.note(&format!("{} came again after the kill", found.repeated)))?;
    table.print(Row::new("scheduled messages, memory", most as f64 / 1e6, "MB"))?;
    Ok(std::fs::remove_dir_all(directory)?)
}

/// What the handlers wrote.
struct Found {
    early: usize,
    missing: usize,
    repeated: usize,
    /// How late messages came, in each of the processes.
    late: [Vec<Duration>; 3],
}

impl Found {
    fn read(path: &Path, messages: u64) -> anyhow::Result<Self> {
        let mut times = vec![0_u8; usize::try_from(messages)?];
        let (mut early, mut late) = (0, [const { Vec::new() }; 3]);
        for record in std::fs::read(path)?.chunks_exact(RECORD) {
            let [a, b, c, d, e, f, g, h, process] = record.try_into().map(|record: [u8; RECORD]| record)?;
            let number = usize::try_from(u32::from_le_bytes([a, b, c, d]))?;
            let lateness = i32::from_le_bytes([e, f, g, h]);
            times[number] = times[number].saturating_add(1);
            match u64::try_from(lateness) {
                Ok(micros) => late[usize::from(process)].push(Duration::from_micros(micros)),
                Err(_) => early += 1,
            }
        }
        let count = |is: fn(&u8) -> bool| times.iter().filter(|times| is(times)).count();
        Ok(Self { early, missing: count(|times| *times == 0), repeated: count(|times| *times > 1), late })
    }
}

/// What the handler needs.
#[derive(Clone, FromRef)]
#[from_ref(crate = mainspring_messaging)]
struct Handling {
    file: Arc<File>,
    shared: Arc<Shared>,
}

struct Shared {
    part: Part,
    messages: u64,
    handled: AtomicU64,
    memory: Memory,
    /// A third was handled.
    third: Notify,
}

fn micros_now() -> anyhow::Result<i64> {
    Ok(i64::try_from(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_micros())?)
}

/// The body begins with the number of the message and the earliest moment at which it may be due.
async fn handle(raw: Raw, State(file): State<Arc<File>>, State(shared): State<Arc<Shared>>) -> Result<(), Failure> {
    let body = &raw.message().body;
    let due = i64::from_le_bytes(body.get(4..12).ok_or("the body is too short")?.try_into()?);
    let lateness =
        (micros_now().map_err(|error| error.to_string())? - due).clamp(i64::from(i32::MIN), i64::from(i32::MAX));
    let mut record = body.slice(..4).to_vec();
    record.extend(i32::try_from(lateness)?.to_le_bytes());
    record.push(shared.part as u8);
    (&*file).write_all(&record)?;
    let handled = shared.handled.fetch_add(1, Ordering::Relaxed) + 1;
    if handled.is_multiple_of(5_000) {
        shared.memory.look().map_err(|error| error.to_string())?;
    }
    if handled == shared.messages / 3 {
        shared.third.notify_one();
    }
    Ok(())
}

/// What a child does.
pub(super) async fn work(directory: &Path, messages: u64, part: Part) -> anyhow::Result<()> {
    let file = OpenOptions::new().create(true).append(true).open(directory.join("handled"))?;
    let shared = Shared { part, messages, handled: AtomicU64::new(0), memory: Memory::default(), third: Notify::new() };
    let shared = Arc::new(shared);
    let broker = super::open(directory, "store").await?;
    let on = Subscription::new(TOPIC, "billing").order(Order::Unordered).concurrency(1_024);
    let handling = Handling { file: Arc::new(file), shared: shared.clone() };
    let (_, runner) = Subscriptions::new(handling).on(on, handle).prepare(broker.clone()).await?;
    let mut failed = Ok(());
    let until = async {
        failed = match part {
            Part::First => first(&broker, &shared).await,
            Part::Second => {
                shared.third.notified().await;
                Ok(())
            }
            Part::Last => all_handled(&broker).await,
        };
    };
    runner.run(until).await?;
    failed?;
    broker.close(Instant::now() + Duration::from_secs(10)).await?;
    say("ended", 0.0, shared.memory.look()?)
}

/// Schedules everything, and goes on handling until it is killed.
async fn first(broker: &EmbeddedBroker, shared: &Shared) -> anyhow::Result<()> {
    let begun = Instant::now();
    let (first, spread) = times(shared.messages);
    let mut unconfirmed = VecDeque::new();
    for start in (0..shared.messages).step_by(BATCH as usize) {
        let now = micros_now()?;
        let message = |number: u64| {
            let delay = first + number.wrapping_mul(2_654_435_761) % spread;
            let mut body = u32::try_from(number)?.to_le_bytes().to_vec();
            body.extend((now + i64::try_from(delay)? * 1_000).to_le_bytes());
            body.resize(BODY, 0x5a);
            Ok(Message::new(TOPIC.parse()?, body).delay(Duration::from_millis(delay)))
        };
        let batch: anyhow::Result<Vec<_>> = (start..(start + BATCH).min(shared.messages)).map(message).collect();
        unconfirmed.push_back(broker.send(batch?).await?);
        if unconfirmed.len() == 4
            && let Some(sent) = unconfirmed.pop_front()
        {
            sent.await.into_iter().collect::<Result<Vec<_>, _>>()?;
        }
        shared.memory.look()?;
    }
    for sent in unconfirmed {
        sent.await.into_iter().collect::<Result<Vec<_>, _>>()?;
    }
    say("scheduled", begun.elapsed().as_secs_f64(), shared.memory.look()?)?;
    shared.third.notified().await;
    say("a third", 0.0, shared.memory.look()?)?;
    std::future::pending().await
}

async fn all_handled(broker: &EmbeddedBroker) -> anyhow::Result<()> {
    let admin = broker.admin().context("the embedded broker answers operators")?;
    let mut looks = tokio::time::interval(Duration::from_millis(20));
    loop {
        looks.tick().await;
        let groups = admin.groups().await?;
        let left = groups.iter().find(|status| status.group.as_str() == "billing").map_or(0, |status| status.lag);
        if left == 0 && admin.schedules(1).await?.is_empty() {
            return Ok(());
        }
    }
}
