//! What the store holds, and how much room it takes.

use std::path::Path;

use mainspring::{
    disk::{SegmentStats, Stats},
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
    sealed: bool,
}

#[derive(Serialize)]
struct Category<'a> {
    name: &'a str,
    streams: u64,
    events: u64,
}

#[derive(Serialize)]
struct Type<'a> {
    name: &'a str,
    events: u64,
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
        let SegmentStats { number, events, bytes, sealed } = *segment;
        Segment { number, events, bytes, sealed }
    };
    let categories = stats.categories.iter();
    let types = stats.types.iter();
    #[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
    let bytes_per_event = if stats.events == 0 { 0.0 } else { stats.log_bytes as f64 / stats.events as f64 };
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
        bytes_per_event: (bytes_per_event * 10.0).round() / 10.0,
        segments: stats.segments.iter().map(segment).collect(),
        categories: categories.map(|c| Category { name: &c.name, streams: c.streams, events: c.events }).collect(),
        types: types.map(|one| Type { name: &one.name, events: one.events }).collect(),
    }
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
        ("Per event", format!("{:.1} bytes", report.bytes_per_event)),
    ];
    for (name, value) in facts {
        output.line(&format!("{name:<9}  {value}"))?;
    }
    table(
        output,
        [Column::Left("CATEGORY"), Column::Right("STREAMS"), Column::Right("EVENTS")],
        report.categories.iter().map(|c| [c.name.to_owned(), units::number(c.streams), units::number(c.events)]),
    )?;
    table(
        output,
        [Column::Left("TYPE"), Column::Right("EVENTS")],
        report.types.iter().map(|one| [one.name.to_owned(), units::number(one.events)]),
    )?;
    table(
        output,
        [Column::Right("SEGMENT"), Column::Right("EVENTS"), Column::Right("SIZE"), Column::Left("STATE")],
        report.segments.iter().map(|segment| {
            let state = if segment.sealed { "sealed" } else { "active" };
            let Segment { number, events, bytes, .. } = *segment;
            [number.to_string(), units::number(events), units::bytes(bytes), state.to_owned()]
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
