//! The reads that a seed makes, over few names, so that they meet what was appended.

use std::time::Duration;

use jiff::Timestamp;
use mainspring_conformance::Seed;
use mainspring_event::{Category, EventId, EventTypeName, Position, StreamName, Tag, Version};
use mainspring_store::{Direction, Query, QueryItem, Read, ReadFrom, Scope};

use super::model::Model;

/// Every stream that a history may write.
pub(super) const STREAMS: [&str; 9] = ["a-1", "a-2", "b-1", "b-2", "c-1", "d-1", "d-2", "$a-1", "$register-1"];
/// Every type of an event.
pub(super) const TYPES: [&str; 3] = ["Opened", "Moved", "Closed"];
/// Every tag.
pub(super) const TAGS: [&str; 4] = ["k:1", "k:2", "l:1", "l:2"];

pub(super) fn stream(name: &str) -> StreamName {
    StreamName::new(name).expect("histories use valid names")
}

pub(super) fn category(name: &str) -> Category {
    Category::new(name).expect("histories use valid names")
}

pub(super) fn event_type(name: &str) -> EventTypeName {
    EventTypeName::new(name).expect("histories use valid names")
}

pub(super) fn tag(text: &str) -> Tag {
    Tag::parse(text).expect("histories use valid tags")
}

/// Everything that is there, internal events too.
pub(super) fn everything() -> Query {
    let streams = STREAMS.map(stream).into();
    QueryItem { scope: Scope::Streams(streams), ..QueryItem::default() }.into()
}

/// An id that follows from the seed.
pub(super) fn id(seed: &mut Seed) -> EventId {
    let halves = [seed.draw().to_be_bytes(), seed.draw().to_be_bytes()];
    let mut bytes: [u8; 16] = halves.concat().try_into().expect("two times eight bytes are sixteen");
    // Half of them look like UUIDv7 of the time of the history, whose order stores make use of.
    if bytes[15].is_multiple_of(2) {
        bytes[..5].copy_from_slice(&[0x00, 0xe8, 0xd4, 0xa5, 0x10]);
        bytes[6] = 0x70 | bytes[6] & 0x0f;
        bytes[8] = 0x80 | bytes[8] & 0x3f;
    }
    EventId::from_bytes(bytes)
}

/// Some tags, each once.
pub(super) fn tags(seed: &mut Seed, most: u64) -> Vec<Tag> {
    let mut tags = TAGS;
    seed.shuffle(&mut tags);
    let count = seed.index(usize::try_from(most).expect("few") + 1);
    tags[..count].iter().map(|text| tag(text)).collect()
}

/// Any selection of events.
pub(super) fn query(seed: &mut Seed, model: &Model) -> Query {
    match seed.within(0..=9) {
        0 | 1 => Query::All,
        2 => {
            let mut ids = vec![id(seed)];
            for _ in 0..seed.within(0..=3) {
                if !model.ids().is_empty() {
                    ids.push(model.ids()[seed.index(model.ids().len())]);
                }
            }
            Query::Ids(ids)
        }
        _ => Query::Items((0..seed.within(1..=2)).map(|_| item(seed)).collect()),
    }
}

fn item(seed: &mut Seed) -> QueryItem {
    let scope = match seed.within(0..=4) {
        0 => {
            // More than one, because a tombstoned stream refuses a read of it alone and a wider one passes it.
            let first = seed.index(STREAMS.len() - 1);
            Scope::Streams(STREAMS[first..first + 2].iter().map(|name| stream(name)).collect())
        }
        1 => Scope::Category(category(seed.pick(&["a", "b", "c", "d", "$a"]))),
        _ => Scope::Everywhere,
    };
    let types = (0..seed.within(0..=2)).map(|_| event_type(seed.pick(&TYPES))).collect();
    QueryItem { scope, types, tags: tags(seed, 2) }
}

/// Any read that comes to an end.
pub(super) fn read(seed: &mut Seed, model: &Model, now: Timestamp) -> Read {
    let mut query = query(seed, model);
    let head = model.head().0;
    let mut from = match seed.within(0..=6) {
        0 => ReadFrom::End,
        1 | 2 => ReadFrom::After(Position(seed.within(0..=head + 1))),
        3 => ReadFrom::Time(now - Duration::from_secs(seed.within(0..=7_200))),
        _ => ReadFrom::Start,
    };
    if seed.once_in(4) {
        query = Query::stream(stream(seed.pick(&STREAMS)));
        if seed.once_in(2) {
            from = ReadFrom::Version(Version(seed.within(1..=12)));
        }
    }
    let limit = seed.once_in(3).then(|| seed.within(0..=9));
    let mut read = Read { limit, ..Read::new(query).from(from) };
    // A position beyond the head is an error forwards; backwards the contract does not say.
    let beyond = matches!(from, ReadFrom::After(position) if position.0 > head);
    if from == ReadFrom::Start {
        read = if seed.once_in(4) { read.backwards() } else { read };
    } else if seed.once_in(3) && !beyond {
        read.direction = Direction::Backwards;
    }
    read
}
