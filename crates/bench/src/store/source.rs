//! Events that look like those of a service.

use mainspring::event::{EventId, EventTypeName, NameError, NewEvent, StreamName, Tag};

/// How many streams the events of a benchmark are spread over.
pub(super) const STREAMS: usize = 10_000;

/// Length of a payload in bytes.
pub(super) const PAYLOAD: usize = 256;

/// Categories of the varied events, each with as many streams.
const CATEGORIES: [&str; 10] =
    ["order", "payment", "parcel", "customer", "invoice", "return", "basket", "review", "coupon", "ticket"];

/// Types of the varied events, in turn.
const TYPES: [&str; 8] = ["Placed", "Changed", "Paid", "Packed", "Sent", "Delivered", "Returned", "Closed"];

/// Regions of the varied events.
const REGIONS: [&str; 5] = ["north", "east", "south", "west", "centre"];

/// Makes events.
pub(crate) struct Source {
    streams: Vec<StreamName>,
    types: Vec<EventTypeName>,
    regions: Vec<Tag>,
    payload: Vec<u8>,
    /// This source has the streams `number`, `number + of`, …
    number: usize,
    of: usize,
    made: usize,
    /// Whether ids are derived from names (UUIDv5) instead of ordered by time (UUIDv7).
    derived_ids: bool,
}

impl Source {
    /// Events of one category and type. There are `of` such sources, and they share out the streams.
    pub(super) fn new(category: &str, number: usize, of: usize) -> Result<Self, NameError> {
        let streams = (0..STREAMS).map(|key| StreamName::of(category, key)).collect::<Result<_, _>>()?;
        Self::with(streams, &["OrderPlaced"], &["north"], number, of)
    }

    /// Events of ten categories, eight types and five regions; a thousand customers have ten streams each.
    pub(crate) fn varied() -> Result<Self, NameError> {
        let stream = |key: usize| StreamName::of(CATEGORIES[key % CATEGORIES.len()], key);
        Self::with((0..STREAMS).map(stream).collect::<Result<_, _>>()?, &TYPES, &REGIONS, 0, 1)
    }

    fn with(
        streams: Vec<StreamName>,
        types: &[&str],
        regions: &[&str],
        number: usize,
        of: usize,
    ) -> Result<Self, NameError> {
        let mut payload = br#"{"note":""#.to_vec();
        payload.resize(PAYLOAD - 2, b'x');
        payload.extend_from_slice(br#""}"#);
        Ok(Self {
            streams,
            types: types.iter().map(|name| name.parse()).collect::<Result<_, _>>()?,
            regions: regions.iter().map(|name| Tag::new("region", name)).collect::<Result<_, _>>()?,
            payload,
            number,
            of,
            made: 0,
            derived_ids: false,
        })
    }

    /// Gives ids that do not sort by time.
    pub(super) fn derived_ids(mut self) -> Self {
        self.derived_ids = true;
        self
    }

    /// One of the streams; any number names one.
    pub(crate) fn stream(&self, number: usize) -> StreamName {
        self.streams[number % self.streams.len()].clone()
    }

    /// The type that every eighth of the varied events has.
    pub(super) fn event_type(&self) -> EventTypeName {
        self.types[0].clone()
    }

    /// The region of a part of the events: a fifth of the varied ones.
    pub(super) fn region(&self) -> Tag {
        self.regions[0].clone()
    }

    /// The tag of a customer; any number names one of the varied ones.
    pub(super) fn customer(number: usize) -> Result<Tag, NameError> {
        Tag::new("customer", number % 1000)
    }

    pub(super) fn event(&mut self) -> Result<NewEvent, NameError> {
        self.made += 1;
        // Far apart and never twice in a batch: the step is a prime that divides no share of the streams.
        let share = self.streams.len() / self.of;
        let key = self.number + self.of * (self.made * 7919 % share);
        let event_type = self.types[self.made % self.types.len()].clone();
        let mut event = NewEvent::json(self.streams[key].clone(), event_type, self.payload.clone());
        let customer = if self.types.len() == 1 { Tag::new("customer", key)? } else { Self::customer(key / 10)? };
        event.tags = vec![customer, self.regions[key % self.regions.len()].clone()];
        Ok(event)
    }

    /// Events like these, again and again.
    pub(super) fn repeated(mut self) -> Result<Repeated, NameError> {
        let round = self.streams.len() / self.of;
        Ok(Repeated { round: self.events(round)?, number: self.number, derived_ids: self.derived_ids, made: 0 })
    }

    pub(crate) fn events(&mut self, count: usize) -> Result<Vec<NewEvent>, NameError> {
        (0..count).map(|_| self.event()).collect()
    }
}

/// Makes events at little cost: copies of a few, each with an id of its own.
pub(super) struct Repeated {
    /// One event of each stream.
    round: Vec<NewEvent>,
    number: usize,
    derived_ids: bool,
    made: usize,
}

impl Repeated {
    /// The next event, and how many of its stream were made before.
    pub(super) fn event(&mut self) -> (NewEvent, u64) {
        let (version, at) = (self.made / self.round.len(), self.made % self.round.len());
        self.made += 1;
        let id = if self.derived_ids {
            EventId::derived(&[&self.number.to_string(), &self.made.to_string()])
        } else {
            EventId::new()
        };
        (NewEvent { id, ..self.round[at].clone() }, version as u64)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use super::*;

    #[test]
    fn sources_share_the_streams_and_no_batch_has_one_twice() {
        let mut owners: HashMap<StreamName, usize> = HashMap::new();
        for number in 0..8 {
            let mut source = Source::new("order", number, 8).unwrap();
            for _ in 0..2 {
                let batch = source.events(1000).unwrap();
                let streams: HashSet<_> = batch.iter().map(|event| event.stream.clone()).collect();
                assert_eq!(streams.len(), 1000);
                for stream in streams {
                    assert_eq!(*owners.entry(stream).or_insert(number), number);
                }
            }
        }
    }

    #[test]
    fn versions_count_the_events_of_a_stream() {
        let mut versions: HashMap<StreamName, u64> = HashMap::new();
        for number in 0..3 {
            let mut source = Source::new("order", number, 64).unwrap().repeated().unwrap();
            for _ in 0..1000 {
                let (event, version) = source.event();
                let before = versions.entry(event.stream).or_default();
                assert_eq!(version, *before);
                *before += 1;
            }
        }
    }

    #[test]
    fn varied_events_have_the_shares_that_the_rows_state() {
        let mut source = Source::varied().unwrap();
        let events = source.events(80_000).unwrap();
        let share = |matches: &dyn Fn(&NewEvent) -> bool| events.iter().filter(|event| matches(event)).count();
        assert_eq!(share(&|event| event.event_type == source.event_type()), 10_000);
        assert_eq!(share(&|event| event.tags[1] == source.region()), 16_000);
        assert_eq!(share(&|event| event.stream.category() == "order"), 8_000);
        assert_eq!(share(&|event| event.tags[0] == Source::customer(3).unwrap()), 80);
        assert!(events.iter().all(|event| event.payload.len() == PAYLOAD));
    }
}
