//! Reading events: history, then whatever comes, if asked to follow.

mod row;

use std::path::Path;

use futures_util::StreamExt as _;
use jiff::Timestamp;
use mainspring::{
    event::{Category, EventTypeName, Position, StreamName, Tag, Version, cloud_events},
    store::{EventBatch, EventStore as _, Query, QueryItem, Read, ReadFrom, Scope},
};

use crate::{
    events::row::Rows,
    exit::Exit,
    message, open,
    output::{self, Output, OutputError},
    units,
};

#[derive(clap::Args)]
#[command(after_help = "\
What is given must hold all together; of several types any, of several tags all. Without anything, every event is read.
Internal events (their streams begin with `$`) are read only where a stream or a category names them.

With --json each line is a CloudEvent, with the version in its stream (`streamversion`) and its place in the store
(`position`). TIME is when the event happened; --from-time asks for when it was recorded.")]
pub(crate) struct Args {
    /// Only this stream.
    #[arg(conflicts_with = "category")]
    stream: Option<StreamName>,
    /// Only streams of this category.
    #[arg(long)]
    category: Option<Category>,
    /// Only this type; may be repeated.
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<EventTypeName>,
    /// Only with this tag `key:value`; may be repeated.
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<Tag>,
    /// Begin at this position.
    #[arg(long, value_name = "POSITION", group = "begin")]
    from: Option<u64>,
    /// Begin at this version of the stream.
    #[arg(long, value_name = "VERSION", group = "begin", requires = "stream")]
    from_version: Option<u64>,
    /// Begin with what was recorded at this time, such as 2026-02-01T09:30:00Z, or on this day (UTC).
    #[arg(long, value_name = "TIME", group = "begin", value_parser = units::time)]
    from_time: Option<Timestamp>,
    /// Stop after so many events.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
    /// From new to old.
    #[arg(long, conflicts_with = "follow")]
    backwards: bool,
    /// Wait for what is appended next, until interrupted.
    #[arg(long)]
    follow: bool,
}

pub(crate) async fn run(directory: &Path, args: Args, output: &mut Output) -> anyhow::Result<Exit> {
    let follow = args.follow;
    let store = open::for_reading(directory)?;
    let mut batches = store.read(read(args));
    let mut printer = Printer { output, rows: Rows::new(), buffer: Vec::new(), printed: 0 };
    let unwanted = output::unwanted(follow);
    tokio::pin!(unwanted);
    loop {
        let batch = tokio::select! {
            batch = batches.next() => batch,
            unwanted = &mut unwanted => {
                unwanted?;
                return Ok(Exit::Done);
            }
        };
        let Some(batch) = batch else { break };
        printer.print(&batch?)?;
    }
    if printer.printed == 0 {
        message::note("there is no such event");
    }
    Ok(Exit::Done)
}

fn read(args: Args) -> Read {
    let from = from(&args);
    let scope = match (args.stream, args.category) {
        (Some(stream), _) => Scope::Streams(vec![stream]),
        (None, Some(category)) => Scope::Category(category),
        (None, None) => Scope::Everywhere,
    };
    let item = QueryItem { scope, types: args.types, tags: args.tags };
    let query = if item == QueryItem::default() { Query::All } else { item.into() };
    let mut read = Read::new(query).from(from);
    if args.backwards {
        read = read.backwards();
    }
    Read { limit: args.limit, follow: args.follow, ..read }
}

/// The contract begins next to a position; a person means the position itself.
fn from(args: &Args) -> ReadFrom {
    match (args.from, args.from_version, args.from_time) {
        (Some(position), ..) if args.backwards => ReadFrom::After(Position(position.saturating_add(1))),
        (Some(position), ..) => match position.checked_sub(1) {
            Some(before) => ReadFrom::After(Position(before)),
            None => ReadFrom::Start,
        },
        (_, Some(version), _) => ReadFrom::Version(Version(version)),
        (_, _, Some(time)) => ReadFrom::Time(time),
        (None, None, None) => ReadFrom::Start,
    }
}

/// Prints events in the form that was asked for.
struct Printer<'a> {
    output: &'a mut Output,
    rows: Rows,
    buffer: Vec<u8>,
    printed: u64,
}

impl Printer<'_> {
    /// Prints a batch, and hands it on at once: what follows may be long in coming.
    fn print(&mut self, batch: &EventBatch) -> Result<(), OutputError> {
        if batch.is_empty() {
            return Ok(());
        }
        self.printed += batch.len() as u64;
        self.buffer.clear();
        if self.output.is_json() {
            for event in batch.iter() {
                cloud_events::write_json(event, &mut self.buffer);
                self.buffer.push(b'\n');
            }
        } else {
            let style = self.output.style();
            self.buffer.extend_from_slice(self.rows.render(batch, style).as_bytes());
        }
        self.output.bytes(&self.buffer)?;
        self.output.flush()
    }
}
