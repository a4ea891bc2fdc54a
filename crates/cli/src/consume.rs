//! Taking part in a group: each message is printed, and settled after it was.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::anyhow;
use mainspring_broker::{Broker, Deliveries, Delivery, Group, Limit, Next, Outcome, Settler, SubscriptionSpec};
use serde::Serialize;

use crate::{
    broker::{
        self, Missing, explained,
        line::{MessageLine, shown_body, shown_key, shown_place},
    },
    exit::Exit,
    message,
    output::{self, Output, OutputError},
    table::{Column, Table},
};

/// So many messages are printed and settled at once.
const BATCH: usize = 256;

/// So many are held at once, where they are not settled.
const HELD: u64 = 1_000;

/// When nothing has come for so long, it is asked whether the group has anything left; after the longer time, what it has
/// left waits for something.
const LULL: Duration = Duration::from_millis(100);
const LULLS: u32 = 10;

#[derive(clap::Args)]
#[command(after_help = "\
A message is settled when it was written to standard output. It ends when there is nothing to deliver; what waits for
another attempt, behind a held key or for its time, does not come before that.")]
pub(crate) struct Args {
    /// The group.
    group: Group,
    /// Stop after so many messages.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Wait for what is sent next, until interrupted.
    #[arg(long)]
    follow: bool,
    /// Give messages back when all are printed: not settled, and not tried. At most 1,000 of them.
    #[arg(long, conflicts_with = "follow")]
    no_ack: bool,
}

/// A delivery on a line of its own.
#[derive(Serialize)]
struct Line<'a> {
    place: Option<String>,
    attempt: u32,
    stored: Option<String>,
    #[serde(flatten)]
    message: MessageLine<'a>,
}

pub(crate) async fn run(directory: &Path, args: Args, output: &mut Output) -> anyhow::Result<Exit> {
    let work = async |broker: Arc<dyn Broker>| {
        let subscribed = broker.subscribe(SubscriptionSpec::new(args.group.clone())).await;
        let (deliveries, settler) = subscribed.map_err(explained)?;
        let columns = [Column::Left("PLACE"), Column::Right("ATTEMPT"), Column::Left("KEY"), Column::Left("BODY")];
        let table = Table::new(columns);
        let mut member = Member { broker, settler, args, output, table, held: Vec::new(), printed: 0 };
        // Whoever interrupts it, too, gives back what was not printed.
        let unwanted = output::unwanted(true);
        let ended = tokio::select! {
            ended = member.consume(deliveries) => ended,
            unwanted = unwanted => unwanted.map_err(anyhow::Error::from),
        };
        member.leave().await?;
        ended
    };
    broker::with(directory, Missing::Refuse, work).await?;
    Ok(Exit::Done)
}

/// A member under way.
struct Member<'a> {
    broker: Arc<dyn Broker>,
    settler: Arc<dyn Settler>,
    args: Args,
    output: &'a mut Output,
    table: Table<4>,
    /// What was delivered and is not settled.
    held: Vec<Delivery>,
    printed: u64,
}

impl Member<'_> {
    async fn consume(&mut self, mut deliveries: Box<dyn Deliveries>) -> anyhow::Result<()> {
        let asked = self.args.count.unwrap_or(u64::MAX);
        let most = if self.args.no_ack { asked.min(HELD) } else { asked };
        while self.printed < most {
            let left = usize::try_from(most - self.printed).unwrap_or(BATCH);
            let Some(batch) = self.next(&mut *deliveries, left.min(BATCH)).await? else { break };
            self.printed += batch.len() as u64;
            let printed = self.held.len();
            self.held.extend(batch);
            self.print(printed)?;
            self.output.flush()?;
            if !self.args.no_ack {
                self.settle(Outcome::Ack).await?;
            }
        }
        if self.printed == 0 {
            message::note("there is nothing to deliver");
        } else if self.printed == most && most < asked {
            message::note("there may be more; without settling, no more can be printed at once");
        }
        Ok(())
    }

    /// The next messages, or nothing when there are none.
    async fn next(&self, deliveries: &mut dyn Deliveries, most: usize) -> anyhow::Result<Option<Vec<Delivery>>> {
        let mut lulls = 0;
        loop {
            let next = deliveries.next(Limit { messages: most, bytes: 4 << 20 });
            let next = match self.args.follow {
                true => next.await,
                false => match tokio::time::timeout(LULL, next).await {
                    Ok(next) => next,
                    Err(_) => {
                        lulls += 1;
                        if lulls >= LULLS || self.is_done().await? {
                            return Ok(None);
                        }
                        continue;
                    }
                },
            };
            match next.map_err(explained)? {
                Next::Batch(batch) => return Ok(Some(batch)),
                Next::Assigned(_) | Next::Lost(_) => {}
                Next::Revoking(handover) => handover.complete(),
                _ => return Ok(None),
            }
        }
    }

    /// Whether the group has nothing left but what members hold.
    async fn is_done(&self) -> anyhow::Result<bool> {
        let Some(admin) = self.broker.admin() else { return Ok(false) };
        let groups = admin.groups().await.map_err(explained)?;
        Ok(groups.iter().any(|status| status.group == self.args.group && status.lag <= status.in_flight))
    }

    /// Prints what is held from there on.
    fn print(&mut self, from: usize) -> Result<(), OutputError> {
        let deliveries = &self.held[from..];
        if self.output.is_json() {
            for delivery in deliveries {
                self.output.json(&line(delivery))?;
            }
            return Ok(());
        }
        let rows: Vec<_> = deliveries.iter().map(row).collect();
        let style = self.output.style();
        self.output.bytes(self.table.render(&rows, style).as_bytes())
    }

    /// Settles everything that is held.
    async fn settle(&mut self, outcome: Outcome) -> anyhow::Result<()> {
        let outcomes: Vec<_> = self.held.drain(..).map(|delivery| (delivery.tag, outcome.clone())).collect();
        let answers = self.settler.settle(outcomes).await;
        let failed = answers.into_iter().filter_map(Result::err);
        match failed.last() {
            Some(error) => Err(anyhow!(error).context("messages that were printed may come again")),
            None => Ok(()),
        }
    }

    /// Gives back what is not settled, and leaves the group.
    async fn leave(&mut self) -> anyhow::Result<()> {
        if !self.held.is_empty() {
            self.settle(Outcome::Release).await?;
        }
        self.settler.close(Instant::now() + LULL).await.map_err(explained)
    }
}

fn line(delivery: &Delivery) -> Line<'_> {
    Line {
        place: delivery.place.as_ref().map(ToString::to_string),
        attempt: delivery.attempt,
        stored: delivery.stored.map(|stored| stored.to_string()),
        message: MessageLine::of(&delivery.message),
    }
}

fn row(delivery: &Delivery) -> [String; 4] {
    let message = &delivery.message;
    let place = shown_place(delivery.place.as_ref());
    [place, delivery.attempt.to_string(), shown_key(message), shown_body(message)]
}
