//! What the store holds, and how much room it takes.

use std::path::Path;

use mainspring::{
    disk::{CategoryStats, SegmentStats, Stats, TypeStats},
    store::{EventStore as _, Info},
};
use serde::Serialize;

use crate::{
    exit::Exit,
    open,
    output::{Output, OutputError},
    table::{Column, Table},
    units,
};

/// What the store holds, for programs.
#[derive(Serialize)]
struct Report<'a> {
    store: String,
    lineage: String,
    first: u64,
    head: u64,
    events: u64,
    internal_events: u64,
    streams: u64,
    internal_streams: u64,
    log_bytes: u64,
    index_bytes: u64,
    bytes_per_event: f64,
    segments: Vec<Segment>,
    categories: Vec<Category<'a>>,
    types: Vec<Type<'a>>,
}

#[derive(Serialize)]
struct Segment {
    number: u32,
    events: u64,
    bytes: u64,
    index_bytes: u64,
    sealed: bool,
}

#[derive(Serialize)]
struct Category<'a> {
    name: &'a str,
    streams: u64,
    events: u64,
    bytes: u64,
    bytes_per_event: f64,
}

#[derive(Serialize)]
struct Type<'a> {
    name: &'a str,
    events: u64,
    bytes: u64,
    bytes_per_event: f64,
}

pub(crate) async fn run(directory: &Path, output: &mut Output) -> anyhow::Result<Exit> {
    let store = open::for_reading(directory)?;
    let info = store.info().await?;
    let stats = store.stats()?;
    let report = report(&info, &stats);
    if output.is_json() {
        output.json(&report)?;
    } else {
        describe(&report, output)?;
    }
    Ok(Exit::Done)
}

fn report<'a>(info: &Info, stats: &'a Stats) -> Report<'a> {
    let internal = || stats.categories.iter().filter(|category| category.name.starts_with('$'));
    let segment = |segment: &SegmentStats| {
        let SegmentStats { number, events, bytes, index_bytes, sealed } = *segment;
        Segment { number, events, bytes, index_bytes, sealed }
    };
    let category = |one: &'a CategoryStats| {
        let CategoryStats { ref name, streams, events, bytes } = *one;
        Category { name, streams, events, bytes, bytes_per_event: each(bytes, events) }
    };
    let event_type = |one: &'a TypeStats| {
        let TypeStats { ref name, events, bytes } = *one;
        Type { name, events, bytes, bytes_per_event: each(bytes, events) }
    };
    Report {
        store: info.store.to_string(),
        lineage: info.lineage.to_string(),
        first: info.first.0,
        head: info.head.0,
        events: stats.events,
        internal_events: internal().map(|category| category.events).sum(),
        streams: stats.streams,
        internal_streams: internal().map(|category| category.streams).sum(),
        log_bytes: stats.log_bytes,
        index_bytes: stats.index_bytes,
        bytes_per_event: each(stats.log_bytes, stats.events),
        segments: stats.segments.iter().map(segment).collect(),
        categories: stats.categories.iter().map(category).collect(),
        types: stats.types.iter().map(event_type).collect(),
    }
}

/// Bytes for each event, with one decimal.
#[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
fn each(bytes: u64, events: u64) -> f64 {
    if events == 0 { 0.0 } else { (bytes as f64 / events as f64 * 10.0).round() / 10.0 }
}

fn describe(report: &Report<'_>, output: &mut Output) -> Result<(), OutputError> {
    let with_internal = |all, internal| match internal {
        0 => units::number(all),
        internal => format!("{}, of which {} internal", units::number(all), units::number(internal)),
    };
    let positions = match report.head {
        0 => "none yet".to_owned(),
        head => format!("{} to {}", units::number(report.first), units::number(head)),
    };
    let segments = units::count(report.segments.len() as u64, "segment");
    let facts = [
        ("Store", report.store.clone()),
        ("Lineage", report.lineage.clone()),
        ("Events", with_internal(report.events, report.internal_events)),
        ("Streams", with_internal(report.streams, report.internal_streams)),
        ("Positions", positions),
        ("Log", format!("{} in {segments}", units::bytes(report.log_bytes))),
        ("Indexes", units::bytes(report.index_bytes)),
        ("Per event", format!("{:.1} bytes", report.bytes_per_event)),
    ];
    for (name, value) in facts {
        output.line(&format!("{name:<9}  {value}"))?;
    }
    let size = |bytes, each: f64| [units::bytes(bytes), format!("{each:.1}")];
    table(
        output,
        [
            Column::Left("CATEGORY"),
            Column::Right("STREAMS"),
            Column::Right("EVENTS"),
            Column::Right("SIZE"),
            Column::Right("BYTES/EVENT"),
        ],
        report.categories.iter().map(|one| {
            let [bytes, each] = size(one.bytes, one.bytes_per_event);
            [one.name.to_owned(), units::number(one.streams), units::number(one.events), bytes, each]
        }),
    )?;
    table(
        output,
        [Column::Left("TYPE"), Column::Right("EVENTS"), Column::Right("SIZE"), Column::Right("BYTES/EVENT")],
        report.types.iter().map(|one| {
            let [bytes, each] = size(one.bytes, one.bytes_per_event);
            [one.name.to_owned(), units::number(one.events), bytes, each]
        }),
    )?;
    table(
        output,
        [
            Column::Right("SEGMENT"),
            Column::Right("EVENTS"),
            Column::Right("SIZE"),
            Column::Right("INDEX"),
            Column::Left("STATE"),
        ],
        report.segments.iter().map(|segment| {
            let state = if segment.sealed { "sealed" } else { "active" };
            let Segment { number, events, bytes, index_bytes, .. } = *segment;
            let index = if index_bytes == 0 { "-".to_owned() } else { units::bytes(index_bytes) };
            [number.to_string(), units::number(events), units::bytes(bytes), index, state.to_owned()]
        }),
    )
}

/// A table below a blank line, if there is anything in it.
fn table<const N: usize>(
    output: &mut Output,
    columns: [Column; N],
    rows: impl Iterator<Item = [String; N]>,
) -> Result<(), OutputError> {
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() {
        return Ok(());
    }
    output.line("")?;
    let text = Table::new(columns).render(&rows, output.style());
    output.bytes(text.as_bytes())
}
