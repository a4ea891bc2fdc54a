//! The rows of a benchmark: for people as a table, for programs as one JSON object each, for the documentation as Markdown.

use std::time::Duration;

use serde::Serialize;

use crate::{
    Settings, markdown,
    paired::{Rounds, percentile},
};

/// One measured row.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    /// What is measured: Mainspring, or the peer of this name.
    pub(crate) of: String,
    pub(crate) figure: f64,
    pub(crate) unit: &'static str,
    /// What it is compared with in the same run.
    pub(crate) beside: Option<f64>,
    /// What that is: the raw limit unless said otherwise.
    pub(crate) beside_is: &'static str,
    /// The figure divided by what it is compared with, slice by slice; above one where batching beats the raw figure.
    pub(crate) ratio: Option<f64>,
    pub(crate) p50_us: Option<f64>,
    pub(crate) p99_us: Option<f64>,
    pub(crate) p999_us: Option<f64>,
    pub(crate) bar: String,
    /// Whether it does; nothing where there is nothing to reach.
    pub(crate) met: Option<bool>,
    /// Whether other processes were so busy that the row proves nothing.
    pub(crate) disturbed: bool,
    /// What a reader of the figures has to know.
    pub(crate) note: String,
}

/// The name that our own rows go by.
pub(crate) const OURS: &str = "Mainspring";

impl Row {
    /// A figure of ours that is compared with nothing yet.
    pub(crate) fn new(name: impl Into<String>, figure: f64, unit: &'static str) -> Self {
        Self {
            name: name.into(),
            of: OURS.to_owned(),
            figure,
            unit,
            beside: None,
            beside_is: "raw",
            ratio: None,
            p50_us: None,
            p99_us: None,
            p999_us: None,
            bar: String::new(),
            met: None,
            disturbed: false,
            note: String::new(),
        }
    }

    /// The medians of rounds of two sides, the second being what ours is compared with.
    pub(crate) fn of_rounds(name: impl Into<String>, unit: &'static str, mut rounds: Rounds) -> Self {
        let row = Self::new(name, rounds.figure(0), unit).beside("raw", rounds.figure(1), rounds.ratio(1));
        let mut row = row.latencies(rounds.latencies());
        match rounds.disturbed() {
            None => row,
            Some((disturbed, all)) => {
                row.disturbed = true;
                row.note(&format!("other processes disturbed {disturbed} of {all} rounds"))
            }
        }
    }

    pub(crate) fn beside(mut self, what: &'static str, figure: f64, ratio: f64) -> Self {
        (self.beside, self.beside_is, self.ratio) = (Some(figure), what, Some(ratio));
        self
    }

    /// Says what the figure beside is.
    pub(crate) fn beside_is(mut self, what: &'static str) -> Self {
        self.beside_is = what;
        self
    }

    /// The percentiles of these durations; one that too few of them could tell is left out.
    pub(crate) fn latencies(mut self, durations: &mut [Duration]) -> Self {
        let count = durations.len();
        let mut at = |part: f64, least: usize| (count >= least).then(|| percentile(durations, part)).flatten();
        (self.p50_us, self.p99_us, self.p999_us) = (at(0.5, 1), at(0.99, 100), at(0.999, 1000));
        self
    }

    /// What the row has to reach; to be said after everything that the bar looks at.
    pub(crate) fn bar(mut self, bar: Bar) -> Self {
        (self.bar, self.met) = (bar.describe(self.beside_is), bar.is_met(self.figure, self.ratio));
        self
    }

    /// Adds what a reader has to know.
    pub(crate) fn note(mut self, note: &str) -> Self {
        if !self.note.is_empty() && !note.is_empty() {
            self.note.push_str("; ");
        }
        self.note.push_str(note);
        self
    }
}

/// What a row has to reach.
#[derive(Clone, Copy)]
pub(crate) enum Bar {
    /// At least so many times what it is compared with.
    Ratio(f64),
    /// At most so many times what it is compared with.
    RatioAtMost(f64),
    /// At least so many of the unit.
    AtLeast(f64),
    /// At most so many of the unit.
    AtMost(f64),
    /// Shown for comparison.
    None,
}

impl Bar {
    fn describe(self, beside_is: &str) -> String {
        match self {
            Self::Ratio(ratio) => format!(">= {ratio} x {beside_is}"),
            Self::RatioAtMost(ratio) => format!("<= {ratio} x {beside_is}"),
            Self::AtLeast(least) => format!(">= {}", figure(least)),
            Self::AtMost(most) => format!("<= {}", figure(most)),
            Self::None => String::new(),
        }
    }

