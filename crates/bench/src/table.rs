//! The rows of a benchmark: for people as a table, for programs as one JSON object each.

use serde::Serialize;

/// One measured row.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) ours: f64,
    /// The raw limit, where there is one.
    pub(crate) raw: Option<f64>,
    /// Ours divided by raw; below zero never, above one when batching beats the raw figure it is compared with.
    pub(crate) ratio: Option<f64>,
    pub(crate) unit: &'static str,
    pub(crate) p50_us: Option<f64>,
    pub(crate) p99_us: Option<f64>,
    pub(crate) bar: String,
    /// Whether it does; nothing where there is nothing to reach.
    pub(crate) met: Option<bool>,
}

/// What a row has to reach.
#[derive(Clone, Copy)]
pub(crate) enum Bar {
    /// At least so many times the raw limit.
    Ratio(f64),
    /// At least so many of the unit.
    AtLeast(f64),
    /// At most so many of the unit.
    AtMost(f64),
    /// Shown for comparison.
    None,
}

impl Bar {
    pub(crate) fn describe(self) -> String {
        match self {
            Self::Ratio(ratio) => format!(">= {ratio} x raw"),
            Self::AtLeast(least) => format!(">= {}", figure(least)),
            Self::AtMost(most) => format!("<= {}", figure(most)),
            Self::None => String::new(),
        }
    }

    pub(crate) fn is_met(self, ours: f64, ratio: Option<f64>) -> Option<bool> {
        match self {
            Self::Ratio(least) => Some(ratio.is_some_and(|ratio| ratio >= least)),
            Self::AtLeast(least) => Some(ours >= least),
            Self::AtMost(most) => Some(ours <= most),
            Self::None => None,
        }
    }
}

/// Prints rows as they come.
pub(crate) struct Table {
    json: bool,
}

impl Table {
    pub(crate) fn begin(json: bool, title: &str) -> Self {
        if !json {
            println!("{title}\n");
            println!(
                "{:<44} {:>12} {:>12} {:>7}  {:<9} {:>9} {:>9}  {:<12} met",
                "name", "ours", "raw", "ratio", "unit", "p50 µs", "p99 µs", "bar"
            );
        }
        Self { json }
    }

    pub(crate) fn print(&self, row: &Row) -> anyhow::Result<()> {
        if self.json {
            println!("{}", serde_json::to_string(row)?);
            return Ok(());
        }
        let optional = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), figure);
        let ratio = row.ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
        let met = match row.met {
            None => "",
            Some(true) => "yes",
            Some(false) => "NO",
        };
        println!(
            "{:<44} {:>12} {:>12} {:>7}  {:<9} {:>9} {:>9}  {:<12} {met}",
            row.name,
            figure(row.ours),
            optional(row.raw),
            ratio,
            row.unit,
            optional(row.p50_us),
            optional(row.p99_us),
            row.bar
        );
        Ok(())
    }
}

/// A figure with as many digits as anyone can use.
fn figure(value: f64) -> String {
    match value {
        1e6.. => format!("{:.2}M", value / 1e6),
        1e4.. => format!("{:.1}k", value / 1e3),
        100.0.. => format!("{value:.0}"),
        1.0.. => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}
