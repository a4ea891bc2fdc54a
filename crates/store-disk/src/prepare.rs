//! What can be done for an append before its place in the log is known, by its caller and in parallel.

use hashbrown::HashSet;
use mainspring_event::{EventId, NewEvent, Tag};
use mainspring_store::{Append, AppendError, Limits};

use crate::{
    format::{
        frame::FRAME_HEAD,
        record::{Body, encode_body},
    },
    index::NameHash,
};

/// Every event has so many names besides its tags.
const FIXED_NAMES: usize = 4;

/// An append, checked and encoded as far as possible.
pub(crate) struct Prepared {
    pub(crate) append: Append,
    /// The encoded bodies one after the other.
    pub(crate) buffer: Vec<u8>,
    pub(crate) bodies: Vec<Body>,
    /// The hashes of the names of the events one after the other, as [`HashedEvent`] names them.
    hashes: Vec<NameHash>,
}

/// An event with the hashes of its names.
#[derive(Clone, Copy)]
pub(crate) struct HashedEvent<'a> {
    pub(crate) event: &'a NewEvent,
    pub(crate) names: Hashes<'a>,
}

/// The hashes of the names of an event.
#[derive(Clone, Copy)]
pub(crate) struct Hashes<'a> {
    pub(crate) stream: NameHash,
    pub(crate) event_type: NameHash,
    pub(crate) source: NameHash,
    pub(crate) content_type: NameHash,
    pub(crate) tags: &'a [NameHash],
}

impl Prepared {
    pub(crate) fn new(append: Append, limits: &Limits) -> Result<Self, AppendError> {
        limits.check(&append)?;
        if let Some(id) = repeated_id(&append.events) {
            return Err(AppendError::Invalid { reason: format!("event id {id} occurs twice in it") });
        }
        let size = append.events.iter().map(|event| event.payload.len() + event.metadata.encoded_len() + 48).sum();
        let mut buffer = Vec::with_capacity(size);
        let bodies = append.events.iter().map(|event| encode_body(event, &mut buffer)).collect();
        let mut hashes = Vec::with_capacity(append.events.iter().map(|event| FIXED_NAMES + event.tags.len()).sum());
        for event in &append.events {
            let fixed: [&str; FIXED_NAMES] =
                [event.stream.as_str(), event.event_type.as_str(), event.source.as_str(), &event.content_type];
            hashes.extend(fixed.into_iter().chain(event.tags.iter().map(Tag::as_str)).map(NameHash::of));
        }
        Ok(Self { append, buffer, bodies, hashes })
    }

    /// The events, each with the hashes of its names.
    pub(crate) fn hashed(&self) -> impl Iterator<Item = HashedEvent<'_>> {
        let mut rest = self.hashes.as_slice();
        self.append.events.iter().map(move |event| {
            let (fixed, behind) = rest.split_first_chunk::<FIXED_NAMES>().expect("every event has hashes of its names");
            let (tags, behind) = behind.split_at(event.tags.len());
            rest = behind;
            let [stream, event_type, source, content_type] = *fixed;
            HashedEvent { event, names: Hashes { stream, event_type, source, content_type, tags } }
        })
    }

    /// How many tags the events have together.
    pub(crate) fn tags(&self) -> usize {
        self.hashes.len() - FIXED_NAMES * self.append.events.len()
    }

    /// An upper bound of the length of the frame.
    pub(crate) fn frame_bound(&self) -> u64 {
        /// Entries of the dictionary are never longer than this.
        const NAME: usize = 3 + 255;
        /// Nor are stream changes, each with one name in JSON.
        const CHANGE: usize = 2048;
        let events = self.append.events.iter().zip(&self.bodies);
        let records: usize = events.map(|(event, body)| body.length + (FIXED_NAMES + event.tags.len()) * NAME).sum();
        (FRAME_HEAD + records + self.append.changes.len() * CHANGE + 8) as u64
    }
}

/// An id that two of these events have.
fn repeated_id(events: &[NewEvent]) -> Option<EventId> {
    // New ids increase, so most appends need no set of them.
    if events.is_sorted_by(|one, next| one.id < next.id) {
        return None;
    }
    let mut ids = HashSet::with_capacity(events.len());
    events.iter().map(|event| event.id).find(|id| !ids.insert(*id))
}
