//! Event ids: time-ordered when new, derived when a retry must not duplicate.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Identifies one event for ever; the key of idempotent append.
///
/// A new id is a UUIDv7, so ids sort roughly by time and old index runs can be skipped by range. An id that must come
/// out the same on every retry is a UUIDv5 of what it was derived from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventId(Uuid);

/// The namespace of ids derived from an idempotency key or from a foreign id.
const DERIVED: Uuid = Uuid::from_u128(0x6d61_696e_7370_7269_6e67_2d64_6572_6976);

impl EventId {
    /// A fresh, time-ordered id (UUIDv7).
    #[expect(clippy::new_without_default, reason = "a default would suggest that all new ids are equal")]
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }

    /// The id that the same `parts` always give (UUIDv5 of their length-prefixed concatenation).
    ///
    /// ```
    /// use mainspring_event::EventId;
    /// assert_eq!(EventId::derived(&["place-1", "0"]), EventId::derived(&["place-1", "0"]));
    /// assert_ne!(EventId::derived(&["ab", "c"]), EventId::derived(&["a", "bc"]));
    /// ```
    pub fn derived(parts: &[&str]) -> Self {
        let mut name = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
        for part in parts {
            name.extend_from_slice(&(part.len() as u64).to_le_bytes());
            name.extend_from_slice(part.as_bytes());
        }
        Self(Uuid::new_v5(&DERIVED, &name))
    }

    /// Wraps a UUID of any version.
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid)
    }

    /// The UUID inside.
    pub const fn as_uuid(&self) -> &Uuid {
        &self.0
    }

    /// The sixteen bytes, most significant first.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0.into_bytes()
    }

    /// The id with these sixteen bytes, most significant first.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The text is not a UUID.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an event id: write a UUID such as 0197d1e2-8c7a-7f00-8000-000000000001")]
pub struct ParseEventIdError(String);

impl FromStr for EventId {
    type Err = ParseEventIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::parse_str(text).map(Self).map_err(|_| ParseEventIdError(text.to_owned()))
    }
}
