//! Why a CloudEvent cannot be read.

use std::error::Error;

use crate::{MetadataError, NameError};

/// A CloudEvent cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CloudEventError {
    /// It is not JSON, or not an object.
    #[error("this is not a CloudEvent in JSON")]
    Json(#[source] Box<dyn Error + Send + Sync>),
    /// An attribute that every such event has is absent.
    #[error("the CloudEvent has no `{attribute}`")]
    Missing {
        /// The attribute.
        attribute: &'static str,
    },
    /// It follows another version of the specification.
    #[error("the CloudEvent has specversion `{found}`: only `1.0` can be read")]
    SpecVersion {
        /// The version it says.
        found: String,
    },
    /// An attribute occurs twice.
    #[error("the CloudEvent has two `{attribute}`")]
    Duplicate {
        /// The attribute.
        attribute: String,
    },
    /// It has both `data` and `data_base64`.
    #[error("the CloudEvent has both `data` and `data_base64`: remove one")]
    TwoPayloads,
    /// An attribute is of a type that it cannot have.
    #[error("`{attribute}` of the CloudEvent is {found}, not {expected}")]
    Type {
        /// The attribute.
        attribute: String,
        /// What it should be.
        expected: &'static str,
        /// What it is.
        found: &'static str,
    },
    /// An attribute is not in the form that it must have.
    #[error("`{attribute}` of the CloudEvent is not {expected}: `{found}`")]
    Form {
        /// The attribute.
        attribute: &'static str,
        /// What it should be.
        expected: &'static str,
        /// What it is.
        found: String,
    },
    /// An attribute is not a name that an event can have here.
    #[error("`{attribute}` of the CloudEvent cannot be taken over")]
    Name {
        /// The attribute.
        attribute: &'static str,
        /// What is wrong with it.
        source: NameError,
    },
    /// The name of an extension breaks the rules.
    #[error("the CloudEvent has an extension that cannot be taken over")]
    Extension(#[source] MetadataError),
    /// One event of a batch is wrong.
    #[error("event {index} of the batch, counted from 0, cannot be read")]
    InBatch {
        /// Which one, counted from 0.
        index: usize,
        /// What is wrong with it.
        source: Box<CloudEventError>,
    },
}

impl CloudEventError {
    pub(super) fn json(source: serde_json::Error) -> Self {
        Self::Json(Box::new(source))
    }

    pub(super) fn form(attribute: &'static str, expected: &'static str, found: &str) -> Self {
        Self::Form { attribute, expected, found: found.to_owned() }
    }
}
