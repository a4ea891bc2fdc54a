//! What a seed makes of the calls of the contract.
//!
//! Names and tags are few, so that appends meet. Rules are only ever tightened: whether what one rule removed comes back
//! under a wider one depends on when the store tidies up, and the contract leaves that open. For the same reason only
//! appends whose events are all retained are repeated.

use std::time::Duration;

use mainspring_event::{EventId, NewEvent, Position, StreamName, Tag, Version};
use mainspring_store::{
    Append, Check, Clock, Direction, Expected, Query, QueryItem, Read, ReadFrom, Retained, Retention, Scope,
    StreamChange,
};

use super::Pair;
use crate::{
    sample::{category, event_type, stream, tag, typed},
    seed::Seed,
};

const STREAMS: [&str; 9] = ["a-1", "a-2", "b-1", "b-2", "c-1", "d-1", "d-2", "$a-1", "$register-1"];
const TYPES: [&str; 3] = ["Opened", "Moved", "Closed"];
const TAGS: [&str; 4] = ["k:1", "k:2", "l:1", "l:2"];
const AGE: Duration = Duration::from_secs(1_800);

/// One call, or time passing.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Append(Append),
    Read(Read),
    Wait(Duration),
    SetBack(Duration),
    Reopen,
}

/// The source of steps.
pub(super) struct History {
    seed: Seed,
    timed: bool,
    /// Whether rules by age are used; then the clock is never set back.
    aging: bool,
    /// How many events the next rule by count keeps.
    keep: u64,
    taken: Vec<Append>,
}

impl History {
    pub(super) fn new(seed: u64, timed: bool) -> Self {
        let mut seed = Seed::new(seed);
        let aging = timed && seed.once_in(2);
        Self { seed, timed, aging, keep: 6, taken: Vec::new() }
    }

    /// Remembers an append that both have taken.
    pub(super) fn taken(&mut self, append: Append) {
        if !append.events.is_empty() {
            self.taken.push(append);
        }
    }

    pub(super) async fn next(&mut self, pair: &Pair) -> Step {
        match self.seed.within(0..=99) {
            0..=39 => Step::Append(self.append(pair).await),
            40..=49 => match self.repeat(pair).await {
                Some(append) => Step::Append(append),
                None => Step::Read(self.read(pair)),
            },
            50..=91 => Step::Read(self.read(pair)),
            92..=93 if self.timed && !self.aging => Step::SetBack(self.time()),
            94 => Step::Reopen,
            _ => Step::Wait(self.time()),
        }
    }

    fn time(&mut self) -> Duration {
        Duration::from_secs(self.seed.within(0..=600))
    }

    async fn append(&mut self, pair: &Pair) -> Append {
        let mut append = Append::new((0..self.seed.within(0..=5)).map(|_| self.event()).collect::<Vec<_>>());
        if self.seed.once_in(2) {
            for _ in 0..self.seed.within(1..=2) {
                append.checks.push(self.check(pair).await);
            }
        }
        if self.seed.once_in(8) {
            append.changes.push(self.change());
        }
        append
    }

    fn event(&mut self) -> NewEvent {
        let event = typed(self.seed.pick(&STREAMS), self.seed.pick(&TYPES));
        let tags = if event.stream.is_internal() { Vec::new() } else { self.tags(3) };
        let id = self.id();
        NewEvent { id, payload: id.to_string().into(), tags, ..event }
    }

    fn id(&mut self) -> EventId {
        let halves = [self.seed.draw().to_be_bytes(), self.seed.draw().to_be_bytes()];
        EventId::from_bytes(halves.concat().try_into().expect("two times eight bytes are sixteen"))
    }

    fn tags(&mut self, most: u64) -> Vec<Tag> {
        let mut tags: Vec<_> = TAGS.map(tag).into();
        self.seed.shuffle(&mut tags);
        tags.truncate(self.seed.within(0..=most) as usize);
        tags
    }

    async fn check(&mut self, pair: &Pair) -> Check {
        if self.seed.once_in(2) {
            let stream = stream(self.seed.pick(&STREAMS));
            let expected = match self.seed.within(0..=5) {
                0 => Expected::Any,
                1 => Expected::NoStream,
                2 => Expected::Exists,
                3 => Expected::Exactly(Version(self.seed.within(0..=4))),
                _ => Expected::Exactly(version(pair, &stream)),
            };
            return Check::Stream { stream, expected };
        }
        let head = pair.head().0;
        let after = match self.seed.within(0..=3) {
            0 => None,
            1 => Some(Position(self.seed.within(0..=head))),
            _ => Some(Position(head.saturating_sub(self.seed.within(0..=3)))),
        };
        Check::NoMatch { query: self.query(pair), after }
    }

