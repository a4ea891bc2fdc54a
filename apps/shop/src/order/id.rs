//! What orders and customers are called.

use std::{fmt, num::ParseIntError, str::FromStr};

use serde::{Deserialize, Serialize};

/// The number of an order; its events are in the stream `order-000017`.
///
/// The name has at least six digits, so that names sort as numbers do up to a million orders. Read from a text, the zeros
/// and the `order-` in front may be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OrderId(pub u64);

/// The number of a customer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CustomerId(pub u32);

impl OrderId {
    /// The order whose stream has this key; `None` where the shop would have named it otherwise.
    pub fn of_key(key: &str) -> Option<Self> {
        let id = Self(key.parse().ok()?);
        (id.to_string() == key).then_some(id)
    }
}

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:06}", self.0)
    }
}

impl FromStr for OrderId {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        text.strip_prefix("order-").unwrap_or(text).parse().map(Self)
    }
}

impl fmt::Display for CustomerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_has_one_name_and_is_found_by_several() {
        assert_eq!(OrderId(17).to_string(), "000017");
        assert_eq!(OrderId(12_345_678).to_string(), "12345678");
        for text in ["17", "000017", "order-17", "order-000017"] {
            assert_eq!(text.parse(), Ok(OrderId(17)), "{text}");
        }
        assert!("seventeen".parse::<OrderId>().is_err());
        assert_eq!(OrderId::of_key("000017"), Some(OrderId(17)));
        assert_eq!(OrderId::of_key("17"), None);
        assert_eq!(OrderId::of_key("+00017"), None);
    }
}
