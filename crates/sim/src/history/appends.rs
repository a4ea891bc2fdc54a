//! The appends that a seed makes.
//!
//! Names and tags are few, so that appends meet. Rules are only ever tightened: whether what one rule removed comes back
//! under a wider one depends on when the store tidies up, and the contract leaves that open. For the same reason only
//! appends whose events are all retained are repeated.

use std::time::Duration;

use jiff::Timestamp;
use mainspring_conformance::Seed;
use mainspring_event::{Metadata, NewEvent, Position, Source, Version};
use mainspring_store::{Append, Check, Expected, Retained, Retention, StreamChange};

use super::{
    model::Model,
    queries::{STREAMS, TYPES, category, event_type, id, query, stream, tags},
};

const AGE: Duration = Duration::from_secs(1_800);

/// The source of appends.
pub(super) struct Appends {
    /// How many streams are written.
    streams: usize,
    /// Payloads have at most so many bytes.
    payload: u64,
    /// Whether retention, truncation and tombstones occur.
    changes: bool,
    /// Whether they occur so often that there is much to remove.
    pub(super) removing: bool,
    /// Whether rules by age occur; then the clock is never set back.
    pub(super) aging: bool,
    /// How many events the next rule by count keeps.
    keep: u64,
}

impl Appends {
    pub(super) fn new(seed: &mut Seed, segment_bytes: u64) -> Self {
        let changes = seed.once_in(2);
        let removing = changes && !seed.once_in(4);
        Self {
            streams: 2 + seed.index(STREAMS.len() - 1),
            payload: seed.pick(&[8, 40, 200, segment_bytes / 4, segment_bytes * 3 / 2]).min(20_000),
            changes,
            removing,
            aging: changes && seed.once_in(2),
            keep: if removing { 3 } else { 6 },
        }
    }

    /// Appends that are sent together.
    pub(super) async fn group(&mut self, seed: &mut Seed, model: &Model) -> Vec<Append> {
        let count = if seed.once_in(2) { 1 } else { seed.within(2..=4) };
        let mut group: Vec<Append> = Vec::new();
        for _ in 0..count {
            let repeated = if seed.once_in(6) { self.repeat(seed, model, &group).await } else { None };
            group.push(repeated.unwrap_or_else(|| self.append(seed, model)));
        }
        group
    }

    /// An append of new events, and nothing else.
    pub(super) fn plain(&self, seed: &mut Seed) -> Append {
        Append::new((0..seed.within(1..=3)).map(|_| self.event(seed)).collect::<Vec<_>>())
    }

    fn append(&mut self, seed: &mut Seed, model: &Model) -> Append {
        let count = if seed.once_in(3) { seed.within(0..=6) } else { 1 };
        let mut append = Append::new((0..count).map(|_| self.event(seed)).collect::<Vec<_>>());
        if seed.once_in(3) {
            for _ in 0..seed.within(1..=2) {
                append.checks.push(self.check(seed, model));
            }
        }
        if self.changes && seed.once_in(if self.removing { 3 } else { 6 }) {
            append.changes.push(self.change(seed, model));
        }
        append
    }

    fn event(&self, seed: &mut Seed) -> NewEvent {
        let stream = stream(STREAMS[seed.index(self.streams)]);
        let tags = if stream.is_internal() || seed.once_in(2) { Vec::new() } else { tags(seed, 3) };
        let length = if seed.once_in(8) { self.payload } else { seed.within(0..=self.payload.min(60)) };
        let fill = seed.draw().to_le_bytes();
        let payload: Vec<u8> = fill.into_iter().cycle().take(usize::try_from(length).expect("small")).collect();
        NewEvent {
            id: id(seed),
            stream,
            event_type: event_type(seed.pick(&TYPES)),
            schema_version: 1 + seed.draw() as u32 % 3,
            time: Timestamp::UNIX_EPOCH + Duration::from_nanos(seed.within(0..=1 << 40)),
            source: Source::new(seed.pick(&["till", "web"])).expect("histories use valid names"),
            content_type: seed.pick(&["application/json", "text/plain"]).into(),
            tags,
            metadata: metadata(seed),
            payload: payload.into(),
        }
    }

    fn check(&self, seed: &mut Seed, model: &Model) -> Check {
        if seed.once_in(2) {
            let stream = stream(seed.pick(&STREAMS));
            let expected = match seed.within(0..=7) {
                0 => Expected::Any,
                1 => Expected::NoStream,
                2 => Expected::Exists,
                3 => Expected::Exactly(Version(seed.within(0..=4))),
                _ => Expected::Exactly(Version(model.version(&stream))),
            };
            return Check::Stream { stream, expected };
        }
        let head = model.head().0;
        let after = match seed.within(0..=3) {
            0 => None,
            1 => Some(Position(seed.within(0..=head))),
            _ => Some(Position(head.saturating_sub(seed.within(0..=2)))),
        };
        Check::NoMatch { query: query(seed, model), after }
    }

    fn change(&mut self, seed: &mut Seed, model: &Model) -> StreamChange {
        let rule = |max_count, max_age| Retention { max_count, max_age };
        match seed.within(0..=9) {
            0 => StreamChange::Tombstone { stream: stream(seed.pick(&["d-1", "d-2"])) },
            1..=4 => {
                self.keep = self.keep.saturating_sub(seed.within(0..=1));
                let target = match seed.within(0..=2) {
                    0 => Retained::Category(category("b")),
                    _ => Retained::Stream(stream(seed.pick(&["a-1", "a-2"]))),
                };
                StreamChange::Retain { target, retention: rule(Some(self.keep), None) }
            }
            5 | 6 if self.aging => {
                StreamChange::Retain { target: Retained::Category(category("c")), retention: rule(None, Some(AGE)) }
            }
            7 => {
                let target = Retained::Stream(stream("$register-1"));
                StreamChange::Retain { target, retention: rule(Some(1), None) }
            }
            _ => {
                let stream = stream(STREAMS[seed.index(self.streams)]);
                let newest = model.version(&stream) + 1;
                let version =
                    if seed.once_in(2) { newest.saturating_sub(seed.within(0..=2)) } else { seed.within(0..=12) };
                StreamChange::TruncateBefore { stream, version: Version(version) }
            }
        }
    }

    /// An append from before, of this group or in doubt among them, as it was or a little different.
    async fn repeat(&self, seed: &mut Seed, model: &Model, group: &[Append]) -> Option<Append> {
        let doubts = model.pending.iter().map(|(append, _)| append);
        let known: Vec<_> = model.taken().iter().chain(group).chain(doubts).collect();
        let mut append = known.get(seed.index(known.len().max(1))).copied()?.clone();
        let in_group = group.contains(&append);
        if append.events.is_empty() || (!in_group && !model.doubts(&append) && !model.retains(&append.events).await) {
            return None;
        }
        match seed.within(0..=9) {
            0 => append.events[0].payload = "other".into(),
            1 => append.events.push(self.event(seed)),
            2 => append.events.insert(0, self.event(seed)),
            3 => append.events.reverse(),
            4 => append.checks = vec![self.check(seed, model)],
            5 => append.events.push(append.events[0].clone()),
            _ => {}
        }
        Some(append)
    }
}

fn metadata(seed: &mut Seed) -> Metadata {
    let mut metadata = Metadata::default();
    if seed.once_in(2) {
        metadata.correlation = Some(id(seed));
        metadata.tenant = Some("north".to_owned());
    }
    metadata
}
