//! Layer 0 of Mainspring: what an event is. No I/O, no async.
//!
//! An event is an immutable fact with a past-tense name. [`NewEvent`] is what its author says, [`StoredEvent`] adds
//! what the store says (version, position, recorded time), [`EventRef`] is the same borrowed from a batch, and
//! [`Recorded`] is the same again with the payload decoded into a type of yours.

pub mod cloud_events;
#[doc(hidden)]
pub mod derive_support;
mod event_ref;
mod id;
mod metadata;
mod name;
mod new_event;
mod position;
mod recorded;
mod tag;
mod typed;

pub use event_ref::{EventBuffer, EventRef, TagTable, Tags};
pub use id::{EventId, ParseEventIdError};
pub use metadata::{Metadata, MetadataError, MetadataRef, MetadataValue, TraceContext};
pub use name::{Category, EventTypeName, NameError, Source, StreamName};
pub use new_event::{NewEvent, StoredEvent};
pub use position::{Position, Version};
pub use recorded::Recorded;
pub use tag::Tag;
pub use typed::{DecodeError, EncodeError, Event, EventType, Payload, Tagged, carried, is_category};

/// The derives of the traits of the same name.
pub use mainspring_macros::{Event, Tagged};
