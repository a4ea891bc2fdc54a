//! What can be done for an append before its place in the log is known, by its caller and in parallel.

use hashbrown::HashSet;
use mainspring_event::{EventId, NewEvent};
use mainspring_store::{Append, AppendError, Limits};

use crate::{
    format::{
        frame::{FRAME_HEAD, Kind},
        record::{Body, encode_body},
    },
    names::{GrowingNames, NameHash, Serial},
};

/// Every event has so many names besides its tags.
const FIXED_NAMES: usize = 4;

/// An append, checked and encoded as far as possible. The committer looks at the events themselves only where a name is new.
pub(crate) struct Prepared {
    pub(crate) append: Append,
    /// The encoded bodies one after the other.
    pub(crate) buffer: Vec<u8>,
    pub(crate) bodies: Vec<Body>,
    /// The names of the events one after the other, as [`PreparedEvent`] has them.
    names: Vec<KnownName>,
    /// The dictionary that was asked for codes.
    asked: Option<Serial>,
}

/// A name, as far as it could be looked up.
#[derive(Clone, Copy)]
pub(crate) struct KnownName {
    pub(crate) hash: NameHash,
    /// Its code in the dictionary that was asked, if that had it.
    pub(crate) code: Option<u32>,
}

/// An event with its names.
#[derive(Clone, Copy)]
pub(crate) struct PreparedEvent<'a> {
    pub(crate) event: &'a NewEvent,
    pub(crate) stream: KnownName,
    pub(crate) event_type: KnownName,
    pub(crate) source: KnownName,
    pub(crate) content_type: KnownName,
    tags: &'a [KnownName],
    with_codes: bool,
}

impl KnownName {
    /// The name with its code, or without.
    fn with_code(self, with_code: bool) -> Self {
        if with_code { self } else { Self { code: None, ..self } }
    }
}

impl PreparedEvent<'_> {
    pub(crate) fn tags(&self) -> impl Iterator<Item = KnownName> {
        self.tags.iter().map(|tag| tag.with_code(self.with_codes))
    }
}

impl Prepared {
    /// Checks and encodes an append, and looks its names up in the dictionary of the growing segment.
    pub(crate) fn new(append: Append, limits: &Limits, growing: Option<&GrowingNames>) -> Result<Self, AppendError> {
        limits.check(&append)?;
        if let Some(id) = repeated_id(&append.events) {
            return Err(AppendError::Invalid { reason: format!("event id {id} occurs twice in it") });
        }
        let size = append.events.iter().map(|event| event.payload.len() + event.metadata.encoded_len() + 48).sum();
        let mut buffer = Vec::with_capacity(size);
        let bodies = append.events.iter().map(|event| encode_body(event, &mut buffer)).collect();
        let names = names_of(&append.events, growing);
        let asked = growing.map(GrowingNames::serial);
        Ok(Self { append, buffer, bodies, names, asked })
    }

    /// Reads a little of all that the committer is going to use of a small append. A large one is read in order, which
    /// processors foresee.
    pub(crate) fn touch(&self) -> u8 {
        /// How far apart bytes are that a processor fetches separately.
        const LINE: usize = 64;
        /// So many pieces of the encoded events.
        const PIECES: usize = 8;
        let bytes = self.buffer.iter().step_by(LINE).take(PIECES).fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
        let name = self.names.first().map_or(0, |name| u8::from(name.code.is_some()));
        let body = self.bodies.first().map_or(0, |body| u8::from(body.tags > 0));
        bytes.wrapping_add(name).wrapping_add(body)
    }

    /// The events with their names, with codes where those are of use.
    pub(crate) fn events(&self, with_codes: bool) -> impl Iterator<Item = PreparedEvent<'_>> {
        let mut rest = self.names.as_slice();
        self.append.events.iter().zip(&self.bodies).map(move |(event, body)| {
            let (fixed, behind) = rest.split_first_chunk::<FIXED_NAMES>().expect("every event has these names");
            let (tags, behind) = behind.split_at(body.tags);
            rest = behind;
            let [stream, event_type, source, content_type] = fixed.map(|name| name.with_code(with_codes));
            PreparedEvent { event, stream, event_type, source, content_type, tags, with_codes }
        })
    }

    /// Whether the codes of names are those of this dictionary.
    pub(crate) fn has_codes_of(&self, growing: &GrowingNames) -> bool {
        self.asked == Some(growing.serial())
    }

    /// The ids of the events.
    pub(crate) fn ids(&self) -> impl Iterator<Item = EventId> + Clone {
        self.bodies.iter().map(|body| body.id)
    }

    /// How many tags the events have together.
    pub(crate) fn tags(&self) -> usize {
        self.names.len() - FIXED_NAMES * self.bodies.len()
    }

    /// An upper bound of the length of the frame.
    pub(crate) fn frame_bound(&self) -> u64 {
        /// Entries of the dictionary are never longer than this.
        const NAME: usize = 3 + 255;
        /// Nor are stream changes, each with one name in JSON.
        const CHANGE: usize = 2048;
        let records: usize = self.bodies.iter().map(|body| body.length + (FIXED_NAMES + body.tags) * NAME).sum();
        (FRAME_HEAD + records + self.append.changes.len() * CHANGE + 8) as u64
    }
}

/// Hashes the names of events, and looks them up where there is a dictionary.
fn names_of(events: &[NewEvent], growing: Option<&GrowingNames>) -> Vec<KnownName> {
    let look_up = |kind: Kind, name: &str| {
        let hash = NameHash::of(name);
        KnownName { hash, code: growing.and_then(|growing| growing.find(kind, hash, name)) }
    };
    let mut names: Vec<KnownName> = Vec::with_capacity(events.iter().map(|event| FIXED_NAMES + event.tags.len()).sum());
    let mut before: Option<(&NewEvent, usize)> = None;
    for event in events {
        let start = names.len();
        // Most names are those of the event before, which saves looking them up.
        for (at, (kind, name)) in fixed_names(event).into_iter().enumerate() {
            let same = before.filter(|(before, _)| fixed_names(before)[at].1 == name);
            names.push(same.map_or_else(|| look_up(kind, name), |(_, start)| names[start + at]));
        }
        for (at, tag) in event.tags.iter().enumerate() {
            let same = before.filter(|(before, _)| before.tags.get(at) == Some(tag));
            let known =
                same.map_or_else(|| look_up(Kind::Tag, tag.as_str()), |(_, start)| names[start + FIXED_NAMES + at]);
            names.push(known);
        }
        before = Some((event, start));
    }
    names
}

fn fixed_names(event: &NewEvent) -> [(Kind, &str); FIXED_NAMES] {
    [
        (Kind::Stream, event.stream.as_str()),
        (Kind::Type, event.event_type.as_str()),
        (Kind::Source, event.source.as_str()),
        (Kind::ContentType, &event.content_type),
    ]
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
