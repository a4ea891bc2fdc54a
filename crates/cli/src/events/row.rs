//! Events as rows for people.

use jiff::{RoundMode, TimestampRound, Unit};
use mainspring::{event::EventRef, store::EventBatch};

use crate::{
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
        payload(event.content_type, event.payload),
    ]
}

/// The payload on one line. Control characters are escaped: they could do anything to a terminal.
fn payload(content_type: &str, payload: &[u8]) -> String {
    let Ok(text) = std::str::from_utf8(payload) else {
        let kind = if content_type.is_empty() { "unknown type" } else { content_type };
        return format!("<{} of {}>", units::count(payload.len() as u64, "byte"), escaped(kind));
    };
    escaped(text)
}

fn escaped(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_stays_on_its_line_and_off_the_terminal() {
        assert_eq!(payload("application/json", "{\"a\":\"ü\"}".as_bytes()), "{\"a\":\"ü\"}");
        assert_eq!(payload("text/plain", b"a\n\x1b[31mb\xc2\x9b"), "a\\n\\u{1b}[31mb\\u{9b}");
        assert_eq!(payload("image/png\x1b", b"\xff\x00"), "<2 bytes of image/png\\u{1b}>");
        assert_eq!(payload("", b""), "");
    }
}
