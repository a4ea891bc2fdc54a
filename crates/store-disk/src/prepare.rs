//! What can be done for an append before its place in the log is known, by its caller and in parallel.

use hashbrown::HashSet;
use mainspring_store::{Append, AppendError, Limits};

use crate::format::{
    frame::FRAME_HEAD,
    record::{Body, encode_body},
};

/// An append, checked and encoded as far as possible.
pub(crate) struct Prepared {
    pub(crate) append: Append,
    /// The encoded bodies one after the other.
    pub(crate) buffer: Vec<u8>,
    pub(crate) bodies: Vec<Body>,
}

impl Prepared {
    pub(crate) fn new(append: Append, limits: &Limits) -> Result<Self, AppendError> {
        limits.check(&append)?;
        if append.events.len() > 1 {
            let mut ids = HashSet::with_capacity(append.events.len());
            if let Some(twice) = append.events.iter().find(|event| !ids.insert(event.id)) {
                return Err(AppendError::Invalid { reason: format!("event id {} occurs twice in it", twice.id) });
            }
        }
        let size = append.events.iter().map(|event| event.payload.len() + event.metadata.encoded_len() + 48).sum();
        let mut buffer = Vec::with_capacity(size);
        let bodies = append.events.iter().map(|event| encode_body(event, &mut buffer)).collect();
        Ok(Self { append, buffer, bodies })
    }

    /// An upper bound of the length of the frame.
    pub(crate) fn frame_bound(&self) -> u64 {
        /// Entries of the dictionary are never longer than this.
        const NAME: usize = 3 + 255;
        /// Nor are stream changes, each with one name in JSON.
        const CHANGE: usize = 2048;
        let events = self.append.events.iter().zip(&self.bodies);
        let records: usize = events.map(|(event, body)| body.length + (4 + event.tags.len()) * NAME).sum();
        (FRAME_HEAD + records + self.append.changes.len() * CHANGE + 8) as u64
    }
}
