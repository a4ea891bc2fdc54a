//! What the store is asked to do while it is crashed: small, and of everything something.

use mainspring_conformance::Seed;
use mainspring_event::{Category, EventTypeName, NewEvent, Position, Tag, Version};
use mainspring_store::{Append, Check, Expected, Query, Retained, Retention, StreamChange};

use crate::kit::{event, stream};

/// Every stream that a workload may write.
pub(crate) const STREAMS: [&str; 9] = ["a-1", "a-2", "b-1", "b-2", "c-1", "d-1", "e-1", "$r-1", "$s-1"];

/// Appends in the order in which they are sent; those of one step are sent together.
pub(crate) struct Workload {
    pub(crate) segment_bytes: u64,
    pub(crate) steps: Vec<Vec<Append>>,
}

impl Workload {
    /// Appends of all kinds, over many segments.
    pub(crate) fn varied(seed: u64) -> Self {
        let mut make = Make { seed: Seed::new(seed), sent: Vec::new() };
        let mut steps = vec![
            vec![make.single("a-1", 0)],
            vec![make.single("a-1", 10).expect(stream("a-1"), Expected::Exactly(Version(1)))],
            vec![make.batch(&["a-1", "b-1", "c-1", "$r-1", "a-1"], 40)],
            vec![make.single("e-1", 6_000)],
            vec![make.single("a-1", 30).expect(stream("a-1"), Expected::Exactly(Version(1)))],
        ];
        steps.extend((0..6).map(|_| make.group()));
        steps.push(vec![make.repeat(0), make.single("b-2", 300), make.repeat(2)]);
        steps.push(vec![make.changed("a-1", 20), make.single("a-1", 20)]);
        steps.push(vec![make.tombstone("d-1"), make.single("d-1", 20), make.truncate("b-1", 3)]);
        steps.push(vec![make.batch(&["a-2"; 30], 50), make.reused(1), make.single("c-1", 900)]);
        steps.extend((0..4).map(|_| make.group()));
        steps.push(vec![make.unique("c-1", "k:1"), make.unique("c-1", "k:1"), make.unique("c-1", "k:2")]);
        steps.push(vec![make.single("b-1", 2_000), make.repeat(1)]);
        Self { segment_bytes: 4096, steps }
    }

    /// Appends of which retention removes the most, in all its ways but by age. None is repeated, because an id is known only
    /// while its event is retained.
    pub(crate) fn removing(seed: u64) -> Self {
        let mut make = Make { seed: Seed::new(seed), sent: Vec::new() };
        let newest = |target, count| {
            let retention = Retention { max_count: Some(count), max_age: None };
            Append::default().change(StreamChange::Retain { target, retention })
        };
        let mut steps = vec![
            vec![newest(Retained::Stream(stream("$r-1")), 1), newest(Retained::Stream(stream("e-1")), 0)],
            vec![make.batch(&["a-1", "d-1", "e-1", "d-1"], 30), make.tagged("c-1"), make.single("e-1", 40)],
            vec![make.changed("a-1", 20)],
        ];
        for round in 0..4 {
            steps.extend((0..3).map(|_| vec![make.free(), make.free()]));
            steps.push(vec![make.tagged("c-1"), make.batch(&["$r-1", "b-1", "a-1", "b-2", "b-1"], 25)]);
            steps.push(vec![make.truncate("c-1", 2 + round), make.truncate("a-2", 3 * round)]);
        }
        steps.push(vec![make.tombstone("d-1"), make.truncate("$s-1", 100)]);
        steps.push((0..3).map(|_| make.single("a-1", 300)).collect());
        Self { segment_bytes: 1024, steps }
    }

    /// Appends so large that one segment grows by zeros more than once, and one that is worth its own length.
    pub(crate) fn large(seed: u64) -> Self {
        let mut make = Make { seed: Seed::new(seed), sent: Vec::new() };
        let mut steps: Vec<_> = (0..11).map(|_| vec![make.single("a-1", 100 << 10)]).collect();
        steps.push(vec![make.single("b-1", 200 << 10)]);
        Self { segment_bytes: 64 << 20, steps }
    }

