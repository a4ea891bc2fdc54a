//! The groups of the broker: how each one stands, making one, and letting a held key go on.

mod create;

use std::path::Path;

use mainspring_broker::{Broker, Group, GroupStatus, Resume};
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
    /// List the groups, which is done without a word, too.
    List,
    /// Make a group. One that is there already is left as it is.
    Create(create::Args),
    /// Let a key go on that a dead letter holds.
    Resume {
        /// The group.
        group: Group,
        /// The key.
        key: String,
        /// Without the message that became the dead letter; it is tried anew unless this is given.
        #[arg(long)]
        skip: bool,
    },
}

/// A group on a line of its own.
#[derive(Serialize)]
struct Line<'a> {
    group: &'a str,
    members: usize,
    lag: u64,
    in_flight: u64,
    held_keys: u64,
}

/// The answer to a resumption.
#[derive(Serialize)]
struct Resumed<'a> {
    group: &'a str,
    key: &'a str,
    /// How many messages waited behind it.
    waited: u64,
}

pub(crate) async fn run(directory: &Path, args: Args, output: &mut Output) -> anyhow::Result<Exit> {
    let work = async |broker: std::sync::Arc<dyn Broker>| match args.action.unwrap_or(Action::List) {
        Action::List => list(&*broker, output).await,
        Action::Create(args) => create::run(&*broker, args, output).await,
        Action::Resume { group, key, skip } => resume(&*broker, &group, &key, skip, output).await,
    };
    broker::with(directory, Missing::Refuse, work).await?;
    Ok(Exit::Done)
}

async fn list(broker: &dyn Broker, output: &mut Output) -> anyhow::Result<()> {
    let groups = admin(broker)?.groups().await.map_err(explained)?;
    if output.is_json() {
        for GroupStatus { group, members, lag, in_flight, held_keys } in &groups {
            let (members, lag, in_flight, held_keys) = (*members, *lag, *in_flight, *held_keys);
            output.json(&Line { group: group.as_str(), members, lag, in_flight, held_keys })?;
        }
    } else if !groups.is_empty() {
        let columns = [
            Column::Left("GROUP"),
            Column::Right("MEMBERS"),
            Column::Right("LAG"),
            Column::Right("IN FLIGHT"),
            Column::Right("HELD KEYS"),
        ];
        let rows: Vec<_> = groups.iter().map(row).collect();
        output.bytes(Table::new(columns).render(&rows, output.style()).as_bytes())?;
    }
    if groups.is_empty() {
        message::note("there are no groups yet; `mainspring subscriptions create` makes one");
    }
    Ok(())
}

fn row(status: &GroupStatus) -> [String; 5] {
    let [members, lag, in_flight, held] =
        [status.members as u64, status.lag, status.in_flight, status.held_keys].map(units::number);
    [status.group.to_string(), members, lag, in_flight, held]
}

async fn resume(broker: &dyn Broker, group: &Group, key: &str, skip: bool, output: &mut Output) -> anyhow::Result<()> {
    let how = if skip { Resume::Skip } else { Resume::Resubmit };
    let waited = admin(broker)?.resume(group, key.as_bytes(), how).await.map_err(explained)?;
    if output.is_json() {
        output.json(&Resumed { group: group.as_str(), key, waited })?;
    } else {
        output.line(&format!("`{key}` goes on; {} waited behind it", units::count(waited, "message")))?;
    }
    Ok(())
}
