//! Records, as they were written and as they were not.

use jiff::Timestamp;
use mainspring_conformance::Seed;
use mainspring_event::{EventId, NewEvent, StreamName, Tag};

use super::{Place, Record, encode_body, finish, tail_len};

const PLACE: Place =
    Place { stream: 3, event_type: 1, source: 4, content_type: 1, position: 5, version: 9, recorded: i64::MIN };

fn event(payload: usize) -> NewEvent {
    let stream = StreamName::new("a-1").unwrap();
    NewEvent {
        id: EventId::derived(&["record"]),
        time: Timestamp::MIN,
        schema_version: u32::MAX,
        tags: ["k:1", "k:2"].map(|tag| Tag::parse(tag).unwrap()).into(),
        ..NewEvent::json(stream, "Happened".parse().unwrap(), vec![0xab; payload])
    }
}

fn encode(event: &NewEvent) -> Vec<u8> {
    let mut bytes = Vec::new();
    let body = encode_body(event, &mut bytes);
    let author = bytes.len();
    bytes.resize(author + tail_len(2), 0);
    let checksum = finish(&mut bytes[author..], body.checksum, &[7, 8], &PLACE);
    assert_eq!(bytes.len(), body.length);
    assert_eq!(checksum, u32::from_le_bytes(bytes[bytes.len() - 4..].try_into().unwrap()));
    bytes
}

/// Uses everything that a record says.
fn read_all(record: Record<'_>) -> usize {
    let Place { position, .. } = record.place();
    let times = [record.time().as_second() as u64, position, u64::from(record.checksum())];
    let lengths = record.metadata().len() + record.payload().len() + record.tags().len() + record.len();
    let ids = record.id().to_bytes();
    lengths + times.len() + ids.len() + record.schema_version() as usize % 2
}

#[test]
fn a_record_comes_back() {
    for payload in [0, 1, 1_000] {
        let event = event(payload);
        let mut bytes = encode(&event);
        bytes.extend_from_slice(b"what follows");
        let record = Record::verify(&bytes).unwrap();
        assert_eq!(record.len(), bytes.len() - 12);
        assert_eq!((record.id(), record.time(), record.schema_version()), (event.id, event.time, event.schema_version));
        assert_eq!((record.payload(), record.tags()), (&event.payload[..], &[7, 0, 0, 0, 8, 0, 0, 0][..]));
        let mut metadata = Vec::new();
        event.metadata.encode(&mut metadata);
        assert_eq!(record.metadata(), metadata);
        let Place { stream, event_type, source, content_type, position, version, recorded } = record.place();
        assert_eq!((stream, event_type, source, content_type), (3, 1, 4, 1));
        assert_eq!((position, version, recorded), (5, 9, i64::MIN));
    }
}

#[test]
fn a_record_that_was_changed_or_cut_off_is_refused() {
    let bytes = encode(&event(20));
    for len in 0..bytes.len() {
        assert!(Record::verify(&bytes[..len]).is_none(), "cut at {len}");
        assert!(Record::trusted(&bytes[..len]).is_none(), "cut at {len}");
    }
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(Record::verify(&flipped).is_none(), "bit {bit}");
        // Without the checksum it may pass, but it stays within its bytes.
        Record::trusted(&flipped).map(read_all);
    }
}

#[test]
fn garbage_is_read_within_its_bytes() {
    let mut seed = Seed::new(1);
    let mut read = 0;
    for _ in 0..20_000 {
        let len = seed.within(0..=160) as usize;
        let mut garbage: Vec<u8> = (0..len).map(|_| (seed.draw() >> 40) as u8).collect();
        if len >= 96 {
            // Lengths that nearly fit get past the first checks.
            let (metadata, tags) = (seed.within(0..=8) as u32, seed.within(0..=2) as u32);
            let payload = (len as u32 - 92).wrapping_sub(metadata + 4 * tags + u32::from(seed.once_in(3)));
            for (at, number) in [(0, len as u32), (36, metadata), (40, payload), (44, tags)] {
                garbage[at..at + 4].copy_from_slice(&number.to_le_bytes());
            }
        }
        assert!(Record::verify(&garbage).is_none());
        read += Record::trusted(&garbage).map_or(0, read_all);
    }
    assert!(read > 0, "some must get past the first checks");
}
