//! What the code written by the derives calls. Not for use by hand: it changes without notice.

pub use crate::typed::json::{decode_struct, decode_unit, decode_variant, encode_struct, encode_unit, encode_variant};
pub use crate::typed::{check_upcast, concat, distinct, knows, total};

use std::error::Error;

use crate::{DecodeError, Event};

/// Reads an event through an older shape of it.
pub fn upcast<Old, New>(name: &str, version: u32, content_type: &str, payload: &[u8]) -> Result<New, DecodeError>
where
    Old: Event,
    New: TryFrom<Old>,
    New::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let old = Old::decode(name, version, content_type, payload)?;
    New::try_from(old).map_err(|source| DecodeError::upcast(name, version, source))
}
