//! Tags: the keys by which a decision finds the events it depends on.

use std::fmt;

use serde::{Deserialize, Serialize};
use smol_str::{SmolStr, format_smolstr};

use crate::name::{NameError, check};

/// A key and a value written with an event, such as `customer:7`; indexed by the store.
///
/// The key has no `:`; the value may be any text. Together they have at most 255 bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Tag(SmolStr);

impl Tag {
    /// The tag `key:value`.
    ///
    /// # Errors
    /// [`NameError`] when the key is empty or contains `:`, or the whole is too long or has control characters.
    ///
    /// ```
    /// use mainspring_event::Tag;
    /// let tag = Tag::new("customer", 7)?;
    /// assert_eq!((tag.as_str(), tag.key(), tag.value()), ("customer:7", "customer", "7"));
    /// # Ok::<(), mainspring_event::NameError>(())
    /// ```
    pub fn new(key: &str, value: impl fmt::Display) -> Result<Self, NameError> {
        check("tag key", key, &[':'])?;
        Self::checked(format_smolstr!("{key}:{value}"))
    }

    /// Reads a tag written as `key:value`.
    ///
    /// # Errors
    /// [`NameError`] as for [`Tag::new`]; a text without `:` has an empty key.
    pub fn parse(text: impl AsRef<str>) -> Result<Self, NameError> {
        Self::checked(SmolStr::new(text))
    }

    fn checked(text: SmolStr) -> Result<Self, NameError> {
        check("tag", &text, &[])?;
        match text.split_once(':') {
            Some((key, _)) if !key.is_empty() => Ok(Self(text)),
            _ => Err(NameError::Empty { what: "tag key (write `key:value`)" }),
        }
    }

    /// `key:value`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the first `:`.
    pub fn key(&self) -> &str {
        self.0.split_once(':').map_or("", |(key, _)| key)
    }

    /// The part after the first `:`.
    pub fn value(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, value)| value)
    }
}

impl TryFrom<String> for Tag {
    type Error = NameError;
    fn try_from(text: String) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

impl From<Tag> for String {
    fn from(tag: Tag) -> Self {
        tag.as_str().to_owned()
    }
}

impl std::str::FromStr for Tag {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::parse(text)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_may_hold_colons() {
        let tag = Tag::parse("url:https://example.org").unwrap();
        assert_eq!((tag.key(), tag.value()), ("url", "https://example.org"));
    }

    #[test]
    fn a_tag_needs_a_key() {
        for bad in ["", "customer", ":7"] {
            assert!(matches!(Tag::parse(bad), Err(NameError::Empty { .. })), "{bad}");
        }
        assert!(matches!(Tag::new("a:b", 1), Err(NameError::Character { found: ':', .. })));
    }
}