    /// All appends, one after the other.
    pub(crate) fn appends(&self) -> impl Iterator<Item = &Append> {
        self.steps.iter().flatten()
    }
}

/// Makes appends, and remembers them to repeat them.
struct Make {
    seed: Seed,
    sent: Vec<Append>,
}

impl Make {
    fn remember(&mut self, append: Append) -> Append {
        self.sent.push(append.clone());
        append
    }

    fn single(&mut self, name: &str, payload: usize) -> Append {
        let event = event(&mut self.seed, name, payload);
        self.remember(Append::new([event]))
    }

    fn batch(&mut self, names: &[&str], payload: usize) -> Append {
        let events: Vec<_> = names.iter().map(|name| event(&mut self.seed, name, payload)).collect();
        self.remember(Append::new(events))
    }

    /// An append that was sent before, whatever came of it.
    fn repeat(&mut self, number: usize) -> Append {
        self.sent[number].clone()
    }

    /// An event with a tag.
    fn tagged(&mut self, name: &str) -> Append {
        let mut append = self.single(name, 15);
        append.events[0].tags = vec![Tag::parse("k:1").unwrap()];
        append
    }

    /// Some events without conditions, of streams that are never closed.
    fn free(&mut self) -> Append {
        let open: Vec<_> = STREAMS.into_iter().filter(|name| *name != "d-1").collect();
        let names: Vec<_> = (0..self.seed.within(1..=6)).map(|_| open[self.seed.index(open.len())]).collect();
        let payload = [3, 40, 150][self.seed.index(3)];
        self.batch(&names, payload)
    }

    /// An id that is known, with other content.
    fn reused(&mut self, number: usize) -> Append {
        let known = self.sent[number].events[0].clone();
        Append::new([NewEvent { payload: "other".into(), ..known }])
    }

    /// An event that may only be there once for its tag.
    fn unique(&mut self, name: &str, tag: &str) -> Append {
        let tag = Tag::parse(tag).unwrap();
        let query = Query::tags([tag.clone()]);
        let event = NewEvent { tags: vec![tag], ..event(&mut self.seed, name, 15) };
        Append::new([event]).check(Check::NoMatch { query, after: None })
    }

    fn changed(&mut self, name: &str, payload: usize) -> Append {
        let retention = Retention { max_count: Some(4), max_age: None };
        let category = Retained::Category(Category::new("b").unwrap());
        self.single(name, payload)
            .change(StreamChange::Retain { target: Retained::Stream(stream(name)), retention })
            .change(StreamChange::Retain { target: category, retention })
    }

    fn tombstone(&mut self, name: &str) -> Append {
        Append::default().change(StreamChange::Tombstone { stream: stream(name) })
    }

    fn truncate(&mut self, name: &str, version: u64) -> Append {
        Append::default().change(StreamChange::TruncateBefore { stream: stream(name), version: Version(version) })
    }

    /// Some appends that meet each other in one write.
    fn group(&mut self) -> Vec<Append> {
        (0..self.seed.within(1..=5)).map(|_| self.any()).collect()
    }

    fn any(&mut self) -> Append {
        let name = STREAMS[self.seed.index(STREAMS.len())];
        let payload = [3, 40, 200, 700][self.seed.index(4)];
        match self.seed.within(0..=9) {
            0 | 1 => {
                let names: Vec<_> = (0..self.seed.within(2..=8)).map(|_| STREAMS[self.seed.index(9)]).collect();
                self.batch(&names, payload / 4)
            }
            2 => self.repeat(0),
            3 => {
                let last = self.sent.len() - 1;
                self.repeat(last)
            }
            4 => self.single(name, payload).expect(stream(name), Expected::NoStream),
            5 => self.single(name, payload).expect(stream("a-1"), Expected::Exists),
            6 => {
                let query = Query::types([EventTypeName::new("Unheard").unwrap()]);
                let check = Check::NoMatch { query, after: Some(Position(3)) };
                self.single(name, payload).check(check)
            }
            _ => self.single(name, payload),
        }
    }
}
