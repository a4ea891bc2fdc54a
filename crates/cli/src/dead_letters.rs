//! Dead letters, in the group that keeps them: looking at them takes nothing, and what leaves goes in one step.

mod looking;
mod sending;

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::bail;
use bytes::Bytes;
use mainspring_broker::{Admin, Broker, DeadLetter, Group, Pending, Place};
use serde::Serialize;

use crate::{
    broker::{self, Missing, admin, explained, words},
    exit::Exit,
    output::Output,
    units,
};

#[derive(clap::Args)]
#[command(after_help = "\
GROUP is the group that keeps the dead letters, not the one that gave them up. A dead letter that is sent again goes to the
group that gave it up and to no other, and leaves this group in the same step; attempts count anew.")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// List dead letters: where from, who gave them up, when and why. Takes nothing.
    List {
        /// The group that keeps them.
        group: Group,
        /// At most so many.
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: usize,
    },
    /// Show all of one dead letter. Takes nothing.
    Show {
        /// The group that keeps it.
        group: Group,
        /// Where it lies, as it is listed.
        #[arg(value_parser = words::place)]
        place: Place,
    },
    /// Change a dead letter and send it again.
    Edit {
        /// The group that keeps it.
        group: Group,
        /// Where it lies, as it is listed.
        #[arg(value_parser = words::place)]
        place: Place,
        #[command(flatten)]
        change: Change,
    },
    /// Send dead letters again.
    Resubmit {
        /// The group that keeps them.
        group: Group,
        /// Where they lie, as they are listed.
        #[arg(value_parser = words::place, required = true, value_name = "PLACE")]
        places: Vec<Place>,
    },
    /// Remove dead letters for good.
    Purge {
        /// The group that keeps them.
        group: Group,
        /// Where they lie, as they are listed.
        #[arg(value_parser = words::place, required_unless_present = "all", value_name = "PLACE")]
        places: Vec<Place>,
        /// Remove all that nobody holds.
        #[arg(long, conflicts_with = "places")]
        all: bool,
    },
    /// Send all dead letters again that there are now, in their order.
    Redrive {
        /// The group that keeps them.
        group: Group,
        /// At most so many in a time, such as 100/s or 5/m.
        #[arg(long, value_name = "N/s", value_parser = words::rate)]
        rate: Option<Duration>,
        /// Stop after so many.
        #[arg(long, value_name = "N")]
        count: Option<u64>,
    },
}

/// What is changed before a dead letter is sent again.
#[derive(clap::Args)]
#[group(required = true, multiple = true)]
struct Change {
    /// The new body.
    #[arg(long)]
    body: Option<String>,
    /// A header, in place of those of its name; may be repeated.
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = words::header)]
    headers: Vec<(String, Bytes)>,
    /// A header that is to go; may be repeated.
    #[arg(long, value_name = "NAME")]
    without_header: Vec<String>,
}

/// The answer to a purge.
#[derive(Serialize)]
struct Purged<'a> {
    group: &'a str,
    purged: u64,
}

pub(crate) async fn run(directory: &Path, args: Args, output: &mut Output) -> anyhow::Result<Exit> {
    let work = async |broker: Arc<dyn Broker>| {
        let admin = admin(&*broker)?;
        match args.action {
            Action::List { group, limit } => looking::list(admin, &group, limit, output).await,
            Action::Show { group, place } => looking::show(admin, &group, &place, output).await,
            Action::Edit { group, place, change } => sending::edit(admin, &group, &place, change, output).await,
            Action::Resubmit { group, places } => sending::resubmit(admin, &group, &places, output).await,
            Action::Purge { group, places, all } => {
                let places = (!all).then_some(places);
                purge(admin, &group, places, output).await
            }
            Action::Redrive { group, rate, count } => sending::redrive(admin, &group, rate, count, output).await,
        }
    };
    broker::with(directory, Missing::Refuse, work).await?;
    Ok(Exit::Done)
}

/// The message at a place, which must be there.
async fn find(admin: &dyn Admin, group: &Group, place: &Place) -> anyhow::Result<Pending> {
    match admin.find(group, place).await.map_err(explained)? {
        Some(pending) => Ok(pending),
        None => {
            bail!("group `{group}` has nothing at {place}: `mainspring dead-letters list {group}` lists what it has")
        }
    }
}

/// What a message says as a dead letter.
fn read(pending: &Pending) -> anyhow::Result<DeadLetter> {
    let Some(letter) = DeadLetter::read(&pending.message) else {
        let place = pending.place.as_ref().map_or_else(|| "there".to_owned(), |place| format!("at {place}"));
        bail!("the message {place} is no dead letter, so nobody knows where it was to go");
    };
    Ok(letter)
}

async fn purge(
    admin: &dyn Admin,
    group: &Group,
    places: Option<Vec<Place>>,
    output: &mut Output,
) -> anyhow::Result<()> {
    let purged = match &places {
        Some(places) => admin.remove(group, places).await,
        None => admin.purge(group).await,
    };
    let purged = purged.map_err(explained)?;
    if output.is_json() {
        output.json(&Purged { group: group.as_str(), purged })?;
    } else {
        output.line(&format!("{} removed", units::count(purged, "message")))?;
    }
    if let Some(places) = places.filter(|places| (places.len() as u64) > purged) {
        bail!("{} of {} were not there to be removed", places.len() as u64 - purged, places.len());
    }
    Ok(())
}
