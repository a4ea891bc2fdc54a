//! Money. Amounts are whole cents, because no fraction of a cent can be paid and no float can hold ten of them exactly.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// An amount of US dollars in whole cents; less than zero when it is owed or paid back.
///
/// ```
/// use mainspring_shop::Cents;
///
/// let price: Cents = "11.77".parse()?;
/// assert_eq!(price, Cents(1_177));
/// assert_eq!(price.checked_add(Cents(-1_182)).map(|sum| sum.to_string()).as_deref(), Some("-0.05"));
/// # Ok::<(), mainspring_shop::ParseCentsError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cents(pub i64);

/// Why a text is not an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseCentsError {
    /// It is not written as an amount.
    #[error("an amount is written in digits, with two of them behind the point or with no point at all")]
    Form,
    /// It is too large to be counted.
    #[error("an amount has at most 92,233,720,368,547,758.07 dollars")]
    TooLarge,
}

impl Cents {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// The sum; `None` when it is too large.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// The difference; `None` when it is too large.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(difference) => Some(Self(difference)),
            None => None,
        }
    }
}

impl fmt::Display for Cents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sign, cents) = (if self.0 < 0 { "-" } else { "" }, self.0.unsigned_abs());
        f.pad(&format!("{sign}{}.{:02}", cents / 100, cents % 100))
    }
}

impl FromStr for Cents {
    type Err = ParseCentsError;

    fn from_str(text: &str) -> Result<Self, ParseCentsError> {
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
        let (dollars, cents) = digits.split_once('.').unwrap_or((digits, "00"));
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number(dollars) || !is_number(cents) || cents.len() != 2 {
            return Err(ParseCentsError::Form);
        }
        let mut amount = 0_i64;
        for digit in dollars.bytes().chain(cents.bytes()).map(|byte| i64::from(byte - b'0')) {
            amount =
                amount.checked_mul(10).and_then(|tens| tens.checked_add(digit)).ok_or(ParseCentsError::TooLarge)?;
        }
        Ok(Self(if negative { -amount } else { amount }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_read_exactly() {
        for (text, cents) in
            [("11.77", 1_177), ("0.00", 0), ("0.29", 29), ("12", 1_200), ("-0.05", -5), ("007.10", 710)]
        {
            assert_eq!(text.parse(), Ok(Cents(cents)), "{text}");
        }
        assert_eq!("92233720368547758.07".parse(), Ok(Cents(i64::MAX)));
    }

    #[test]
    fn what_is_not_an_amount_is_refused() {
        for text in ["", "-", ".", "1.", ".50", "1.5", "1.234", "1,50", "+1.00", "1e2", "--1.00", " 1.00", "1.0０"] {
            assert_eq!(text.parse::<Cents>(), Err(ParseCentsError::Form), "{text}");
        }
        assert_eq!("92233720368547758.08".parse::<Cents>(), Err(ParseCentsError::TooLarge));
    }

    #[test]
    fn an_amount_is_shown_as_it_is_read() {
        for text in ["0.00", "0.09", "-0.05", "1286.01", "-92233720368547758.07"] {
            let cents: Cents = text.parse().unwrap();
            assert_eq!(cents.to_string(), text);
        }
        assert_eq!(format!("{:>8}", Cents(1_177)), "   11.77");
        assert_eq!(Cents(i64::MIN).to_string(), "-92233720368547758.08");
    }

    #[test]
    fn sums_that_do_not_fit_are_none() {
        assert_eq!(Cents(i64::MAX).checked_add(Cents(1)), None);
        assert_eq!(Cents(i64::MIN).checked_sub(Cents(1)), None);
        assert_eq!(Cents(5).checked_sub(Cents(7)), Some(Cents(-2)));
    }
}
