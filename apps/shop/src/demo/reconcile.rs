//! Compares three books: what the input says, what a replay of the events says, and what the read models say.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use serde::Serialize;

use super::{
    books::{Account, Books, Day, Line},
    total,
};

/// So many differences are named; all are counted.
const NAMED: usize = 100;

/// What the comparison came to.
#[derive(Debug)]
pub(super) struct Reconciliation {
    pub(super) totals: Totals,
    pub(super) differences: Vec<Difference>,
    /// How many there are, named or not.
    pub(super) found: u64,
}

/// The totals, in each of three ways.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Orders.
    pub orders: Compared,
    /// Customers who ordered.
    pub customers: Compared,
    /// CDs.
    pub units: Compared,
    /// Money that came in, in cents.
    pub revenue_cents: Compared,
    /// Days on which orders were placed.
    pub days: Compared,
}

/// One figure, computed in three ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Compared {
    /// From the input.
    pub input: i64,
    /// From a replay of the events.
    pub replay: i64,
    /// From the read models.
    pub read_models: i64,
}

/// A figure that is not the same everywhere; `None` where what it belongs to is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Which figure.
    pub what: String,
    /// From the input.
    pub input: Option<String>,
    /// From a replay of the events.
    pub replay: Option<String>,
    /// From the read models.
    pub read_models: Option<String>,
}

impl Reconciliation {
    pub(super) fn of(input: &Books, replay: &Books, read_models: &Books) -> Result<Self> {
        let books = [input, replay, read_models];
        let mut found = Found::default();
        let totals = Totals::of(books)?;
        for (what, compared) in totals.named() {
            found.check(|| what.to_owned(), compared.figures().map(|figure| Some(figure.to_string())));
        }
        found.compare(books.map(|books| &books.days), "of", Day::figures);
        found.compare(books.map(|books| &books.customers), "of customer", Account::figures);
        found.compare(books.map(|books| &books.orders), "of order", Line::figures);
        Ok(Self { totals, differences: found.named, found: found.count })
    }
}

impl Totals {
    fn of(books: [&Books; 3]) -> Result<Self> {
        let [input, replay, read_models] = books.map(|books| {
            let counts = [books.orders.len(), books.customers.len(), books.trading_days()];
            let [orders, customers, days] = counts.map(|count| i64::try_from(count).ok());
            Some([orders?, customers?, books.units()?, books.revenue()?.0, days?])
        });
        let (input, replay, read_models) = (total(input)?, total(replay)?, total(read_models)?);
        let compared =
            |index: usize| Compared { input: input[index], replay: replay[index], read_models: read_models[index] };
        Ok(Self {
            orders: compared(0),
            customers: compared(1),
            units: compared(2),
            revenue_cents: compared(3),
            days: compared(4),
        })
    }

