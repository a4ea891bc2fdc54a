//! Events as Rust types: what a program writes and reads, beside the bytes that a store keeps.
//!
//! A type says which event types it stands for and how they become a payload and back; the derives write that.

mod error;
pub(crate) mod json;
mod types;

use bytes::Bytes;

use crate::{NameError, Tag};

pub use error::{DecodeError, EncodeError};
pub use types::{carried, is_category};
pub use types::{check_upcast, concat, distinct, knows, total};

/// One type of event: what a store indexes, and what queries and registries speak of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EventType {
    /// The stored name, such as `OrderPlaced`; the same for ever.
    pub name: &'static str,
    /// The schema version that is written; counted from 1.
    pub version: u32,
    /// The keys of the tags that events of this type may carry.
    pub tags: &'static [&'static str],
}

/// An encoded event: the bytes, and what they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// Media type of the bytes.
    pub content_type: &'static str,
    /// The fact itself.
    pub bytes: Bytes,
}

/// A set of event types that can be written and read: a struct is one type, an enum the sum of its variants.
///
/// Derive it: see [`derive(Event)`](derive@crate::Event). An enum whose variants hold events defined elsewhere is a
/// view: each reader declares the events it needs.
///
/// ```
/// use mainspring_event::{DecodeError, Event};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, PartialEq, Serialize, Deserialize, Event)]
/// # #[event(crate = mainspring_event)]
/// enum OrderEvent {
///     OrderPlaced {
///         #[tag]
///         customer: u64,
///         units: u32,
///     },
///     OrderShipped,
/// }
///
/// let placed = OrderEvent::OrderPlaced { customer: 7, units: 2 };
/// let payload = placed.encode()?;
/// assert_eq!(payload.bytes, r#"{"customer":7,"units":2}"#);
/// assert_eq!(placed.event_type().name, "OrderPlaced");
/// assert_eq!(placed.tags()?[0].as_str(), "customer:7");
/// assert_eq!(OrderEvent::decode("OrderPlaced", 1, payload.content_type, &payload.bytes)?, placed);
///
/// let newer = OrderEvent::decode("OrderPlaced", 2, payload.content_type, &payload.bytes);
/// assert!(matches!(newer, Err(DecodeError::FromTheFuture { version: 2, .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event",
    label = "not an event",
    note = "add `#[derive(Event)]` to it; a tuple variant of an event enum holds another event"
)]
pub trait Event: Sized + Send + Sync + 'static {
    /// Every type that a value can have; no name occurs twice.
    const TYPES: &'static [EventType];

    /// The type of this value, one of [`Event::TYPES`].
    fn event_type(&self) -> &'static EventType;

    /// The tags of this value; their keys are among those of its type.
    ///
    /// # Errors
    /// [`NameError`] when a value is too long for a tag or has characters that a tag cannot have.
    fn tags(&self) -> Result<Vec<Tag>, NameError>;

    /// The payload, in the schema version that [`Event::event_type`] says.
    ///
    /// # Errors
    /// [`EncodeError`] when a field cannot be written, such as a map whose keys are not text.
    fn encode(&self) -> Result<Payload, EncodeError>;

    /// Reads a payload that was stored as `version` of the event type `name`. Older versions are brought up to date; a
    /// version without an upcast of its own is read by the oldest shape that is newer than it.
    ///
    /// # Errors
    /// [`DecodeError`] when the type is none of these, the version is newer than the program, or the payload does not
    /// have the shape that it should.
    fn decode(name: &str, version: u32, content_type: &str, payload: &[u8]) -> Result<Self, DecodeError>;
}

/// A command whose tags select the events that a decision depends on.
///
/// ```
/// use mainspring_event::Tagged;
///
/// #[derive(Tagged)]
/// # #[event(crate = mainspring_event)]
/// struct Enrol {
///     #[tag]
///     course: String,
///     #[tag("student")]
///     who: u64,
/// }
///
/// let enrol = Enrol { course: "rust".to_owned(), who: 7 };
/// assert_eq!(Enrol::KEYS, ["course", "student"]);
/// assert_eq!(enrol.tags()?[1].as_str(), "student:7");
/// # Ok::<(), mainspring_event::NameError>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no tags",
    label = "has no tags",
    note = "add `#[derive(Tagged)]` to it and mark fields with `#[tag]`"
)]
pub trait Tagged {
    /// The keys of the tags that a value may have, each once.
    const KEYS: &'static [&'static str];

    /// The tags of this value.
    ///
    /// # Errors
    /// [`NameError`] when a value is too long for a tag or has characters that a tag cannot have.
    fn tags(&self) -> Result<Vec<Tag>, NameError>;
}