    fn change(&mut self) -> StreamChange {
        let rule = |max_count, max_age| Retention { max_count, max_age };
        match self.seed.within(0..=9) {
            0 => StreamChange::Tombstone { stream: stream(self.seed.pick(&["d-1", "d-2"])) },
            1 | 2 => {
                self.keep = self.keep.saturating_sub(self.seed.within(0..=1));
                let target = Retained::Stream(stream(self.seed.pick(&["a-1", "a-2"])));
                StreamChange::Retain { target, retention: rule(Some(self.keep), None) }
            }
            3 | 4 => {
                self.keep = self.keep.saturating_sub(self.seed.within(0..=1));
                StreamChange::Retain {
                    target: Retained::Category(category("b")),
                    retention: rule(Some(self.keep), None),
                }
            }
            5 | 6 if self.aging => {
                StreamChange::Retain { target: Retained::Category(category("c")), retention: rule(None, Some(AGE)) }
            }
            7 => {
                let target = Retained::Stream(stream("$register-1"));
                StreamChange::Retain { target, retention: rule(Some(1), None) }
            }
            _ => {
                let version = Version(self.seed.within(0..=12));
                StreamChange::TruncateBefore { stream: stream(self.seed.pick(&STREAMS)), version }
            }
        }
    }

    /// An append from before, as it was or a little different.
    async fn repeat(&mut self, pair: &Pair) -> Option<Append> {
        let index = self.seed.within(0..=self.taken.len().checked_sub(1)? as u64) as usize;
        let mut append = self.taken[index].clone();
        if !pair.retains(&append.events).await {
            return None;
        }
        match self.seed.within(0..=7) {
            0 => append.events[0].payload = "other".into(),
            1 => append.events.push(self.event()),
            2 => append.events.insert(0, self.event()),
            3 => append.events.reverse(),
            4 => append.checks = vec![self.check(pair).await],
            5 => append.events.push(append.events[0].clone()),
            _ => {}
        }
        Some(append)
    }

    fn read(&mut self, pair: &Pair) -> Read {
        let mut query = self.query(pair);
        let head = pair.head().0;
        let mut from = match self.seed.within(0..=6) {
            0 => ReadFrom::End,
            1 | 2 => ReadFrom::After(Position(self.seed.within(0..=head + 1))),
            3 if self.timed => ReadFrom::Time(pair.clock.now() - Duration::from_secs(self.seed.within(0..=7_200))),
            _ => ReadFrom::Start,
        };
        if self.seed.once_in(4) {
            query = Query::stream(stream(self.seed.pick(&STREAMS)));
            if self.seed.once_in(2) {
                from = ReadFrom::Version(Version(self.seed.within(1..=12)));
            }
        }
        let limit = self.seed.once_in(2).then(|| self.seed.within(0..=9));
        let mut read = Read { limit, ..Read::new(query).from(from) };
        // A position beyond the head is an error forwards; backwards the contract does not say.
        let beyond = matches!(from, ReadFrom::After(position) if position.0 > head);
        if self.seed.once_in(3) && from != ReadFrom::Start && !beyond {
            read.direction = Direction::Backwards;
        } else if self.seed.once_in(4) && from == ReadFrom::Start {
            read = read.backwards();
        }
        read
    }

    fn query(&mut self, pair: &Pair) -> Query {
        match self.seed.within(0..=9) {
            0 | 1 => Query::All,
            2 => {
                let mut ids = vec![self.id()];
                for _ in 0..self.seed.within(0..=3) {
                    let written = pair.written.get(self.seed.within(0..=pair.head().0) as usize);
                    ids.extend(written.map(|stored| stored.event.id));
                }
                Query::Ids(ids)
            }
            _ => Query::Items((0..self.seed.within(1..=3)).map(|_| self.item()).collect()),
        }
    }

    fn item(&mut self) -> QueryItem {
        let scope = match self.seed.within(0..=4) {
            0 => {
                // More than one, because a tombstoned stream refuses a read of it alone and a wider one passes it.
                let first = self.seed.within(0..=4) as usize;
                Scope::Streams(STREAMS[first..first + 2].iter().map(|name| stream(name)).collect())
            }
            1 => Scope::Category(category(self.seed.pick(&["a", "b", "c", "d", "$a"]))),
            _ => Scope::Everywhere,
        };
        let types = (0..self.seed.within(0..=2)).map(|_| event_type(self.seed.pick(&TYPES))).collect();
        QueryItem { scope, types, tags: self.tags(2) }
    }
}

/// Where the stream is, by what was written.
fn version(pair: &Pair, stream: &StreamName) -> Version {
    let newest = pair.written.iter().rfind(|stored| stored.event.stream == *stream);
    newest.map_or(Version::NONE, |stored| stored.version)
}
