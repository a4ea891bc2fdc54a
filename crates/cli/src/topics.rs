//! The topics of the broker: what there is of each, and making one.

use std::{path::Path, time::Duration};

use anyhow::bail;
use mainspring_broker::{Broker, Destination, Ensure, Keep, Topic, TopicStatus, Topology};
use serde::Serialize;

use crate::{
    broker::{self, Missing, admin, explained},
    exit::Exit,
    message,
    output::Output,
    table::{Column, Table},
    units,
};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(clap::Subcommand)]
enum Action {
    /// List the topics, which is done without a word, too.
    List,
    /// Make a topic. One that is there already is left as it is.
    Create(Create),
}

#[derive(clap::Args)]
#[command(after_help = "\
A topic keeps each message until every group has settled it, and takes only what some group wants. A log keeps messages
whoever has settled them, and can be read again.")]
struct Create {
    /// Its name: letters, digits, `.`, `_` and `-`.
    name: Destination,
    /// In how many parts it is kept; messages of one key lie in one part.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    partitions: u32,
    /// Keep messages as a log.
    #[arg(long)]
    log: bool,
    /// Remove messages of the log that are older than this, such as 7d.
    #[arg(long, value_name = "TIME", requires = "log", value_parser = units::duration)]
    max_age: Option<Duration>,
    /// Keep about so many bytes of each partition of the log.
    #[arg(long, value_name = "BYTES", requires = "log")]
    max_bytes: Option<u64>,
    /// Take a message with the same event id only once within this time, such as 10m.
    #[arg(long, value_name = "TIME", value_parser = units::duration)]
    dedupe: Option<Duration>,
}

/// A topic on a line of its own; times in seconds.
#[derive(Serialize)]
struct Line<'a> {
    name: &'a str,
    log: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_age: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dedupe: Option<f64>,
    partitions: Vec<Part>,
}

#[derive(Serialize)]
struct Part {
    first: u64,
    next: u64,
}

/// The answer to a creation.
#[derive(Serialize)]
pub(crate) struct Created<'a> {
    pub(crate) name: &'a str,
    /// Whether it was not there before.
    pub(crate) created: bool,
}

pub(crate) async fn run(directory: &Path, args: Args, output: &mut Output) -> anyhow::Result<Exit> {
    match args.action.unwrap_or(Action::List) {
        Action::List => {
            broker::with(directory, Missing::Refuse, async |broker| list(&*broker, output).await).await?;
        }
        Action::Create(args) => {
            broker::with(directory, Missing::Create, async |broker| create(&*broker, args, output).await).await?;
        }
    }
    Ok(Exit::Done)
}

async fn list(broker: &dyn Broker, output: &mut Output) -> anyhow::Result<()> {
    let topics = admin(broker)?.topics().await.map_err(explained)?;
    if output.is_json() {
        for topic in &topics {
            output.json(&line(topic))?;
        }
    } else if !topics.is_empty() {
        let columns = [
            Column::Left("TOPIC"),
            Column::Right("PARTITIONS"),
            Column::Right("KEPT"),
            Column::Right("SENT"),
            Column::Left("KEEPS"),
        ];
        let rows: Vec<_> = topics.iter().map(row).collect();
        output.bytes(Table::new(columns).render(&rows, output.style()).as_bytes())?;
    }
    if topics.is_empty() {
        message::note("there are no topics yet; `mainspring topics create` makes one");
    }
    Ok(())
}

fn line(status: &TopicStatus) -> Line<'_> {
    let Topic { name, keep, dedupe, .. } = &status.topic;
    let (max_age, max_bytes) = match keep {
        Keep::UntilSettled => (None, None),
        Keep::Log { max_age, max_bytes } => (*max_age, *max_bytes),
    };
    Line {
        name: name.as_str(),
        log: matches!(keep, Keep::Log { .. }),
        max_age: max_age.map(|age| age.as_secs_f64()),
        max_bytes,
        dedupe: dedupe.map(|window| window.as_secs_f64()),
        partitions: status.slices.iter().map(|slice| Part { first: slice.first, next: slice.next }).collect(),
    }
}

fn row(status: &TopicStatus) -> [String; 5] {
    let kept = status.slices.iter().map(|slice| slice.next.saturating_sub(slice.first)).sum();
    let sent = status.slices.iter().map(|slice| slice.next).sum();
    let mut keeps = match status.topic.keep {
        Keep::UntilSettled => "until settled".to_owned(),
        Keep::Log { max_age: None, max_bytes: None } => "a log".to_owned(),
        Keep::Log { max_age, max_bytes } => {
            let age = max_age.map(units::span);
            let limits: Vec<_> = age.into_iter().chain(max_bytes.map(units::bytes)).collect();
            format!("a log of {}", limits.join(" or "))
        }
    };
    if let Some(window) = status.topic.dedupe {
        keeps.push_str(&format!(", duplicates dropped for {}", units::span(window)));
    }
    let partitions = units::number(u64::from(status.topic.partitions));
    [status.topic.name.to_string(), partitions, units::number(kept), units::number(sent), keeps]
}

async fn create(broker: &dyn Broker, args: Create, output: &mut Output) -> anyhow::Result<()> {
    let Create { name, partitions, log, max_age, max_bytes, dedupe } = args;
    let keep = if log { Keep::Log { max_age, max_bytes } } else { Keep::UntilSettled };
    let topology = Topology::new().topic(Topic { name: name.clone(), partitions, keep, dedupe });
    ensure(broker, &topology, name.as_str(), output).await
}

/// Creates the one thing that is in a topology, and says whether it was there before.
pub(crate) async fn ensure(
    broker: &dyn Broker,
    topology: &Topology,
    name: &str,
    output: &mut Output,
) -> anyhow::Result<()> {
    let missing = broker.ensure(topology, Ensure::Verify).await.map_err(explained)?;
    let drift = broker.ensure(topology, Ensure::Create).await.map_err(explained)?;
    if !drift.is_empty() {
        let drift: Vec<_> = drift.iter().map(ToString::to_string).collect();
        bail!("it is there already, and otherwise: {}", drift.join("; "));
    }
    let created = !missing.is_empty();
    if output.is_json() {
        output.json(&Created { name, created })?;
    } else if created {
        output.line(&format!("{name} is made"))?;
    } else {
        output.line(&format!("{name} was there already"))?;
    }
    Ok(())
}