    fn is_met(self, figure: f64, ratio: Option<f64>) -> Option<bool> {
        match self {
            Self::Ratio(least) => Some(ratio.is_some_and(|ratio| ratio >= least)),
            Self::RatioAtMost(most) => Some(ratio.is_some_and(|ratio| ratio <= most)),
            Self::AtLeast(least) => Some(figure >= least),
            Self::AtMost(most) => Some(figure <= most),
            Self::None => None,
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Style {
    Text,
    Json,
    Markdown,
}

/// A part of the rows with a title and what holds for all of them.
pub(crate) struct Section {
    pub(crate) title: &'static str,
    pub(crate) about: String,
    pub(crate) rows: Vec<Row>,
}

/// Prints rows as they come and keeps them for the end.
pub(crate) struct Table {
    style: Style,
    /// Said once, above everything.
    head: Vec<String>,
    sections: Vec<Section>,
}

impl Table {
    pub(crate) fn begin(settings: &Settings) -> Self {
        let style = match (settings.json, settings.markdown) {
            (true, _) => Style::Json,
            (_, true) => Style::Markdown,
            _ => Style::Text,
        };
        Self { style, head: Vec::new(), sections: Vec::new() }
    }

    /// Says something above everything, once however many runs there are.
    pub(crate) fn head(&mut self, text: String) {
        if self.head.contains(&text) {
            return;
        }
        match self.style {
            Style::Text => println!("{text}"),
            Style::Json => println!("{}", serde_json::json!({ "about": text })),
            Style::Markdown => eprintln!("{text}"),
        }
        self.head.push(text);
    }

    /// Begins a part of the rows; a later run goes on with the parts of the first.
    pub(crate) fn section(&mut self, title: &'static str, about: impl Into<String>) {
        let about = about.into();
        let text = format!(
            "\n{title}: {about}\n{:<58} {:>9} {:>9} {:>6}  {:<13} {:<8} {:>8} {:>8} {:>8}  {:<22} met",
            "name", "figure", "beside", "ratio", "beside is", "unit", "p50 µs", "p99 µs", "p99.9 µs", "bar"
        );
        match self.style {
            Style::Text => println!("{text}"),
            Style::Json => println!("{}", serde_json::json!({ "section": title, "about": about })),
            Style::Markdown => eprintln!("{text}"),
        }
        match self.sections.iter().position(|section| section.title == title) {
            Some(index) => {
                let section = self.sections.remove(index);
                self.sections.push(section);
            }
            None => self.sections.push(Section { title, about, rows: Vec::new() }),
        }
    }

    /// Prints a row and keeps it, in the part that was begun last.
    pub(crate) fn print(&mut self, row: Row) -> anyhow::Result<()> {
        match self.style {
            Style::Text => println!("{}", line(&row)),
            Style::Json => println!("{}", serde_json::to_string(&row)?),
            Style::Markdown => eprintln!("{}", line(&row)),
        }
        if let Some(section) = self.sections.last_mut() {
            section.rows.push(row);
        }
        Ok(())
    }

    /// Prints what can be printed only when all runs are over.
    pub(crate) fn end(&self) {
        if self.style == Style::Markdown {
            print!("{}", markdown::document(&self.head, &self.sections));
        }
    }
}

fn line(row: &Row) -> String {
    let optional = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), figure);
    let met = match (row.met, row.disturbed) {
        (None, _) => "",
        (_, true) => "disturbed",
        (Some(true), _) => "yes",
        (Some(false), _) => "NO",
    };
    let name = if row.of == OURS { row.name.clone() } else { format!("{}: {}", row.name, row.of) };
    let line = format!(
        "{name:<58} {:>9} {:>9} {:>6}  {:<13} {:<8} {:>8} {:>8} {:>8}  {:<22} {met}",
        optional((!row.figure.is_nan()).then_some(row.figure)),
        optional(row.beside),
        row.ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}")),
        if row.beside.is_some() { row.beside_is } else { "" },
        row.unit,
        optional(row.p50_us),
        optional(row.p99_us),
        optional(row.p999_us),
        row.bar
    );
    let note = if row.note.is_empty() { String::new() } else { format!("\n    {}", row.note) };
    format!("{}{note}", line.trim_end())
}

/// A figure with as many digits as anyone can use.
pub(crate) fn figure(value: f64) -> String {
    match value {
        1e6.. => format!("{:.2}M", value / 1e6),
        1e4.. => format!("{:.1}k", value / 1e3),
        100.0.. => format!("{value:.0}"),
        1.0.. => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}
