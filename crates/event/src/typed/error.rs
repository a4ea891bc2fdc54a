//! Why an event cannot be written or read.

use std::error::Error;

/// The fields of an event cannot be written as a payload.
#[derive(Debug, thiserror::Error)]
#[error("cannot encode an event of type {event_type}")]
pub struct EncodeError {
    /// The stored name of the event type.
    pub event_type: &'static str,
    source: Box<dyn Error + Send + Sync>,
}

impl EncodeError {
    /// An event of type `event_type` that could not be written because of `source`.
    pub fn new(event_type: &'static str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { event_type, source: source.into() }
    }
}

/// A stored event cannot be read as the type that was asked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The reader does not know the event type. A reader that asks only for the types of its enum never meets this.
    #[error("no event type here is called `{name}`: add a variant for it, or leave it out of what is read")]
    UnknownType {
        /// The stored name.
        name: String,
    },
    /// A newer program wrote it. Reading it by an older shape could lose what the newer one means.
    #[error("{name} has version {version} but this program knows versions up to {known}: run a newer program")]
    FromTheFuture {
        /// The stored name.
        name: String,
        /// The stored schema version.
        version: u32,
        /// The newest version that the program knows.
        known: u32,
    },
    /// The payload is in a format that the type is not read from.
    #[error(
        "{name} version {version} is stored as `{content_type}`, which is not JSON: implement `Event` for it by hand"
    )]
    ContentType {
        /// The stored name.
        name: String,
        /// The stored schema version.
        version: u32,
        /// Media type of the stored payload.
        content_type: String,
    },
    /// The payload does not have the shape of its type.
    #[error("{name} version {version} does not have the shape of its type (the current version is {known})")]
    Malformed {
        /// The stored name.
        name: String,
        /// The stored schema version.
        version: u32,
        /// The version of the shape it was read by; if newer than the stored one, an upcast is missing.
        known: u32,
        /// What the payload's format says.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The conversion from an older shape failed.
    #[error("{name} version {version} cannot be brought up to date")]
    Upcast {
        /// The stored name.
        name: String,
        /// The stored schema version.
        version: u32,
        /// What the conversion says.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl DecodeError {
    /// A type that the reader does not know.
    pub fn unknown_type(name: &str) -> Self {
        Self::UnknownType { name: name.to_owned() }
    }

    /// A payload of `version` of `name` that could not be read by the shape of version `known`.
    pub fn malformed(name: &str, version: u32, known: u32, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Malformed { name: name.to_owned(), version, known, source: source.into() }
    }

    /// An older shape that could not be converted.
    pub fn upcast(name: &str, version: u32, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Upcast { name: name.to_owned(), version, source: source.into() }
    }
}
