//! The events that every peer is given: as many bytes, streams and tags as those that Mainspring is given.

use uuid::Uuid;

/// How many streams there are.
const STREAMS: usize = 10_000;

/// Length of a payload in bytes.
const PAYLOAD: usize = 256;

/// One event, before it is put into the words of a peer.
pub struct Event {
    pub id: Uuid,
    pub stream: String,
    pub event_type: &'static str,
    pub tags: [String; 2],
    pub payload: Vec<u8>,
}

/// Makes events that look like those of a service.
pub(crate) struct Source {
    next: usize,
    payload: Vec<u8>,
}

impl Source {
    pub(crate) fn new(first: usize) -> Self {
        let mut payload = br#"{"note":""#.to_vec();
        payload.resize(PAYLOAD - 2, b'x');
        payload.extend_from_slice(br#""}"#);
        Self { next: first, payload }
    }

    pub(crate) fn events(&mut self, count: usize) -> Vec<Event> {
        (0..count).map(|_| self.event()).collect()
    }

    fn event(&mut self) -> Event {
        // Far apart and never twice in a batch.
        self.next = (self.next + 7919) % STREAMS;
        Event {
            id: Uuid::now_v7(),
            stream: format!("order-{}", self.next),
            event_type: "OrderPlaced",
            tags: [format!("customer:{}", self.next), "region:north".to_owned()],
            payload: self.payload.clone(),
        }
    }
}
