//! What is appended to the directories that are kept: of everything something.

use std::time::Duration;

use mainspring_conformance::Seed;
use mainspring_event::{Category, EventId, Metadata, MetadataValue, NewEvent, StreamName, Tag, TraceContext, Version};
use mainspring_store::{Append, Retained, Retention, StreamChange};

/// Every stream that a directory may hold.
pub(crate) const STREAMS: [&str; 7] = ["a-1", "a-2", "b-1", "b-2", "$r-1", "gone-1", "left-1"];

pub(crate) fn event(seed: &mut Seed, name: &str, payload: usize) -> NewEvent {
    let mut id: [u8; 16] = [seed.draw().to_be_bytes(), seed.draw().to_be_bytes()].concat().try_into().unwrap();
    if seed.once_in(3) {
        // Time-ordered, as the ids of most stores are.
        (id[6], id[8]) = (0x70 | id[6] & 0x0f, 0x80 | id[8] & 0x3f);
    }
    let payload: Vec<u8> = (0..payload).map(|_| (seed.draw() >> 32) as u8).collect();
    NewEvent {
        id: EventId::from_bytes(id),
        time: jiff::Timestamp::from_second(-500).unwrap(),
        ..NewEvent::json(stream(name), "Happened".parse().unwrap(), payload)
    }
}

fn stream(name: &str) -> StreamName {
    StreamName::new(name).unwrap()
}

fn single(seed: &mut Seed, name: &str, payload: usize) -> Append {
    Append::new([event(seed, name, payload)])
}

/// Everything that an event can say.
fn full(seed: &mut Seed) -> NewEvent {
    let mut metadata = Metadata::default();
    metadata.correlation = Some(EventId::derived(&["correlation"]));
    metadata.causation = Some(EventId::derived(&["causation"]));
    metadata.trace = Some(TraceContext { traceparent: "00-1-2-01".into(), tracestate: Some("x=1".into()) });
    metadata.user = Some("ada".into());
    metadata.tenant = Some("zürich".into());
    metadata.insert("subject", MetadataValue::Text("Ω".into())).unwrap();
    metadata.insert("retries", MetadataValue::Integer(-3)).unwrap();
    metadata.insert("test", MetadataValue::Boolean(true)).unwrap();
    NewEvent {
        event_type: "Opened".parse().unwrap(),
        schema_version: 7,
        source: "elsewhere".parse().unwrap(),
        content_type: "text/plain".into(),
        tags: ["k:1", "l:two"].map(|tag| Tag::parse(tag).unwrap()).into(),
        metadata,
        ..event(seed, "a-1", 11)
    }
}

pub(crate) fn a_few(seed: &mut Seed) -> Vec<Append> {
    vec![
        single(seed, "a-1", 0),
        Append::new([full(seed), event(seed, "b-1", 40), event(seed, "$r-1", 3)]),
        single(seed, "a-2", 120),
    ]
}

pub(crate) fn many(seed: &mut Seed) -> Vec<Append> {
    batches(seed, 24, 120)
}

/// Enough segments that runs of the directory were merged, and some that were not.
pub(crate) fn over_many_segments(seed: &mut Seed) -> Vec<Append> {
    batches(seed, 12, 50)
}

fn batches(seed: &mut Seed, batches: u64, payload: usize) -> Vec<Append> {
    let tag = |number: u64| Tag::parse(format!("k:{}", number % 3)).unwrap();
    let batch = |number: u64| {
        let size = seed.within(1..=4);
        Append::new((0..size).map(|at| {
            let name = STREAMS[seed.index(5)];
            let tags = if name.starts_with('$') { Vec::new() } else { vec![tag(number + at)] };
            NewEvent { tags, ..event(seed, name, payload) }
        }))
    };
    (0..batches).map(batch).collect()
}

fn count(name: &str, count: u64) -> Append {
    let retention = Retention { max_count: Some(count), max_age: None };
    Append::default().change(StreamChange::Retain { target: Retained::Stream(stream(name)), retention })
}

pub(crate) fn retained(seed: &mut Seed) -> Vec<Append> {
    let mut appends = many(seed);
    appends.push(single(seed, "gone-1", 9));
    let two = Retention { max_count: Some(2), max_age: None };
    let aged = Retention { max_count: None, max_age: Some(Duration::from_secs(25)) };
    let changes = [
        StreamChange::Retain { target: Retained::Category(Category::new("b").unwrap()), retention: two },
        StreamChange::Retain { target: Retained::Stream(stream("a-2")), retention: aged },
        StreamChange::TruncateBefore { stream: stream("a-1"), version: Version(4) },
        StreamChange::Tombstone { stream: stream("gone-1") },
    ];
    appends.push(count("$r-1", 1));
    appends.extend(changes.map(|change| Append::default().change(change)));
    appends.extend(batches(seed, 3, 120));
    appends
}

/// A register that fills segments of its own, streams that end, and events that stay between others that go.
pub(crate) fn removed(seed: &mut Seed) -> Vec<Append> {
    let tags = vec![Tag::parse("k:1").unwrap()];
    let mut appends: Vec<_> = (0..5).map(|_| single(seed, "$r-1", 400)).collect();
    appends.extend([count("$r-1", 1), count("left-1", 0), count("b-1", 2)]);
    let mixed = ["left-1", "a-1", "gone-1", "b-1", "a-2"];
    appends.extend((0..6).map(|number| {
        let events = mixed.map(|name| NewEvent { tags: tags.clone(), ..event(seed, name, 60) });
        Append::new(events.into_iter().take(2 + number % 4))
    }));
    appends.push(Append::default().change(StreamChange::Tombstone { stream: stream("gone-1") }));
    appends.extend(batches(seed, 10, 120));
    appends.push(Append::default().change(StreamChange::TruncateBefore { stream: stream("a-2"), version: Version(3) }));
    appends.extend((0..3).map(|_| Append::new([event(seed, "a-1", 200), event(seed, "a-1", 300)])));
    appends
}
