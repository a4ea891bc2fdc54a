//! Names: of streams, categories, event types and sources. Checked once, cheap to clone: up to 23 bytes are held in place,
//! without memory of their own and without a counter that processors would have to share.

use std::fmt;

use serde::{Deserialize, Serialize};
use smol_str::{SmolStr, format_smolstr};

/// Names longer than this many bytes are refused.
pub(crate) const MAX_NAME: usize = 255;

/// Why a text cannot be a name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// A name has at least one character.
    #[error("a {what} must not be empty")]
    Empty {
        /// Which kind of name.
        what: &'static str,
    },
    /// A name has at most 255 bytes of UTF-8.
    #[error("a {what} has at most 255 bytes; `{start}…` has {length}")]
    TooLong {
        /// Which kind of name.
        what: &'static str,
        /// The first characters, to recognise it.
        start: String,
        /// Its length in bytes.
        length: usize,
    },
    /// A character that this kind of name cannot have.
    #[error("a {what} must not contain {found:?} (in `{name}`)")]
    Character {
        /// Which kind of name.
        what: &'static str,
        /// The whole name.
        name: String,
        /// The offending character.
        found: char,
    },
}

/// Checks length and characters; control characters are never allowed, `extra` lists what else is not.
pub(crate) fn check(what: &'static str, name: &str, extra: &[char]) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty { what });
    }
    if name.len() > MAX_NAME {
        let start = name.chars().take(24).collect();
        return Err(NameError::TooLong { what, start, length: name.len() });
    }
    match name.chars().find(|c| c.is_control() || extra.contains(c)) {
        Some(found) => Err(NameError::Character { what, name: name.to_owned(), found }),
        None => Ok(()),
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal, $extra:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $type(SmolStr);

        impl $type {
            /// Checks and wraps a name.
            ///
            /// # Errors
            /// [`NameError`] when it is empty, longer than 255 bytes, or has a character it must not have.
            pub fn new(name: impl AsRef<str>) -> Result<Self, NameError> {
                Self::checked(SmolStr::new(name))
            }

            fn checked(name: SmolStr) -> Result<Self, NameError> {
                check($what, &name, $extra)?;
                Ok(Self(name))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $type {
            type Error = NameError;
            fn try_from(name: String) -> Result<Self, NameError> {
                Self::new(name)
            }
        }

        impl TryFrom<&str> for $type {
            type Error = NameError;
            fn try_from(name: &str) -> Result<Self, NameError> {
                Self::new(name)
            }
        }

        impl From<$type> for String {
            fn from(name: $type) -> Self {
                name.as_str().to_owned()
            }
        }

        impl std::str::FromStr for $type {
            type Err = NameError;
            fn from_str(name: &str) -> Result<Self, NameError> {
                Self::new(name)
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
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
    /// Names one stream, such as `order-17`: a category, a `-`, and the key of the aggregate.
    ///
    /// A name without `-` is a category with an empty key. Names that begin with `$` are internal: reads of everything
    /// and queries by type or tag pass them by unless they are named.
    StreamName, "stream name", &[]
}

name! {
    /// The first part of a stream's name, such as `order` of `order-17`; what Axon and DDD call the aggregate type.
    Category, "category", &['-']
}

name! {
    /// The name of an event type, such as `OrderPlaced`: past tense, and the same for ever.
    EventTypeName, "event type", &[]
}

name! {
    /// Who produced an event, as a URI reference (the `source` of CloudEvents).
    Source, "source", &[]
}

impl StreamName {
    /// The stream of the aggregate `key` in `category`.
    ///
    /// # Errors
    /// [`NameError`] when the category is empty or contains `-`, or the whole name is too long.
    ///
    /// ```
    /// use mainspring_event::StreamName;
    /// let stream = StreamName::of("order", 17)?;
    /// assert_eq!((stream.as_str(), stream.category(), stream.key()), ("order-17", "order", "17"));
    /// # Ok::<(), mainspring_event::NameError>(())
    /// ```
    pub fn of(category: &str, key: impl fmt::Display) -> Result<Self, NameError> {
        check("category", category, &['-'])?;
        Self::checked(format_smolstr!("{category}-{key}"))
    }

    /// The part before the first `-`.
    pub fn category(&self) -> &str {
        category_of(&self.0)
    }

    /// The part after the first `-`: the aggregate's id.
    pub fn key(&self) -> &str {
        key_of(&self.0)
    }

    /// Whether the stream belongs to the machinery (its name begins with `$`) and not to the business.
    pub fn is_internal(&self) -> bool {
        is_internal(&self.0)
    }
}

impl Category {
    /// Whether streams of this category are internal.
    pub fn is_internal(&self) -> bool {
        is_internal(&self.0)
    }
}

/// The category of a stream name that was checked before.
pub(crate) fn category_of(stream: &str) -> &str {
    stream.split_once('-').map_or(stream, |(category, _)| category)
}

/// The key of a stream name that was checked before.
pub(crate) fn key_of(stream: &str) -> &str {
    stream.split_once('-').map_or("", |(_, key)| key)
}

/// Whether a stream name that was checked before is internal.
pub(crate) fn is_internal(stream: &str) -> bool {
    stream.starts_with('$')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_splits_at_its_first_dash() {
        let stream = StreamName::new("order-2024-17").unwrap();
        assert_eq!((stream.category(), stream.key()), ("order", "2024-17"));
        let plain = StreamName::new("ledger").unwrap();
        assert_eq!((plain.category(), plain.key()), ("ledger", ""));
    }

    #[test]
    fn bad_names_say_what_is_wrong() {
        assert_eq!(StreamName::new(""), Err(NameError::Empty { what: "stream name" }));
        assert!(matches!(StreamName::new("a\nb"), Err(NameError::Character { found: '\n', .. })));
        assert!(matches!(StreamName::of("or-der", 1), Err(NameError::Character { found: '-', .. })));
        assert!(StreamName::new("x".repeat(255)).is_ok());
        assert!(matches!(StreamName::new("x".repeat(256)), Err(NameError::TooLong { length: 256, .. })));
    }
}
