//! Inputs for tests, and directories for shops.

use std::{fmt::Write, fs, path::PathBuf};

use mainspring_shop::{
    data::Input,
    demo::{Options, Report, run},
};
use tempfile::TempDir;

/// A directory for a shop, and an input with purchases of its own.
pub(crate) struct Place {
    directory: TempDir,
}

impl Place {
    /// A shop whose input has these lines.
    pub(crate) fn with(lines: &str) -> Self {
        let place = Self { directory: tempfile::tempdir().unwrap() };
        fs::write(place.input(), lines).unwrap();
        place
    }

    /// A shop whose input has so many purchases; every tenth of them is free.
    pub(crate) fn with_purchases(count: u32) -> Self {
        Self::with(&lines(count))
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    pub(crate) fn input(&self) -> PathBuf {
        self.directory.path().join("purchases.txt")
    }

    pub(crate) fn options(&self) -> Options {
        Options { data: self.data(), orders: None, input: Some(self.input()), linger: None }
    }

    /// Runs the demo with all purchases.
    pub(crate) async fn run(&self) -> Report {
        run(&self.options(), &()).await.unwrap()
    }

    /// Runs the demo with the first so many purchases.
    pub(crate) async fn run_first(&self, orders: u64) -> Report {
        run(&Options { orders: Some(orders), ..self.options() }, &()).await.unwrap()
    }
}

/// So many purchases with a header; every tenth of them is free.
pub(crate) fn lines(count: u32) -> String {
    let mut lines = String::from("customer_id date number_of_cds dollar_value\r\n");
    for number in 0..count {
        let (customer, day, month, units) = (number / 3, 1 + number % 28, 1 + number % 12, 1 + number % 5);
        let cents = if number % 10 == 0 { 0 } else { number * 37 % 20_000 + 1 };
        let (dollars, cents) = (cents / 100, cents % 100);
        write!(lines, "{customer:05} 1997{month:02}{day:02} {units:2} {dollars}.{cents:02}\r\n").unwrap();
    }
    lines
}

/// Fails unless the report has exactly these purchases, each paid if it costs something, and shipped.
#[track_caller]
pub(crate) fn assert_complete(report: &Report, lines: &str) {
    let purchases = Input::parse("expected", lines.as_bytes()).purchases;
    let paid = purchases.iter().filter(|purchase| purchase.cents.0 > 0).count();
    assert!(report.reconciled, "{report}");
    assert_eq!(report.orders, purchases.len() as i64);
    assert_eq!(report.units, purchases.iter().map(|purchase| i64::from(purchase.units)).sum::<i64>());
    assert_eq!(report.revenue_cents, purchases.iter().map(|purchase| purchase.cents.0).sum::<i64>());
    assert_eq!(report.events, (2 * purchases.len() + paid) as u64);
}
