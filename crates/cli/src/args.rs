//! The command line as a whole: what every command takes, and which commands there are.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::{
    append, backup, completions, consume, dead_letters, demo, events, export, import, projections, publish, reindex,
    request, restore, schedule, state, streams, subscriptions, topics,
};

/// Shown below the help, because scripts depend on it.
const AFTER_HELP: &str = "\
Data goes to standard output, everything else to standard error.

Exit codes:
  0  done
  1  failed; for append, import and publish also that a part of the input was refused
  2  wrong usage
  3  conflict: a stream is not where it was expected to be
  4  damage found in the files of the store, or of the backup that was to be restored";

/// Events in and out of an event store on disk, and messages through the broker in it.
#[derive(Parser)]
#[command(name = "mainspring", version, after_help = AFTER_HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command takes.
#[derive(clap::Args)]
pub(crate) struct Global {
    /// The directory of the event store.
    #[arg(long, global = true, value_name = "DIR", env = "MAINSPRING_DATA", default_value = "./mainspring-data")]
    pub(crate) data: PathBuf,
    /// Print JSON for programs instead of text for people.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run a shop on real purchases, and check that input, events and read models agree.
    Demo(demo::Args),
    /// Append events to a stream: one from the command line, or one a line from standard input.
    Append(append::Args),
    /// Read events: of a stream, of a category, by type, by tag, or all of them.
    Events(events::Args),
    /// List the streams.
    Streams(streams::Args),
    /// Show what the store holds and how much room it takes.
    Stats,
    /// Free the space of what retention has removed, while nobody writes to the store.
    Scavenge,
    /// Check every byte of the store or of a backup, changing nothing: what is damaged, what is lost, what to do.
    Verify,
    /// Copy the store into another directory while it is in use, or bring such a copy up to date.
    Backup(backup::Args),
    /// Make a store of a backup. It is a new lineage: readers of the old one do not go on in it.
    Restore(restore::Args),
    /// Build missing or damaged indexes again from the log. Nobody may write to the store meanwhile.
    Reindex(reindex::Args),
    /// Write all events as CloudEvents in JSON, one a line.
    Export(export::Args),
    /// Take over events that `export` wrote.
    Import(import::Args),
    /// Show an order of the demo as it is, or as it was.
    State(state::Args),
    /// List the read models, or build one of them anew.
    Projections(projections::Args),
    /// List the topics of the broker, or make one.
    Topics(topics::Args),
    /// List the groups of the broker and how they stand, make one, or let a held key go on.
    Subscriptions(subscriptions::Args),
    /// Send messages to a topic: one from the command line, or one a line from standard input.
    Publish(publish::Args),
    /// Send a message and wait for the answer of whoever handles it.
    Request(request::Args),
    /// Take part in a group: print each message, then settle it.
    Consume(consume::Args),
    /// List, show, edit, resubmit or remove dead letters.
    DeadLetters(dead_letters::Args),
    /// List messages that are not due yet, or take them back.
    Schedule(schedule::Args),
    /// Print the completions of a shell.
    Completions(completions::Args),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Args::command().debug_assert();
    }
}
