//! Sending dead letters again: each one leaves the group that keeps it in the step that sends it.

use std::{collections::HashSet, time::Duration};

use anyhow::bail;
use mainspring_broker::{Admin, Group, Message, Pending, Place};
use serde::Serialize;
use tokio::time::Instant;

use super::{Change, find, read};
use crate::{
    broker::{explained, line::ReceiptLine},
    message,
    output::{self, Output},
    units,
};

/// So many dead letters are read at once.
const BATCH: usize = 100;

/// After so many that cannot be sent again, there is something to mend first.
const REFUSALS: usize = 100;

/// A dead letter that was sent again.
#[derive(Serialize)]
struct Line<'a> {
    resubmitted: String,
    to: &'a str,
    #[serde(flatten)]
    receipt: ReceiptLine<'a>,
}

/// What a redrive came to.
#[derive(Serialize)]
struct Redriven {
    resubmitted: u64,
    refused: u64,
}

pub(super) async fn edit(
    admin: &dyn Admin,
    group: &Group,
    place: &Place,
    change: Change,
    output: &mut Output,
) -> anyhow::Result<()> {
    let mut message = again(&find(admin, group, place).await?)?;
    let Change { body, headers, without_header } = change;
    if let Some(body) = body {
        message.body = body.into();
    }
    let replaced: HashSet<_> = headers.iter().map(|(name, _)| name.clone()).chain(without_header).collect();
    message.headers.retain(|name| !replaced.contains(name));
    for (name, value) in headers {
        message.headers.add(name, value);
    }
    send(admin, group, place, message, output).await
}

pub(super) async fn resubmit(
    admin: &dyn Admin,
    group: &Group,
    places: &[Place],
    output: &mut Output,
) -> anyhow::Result<()> {
    let mut refused = 0;
    for place in places {
        let sent = async {
            let message = again(&find(admin, group, place).await?)?;
            send(admin, group, place, message, output).await
        };
        if let Err(error) = sent.await {
            refused += 1;
            message::error(&error);
        }
    }
    if refused > 0 {
        bail!("{refused} of {} were not resubmitted; see above", places.len());
    }
    Ok(())
}

/// Sends everything again that is there now, not faster than asked, until interrupted.
pub(super) async fn redrive(
    admin: &dyn Admin,
    group: &Group,
    pace: Option<Duration>,
    count: Option<u64>,
    output: &mut Output,
) -> anyhow::Result<()> {
    // What comes back meanwhile because it was given up again is not sent again in a circle.
    let groups = admin.groups().await.map_err(explained)?;
    let there = groups.iter().find(|status| status.group == *group).map_or(0, |status| status.lag);
    let mut redriving = Redriving { admin, group, pace, due: Instant::now(), resubmitted: 0, refused: HashSet::new() };
    let most = count.unwrap_or(u64::MAX).min(there);
    let ended = tokio::select! {
        ended = redriving.run(most) => ended,
        interrupted = output::unwanted(true) => interrupted.map_err(anyhow::Error::from),
    };
    let (resubmitted, refused) = (redriving.resubmitted, redriving.refused.len() as u64);
    if output.is_json() {
        output.json(&Redriven { resubmitted, refused })?;
    } else {
        output.line(&format!("{} resubmitted", units::count(resubmitted, "message")))?;
    }
    ended?;
    if refused > 0 {
        bail!("{} refused; see above", units::count(refused, "message"));
    }
    Ok(())
}

/// A redrive under way.
struct Redriving<'a> {
    admin: &'a dyn Admin,
    group: &'a Group,
    pace: Option<Duration>,
    /// When the next one may go.
    due: Instant,
    resubmitted: u64,
    /// What could not be sent again, or is held by somebody.
    refused: HashSet<Place>,
}

impl Redriving<'_> {
    async fn run(&mut self, most: u64) -> anyhow::Result<()> {
        // A group that does not exist is an error, although it has no dead letters either.
        self.admin.browse(self.group, 0).await.map_err(explained)?;
        while self.resubmitted + (self.refused.len() as u64) < most {
            let pending = self.admin.browse(self.group, BATCH + self.refused.len()).await.map_err(explained)?;
            let is_new = |pending: &Pending| pending.place.as_ref().is_some_and(|place| !self.refused.contains(place));
            let fresh: Vec<_> = pending.into_iter().filter(is_new).collect();
            if fresh.is_empty() {
                break;
            }
            for pending in fresh {
                if self.resubmitted + (self.refused.len() as u64) >= most {
                    break;
                }
                self.one(pending).await?;
            }
        }
        Ok(())
    }

    async fn one(&mut self, pending: Pending) -> anyhow::Result<()> {
        let Some(place) = pending.place.clone() else { bail!("this broker does not say where messages lie") };
        if let Some(pace) = self.pace {
            tokio::time::sleep_until(self.due).await;
            // Time that was lost is made up for, but by one message at most.
            let latest = Instant::now().checked_sub(pace).unwrap_or(self.due);
            self.due = self.due.max(latest) + pace;
        }
        let sent = match again(&pending) {
            Ok(message) => self.admin.resubmit(self.group, &place, message).await.map(drop).map_err(explained),
            Err(error) => Err(error),
        };
        match sent {
            Ok(()) => self.resubmitted += 1,
            Err(error) => {
                message::error(&error.context(place.to_string()));
                self.refused.insert(place);
                if self.refused.len() >= REFUSALS {
                    bail!("{REFUSALS} messages were refused, so the others are left where they are");
                }
            }
        }
        Ok(())
    }
}

/// The message that a dead letter keeps, for the group that gave it up.
fn again(pending: &Pending) -> anyhow::Result<Message> {
    Ok(read(pending)?.again())
}

async fn send(
    admin: &dyn Admin,
    group: &Group,
    place: &Place,
    message: Message,
    output: &mut Output,
) -> anyhow::Result<()> {
    let to = message.only_for().map(|to| String::from_utf8_lossy(to).into_owned()).unwrap_or_default();
    let receipt = admin.resubmit(group, place, message).await.map_err(explained)?;
    if output.is_json() {
        output.json(&Line { resubmitted: place.to_string(), to: &to, receipt: ReceiptLine::of(&receipt) })?;
    } else {
        output.line(&format!("{place} goes to `{to}` again"))?;
    }
    Ok(())
}
