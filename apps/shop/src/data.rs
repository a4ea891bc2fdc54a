//! The input: one purchase a line. It is read strictly, so that no line is understood as something it does not say, and a
//! bad line costs no other line.
//!
//! A line is a customer, a date (`YYYYMMDD`), a number of CDs and an amount of dollars, separated by white space. The first
//! line may be a header. What the bundled data asks for:
//! - **Purchases of zero dollars** (80 of them) are free orders of a promotion, not mistakes: they have customers and CDs.
//! - **Several purchases of a customer on one day** (2,068 lines follow another one of the same customer and day, and 255
//!   of them say the very same) are orders of their own: a customer can come back in the afternoon. Nothing is merged or
//!   taken for a repetition.
//! - **Dates are event time**: the events say 1997, whenever the store took them.

mod line;

use std::{fs, io, path::Path, path::PathBuf};

use jiff::civil::Date;
use serde::Serialize;

use crate::{Cents, CustomerId, OrderId};

/// The purchases that are part of the program.
const BUNDLED: &[u8] = include_bytes!("../data/cdnow.txt");

/// What the bundled purchases are called.
const BUNDLED_NAME: &str = "cdnow.txt (bundled)";

/// So many characters of a refused line are shown.
const SHOWN: usize = 80;

/// What an input says.
#[derive(Clone, Debug)]
pub struct Input {
    /// Where it comes from.
    pub name: String,
    /// Its purchases, in the order of the lines.
    pub purchases: Vec<Purchase>,
    /// The lines that are not purchases.
    pub refused: Vec<Refused>,
}

/// One purchase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purchase {
    /// Its order: the number of its line, not counting the header. It stays the same when a bad line is mended.
    pub order: OrderId,
    /// Its line, counted from 1.
    pub line: u64,
    /// Who bought.
    pub customer: CustomerId,
    /// When.
    pub date: Date,
    /// How many CDs.
    pub units: u32,
    /// For how much.
    pub cents: Cents,
}

/// A line that is not a purchase.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// Which line, counted from 1.
    pub line: u64,
    /// How it begins.
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
}

/// The input cannot be read at all.
#[derive(Debug, thiserror::Error)]
#[error("the input `{path}` cannot be read")]
pub struct InputError {
    /// Which file.
    pub path: PathBuf,
    /// What the operating system says.
    pub source: io::Error,
}

impl Input {
    /// The purchases that are part of the program.
    pub fn bundled() -> Self {
        Self::parse(BUNDLED_NAME, BUNDLED)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`InputError`] when the file cannot be read; bad lines are no error.
    pub fn read(path: &Path) -> Result<Self, InputError> {
        let text = fs::read(path).map_err(|source| InputError { path: path.to_owned(), source })?;
        Ok(Self::parse(path.display().to_string(), &text))
    }

    /// Reads lines. Empty ones are passed by.
    ///
    /// ```
    /// use mainspring_shop::data::Input;
    ///
    /// let input = Input::parse("mail", b"customer_id date number_of_cds dollar_value\n7 19970112 2 24.50\n7 19970142 2 24.50\n");
    /// assert_eq!((input.purchases.len(), input.purchases[0].cents.to_string().as_str()), (1, "24.50"));
    /// assert_eq!((input.refused[0].line, input.refused[0].reason.as_str()), (3, "`19970142` is not a date"));
    /// ```
    pub fn parse(name: impl Into<String>, text: &[u8]) -> Self {
        let mut input = Self { name: name.into(), purchases: Vec::new(), refused: Vec::new() };
        let (mut order, mut first) = (0, true);
        for (line, bytes) in (1..).zip(text.split(|byte| *byte == b'\n')) {
            let bytes = bytes.trim_ascii();
            if bytes.is_empty() || (std::mem::take(&mut first) && line::is_header(bytes)) {
                continue;
            }
            order += 1;
            match line::parse(bytes) {
                Ok(line::Fields { customer, date, units, cents }) => {
                    input.purchases.push(Purchase { order: OrderId(order), line, customer, date, units, cents });
                }
                Err(error) => {
                    let text = String::from_utf8_lossy(bytes).chars().take(SHOWN).collect();
                    input.refused.push(Refused { line, text, reason: error.to_string() });
                }
            }
        }
        input
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_bundled_purchases_are_all_there() {
        let Input { purchases, refused, .. } = Input::bundled();
        assert_eq!(refused, []);
        assert_eq!(purchases.len(), 69_659);
        assert_eq!(purchases.iter().map(|purchase| purchase.cents.0).sum::<i64>(), 250_031_563);
        assert_eq!(purchases.iter().map(|purchase| u64::from(purchase.units)).sum::<u64>(), 167_881);
        assert_eq!(purchases.iter().map(|purchase| purchase.customer).collect::<BTreeSet<_>>().len(), 23_570);
        assert_eq!(purchases.iter().map(|purchase| purchase.date).collect::<BTreeSet<_>>().len(), 546);
        assert_eq!(purchases.iter().filter(|purchase| purchase.cents == Cents::ZERO).count(), 80);
        assert_eq!((purchases[0].order, purchases[0].line), (OrderId(1), 2));
        assert_eq!(purchases[69_658].order, OrderId(69_659));
    }

    #[test]
    fn customers_come_back_on_the_same_day() {
        let purchases = Input::bundled().purchases;
        let days: BTreeSet<_> = purchases.iter().map(|purchase| (purchase.customer, purchase.date)).collect();
        assert_eq!(purchases.len() - days.len(), 2_068);
        let lines = purchases.iter().map(|purchase| (purchase.customer, purchase.date, purchase.units, purchase.cents));
        assert_eq!(purchases.len() - lines.collect::<BTreeSet<_>>().len(), 255);
    }

    #[test]
    fn a_bad_line_costs_no_other_line() {
        let text = b"00001 19970101 1 11.77\r\n\r\nnonsense\n00002 19970102 0 5.00\n\xff 1 1 1\n00003 19970103 2 20.76";
        let input = Input::parse("test", text);
        let places: Vec<_> = input.purchases.iter().map(|purchase| (purchase.order.0, purchase.line)).collect();
        assert_eq!(places, [(1, 1), (5, 6)]);
        let refused: Vec<_> = input.refused.iter().map(|refused| (refused.line, refused.reason.as_str())).collect();
        assert_eq!(
            refused,
            [
                (3, "a purchase has four fields (customer, date, CDs, dollars), this line has 1"),
                (4, "a purchase has at least one CD"),
                (5, "it is not UTF-8"),
            ]
        );
    }

    #[test]
    fn a_mended_line_changes_no_other_order() {
        let orders = |text: &[u8]| {
            let purchases = Input::parse("test", text).purchases;
            purchases.iter().map(|purchase| (purchase.order.0, purchase.customer.0)).collect::<Vec<_>>()
        };
        assert_eq!(orders(b"7 19970101 x 1.00\n8 19970101 1 1.00"), [(2, 8)]);
        assert_eq!(orders(b"7 19970101 1 1.00\n8 19970101 1 1.00"), [(1, 7), (2, 8)]);
        assert_eq!(orders(b"customer_id date number_of_cds dollar_value\n8 19970101 1 1.00"), [(1, 8)]);
    }

    #[test]
    fn a_header_is_one_only_at_the_top() {
        let input = Input::parse("test", b"7 19970101 1 1.00\ncustomer_id date number_of_cds dollar_value\n");
        assert_eq!((input.purchases.len(), input.refused.len()), (1, 1));
    }
}
