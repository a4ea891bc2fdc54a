//! Messages that are not due yet: which there are, and taking them back.

use std::{path::Path, sync::Arc};

use anyhow::bail;
use mainspring_broker::{Broker, ScheduleId, Scheduled};
use serde::Serialize;

use crate::{
    broker::{
        self, Missing, admin, explained,
        line::{MessageLine, shown_body, shown_key},
    },
    exit::Exit,
    message,
    output::Output,
    table::{Column, Table},
};

#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// List messages that are not due yet, the next one first.
    List {
        /// At most so many.
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: usize,
    },
    /// Take messages back: they never come.
    Cancel {
        /// As they are listed.
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
}

/// A message on a line of its own.
#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    due: String,
    #[serde(flatten)]
    message: MessageLine<'a>,
}

/// The answer to a cancellation.
#[derive(Serialize)]
struct Cancelled<'a> {
    id: &'a str,
    cancelled: bool,
}

pub(crate) async fn run(directory: &Path, args: Args, output: &mut Output) -> anyhow::Result<Exit> {
    let work = async |broker: Arc<dyn Broker>| match args.action {
        Action::List { limit } => list(&*broker, limit, output).await,
        Action::Cancel { ids } => cancel(&*broker, &ids, output).await,
    };
    broker::with(directory, Missing::Refuse, work).await?;
    Ok(Exit::Done)
}

async fn list(broker: &dyn Broker, limit: usize, output: &mut Output) -> anyhow::Result<()> {
    let scheduled = admin(broker)?.schedules(limit.saturating_add(1)).await.map_err(explained)?;
    let shown = &scheduled[..scheduled.len().min(limit)];
    if output.is_json() {
        for Scheduled { id, message, due } in shown {
            output.json(&Line { id: id.as_str(), due: due.to_string(), message: MessageLine::of(message) })?;
        }
    } else if !shown.is_empty() {
        let heads = ["ID", "DUE", "TOPIC", "KEY", "BODY"].map(Column::Left);
        let rows: Vec<_> = shown.iter().map(row).collect();
        output.bytes(Table::new(heads).render(&rows, output.style()).as_bytes())?;
    }
    if scheduled.is_empty() {
        message::note("no message waits for its time");
    } else if shown.len() < scheduled.len() {
        message::note(&format!("there are more; `--limit` shows more than {limit}"));
    }
    Ok(())
}

fn row(Scheduled { id, message, due }: &Scheduled) -> [String; 5] {
    let topic = message.destination.to_string();
    [id.to_string(), due.to_string(), topic, shown_key(message), shown_body(message)]
}

async fn cancel(broker: &dyn Broker, ids: &[String], output: &mut Output) -> anyhow::Result<()> {
    let admin = admin(broker)?;
    let mut missing = 0;
    for id in ids {
        let cancelled = admin.cancel(&ScheduleId::new(id)).await.map_err(explained)?;
        missing += usize::from(!cancelled);
        if output.is_json() {
            output.json(&Cancelled { id, cancelled })?;
        } else if cancelled {
            output.line(&format!("{id} is cancelled"))?;
        } else {
            message::warning(&format!("no message waits under {id}: it came, or was cancelled before"));
        }
    }
    if missing > 0 {
        bail!("{missing} of {} were not there to be cancelled", ids.len());
    }
    Ok(())
}