    fn named(&self) -> [(&'static str, Compared); 5] {
        [
            ("orders", self.orders),
            ("customers", self.customers),
            ("CDs", self.units),
            ("revenue in cents", self.revenue_cents),
            ("days", self.days),
        ]
    }
}

impl Compared {
    fn figures(self) -> [i64; 3] {
        [self.input, self.replay, self.read_models]
    }
}

/// The differences found so far.
#[derive(Default)]
struct Found {
    named: Vec<Difference>,
    count: u64,
}

/// The figures of one row, by name.
type Figures<const N: usize> = [(&'static str, String); N];

impl Found {
    /// Compares every figure of every row that is in any of the three.
    fn compare<K: Ord + ToString, V: PartialEq, const N: usize>(
        &mut self,
        books: [&BTreeMap<K, V>; 3],
        of: &str,
        figures: impl Fn(&V) -> Figures<N>,
    ) {
        if books[0] == books[1] && books[1] == books[2] {
            return;
        }
        let keys: BTreeSet<_> = books.iter().flat_map(|rows| rows.keys()).collect();
        for key in keys {
            let rows = books.map(|rows| rows.get(key));
            if rows[0] == rows[1] && rows[1] == rows[2] {
                continue;
            }
            let rows = rows.map(|row| row.map(&figures));
            let Some(names) = rows.iter().flatten().next().map(|figures| figures.each_ref().map(|(name, _)| *name))
            else {
                continue;
            };
            for (index, name) in names.into_iter().enumerate() {
                let values = rows.each_ref().map(|row| row.as_ref().map(|figures| figures[index].1.clone()));
                self.check(|| format!("{name} {of} {}", key.to_string()), values);
            }
        }
    }

    fn check(&mut self, what: impl FnOnce() -> String, [input, replay, read_models]: [Option<String>; 3]) {
        if input == replay && replay == read_models {
            return;
        }
        self.count += 1;
        if self.named.len() < NAMED {
            self.named.push(Difference { what: what(), input, replay, read_models });
        }
    }
}

impl Day {
    fn figures(&self) -> Figures<2> {
        [("revenue", self.cents.to_string()), ("orders", self.orders.to_string())]
    }
}

impl Account {
    fn figures(&self) -> Figures<3> {
        [("orders", self.orders.to_string()), ("CDs", self.units.to_string()), ("dollars", self.cents.to_string())]
    }
}

impl Line {
    fn figures(&self) -> Figures<5> {
        [
            ("status", self.status.clone()),
            ("day", self.placed_on.to_string()),
            ("customer", self.customer.to_string()),
            ("CDs", self.units.to_string()),
            ("dollars", self.cents.to_string()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Input;

    const LINES: &[u8] = b"7 19970101 1 11.77\n7 19970101 2 0.00\n8 19970103 5 20.76\n";

    fn books() -> Books {
        Books::of_purchases(&Input::parse("test", LINES).purchases.iter().collect::<Vec<_>>()).unwrap()
    }

    #[track_caller]
    fn check(read_models: &Books, expected: &[(&str, Option<&str>, Option<&str>)]) {
        let reconciliation = Reconciliation::of(&books(), &books(), read_models).unwrap();
        let named = reconciliation.differences.iter().map(|difference| {
            let Difference { what, input, replay, read_models } = difference;
            assert_eq!(input, replay, "{what}");
            (what.as_str(), replay.as_deref(), read_models.as_deref())
        });
        let named: Vec<_> = named.collect();
        assert_eq!(named, expected);
        assert_eq!(reconciliation.found, expected.len() as u64);
    }

    #[test]
    fn equal_books_reconcile() {
        check(&books(), &[]);
        let totals = Reconciliation::of(&books(), &books(), &books()).unwrap().totals;
        let equal = |figure| Compared { input: figure, replay: figure, read_models: figure };
        let expected = Totals {
            orders: equal(3),
            customers: equal(2),
            units: equal(8),
            revenue_cents: equal(3_253),
            days: equal(2),
        };
        assert_eq!(totals, expected);
    }

    #[test]
    fn every_figure_that_differs_is_named() {
        let mut other = books();
        other.days.values_mut().next().unwrap().cents.0 += 1;
        check(
            &other,
            &[
                ("revenue in cents", Some("3253"), Some("3254")),
                ("revenue of 1997-01-01", Some("11.77"), Some("11.78")),
            ],
        );
        let mut other = books();
        other.customers.values_mut().next().unwrap().orders += 1;
        check(&other, &[("orders of customer 7", Some("2"), Some("3"))]);
        let mut other = books();
        other.orders.values_mut().next().unwrap().status = "paid".to_owned();
        check(&other, &[("status of order 000001", Some("shipped"), Some("paid"))]);
    }

    #[test]
    fn two_errors_that_cancel_each_other_out_are_found() {
        let mut other = books();
        let mut days = other.days.values_mut();
        days.next().unwrap().cents.0 += 5;
        days.next().unwrap().cents.0 -= 5;
        check(
            &other,
            &[
                ("revenue of 1997-01-01", Some("11.77"), Some("11.82")),
                ("revenue of 1997-01-03", Some("20.76"), Some("20.71")),
            ],
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        let mut other = books();
        other.days.pop_last();
        let missing = [
            ("revenue in cents", Some("3253"), Some("1177")),
            ("days", Some("2"), Some("1")),
            ("revenue of 1997-01-03", Some("20.76"), None),
            ("orders of 1997-01-03", Some("1"), None),
        ];
        check(&other, &missing);
    }

    #[test]
    fn many_differences_are_counted_and_some_are_named() {
        let lines: String = (0..500).map(|customer| format!("{customer} 19970101 1 1.00\n")).collect();
        let input = Input::parse("test", lines.as_bytes());
        let full = Books::of_purchases(&input.purchases.iter().collect::<Vec<_>>()).unwrap();
        let mut other = full.clone();
        other.orders.values_mut().for_each(|line| line.units = 2);
        let reconciliation = Reconciliation::of(&full, &full, &other).unwrap();
        assert_eq!((reconciliation.differences.len(), reconciliation.found), (NAMED, 501));
    }
}
