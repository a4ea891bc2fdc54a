//! The list of streams.

use std::path::Path;

use mainspring::{disk::StreamStats, event::Category};
use serde::Serialize;

use crate::{
    exit::Exit,
    message, open,
    output::Output,
    table::{Column, Table},
    units,
};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Only streams of this category. Internal ones are listed only if it names them.
    #[arg(long)]
    category: Option<Category>,
    /// Only the first so many, by name.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

/// One stream on a line of its own.
#[derive(Serialize)]
struct Line<'a> {
    name: &'a str,
    version: u64,
    events: u64,
    last: u64,
}

pub(crate) fn run(directory: &Path, args: Args, output: &mut Output) -> anyhow::Result<Exit> {
    let mut streams = open::for_reading(directory)?.streams()?;
    streams.retain(|stream| match &args.category {
        Some(category) => stream.name.category() == category.as_str(),
        None => !stream.name.is_internal(),
    });
    let all = streams.len();
    streams.truncate(args.limit.unwrap_or(all));
    if output.is_json() {
        for stream in &streams {
            output.json(&line(stream))?;
        }
    } else if !streams.is_empty() {
        let columns =
            [Column::Left("STREAM"), Column::Right("VERSION"), Column::Right("EVENTS"), Column::Right("LAST POSITION")];
        let rows: Vec<_> = streams.iter().map(row).collect();
        let table = Table::new(columns).render(&rows, output.style());
        output.bytes(table.as_bytes())?;
    }
    if all == 0 {
        message::note("there is no such stream");
    } else if streams.len() < all {
        let (shown, all) = (units::number(streams.len() as u64), units::number(all as u64));
        message::note(&format!("the first {shown} of {all} streams are shown"));
    }
    Ok(Exit::Done)
}

fn line(stream: &StreamStats) -> Line<'_> {
    Line { name: stream.name.as_str(), version: stream.version.0, events: stream.events, last: stream.last.0 }
}

fn row(stream: &StreamStats) -> [String; 4] {
    let [version, events, last] = [stream.version.0, stream.events, stream.last.0].map(units::number);
    [stream.name.to_string(), version, events, last]
}
