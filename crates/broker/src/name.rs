//! Names of what a topology consists of. Checked once, cheap to clone.

use std::{fmt, sync::Arc};

use mainspring_event::NameError;

/// Longer names are refused: Kafka takes 249 bytes for the name of a topic, AMQP 0-9-1 takes 255.
const MAX_NAME: usize = 249;

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(Arc<str>);

        impl $type {
            /// Checks and wraps a name.
            ///
            /// # Errors
            /// [`NameError`] when it is empty, longer than 249 bytes, or has a character other than letters and digits
            /// of ASCII, `.`, `_` and `-`.
            pub fn new(name: impl AsRef<str>) -> Result<Self, NameError> {
                check($what, name.as_ref())?;
                Ok(Self(name.as_ref().into()))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $type {
            type Err = NameError;
            fn from_str(name: &str) -> Result<Self, NameError> {
                Self::new(name)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

name! {
    /// Where messages are sent: the name of a topic. What an AMQP broker calls an exchange is a topic, too.
    Destination, "destination"
}

name! {
    /// The name of a durable subscription: all its members share the messages, and it has its own copy of each. What an
    /// AMQP broker calls a queue is a group, too.
    Group, "group"
}

/// Kafka's rule for the names of topics, which every other broker can take, too.
fn check(what: &'static str, name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty { what });
    }
    if name.len() > MAX_NAME {
        return Err(NameError::TooLong { what, start: name.chars().take(24).collect(), length: name.len() });
    }
    match name.chars().find(|&c| !(c.is_ascii_alphanumeric() || "._-".contains(c))) {
        Some(found) => Err(NameError::Character { what, name: name.to_owned(), found }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_every_broker_can_take() {
        for good in ["orders", "orders.eu-1_dead", "7"] {
            assert_eq!(Destination::new(good).unwrap().as_str(), good);
        }
        assert_eq!(Group::new(""), Err(NameError::Empty { what: "group" }));
        assert!(matches!(Destination::new("a b"), Err(NameError::Character { found: ' ', .. })));
        assert!(Destination::new("x".repeat(249)).is_ok());
        assert!(matches!(Destination::new("x".repeat(250)), Err(NameError::TooLong { length: 250, .. })));
    }
}
