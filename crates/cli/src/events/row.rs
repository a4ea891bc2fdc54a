//! Events as rows for people.

use jiff::{RoundMode, TimestampRound, Unit};
use mainspring::{event::EventRef, store::EventBatch};

use crate::{
    printable,
    style::Style,
    table::{Column, Table},
    units,
};

/// The table of events.
pub(super) struct Rows(Table<7>);

impl Rows {
    pub(super) fn new() -> Self {
        Self(Table::new([
            Column::Right("POSITION"),
            Column::Left("TIME"),
            Column::Left("STREAM"),
            Column::Right("VERSION"),
            Column::Left("TYPE"),
            Column::Left("TAGS"),
            Column::Left("PAYLOAD"),
        ]))
    }

    /// The events of a batch as lines.
    pub(super) fn render(&mut self, batch: &EventBatch, style: Style) -> String {
        let rows: Vec<_> = batch.iter().map(|event| row(&event)).collect();
        self.0.render(&rows, style)
    }
}

fn row(event: &EventRef<'_>) -> [String; 7] {
    let tags: Vec<_> = event.tags.iter().collect();
    // Fractions that nobody reads at a glance; `--json` has them all.
    let whole = TimestampRound::new().smallest(Unit::Second).mode(RoundMode::Trunc);
    let time = event.time.round(whole).unwrap_or(event.time);
    [
        units::number(event.position.0),
        time.to_string(),
        event.stream.to_owned(),
        units::number(event.version.0),
        event.event_type.to_owned(),
        tags.join(" "),
        printable::payload(event.content_type, event.payload),
    ]
}
