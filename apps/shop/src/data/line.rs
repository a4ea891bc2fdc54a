//! One line of the input.

use jiff::civil::Date;

use crate::{Cents, CustomerId, ParseCentsError};

/// What a line says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fields {
    pub(super) customer: CustomerId,
    pub(super) date: Date,
    pub(super) units: u32,
    pub(super) cents: Cents,
}

/// What is wrong with a line.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadLine {
    #[error("it is not UTF-8")]
    NotText,
    #[error("a purchase has four fields (customer, date, CDs, dollars), this line has {0}")]
    Fields(usize),
    #[error("`{0}` is not the number of a customer")]
    Customer(String),
    #[error("`{0}` is not a date")]
    Date(String),
    #[error("`{0}` is not a number of CDs")]
    Units(String),
    #[error("a purchase has at least one CD")]
    NoUnits,
    #[error("`{0}` is not an amount: {1}")]
    Amount(String, ParseCentsError),
    #[error("a purchase does not cost less than nothing")]
    Negative,
}

/// Whether the first line names its columns: none of them is a number.
pub(super) fn is_header(line: &[u8]) -> bool {
    line.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty()).all(|field| field[0].is_ascii_alphabetic())
        && line.starts_with(b"customer")
}

/// Reads a line.
pub(super) fn parse(line: &[u8]) -> Result<Fields, BadLine> {
    let line = str::from_utf8(line).map_err(|_| BadLine::NotText)?;
    let mut fields = line.split_ascii_whitespace();
    let (Some(customer), Some(date), Some(units), Some(amount), None) =
        (fields.next(), fields.next(), fields.next(), fields.next(), fields.next())
    else {
        return Err(BadLine::Fields(line.split_ascii_whitespace().count()));
    };
    let customer = number(customer).ok_or_else(|| BadLine::Customer(customer.to_owned()))?;
    let date = day(date).ok_or_else(|| BadLine::Date(date.to_owned()))?;
    let units = number(units).ok_or_else(|| BadLine::Units(units.to_owned()))?;
    let cents: Cents = amount.parse().map_err(|error| BadLine::Amount(amount.to_owned(), error))?;
    if units == 0 {
        return Err(BadLine::NoUnits);
    }
    if cents < Cents::ZERO {
        return Err(BadLine::Negative);
    }
    Ok(Fields { customer: CustomerId(customer), date, units, cents })
}

/// Digits and nothing else: the standard library would take a sign, too.
fn number(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

fn day(text: &str) -> Option<Date> {
    let part = |range| number(text.get(range)?);
    if text.len() != 8 {
        return None;
    }
    let (year, month, day) = (part(0..4)?, part(4..6)?, part(6..8)?);
    Date::new(year.try_into().ok()?, month.try_into().ok()?, day.try_into().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn a_line_is_read_exactly() {
        let fields = Fields { customer: CustomerId(4), date: date(1998, 2, 28), units: 12, cents: Cents(14_929) };
        assert_eq!(parse(b" 00004\t19980228  12 149.29"), Ok(fields));
    }

    #[test]
    fn a_bad_field_is_named() {
        for (line, reason) in [
            ("4 19980228 12", "a purchase has four fields (customer, date, CDs, dollars), this line has 3"),
            ("4 19980228 12 1.00 x", "a purchase has four fields (customer, date, CDs, dollars), this line has 5"),
            ("x 19980228 12 1.00", "`x` is not the number of a customer"),
            ("-4 19980228 12 1.00", "`-4` is not the number of a customer"),
            ("99999999999 19980228 12 1.00", "`99999999999` is not the number of a customer"),
            ("4 19980229 12 1.00", "`19980229` is not a date"),
            ("4 1998-2-28 12 1.00", "`1998-2-28` is not a date"),
            ("4 19980é8 12 1.00", "`19980é8` is not a date"),
            ("4 19980228 +1 1.00", "`+1` is not a number of CDs"),
            ("4 19980228 0 1.00", "a purchase has at least one CD"),
            ("4 19980228 1 -1.00", "a purchase does not cost less than nothing"),
        ] {
            assert_eq!(parse(line.as_bytes()).unwrap_err().to_string(), reason, "{line}");
        }
        assert!(matches!(parse(b"4 19980228 1 1.5"), Err(BadLine::Amount(..))));
    }

    #[test]
    fn a_header_names_columns() {
        assert!(is_header(b"customer_id  date number_of_cds  dollar_value"));
        assert!(!is_header(b"00001 19970101 1 11.77"));
        assert!(!is_header(b"customer_id 19970101 1 11.77"));
        assert!(!is_header(b"nonsense"));
    }
}
